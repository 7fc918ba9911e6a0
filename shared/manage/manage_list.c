/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lists the endpoints of a partner, in the order of their names.  The index by
 * partner leads to them, so a page examines no record of another partner.
 */

#include <stdio.h>

#include "manage/manage_internal.h"
#include "registry/registry.h"


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
    es_rc_t  rc;

    m->room = m->manage->limit;
    m->list = json_array();

    rc = es_registry_each_of(m->store, ES_KIND_ENDPOINT, m->manage->partner,
                             m->manage->after, es_on_endpoint, m);

    m->answer = json_pack("{s:o, s:s?}", "endpoints", m->list, "next",
                          rc == ES_STOP ? m->next : NULL);

    return rc == ES_STOP ? ES_OK : rc;
}
