/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads typed members of a JSON object, with one message for each kind of
 * fault.
 */

#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/pool.h"
#include "registry/member.h"
#include "registry/registry.h"
#include "registry/values.h"


es_rc_t
es_fault(es_record_t *r, const char *pointer, const char *why)
{
    return es_problem_set(r->problem, ES_INVALID, -1, pointer, "%s %s",
                          pointer + 1, why);
}


es_rc_t
es_nomem(es_record_t *r)
{
    return es_problem_set(r->problem, ES_NOMEM, -1, NULL, "out of memory");
}


es_rc_t
es_take_bool(es_record_t *r, const char *pointer, bool *out)
{
    json_t  *value;

    value = json_object_get(r->object, pointer + 1);
    if (value == NULL) {
        return ES_OK;
    }

    if (!json_is_boolean(value)) {
        return es_fault(r, pointer, "must be true or false");
    }

    *out = json_is_true(value);

    return ES_OK;
}


es_rc_t
es_take_number(es_record_t *r, const char *pointer, unsigned min,
    unsigned max, unsigned *out)
{
    json_t      *value;
    json_int_t   n;

    value = json_object_get(r->object, pointer + 1);
    if (value == NULL) {
        return ES_OK;
    }

    n = json_integer_value(value);

    if (!json_is_integer(value) || n < min || n > max) {
        return es_problem_set(r->problem, ES_INVALID, -1, pointer,
                              "%s must be a whole number from %u to %u",
                              pointer + 1, min, max);
    }

    *out = (unsigned) n;

    return ES_OK;
}


es_rc_t
es_take_str(es_record_t *r, const char *pointer, bool required, es_str_t *out)
{
    json_t  *value;

    value = json_object_get(r->object, pointer + 1);
    if (value == NULL) {
        return required ? es_fault(r, pointer, "is missing") : ES_OK;
    }

    if (!json_is_string(value) || json_string_length(value) == 0) {
        return es_fault(r, pointer, "must be a string that is not empty");
    }

    *out = es_pool_str(r->pool, es_text(value));

    return out->data != NULL ? ES_OK : es_nomem(r);
}


/* The value of a string that must be one of `words`. */

es_rc_t
es_word(es_record_t *r, const char *pointer, const json_t *value,
    const es_word_t *words, unsigned *out)
{
    int               n;
    char              why[128];
    const es_word_t  *w;

    for (w = words; w->word != NULL; w++) {
        if (json_is_string(value)
            && es_str_eq(es_text(value), es_str(w->word)))
        {
            *out = w->value;
            return ES_OK;
        }
    }

    n = snprintf(why, sizeof(why), "must be");

    for (w = words; w->word != NULL && n < (int) sizeof(why); w++) {
        n += snprintf(why + n, sizeof(why) - (size_t) n, "%s \"%s\"",
                      w == words ? "" : w[1].word ? "," : " or", w->word);
    }

    return es_fault(r, pointer, why);
}


es_rc_t
es_take_word(es_record_t *r, const char *pointer, const es_word_t *words,
    unsigned *out)
{
    json_t  *value;

    value = json_object_get(r->object, pointer + 1);

    return value == NULL ? ES_OK : es_word(r, pointer, value, words, out);
}


es_rc_t
es_take_time(es_record_t *r, const char *pointer, int64_t *out)
{
    json_t  *value;

    value = json_object_get(r->object, pointer + 1);
    if (value == NULL) {
        return ES_OK;
    }

    if (!json_is_string(value)
        || es_time_parse(es_text(value), out) != ES_OK || *out <= 0)
    {
        return es_fault(r, pointer, "must be an RFC 3339 date and time");
    }

    return ES_OK;
}


es_rc_t
es_duration(es_record_t *r, const char *pointer, const json_t *value,
    uint32_t min_ms, uint32_t max_ms, uint32_t *out)
{
    if (!json_is_string(value)
        || es_duration_parse(es_text(value), out) != ES_OK)
    {
        return es_fault(r, pointer, "must be a duration such as \"10s\"");
    }

    if (*out < min_ms || *out > max_ms) {
        return es_fault(r, pointer, "is out of its range");
    }

    return ES_OK;
}


es_rc_t
es_take_duration(es_record_t *r, const char *pointer, uint32_t min_ms,
    uint32_t max_ms, uint32_t *out)
{
    json_t  *value;

    value = json_object_get(r->object, pointer + 1);

    return value == NULL
           ? ES_OK
           : es_duration(r, pointer, value, min_ms, max_ms, out);
}


es_rc_t
es_take_array(es_record_t *r, const char *pointer, size_t min, size_t max,
    json_t **out)
{
    size_t  n;

    *out = json_object_get(r->object, pointer + 1);

    if (*out == NULL) {
        return min > 0 ? es_fault(r, pointer, "is missing") : ES_OK;
    }

    if (!json_is_array(*out)) {
        return es_fault(r, pointer, "must be an array");
    }

    n = json_array_size(*out);

    if (n < min || n > max) {
        return es_problem_set(r->problem, ES_INVALID, -1, pointer,
                              "%s has %zu items; %zu to %zu are allowed",
                              pointer + 1, n, min, max);
    }

    return ES_OK;
}


const char *
es_item_pointer(const char *pointer, size_t i, char out[ES_POINTER_MAX])
{
    (void) snprintf(out, ES_POINTER_MAX, "%s/%zu", pointer, i);

    return out;
}


es_rc_t
es_take_patterns(es_record_t *r, const char *pointer, size_t min,
    size_t max, es_patterns_t *out)
{
    char      item[ES_POINTER_MAX];
    json_t   *array, *value;
    size_t    i;
    es_rc_t   rc;

    rc = es_take_array(r, pointer, min, max, &array);
    if (rc != ES_OK || array == NULL) {
        return rc;
    }

    out->n = json_array_size(array);
    out->list = es_pool_alloc(r->pool, out->n * sizeof(es_str_t));
    if (out->list == NULL) {
        return es_nomem(r);
    }

    json_array_foreach(array, i, value) {
        if (!json_is_string(value) || !es_pattern_ok(es_text(value))) {
            return es_fault(r, es_item_pointer(pointer, i, item),
                            "must be a feed's name, or its start and '*'");
        }

        out->list[i] = es_pool_str(r->pool, es_text(value));
        if (out->list[i].data == NULL) {
            return es_nomem(r);
        }
    }

    return ES_OK;
}


bool
es_digest_parse(es_str_t text, uint8_t out[ES_DIGEST_LEN])
{
    char      c;
    size_t    i;
    unsigned  v;

    if (text.len != ES_DIGEST_LEN * 2) {
        return false;
    }

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c >= '0' && c <= '9') {
            v = (unsigned) (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            v = (unsigned) (c - 'a' + 10);

        } else {
            return false;
        }

        out[i / 2] = (uint8_t) (out[i / 2] << 4 | v);
    }

    return true;
}


bool
es_member_listed(const char *const *list, const char *name)
{
    for ( ; *list != NULL; list++) {
        if (strcmp(*list, name) == 0) {
            return true;
        }
    }

    return false;
}


void
es_member_within(es_problem_t *problem, const char *name)
{
    char  inner[32];           /* a name of a member */

    (void) snprintf(inner, sizeof(inner), "%.31s", problem->pointer);
    (void) snprintf(problem->pointer, sizeof(problem->pointer), "/%s%s", name,
                    inner);
}
