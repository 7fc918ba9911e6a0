/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encryption keys of the store: "store rekey" moves every secret to the first
 * key of the key file, so that an old key can be removed from the file.
 *
 * It shows no progress: it is one write transaction, which must not wait for a
 * terminal, and takes about a second for ten thousand secrets.
 */

#include <stdio.h>

#include "ctl.h"


int
ctl_store_rekey(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    unsigned      changed;
    es_problem_t  problem = { 0 };

    rc = ctl_args(ctl, &argc, argv, NULL);

    if (rc == CTL_OK && ctl->key_file == NULL) {
        rc = ctl_fail(CTL_USAGE, "no key file: use --key-file=PATH or set "
                      "EVENTSYNC_KEY_FILE");
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_ADMIN);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (es_registry_rekey(ctl->store, &changed, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    if (!ctl->json) {
        (void) printf("%u secret%s encrypted\n", changed,
                      ctl_plural(changed));
    }

    ctl_result(ctl, json_pack("{s:i}", "encrypted", (int) changed));

    return CTL_OK;
}
