/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Addresses from which a key may be used.
 *
 * A list that admits nobody, or others than its author meant, is refused when
 * it is written: an empty one, a range with bits behind its prefix, and an IPv4
 * address in the form of IPv6, which no client is compared with.
 */

#include <jansson.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/pool.h"
#include "base/prefix.h"
#include "registry/allow_from.h"

#define ES_MAPPED_BITS  96


/* Says what is wrong with one item; NULL: nothing. */

static const char *
es_allow_from_item(const json_t *value, es_prefix_t *out)
{
    es_prefix_t  cut;

    static const uint8_t  mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (!json_is_string(value)
        || !es_prefix_parse(json_string_value(value), out))
    {
        return "must be an address or a range such as \"203.0.113.0/24\" or "
               "\"2001:db8::/32\"";
    }

    if (out->family == AF_INET6 && out->bits >= ES_MAPPED_BITS
        && memcmp(out->bytes, mapped, sizeof(mapped)) == 0)
    {
        return "must be written as an IPv4 address";
    }

    cut = *out;
    es_prefix_cut(&cut);

    return memcmp(cut.bytes, out->bytes, sizeof(cut.bytes)) != 0
           ? "is a range whose address has bits behind the prefix" : NULL;
}


es_rc_t
es_take_allow_from(es_record_t *r, es_allow_from_t *out)
{
    char         item[ES_POINTER_MAX];
    json_t      *array, *value;
    size_t       i;
    es_rc_t      rc;
    const char  *why;

    if (json_object_get(r->object, "allow_from") == NULL) {
        return ES_OK;
    }

    rc = es_take_array(r, "/allow_from", 1, ES_ALLOW_FROM_MAX, &array);
    if (rc != ES_OK) {
        return rc;
    }

    out->list = es_pool_alloc(r->pool,
                              json_array_size(array) * sizeof(es_prefix_t));
    if (out->list == NULL) {
        return es_nomem(r);
    }

    json_array_foreach(array, i, value) {
        why = es_allow_from_item(value, &out->list[i]);

        if (why != NULL) {
            return es_fault(r, es_item_pointer("/allow_from", i, item), why);
        }
    }

    out->n = json_array_size(array);

    return ES_OK;
}


bool
es_key_from(const es_key_t *key, int family, const uint8_t *bytes)
{
    const es_allow_from_t  *own = &key->allow_from;
    const es_allow_from_t  *all = &key->partner->allow_from;

    return (own->n == 0 || es_prefixes_hold(own->list, own->n, family, bytes))
           && (all->n == 0
               || es_prefixes_hold(all->list, all->n, family, bytes));
}
