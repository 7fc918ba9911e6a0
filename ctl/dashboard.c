/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Links to the dashboard: made, listed and revoked.
 *
 * The store has only a digest of a link's secret, so that a link can be printed
 * only when it is made.
 */

#include <stdio.h>
#include <stdlib.h>

#include "advice.h"
#include "base/clock.h"
#include "log/store_clock.h"
#include "object.h"
#include "registry/dashboard_link.h"
#include "registry/values.h"

#define CTL_LINK_FOR      "10m"
#define CTL_LINK_MIN_MS   1000
#define CTL_LINK_MAX_MS   (7 * 86400 * 1000)

typedef struct {
    ctl_t                *ctl;
    const char           *partner;     /* NULL: all */
    const es_registry_t  *registry;
    int64_t               now_ms;
} ctl_links_t;


static int64_t
ctl_link_now(ctl_t *ctl)
{
    int64_t  wall = es_clock_ms(), due = es_store_due_ms(ctl->store);

    return wall > due ? wall : due;
}


/* The address of the API without slashes at its end. */

static int
ctl_link_address(const char *url, int *len)
{
    const char  *fault;

    if (url == NULL) {
        return ctl_fail(CTL_USAGE, "\"--url\" is needed: the address of the "
                        "API, such as https://host/v1; EVENTSYNC_URL is its "
                        "default");
    }

    fault = es_url_fault(es_str(url));

    if (fault == NULL && strchr(url, '?') != NULL) {
        fault = "must have no query";
    }

    if (fault != NULL) {
        return ctl_fail(CTL_USAGE, "\"--url\" %s", fault);
    }

    for (*len = (int) strlen(url); url[*len - 1] == '/'; (*len)--) {
        /* void */
    }

    return CTL_OK;
}


static json_t *
ctl_link_record(const char *partner, json_t *scopes, const es_apikey_t *link,
    int64_t expires_ms)
{
    char    time[ES_TIME_LEN], digest[2 * ES_DIGEST_LEN + 1];
    size_t  i;

    for (i = 0; i < ES_DIGEST_LEN; i++) {
        (void) snprintf(digest + 2 * i, 3, "%02x", link->digest[i]);
    }

    es_time_print(expires_ms, time);

    return json_pack("{s:s, s:s, s:s, s:O, s:s#}", "partner", partner,
                     "digest", digest, "link", digest, "scopes", scopes,
                     "expires", time, (int) ES_TIME_LEN);
}


/* Forgets old links first, because they count for the partner's quota. */

static int
ctl_link_make(ctl_t *ctl, const char *partner, json_t *scopes, uint32_t term_ms,
    const char *url, int len)
{
    int          rc;
    char         text[ES_APIKEY_LEN + 1];
    char        *address;
    es_rc_t      es;
    int64_t      now_ms;
    es_apikey_t  link;

    if (es_link_create(text, &link) != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot get random bytes");
    }

    rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    now_ms = ctl_link_now(ctl);
    es = es_link_prune(ctl->store, es_str(partner), now_ms);

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot remove old links: %s",
                        es_reason(es));
    }

    rc = ctl_object_create(ctl, ES_KIND_KEY, link.id,
                           ctl_link_record(partner, scopes, &link,
                                           now_ms + term_ms));

    if (rc == CTL_OK
        && asprintf(&address, "%.*s/dashboard#link/%s", len, url, text) < 0)
    {
        rc = ctl_fail(CTL_FAILED, "out of memory");
    }

    if (rc == CTL_OK) {
        if (ctl->json) {
            (void) json_object_set_new(ctl->result, "url",
                                       json_string(address));
        } else {
            (void) printf("%s\n", address);
        }

        explicit_bzero(address, strlen(address));
        free(address);
        ctl_advise_key(ctl, link.id);
    }

    explicit_bzero(text, sizeof(text));

    return rc;
}


int
ctl_dashboard_link(ctl_t *ctl, int argc, char **argv)
{
    int          rc, len = 0;
    json_t      *list;
    uint32_t     term_ms;
    const char  *scopes = "read", *term = CTL_LINK_FOR;
    const char  *url = getenv("EVENTSYNC_URL");

    const ctl_option_t  options[] = {
        { "scopes", &scopes },
        { "for", &term },
        { "url", &url },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_duration_parse(es_str(term), &term_ms) != ES_OK
        || term_ms < CTL_LINK_MIN_MS || term_ms > CTL_LINK_MAX_MS)
    {
        return ctl_fail(CTL_USAGE, "\"--for\" must be a time from 1s to 7d, "
                        "such as 10m");
    }

    list = ctl_list(scopes);
    rc = ctl_link_address(url, &len);

    if (rc == CTL_OK) {
        rc = ctl_link_make(ctl, argv[0], list, term_ms, url, len);
    }

    json_decref(list);

    return rc;
}


