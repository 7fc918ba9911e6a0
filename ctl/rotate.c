#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "object.h"
#include "signature.h"
#include "values.h"

#define CTL_OVERLAP_MAX_MS  (30LL * 24 * 3600 * 1000)


/* The endpoint's record as it is, or NULL with a line said. */

static json_t *
ctl_rotate_load(ctl_t *ctl, const char *name, int *rc)
{
    json_t    *object;
    es_rc_t    es;
    es_buf_t   text = { 0 };

    *rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (*rc != CTL_OK) {
        return NULL;
    }

    es = es_registry_get(ctl->store, ES_KIND_ENDPOINT, es_str(name), &text);
    object = es == ES_OK ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    es_buf_free(&text);

    if (object == NULL) {
        *rc = es == ES_NOT_FOUND
              ? ctl_fail(CTL_FAILED, "there is no endpoint \"%s\"", name)
              : ctl_fail(CTL_FAILED, "cannot read endpoint \"%s\": %s", name,
                         es_strerror(es));
    }

    return object;
}


/* What an old secret becomes: it expires, unless it did or will sooner. */

static json_t *
ctl_rotate_old(json_t *old, int64_t now_ms, int64_t until_ms)
{
    char          expires[ES_TIME_LEN + 1] = "";
    int64_t       ms;
    const char   *secret;

    secret = json_string_value(old);

    if (json_is_object(old)) {
        secret = json_string_value(json_object_get(old, "secret"));

        if (es_time_parse(es_str(json_string_value(
                              json_object_get(old, "expires"))), &ms) == ES_OK)
        {
            if (ms <= now_ms) {
                return NULL;
            }

            until_ms = ms < until_ms ? ms : until_ms;
        }
    }

    es_time_print(until_ms, expires);

    return json_pack("{s:s, s:s}", "secret", secret, "expires", expires);
}


static json_t *
ctl_rotate_secrets(const json_t *old, const char *secret, int64_t overlap_ms)
{
    size_t    i;
    json_t   *list, *entry;
    int64_t   now_ms;

    now_ms = es_clock_ms();
    list = json_pack("[s]", secret);

    for (i = 0; overlap_ms > 0 && i < json_array_size(old); i++) {
        entry = ctl_rotate_old(json_array_get(old, i), now_ms,
                               now_ms + overlap_ms);
        if (entry != NULL) {
            (void) json_array_append_new(list, entry);
        }
    }

    return list;
}


static int
ctl_rotate_args(const char *overlap, const char *secret, uint32_t *overlap_ms,
    char made[ES_SECRET_TEXT_MAX])
{
    es_rc_t       es;
    es_signer_t  *signer;

    if (overlap != NULL
        && (es_duration_parse(es_str(overlap), overlap_ms) != ES_OK
            || *overlap_ms > CTL_OVERLAP_MAX_MS))
    {
        return ctl_fail(CTL_USAGE, "\"--overlap=%s\" is not a time of at most "
                        "30d", overlap);
    }

    if (secret == NULL) {
        return es_secret_create(made) == ES_OK
               ? CTL_OK : ctl_fail(CTL_FAILED, "no random bytes");
    }

    es = es_signer_create(es_str(secret), &signer);
    if (es != ES_OK || strlen(secret) >= ES_SECRET_TEXT_MAX) {
        return ctl_fail(CTL_USAGE, "\"--secret\" is not a whsec_ or whsk_ "
                        "secret");
    }

    es_signer_destroy(signer);
    (void) strcpy(made, secret);

    return CTL_OK;
}


int
ctl_endpoint_rotate(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    char         made[ES_SECRET_TEXT_MAX];
    json_t      *object, *list;
    uint32_t     overlap_ms = 24 * 3600 * 1000;
    const char  *overlap = NULL, *secret = NULL;

    const ctl_option_t  options[] = {
        { "overlap", false, &overlap },
        { "secret", false, &secret },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 1, 1, options);

    if (rc == CTL_OK) {
        rc = ctl_rotate_args(overlap, secret, &overlap_ms, made);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    object = ctl_rotate_load(ctl, argv[0], &rc);
    if (object == NULL) {
        return rc;
    }

    list = ctl_rotate_secrets(json_object_get(object, "secrets"), made,
                              overlap_ms);
    json_decref(object);

    if (json_array_size(list) > ES_SECRETS_MAX) {
        json_decref(list);
        return ctl_fail(CTL_FAILED, "%d secrets of \"%s\" are still in use: "
                        "wait until one expires, or cut it short by a "
                        "smaller --overlap", ES_SECRETS_MAX, argv[0]);
    }

    rc = ctl_object_change(ctl, ES_KIND_ENDPOINT, argv[0],
                           json_pack("{s:o}", "secrets", list));

    if (rc == CTL_OK && secret == NULL) {
        (void) printf("%s\n", made);
    }

    return rc;
}
