/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "store mark": whether the store is for trials.
 */

#include <string.h>

#include "ctl.h"
#include "store/staging.h"


int
ctl_store_mark(ctl_t *ctl, int argc, char **argv)
{
    int      rc;
    bool     staging;
    es_rc_t  es;

    rc = ctl_args(ctl, &argc, argv, NULL);
    if (rc != CTL_OK) {
        return rc;
    }

    staging = strcmp(argv[0], "staging") == 0;

    if (!staging && strcmp(argv[0], "production") != 0) {
        return ctl_fail(CTL_USAGE, "\"store mark %s\": the store is "
                        "\"staging\" or \"production\"", argv[0]);
    }

    rc = ctl_open(ctl, 0);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_staging(ctl->store_path) == staging) {
        ctl_note("the store is marked so already");
    }

    es = es_staging_set(ctl->store_path, staging);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    ctl_result(ctl, json_pack("{s:b}", "staging", staging));

    return CTL_OK;
}