static const char *
ctl_link_state(const es_key_t *key, int64_t now_ms)
{
    switch (es_link_state(key, key->link, now_ms)) {

    case ES_LINK_WAITS:
        return "waits";

    case ES_LINK_USED:
        return key->expires_ms != 0 && now_ms >= key->expires_ms ? "ended"
                                                                 : "used";
    case ES_LINK_EXPIRED:
        return "expired";

    case ES_LINK_REVOKED:
        return "revoked";

    case ES_LINK_UNKNOWN:
        break;
    }

    return "";
}


static es_rc_t
ctl_links_print(void *ctx, es_str_t name, es_str_t text)
{
    char             id[64];
    char            *scopes;
    json_t          *record, *line;
    ctl_links_t     *links;
    const char      *state, *expires;
    const es_key_t  *key;

    links = ctx;

    (void) snprintf(id, sizeof(id), "%.*s", (int) name.len, name.data);
    key = es_registry_key(links->registry, id);

    if (key == NULL || !key->linked
        || (links->partner != NULL
            && !es_str_eq(key->partner->name, es_str(links->partner))))
    {
        return ES_OK;
    }

    record = json_loadb(text.data, text.len, 0, NULL);
    state = ctl_link_state(key, links->now_ms);
    expires = json_string_value(json_object_get(record, "expires"));

    if (links->ctl->json) {
        line = json_pack("{s:O*, s:O*, s:s, s:O*, s:O*}",
                         "partner", json_object_get(record, "partner"),
                         "scopes", json_object_get(record, "scopes"),
                         "state", state,
                         "expires", json_object_get(record, "expires"),
                         "created", json_object_get(record, "created"));
        (void) ctl_print_named("name", id, line);
        json_decref(line);

    } else {
        scopes = json_dumps(json_object_get(record, "scopes"), JSON_COMPACT);
        (void) printf("%s partner=%s scopes=%s state=%s until=%s\n", id,
                      key->partner->name.data, scopes ? scopes : "-", state,
                      expires ? expires : "-");
        free(scopes);
    }

    json_decref(record);

    return ES_OK;
}


int
ctl_dashboard_links(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    ctl_links_t     links = { .ctl = ctl };
    es_registry_t  *registry;

    rc = ctl_begin_list(ctl, &argc, argv);

    if (rc == CTL_OK) {
        rc = ctl_registry_load(ctl, &registry);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    links.partner = argc > 0 ? argv[0] : NULL;
    links.registry = registry;
    links.now_ms = ctl_link_now(ctl);

    if (links.partner != NULL
        && es_registry_partner(registry, es_str(links.partner)) == NULL)
    {
        rc = ctl_fail(CTL_FAILED, "no partner \"%s\"", links.partner);

    } else {
        es = es_registry_each(ctl->store, ES_KIND_KEY, es_null_str,
                              ctl_links_print, &links);
        rc = es == ES_OK ? CTL_OK
                         : ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                                    es_reason(es));
    }

    es_registry_free(registry);

    return rc;
}


/* A link that was opened is the key of its session, which ends with it. */

int
ctl_dashboard_revoke(ctl_t *ctl, int argc, char **argv)
{
    int       rc;
    bool      linked;
    char      now[ES_TIME_LEN];
    json_t   *record;
    es_buf_t  text = { 0 };

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    linked = false;

    if (es_registry_get(ctl->store, ES_KIND_KEY, es_str(argv[0]), &text)
        == ES_OK)
    {
        record = json_loadb(text.data, text.len, 0, NULL);
        linked = json_object_get(record, "link") != NULL;
        json_decref(record);
    }

    es_buf_free(&text);

    if (!linked) {
        return ctl_fail(CTL_FAILED, "there is no link \"%s\"; \"dashboard "
                        "links\" lists them", argv[0]);
    }

    es_time_print(es_store_ms(ctl->store), now);

    return ctl_object_change(ctl, ES_KIND_KEY, argv[0],
                             json_pack("{s:o}", "revoked",
                                       json_stringn(now, ES_TIME_LEN)));
}
