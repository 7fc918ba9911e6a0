/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lists the endpoints of a partner, in the order of their names.  The index by
 * partner leads to them, so a page examines no record of another partner.
 *
 * Makes and reads the page tokens of this list and those of delivery records.
 */

#include <stdio.h>

#include "base/base.h"
#include "base/page_token.h"
#include "delivery/list_position.h"
#include "manage/manage_internal.h"
#include "registry/registry.h"


#define ES_LIST_NAME_MAX  (16 + ES_FEED_MAX + ES_ENDPOINT_NAME_MAX)


/* Names the list for its tokens. */

static es_str_t
es_list_name(const es_manage_t *manage, char text[ES_LIST_NAME_MAX])
{
    int  len;

    len = snprintf(text, ES_LIST_NAME_MAX, "%u/%.*s/%.*s",
                   (unsigned) manage->op, (int) manage->partner.len,
                   manage->partner.data, (int) manage->endpoint.len,
                   manage->endpoint.data);

    return (es_str_t) { text, (size_t) len < ES_LIST_NAME_MAX
                              ? (size_t) len : ES_LIST_NAME_MAX - 1 };
}


json_t *
es_manage_next(const es_manage_ctx_t *m, bool more)
{
    char  list[ES_LIST_NAME_MAX], token[ES_PAGE_TOKEN_LEN(ES_FEED_MAX)];

    if (!more) {
        return json_null();
    }

    es_page_token_print(es_list_name(m->manage, list), es_str(m->next), token);

    return json_string(token);
}


es_rc_t
es_manage_after(es_manage_t *manage, es_str_t token)
{
    char      list[ES_LIST_NAME_MAX];
    es_rc_t   rc;
    es_str_t  text;

    rc = es_page_token_parse(es_list_name(manage, list), token, manage->after,
                             sizeof(manage->after), &manage->after_len);
    text = (es_str_t) { manage->after, manage->after_len };

    if (rc == ES_OK && manage->op == ES_MANAGE_ATTEMPTS) {
        rc = es_attempt_position_parse(text, &manage->attempt_after);

    } else if (rc == ES_OK && manage->op == ES_MANAGE_DEAD) {
        rc = es_dead_position_parse(text, &manage->dead_after);
    }

    manage->has_after = rc == ES_OK;

    return rc;
}


static es_rc_t
es_on_endpoint(void *ctx, es_str_t name, es_str_t text)
{
    json_t           *object;
    es_manage_ctx_t  *m = ctx;

    if (m->room-- == 0) {
        return ES_STOP;
    }

    m->managed->examined++;

    (void) snprintf(m->next, sizeof(m->next), "%.*s", (int) name.len,
                    name.data);

    object = json_loadb(text.data, text.len, 0, NULL);

    if (!es_manage_mine(m, object)) {
        json_decref(object);
        return ES_OK;
    }

    return json_array_append_new(m->list, es_manage_view(m, name, object)) == 0
           ? ES_OK : ES_NOMEM;
}


es_rc_t
es_manage_list(es_manage_ctx_t *m)
{
    es_rc_t   rc;
    es_str_t  after;

    m->room = m->manage->limit;
    m->list = json_array();

    after = (es_str_t) { m->manage->after, m->manage->after_len };

    rc = es_registry_each_of(m->store, ES_KIND_ENDPOINT, m->manage->partner,
                             after, es_on_endpoint, m);

    m->answer = json_pack("{s:o, s:o}", "endpoints", m->list, "next",
                          es_manage_next(m, rc == ES_STOP));

    return rc == ES_STOP ? ES_OK : rc;
}
