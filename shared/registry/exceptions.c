/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes the exceptions of a record from the dispatcher's rules for
 * connections.
 *
 * They are operator's members: a partner that could set them would open the
 * operator's network to itself.
 */

#include <jansson.h>
#include <stdint.h>

#include "base/base.h"
#include "base/pool.h"
#include "base/prefix.h"
#include "registry/exceptions.h"
#include "registry/member.h"
#include "registry/registry.h"


es_rc_t
es_take_exception_addresses(es_record_t *r, es_exceptions_t *out)
{
    char      item[ES_POINTER_MAX];
    json_t   *array, *value;
    size_t    i;
    es_rc_t   rc;

    rc = es_take_array(r, "/allow_addresses", 0, ES_EXCEPTIONS_MAX, &array);
    if (rc != ES_OK || array == NULL) {
        return rc;
    }

    out->addresses = es_pool_alloc(r->pool, json_array_size(array)
                                            * sizeof(es_prefix_t));
    if (out->addresses == NULL) {
        return es_nomem(r);
    }

    json_array_foreach(array, i, value) {
        if (!json_is_string(value)
            || !es_prefix_parse(json_string_value(value), &out->addresses[i]))
        {
            return es_fault(r, es_item_pointer("/allow_addresses", i, item),
                            "must be an address or a range such as "
                            "\"10.1.0.0/16\"");
        }
    }

    out->naddresses = json_array_size(array);

    return ES_OK;
}


es_rc_t
es_take_exception_ports(es_record_t *r, es_exceptions_t *out)
{
    char         item[ES_POINTER_MAX];
    json_t      *array, *value;
    size_t       i;
    es_rc_t      rc;
    json_int_t   n;

    rc = es_take_array(r, "/allow_ports", 0, ES_EXCEPTIONS_MAX, &array);
    if (rc != ES_OK || array == NULL) {
        return rc;
    }

    out->ports = es_pool_alloc(r->pool, json_array_size(array)
                                        * sizeof(uint16_t));
    if (out->ports == NULL) {
        return es_nomem(r);
    }

    json_array_foreach(array, i, value) {
        n = json_integer_value(value);

        if (n < 1 || n > UINT16_MAX) {
            return es_fault(r, es_item_pointer("/allow_ports", i, item),
                            "must be a whole number from 1 to 65535");
        }

        out->ports[i] = (uint16_t) n;
    }

    out->nports = json_array_size(array);

    return ES_OK;
}


es_rc_t
es_take_exceptions(es_record_t *r, es_exceptions_t *out)
{
    es_rc_t  rc;

    rc = es_take_bool(r, "/allow_http", &out->http);

    if (rc == ES_OK) {
        rc = es_take_exception_addresses(r, out);
    }

    return rc == ES_OK ? es_take_exception_ports(r, out) : rc;
}
