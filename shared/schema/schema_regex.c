/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compiles and matches patterns with PCRE2.
 *
 * PCRE2 accepts more than ECMA-262 does, so a scan refuses the rest first.
 */

#define PCRE2_CODE_UNIT_WIDTH  8

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/schema_regex.h"

#define ES_REGEX_LEN_MAX     1024
#define ES_REGEX_STEPS       10000     /* and ES_REGEX_STEPS_BYTE a byte */
#define ES_REGEX_STEPS_BYTE  16
#define ES_REGEX_HEAP        1024      /* KiB */

struct es_regex {
    pcre2_code  *code;
};


/* True if the text after "(?" is ECMA-262's: (?: (?= (?! (?<= (?<! (?<name> */

static bool
es_regex_group_ok(const char *p, const char *end)
{
    if (p == end) {
        return false;
    }

    if (*p == ':' || *p == '=' || *p == '!') {
        return true;
    }

    return *p == '<' && p + 1 < end;
}


/* Returns what is wrong with an operator at `p`, or NULL. */

static const char *
es_regex_operator(const char *p, const char *end)
{
    char  next;

    next = p + 1 < end ? p[1] : '\0';

    switch (*p) {

    case '(':
        if (next == '*') {
            return "has a verb";
        }

        if (next == '?' && !es_regex_group_ok(p + 2, end)) {
            return "has a group that ECMA-262 does not have";
        }

        break;

    case '*':
    case '+':
    case '?':
    case '}':
        if (next == '+') {
            return "has a possessive quantifier";
        }

        break;

    default:
        break;
    }

    return NULL;
}


/* Returns what is wrong with the pattern for a reader of ECMA-262.  NULL: it is
   right, or PCRE2 will report the fault. */

static const char *
es_regex_fault(es_str_t pattern)
{
    bool         class;
    const char  *p, *end, *fault;

    static const char  letters[] = "bBdDwWsSfnrtvcxupPk0123456789";

    end = pattern.data + pattern.len;
    class = false;

    for (p = pattern.data; p < end; p++) {

        if (*p == '\0') {
            return "has a NUL";
        }

        if (*p == '\\') {
            if (++p == end) {
                return "ends with a backslash";
            }

            if (((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')
                && strchr(letters, *p) == NULL)
            {
                return "has an escape that ECMA-262 does not have";
            }

            continue;
        }

        if (class) {
            if (*p == '[' && p + 1 < end && strchr(":.=", p[1]) != NULL) {
                return "has a POSIX class";
            }

            class = *p != ']';
            continue;
        }

        class = *p == '[';

        fault = es_regex_operator(p, end);
        if (fault != NULL) {
            return fault;
        }
    }

    return NULL;
}


es_rc_t
es_regex_compile(es_str_t pattern, es_regex_t **out, char error[128])
{
    int                     err;
    es_regex_t             *regex;
    PCRE2_SIZE              offset;
    PCRE2_UCHAR             why[96];
    const char             *fault;
    pcre2_compile_context  *context;

    fault = pattern.len > ES_REGEX_LEN_MAX ? "is longer than 1024 bytes"
                                           : es_regex_fault(pattern);
    if (fault != NULL) {
        (void) snprintf(error, 128, "%s", fault);
        return ES_INVALID;
    }

    regex = calloc(1, sizeof(es_regex_t));
    context = pcre2_compile_context_create(NULL);

    if (regex == NULL || context == NULL) {
        free(regex);
        pcre2_compile_context_free(context);
        return ES_NOMEM;
    }

    (void) pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);

    regex->code = pcre2_compile((PCRE2_SPTR) pattern.data, pattern.len,
                                PCRE2_UTF | PCRE2_NO_UTF_CHECK
                                | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C
                                | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX
                                | PCRE2_ALLOW_EMPTY_CLASS
                                | PCRE2_MATCH_UNSET_BACKREF,
                                &err, &offset, context);

    pcre2_compile_context_free(context);

    if (regex->code == NULL) {
        free(regex);

        if (err == PCRE2_ERROR_NOMEMORY) {
            return ES_NOMEM;
        }

        (void) pcre2_get_error_message(err, why, sizeof(why));
        (void) snprintf(error, 128, "is wrong at byte %zu: %s", offset, why);

        return ES_INVALID;
    }

    *out = regex;

    return ES_OK;
}


void
es_regex_free(es_regex_t *regex)
{
    if (regex != NULL) {
        pcre2_code_free(regex->code);
        free(regex);
    }
}


void
es_regex_room_free(es_regex_room_t *room)
{
    pcre2_match_data_free(room->data);
    pcre2_match_context_free(room->context);
    memset(room, 0, sizeof(es_regex_room_t));
}


es_rc_t
es_regex_match(const es_regex_t *regex, es_str_t text, es_regex_room_t *room)
{
    int       rc;
    uint32_t  steps;

    if (room->data == NULL) {
        room->data = pcre2_match_data_create(1, NULL);
    }

    if (room->context == NULL) {
        room->context = pcre2_match_context_create(NULL);
    }

    if (room->data == NULL || room->context == NULL) {
        return ES_NOMEM;
    }

    steps = ES_REGEX_STEPS
            + (uint32_t) (text.len > ES_REGEX_STEPS * 100
                          ? ES_REGEX_STEPS * 100 : text.len)
              * ES_REGEX_STEPS_BYTE;

    (void) pcre2_set_match_limit(room->context, steps);
    (void) pcre2_set_depth_limit(room->context, steps);
    (void) pcre2_set_heap_limit(room->context, ES_REGEX_HEAP);

    rc = pcre2_match(regex->code, (PCRE2_SPTR) (text.data ? text.data : ""),
                     text.len, 0, PCRE2_NO_UTF_CHECK, room->data,
                     room->context);

    if (rc >= 0) {
        return ES_OK;
    }

    switch (rc) {

    case PCRE2_ERROR_NOMATCH:
        return ES_NOT_FOUND;

    case PCRE2_ERROR_NOMEMORY:
        return ES_NOMEM;

    default:
        return ES_TOO_LARGE;
    }
}
