/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads flags, and decides who has them.
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/hash.h"
#include "event/cursor.h"
#include "registry/flags.h"
#include "registry/object.h"
#include "store/env.h"
#include "store/store.h"


bool
es_flag_parse(es_str_t text, unsigned *percent)
{
    size_t    i;
    unsigned  n = 0;

    if (es_str_eq(text, es_str("on"))) {
        *percent = ES_FLAG_ALL;
        return true;
    }

    if (es_str_eq(text, es_str("off"))) {
        *percent = 0;
        return true;
    }

    if (text.len < 2 || text.len > 3 || text.data[text.len - 1] != '%'
        || text.data[0] == '0')
    {
        return false;
    }

    for (i = 0; i + 1 < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }

        n = n * 10 + (unsigned) (text.data[i] - '0');
    }

    *percent = n;

    return true;
}


es_rc_t
es_flag_decode(json_t *object, es_pool_t *pool, es_flag_t *out,
    es_problem_t *problem)
{
    es_rc_t      rc;
    es_str_t     text = es_null_str;
    es_record_t  r = { object, pool, problem };

    rc = es_take_str(&r, "/partners", true, &text);

    if (rc == ES_OK && !es_flag_parse(text, &out->percent)) {
        rc = es_fault(&r, "/partners", "must be \"on\", \"off\", or \"1%\" to "
                      "\"99%\"");
    }

    return rc;
}


es_rc_t
es_take_flags(es_record_t *r, es_partner_flags_t *out)
{
    char         pointer[ES_POINTER_MAX];
    json_t      *object, *value;
    const char  *name;

    object = json_object_get(r->object, "flags");
    if (object == NULL) {
        return ES_OK;
    }

    if (!json_is_object(object) || json_object_size(object) == 0
        || json_object_size(object) > ES_FLAGS_MAX)
    {
        return es_fault(r, "/flags", "must be an object of 1 to 256 flags");
    }

    out->list = es_pool_alloc(r->pool, json_object_size(object)
                                       * sizeof(es_partner_flag_t));
    if (out->list == NULL) {
        return es_nomem(r);
    }

    json_object_foreach(object, name, value) {
        (void) strcpy(pointer, "/flags");
        es_pointer_add(pointer, sizeof(pointer), es_str(name));

        if (!es_object_name_ok(ES_KIND_FLAG, es_str(name))
            || !json_is_boolean(value))
        {
            return es_fault(r, pointer, "must be the name of a flag, with "
                            "true or false");
        }

        out->list[out->n].name = es_pool_str(r->pool, es_str(name));
        out->list[out->n].on = json_is_true(value);

        if (out->list[out->n++].name.data == NULL) {
            return es_nomem(r);
        }
    }

    return ES_OK;
}


static es_rc_t
es_flags_add(es_pool_t *pool, es_str_t name, const MDB_val *text,
    es_flag_t *flag)
{
    json_t   *object;
    es_rc_t   rc;

    object = json_loadb(text->mv_data, text->mv_size, 0, NULL);
    flag->name = es_pool_str(pool, name);

    rc = flag->name.data == NULL ? ES_NOMEM
         : json_is_object(object) ? es_flag_decode(object, pool, flag, NULL)
                                  : ES_CORRUPT;
    json_decref(object);

    return rc == ES_INVALID ? ES_CORRUPT : rc;
}


es_rc_t
es_flags_load(es_store_t *store, MDB_txn *txn, es_pool_t *pool,
    es_flags_t *out)
{
    int          rc;
    char         buf[ES_OBJECT_KEY_MAX], letter;
    MDB_val      key, text;
    es_rc_t      result;
    es_str_t     name;
    MDB_cursor  *cursor;

    out->n = 0;
    out->list = NULL;

    result = es_env_rc(mdb_cursor_open(txn, es_env_dbi(store->registry,
                                                       ES_REGISTRY_OBJECTS),
                                       &cursor));
    if (result != ES_OK) {
        return result;
    }

    key = es_object_key(ES_KIND_FLAG, es_null_str, buf);
    letter = buf[0];

    for (rc = mdb_cursor_get(cursor, &key, &text, MDB_SET_RANGE);
         result == ES_OK && rc == 0 && *(const char *) key.mv_data == letter;
         rc = mdb_cursor_get(cursor, &key, &text, MDB_NEXT))
    {
        if (out->list == NULL) {
            out->list = es_pool_alloc(pool, ES_FLAGS_MAX * sizeof(es_flag_t));
        }

        name.data = (const char *) key.mv_data + 1;
        name.len = key.mv_size - 1;

        result = out->list == NULL ? ES_NOMEM
                 : out->n == ES_FLAGS_MAX ? ES_CORRUPT
                 : es_flags_add(pool, name, &text, &out->list[out->n]);
        out->n++;
    }

    mdb_cursor_close(cursor);

    return result != ES_OK || rc == 0 || rc == MDB_NOTFOUND ? result
                                                            : es_env_rc(rc);
}


/* True if the partner's record names the flag. */

static bool
es_partner_flag(const es_partner_t *partner, es_str_t flag, bool *on)
{
    size_t  i;

    for (i = 0; i < partner->flags.n; i++) {
        if (es_str_eq(partner->flags.list[i].name, flag)) {
            *on = partner->flags.list[i].on;
            return true;
        }
    }

    return false;
}


bool
es_flag_on(const es_flags_t *flags, const es_partner_t *partner,
    es_str_t flag)
{
    int     len;
    bool    on;
    char    text[2 * (ES_FEED_MAX + 1)];
    size_t  i;

    if (es_partner_flag(partner, flag, &on)) {
        return on;
    }

    for (i = 0; i < flags->n; i++) {
        if (!es_str_eq(flags->list[i].name, flag)) {
            continue;
        }

        len = snprintf(text, sizeof(text), "%.*s/%.*s", (int) flag.len,
                       flag.data, (int) partner->name.len, partner->name.data);

        return es_hash_long(text, (size_t) len, 0) % ES_FLAG_ALL
               < flags->list[i].percent;
    }

    return false;
}


static es_rc_t
es_flags_name(json_t *array, es_str_t name)
{
    return json_array_append_new(array, json_stringn(name.data, name.len)) == 0
           ? ES_OK : ES_NOMEM;
}


es_rc_t
es_flags_report(es_store_t *store, const es_partner_t *partner,
    json_t *array)
{
    bool                      on;
    size_t                    i;
    es_rc_t                   rc;
    MDB_txn                  *txn;
    es_pool_t                 pool = { 0 };
    es_flags_t                flags;
    const es_partner_flag_t  *own;

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_flags_load(store, txn, &pool, &flags);
    es_env_read_end(store->registry, txn);

    for (i = 0; rc == ES_OK && i < flags.n; i++) {
        if (!es_partner_flag(partner, flags.list[i].name, &on)
            && es_flag_on(&flags, partner, flags.list[i].name))
        {
            rc = es_flags_name(array, flags.list[i].name);
        }
    }

    for (i = 0; rc == ES_OK && i < partner->flags.n; i++) {
        own = &partner->flags.list[i];

        if (own->on) {
            rc = es_flags_name(array, own->name);
        }
    }

    es_pool_free(&pool);

    return rc;
}
