/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * API keys of partners: created and revoked.
 *
 * The store has only a digest of a key, so that a key can be printed only when
 * it is created.
 */

#include <stdio.h>

#include "base/clock.h"
#include "log/store_clock.h"
#include "object.h"


int
ctl_key_create(ctl_t *ctl, int argc, char **argv)
{
    int           i, rc;
    char          text[ES_APIKEY_LEN + 1], digest[2 * ES_DIGEST_LEN + 1];
    json_t       *object;
    es_apikey_t   key;
    const char   *scopes = NULL, *feeds = NULL, *expires = NULL;

    const ctl_option_t  options[] = {
        { "scopes", false, &scopes },
        { "feeds", false, &feeds },
        { "expires", false, &expires },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 1, 1, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (scopes == NULL) {
        return ctl_fail(CTL_USAGE, "\"--scopes\" is needed, for example "
                        "--scopes=read,publish");
    }

    /* A record without feeds would allow all of the partner's, and an empty
       list comes more likely from an empty shell variable. */

    if (feeds != NULL && feeds[strspn(feeds, ",")] == '\0') {
        return ctl_fail(CTL_USAGE, "\"--feeds\" names no feed; leave the "
                        "option out to allow all feeds of the partner");
    }

    if (es_apikey_create(text, &key) != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot get random bytes");
    }

    for (i = 0; i < ES_DIGEST_LEN; i++) {
        (void) snprintf(digest + 2 * i, 3, "%02x", key.digest[i]);
    }

    object = json_pack("{s:s, s:s, s:o}", "partner", argv[0],
                       "digest", digest, "scopes", ctl_list(scopes));
    if (object == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    if (feeds != NULL) {
        (void) json_object_set_new(object, "feeds", ctl_list(feeds));
    }

    if (expires != NULL) {
        (void) json_object_set_new(object, "expires", json_string(expires));
    }

    rc = ctl_object_create(ctl, ES_KIND_KEY, key.id, object);
    if (rc == CTL_OK) {
        (void) printf("%s\n", text);
    }

    explicit_bzero(text, sizeof(text));

    return rc;
}


int
ctl_key_revoke(ctl_t *ctl, int argc, char **argv)
{
    int   rc;
    char  now[ES_TIME_LEN];

    rc = ctl_begin(ctl, &argc, argv, 1, 1, NULL, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    es_time_print(es_store_ms(ctl->store), now);

    return ctl_object_change(ctl, ES_KIND_KEY, argv[0],
                             json_pack("{s:o}", "revoked",
                                       json_stringn(now, ES_TIME_LEN)));
}
