/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lists a partner's endpoints by pages.
 *
 * There is no index by partner.  A page examines a bounded number of records
 * in one read transaction and parses only those that name the partner; ten
 * thousand records of others take some milliseconds.
 */

#include <stdio.h>

#include "manage/manage_internal.h"
#include "registry/registry.h"

#define ES_OWNER_MAX  (sizeof("\"partner\":\"\"") + ES_FEED_MAX)

typedef struct {
    es_manage_ctx_t  *m;
    char              owner[ES_OWNER_MAX]; /* the member in a record's text */
    size_t            owner_len;
} es_listing_t;


/* The page token must not reveal the name of another partner's endpoint.  It
   becomes the shortest text after all records examined and before the next. */

static void
es_list_cut(es_manage_ctx_t *m, es_str_t beyond)
{
    size_t  n;

    n = 0;

    while (n < beyond.len && m->next[n] == beyond.data[n]) {
        n++;
    }

    if (n + 1 < beyond.len) {
        memcpy(m->next, beyond.data, n + 1);
        m->next[n + 1] = '\0';
    }
}


static es_rc_t
es_on_endpoint(void *ctx, es_str_t name, es_str_t text)
{
    json_t           *object;
    es_listing_t     *listing = ctx;
    es_manage_ctx_t  *m;

    m = listing->m;

    if (m->scans-- == 0) {
        es_list_cut(m, name);
        return ES_STOP;
    }

    if (memmem(text.data, text.len, listing->owner, listing->owner_len)
        != NULL)
    {
        object = json_loadb(text.data, text.len, 0, NULL);

        if (!es_manage_mine(m, object)) {
            json_decref(object);

        } else if (m->room-- == 0) {
            json_decref(object);
            return ES_STOP;

        } else if (json_array_append_new(m->list,
                                         es_manage_view(m, name, object))
                   != 0)
        {
            return ES_NOMEM;
        }
    }

    (void) snprintf(m->next, sizeof(m->next), "%.*s", (int) name.len,
                    name.data);

    return ES_OK;
}


es_rc_t
es_manage_list(es_manage_ctx_t *m)
{
    es_rc_t       rc;
    es_listing_t  listing = { .m = m };

    listing.owner_len = (size_t) snprintf(listing.owner, ES_OWNER_MAX,
                                          "\"partner\":\"%.*s\"",
                                          (int) m->manage->partner.len,
                                          m->manage->partner.data);
    m->scans = m->manage->scan_max;
    m->room = m->manage->limit;
    m->list = json_array();

    rc = es_registry_each(m->store, ES_KIND_ENDPOINT, m->manage->after,
                          es_on_endpoint, &listing);

    m->answer = json_pack("{s:o, s:s?}", "endpoints", m->list, "next",
                          rc == ES_STOP ? m->next : NULL);

    return rc == ES_STOP ? ES_OK : rc;
}
