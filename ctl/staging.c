/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "store mark": whether the store is for trials.
 */

#include <string.h>

#include "audit/audit.h"
#include "ctl.h"
#include "store/staging.h"


/* The mark is a file, so its entry comes in a commit before it. */

static es_rc_t
ctl_store_mark_audit(ctl_t *ctl, bool staging)
{
    es_rc_t            rc;
    es_audit_change_t  change = { .action = "mark", .kind = "store" };

    change.before = json_pack("{s:b}", "staging", !staging);
    change.after = json_pack("{s:b}", "staging", staging);

    rc = es_audit_record(ctl->store, ES_AUDIT_REGISTRY, &change);

    json_decref(change.before);
    json_decref(change.after);

    return rc;
}


/* The entry comes last, because a worker looks for the mark when the registry
   has changed. */

static es_rc_t
ctl_store_mark_set(ctl_t *ctl, bool staging)
{
    es_rc_t  rc;

    rc = es_staging_set(ctl->store_path, staging);

    if (rc == ES_OK) {
        rc = ctl_store_mark_audit(ctl, staging);

        if (rc != ES_OK) {
            (void) es_staging_set(ctl->store_path, !staging);
        }
    }

    return rc;
}


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

    rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_staging(ctl->store_path) == staging) {
        ctl_note("the store is marked so already");
        es = ES_OK;

    } else {
        es = ctl_store_mark_set(ctl, staging);
    }

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    ctl_result(ctl, json_pack("{s:b}", "staging", staging));

    return CTL_OK;
}
