/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compares JSON values as JSON Schema does: by value, whatever the spelling of
 * a number.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/base.h"
#include "base/json.h"
#include "schema/schema_node.h"

__extension__ typedef unsigned __int128  es_u128_t;

/* A number as mantissa * 10^exponent, without its sign. */
typedef struct {
    uint64_t  mantissa;
    int       exponent;
} es_decimal_t;


unsigned
es_value_types(const json_t *value)
{
    double  real;

    switch (json_typeof(value)) {

    case JSON_NULL:
        return ES_TYPE_NULL;

    case JSON_TRUE:
    case JSON_FALSE:
        return ES_TYPE_BOOLEAN;

    case JSON_OBJECT:
        return ES_TYPE_OBJECT;

    case JSON_ARRAY:
        return ES_TYPE_ARRAY;

    case JSON_STRING:
        return ES_TYPE_STRING;

    case JSON_INTEGER:
        return ES_TYPE_NUMBER | ES_TYPE_INTEGER;

    default: /* JSON_REAL */
        real = json_real_value(value);

        return fabs(real) >= 9007199254740992.0
               || (double) (int64_t) real == real
               ? ES_TYPE_NUMBER | ES_TYPE_INTEGER : ES_TYPE_NUMBER;
    }
}


static int
es_compare_mixed(int64_t whole, double real)
{
    int64_t  t;

    if (real >= 9223372036854775808.0) {
        return -1;
    }

    if (real < -9223372036854775808.0) {
        return 1;
    }

    t = (int64_t) real;

    if (whole != t) {
        return whole < t ? -1 : 1;
    }

    return ((double) t > real) - ((double) t < real);
}


int
es_value_compare(const json_t *a, const json_t *b)
{
    double   x, y;
    int64_t  m, n;

    if (json_is_integer(a) && json_is_integer(b)) {
        m = json_integer_value(a);
        n = json_integer_value(b);
        return (m > n) - (m < n);
    }

    if (json_is_integer(a)) {
        return es_compare_mixed(json_integer_value(a), json_real_value(b));
    }

    if (json_is_integer(b)) {
        return -es_compare_mixed(json_integer_value(b), json_real_value(a));
    }

    x = json_real_value(a);
    y = json_real_value(b);

    return (x > y) - (x < y);
}


/* The writer meant the shortest decimal that gives the double. */

static es_decimal_t
es_decimal_real(double real)
{
    int            digits;
    char           text[40];
    const char    *p;
    es_decimal_t   d = { 0, 0 };

    for (digits = 15; digits <= 17; digits++) {
        (void) snprintf(text, sizeof(text), "%.*e", digits - 1, real);

        if (strtod(text, NULL) == real) {
            break;
        }
    }

    for (p = text; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9') {
            d.mantissa = d.mantissa * 10 + (unsigned) (*p - '0');
            d.exponent -= p > text + 1;
        }
    }

    d.exponent += (int) strtol(p + 1, NULL, 10);

    return d;
}


static es_decimal_t
es_decimal(const json_t *value)
{
    int64_t       n;
    es_decimal_t  d = { 0, 0 };

    if (json_is_real(value)) {
        d = es_decimal_real(fabs(json_real_value(value)));

    } else {
        n = json_integer_value(value);
        d.mantissa = n < 0 ? -(uint64_t) n : (uint64_t) n;
    }

    while (d.mantissa != 0 && d.mantissa % 10 == 0) {
        d.mantissa /= 10;
        d.exponent++;
    }

    return d;
}


bool
es_value_multiple(const json_t *a, const json_t *b)
{
    int           shift;
    uint64_t      rest;
    es_u128_t     divisor;
    es_decimal_t  x, y;

    x = es_decimal(a);
    y = es_decimal(b);

    if (x.mantissa == 0 || y.mantissa == 0) {
        return x.mantissa == 0;
    }

    shift = x.exponent - y.exponent;

    if (shift < -19) {
        return false;
    }

    if (shift < 0) {
        for (divisor = y.mantissa; shift < 0; shift++) {
            divisor *= 10;
        }

        return x.mantissa % divisor == 0;
    }

    for (rest = x.mantissa % y.mantissa; shift > 0 && rest != 0; shift--) {
        rest = (uint64_t) ((es_u128_t) rest * 10 % y.mantissa);
    }

    return rest == 0;
}


bool
es_value_equal(const json_t *a, const json_t *b)
{
    size_t       i;
    json_t      *value, *other;
    const char  *name;

    if (json_is_number(a) && json_is_number(b)) {
        return es_value_compare(a, b) == 0;
    }

    if (json_typeof(a) != json_typeof(b)) {
        return false;
    }

    switch (json_typeof(a)) {

    case JSON_STRING:
        return es_str_eq(es_text(a), es_text(b));

    case JSON_ARRAY:
        if (json_array_size(a) != json_array_size(b)) {
            return false;
        }

        json_array_foreach(a, i, value) {
            if (!es_value_equal(value, json_array_get(b, i))) {
                return false;
            }
        }

        return true;

    case JSON_OBJECT:
        if (json_object_size(a) != json_object_size(b)) {
            return false;
        }

        json_object_foreach((json_t *) (uintptr_t) a, name, value) {
            other = json_object_get(b, name);

            if (other == NULL || !es_value_equal(value, other)) {
                return false;
            }
        }

        return true;

    default:
        return true;
    }
}


uint64_t
es_value_hash(const json_t *value)
{
    double       real;
    size_t       i;
    json_t      *item;
    uint64_t     hash, pair[2];
    const char  *name;

    hash = (uint64_t) json_typeof(value);

    switch (json_typeof(value)) {

    case JSON_INTEGER:
    case JSON_REAL:
        real = json_number_value(value) + 0.0;
        return XXH3_64bits_withSeed(&real, sizeof(real), JSON_REAL);

    case JSON_STRING:
        return XXH3_64bits_withSeed(json_string_value(value),
                                    json_string_length(value), hash);

    case JSON_ARRAY:
        json_array_foreach(value, i, item) {
            pair[0] = hash;
            pair[1] = es_value_hash(item);
            hash = XXH3_64bits(pair, sizeof(pair));
        }

        return hash;

    case JSON_OBJECT:

        /* A sum, because the order of members has no meaning. */

        json_object_foreach((json_t *) (uintptr_t) value, name, item) {
            pair[0] = XXH3_64bits(name, strlen(name));
            pair[1] = es_value_hash(item);
            hash += XXH3_64bits(pair, sizeof(pair));
        }

        return hash;

    default:
        return hash;
    }
}


size_t
es_value_length(const json_t *value)
{
    size_t    i, n;
    es_str_t  text;

    text = es_text(value);

    for (i = 0, n = 0; i < text.len; i++) {
        n += ((unsigned char) text.data[i] & 0xc0) != 0x80;
    }

    return n;
}
