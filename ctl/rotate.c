/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Signing secrets of an endpoint: rotated, and their public keys printed.
 *
 * A secret that the command generates is printed once.  Of a key pair only the
 * public key is printed, because the receiver needs no more.
 */

#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "keys/public_key.h"
#include "manage/manage.h"
#include "registry/values.h"


/* Prints the secret that was made, or of a key pair the public key; NULL: the
   user has it. */

static void
ctl_rotate_print(ctl_t *ctl, const char *name, const char *made)
{
    bool  pair;
    char  whpk[ES_PUBLIC_TEXT_MAX];

    pair = made != NULL && es_secret_public(es_str(made), whpk);

    if (ctl->json) {
        ctl_result(ctl, json_pack("{s:s, s:s*, s:s*}", "name", name,
                                  "secret", pair ? NULL : made,
                                  "public_key", pair ? whpk : NULL));

    } else if (made != NULL) {
        (void) printf("%s\n", pair ? whpk : made);
    }
}


int
ctl_endpoint_rotate(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    char          made[ES_SECRET_TEXT_MAX] = "";
    es_rc_t       es;
    uint32_t      overlap_ms = ES_OVERLAP_MS;
    const char   *overlap = NULL, *secret = NULL, *kind = NULL;
    es_problem_t  problem = { 0 };

    const ctl_option_t  options[] = {
        { "overlap", &overlap },
        { "secret", &secret },
        { "kind", &kind },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (overlap != NULL
        && (es_duration_parse(es_str(overlap), &overlap_ms) != ES_OK
            || overlap_ms > ES_OVERLAP_MAX_MS))
    {
        return ctl_fail(CTL_USAGE, "\"--overlap=%s\" is not a duration of at "
                        "most 30 days", overlap);
    }

    if (secret != NULL && kind != NULL) {
        return ctl_fail(CTL_USAGE, "\"--secret\" and \"--kind\" exclude each "
                        "other: a secret states its kind");
    }

    if (secret == NULL
        && es_endpoint_secret(kind ? kind : "v1", made, &problem) != ES_OK)
    {
        return ctl_fail(CTL_USAGE, "%s", problem.detail);
    }

    if (secret != NULL && strlen(secret) >= sizeof(made)) {
        return ctl_fail(CTL_USAGE, "\"--secret\" is too long");
    }

    if (secret != NULL) {
        memcpy(made, secret, strlen(secret) + 1);
    }

    rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_endpoint_rotate(ctl->store, es_str(argv[0]), made, overlap_ms,
                            NULL, &problem);

    if (es == ES_OK) {
        ctl_rotate_print(ctl, argv[0], secret == NULL ? made : NULL);
    }

    explicit_bzero(made, sizeof(made));

    return es == ES_OK
           ? CTL_OK : ctl_fail(CTL_FAILED, "%s%s", problem.detail[0]
                                                   ? problem.detail
                                                   : es_reason(es),
                               ctl_quota_hint(&problem));
}


int
ctl_endpoint_keys(ctl_t *ctl, int argc, char **argv)
{
    int       rc;
    json_t   *keys;
    es_rc_t   es;

    rc = ctl_begin(ctl, &argc, argv, NULL, 0);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_endpoint_keys(ctl->store, es_str(argv[0]), &keys);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "endpoint \"%s\": %s", argv[0],
                        es_reason(es));
    }

    ctl_print(keys);
    json_decref(keys);

    return CTL_OK;
}
