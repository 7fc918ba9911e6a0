/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compiles and matches patterns with PCRE2.
 *
 * PCRE2 accepts more than ECMA-262 does, so a scan refuses the rest first.
 *
 * PCRE2 does not tell how much a match has cost, and its match limit begins
 * anew at each start of a match in the text.  So it calls a function before
 * each item of the pattern, which counts.  Compiled to machine code (JIT), a
 * pattern would be faster, but the same function calls would slow it.
 */

#define PCRE2_CODE_UNIT_WIDTH  8

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/schema_regex.h"

#define ES_REGEX_LEN_MAX  1024
#define ES_REGEX_HEAP     1024         /* KiB */
#define ES_REGEX_CALL     8            /* steps that every match costs */
#define ES_REGEX_FAST     16           /* bytes that a search passes in a
                                          step */

struct es_regex {
    pcre2_code  *code;
    size_t       repeats;      /* the largest N of "{N" */
    uint32_t     references;   /* back references */
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


/* The bytes that one item may pass although it fails in the end. */

static size_t
es_regex_repeats(es_str_t pattern)
{
    size_t       n, most;
    const char  *p, *end;

    most = 0;
    end = pattern.data + pattern.len;

    for (p = pattern.data; p < end; p++) {
        if (*p != '{') {
            continue;
        }

        for (n = 0; p + 1 < end && p[1] >= '0' && p[1] <= '9'; p++) {
            n = n < SIZE_MAX / 16 ? n * 10 + (size_t) (p[1] - '0') : n;
        }

        most = n > most ? n : most;
    }

    return most;
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
                                | PCRE2_AUTO_CALLOUT
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

    regex->repeats = es_regex_repeats(pattern);
    (void) pcre2_pattern_info(regex->code, PCRE2_INFO_BACKREFMAX,
                              &regex->references);

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


/* PCRE2 calls this before each item.  The one before has passed the bytes
   between the two positions. */

static int
es_regex_count(pcre2_callout_block *item, void *data)
{
    size_t            passed;
    es_regex_room_t  *room = data;

    passed = item->current_position > room->position
             ? item->current_position - room->position
             : room->position - item->current_position;

    room->position = item->current_position;
    room->work -= (int64_t) (1 + passed + room->extra);

    return room->work < 0 ? PCRE2_ERROR_CALLOUT : 0;
}


static es_rc_t
es_regex_prepare(es_regex_room_t *room)
{
    if (room->data == NULL) {
        room->data = pcre2_match_data_create(1, NULL);
    }

    if (room->context == NULL) {
        room->context = pcre2_match_context_create(NULL);

        if (room->context != NULL) {
            (void) pcre2_set_heap_limit(room->context, ES_REGEX_HEAP);
            (void) pcre2_set_callout(room->context, es_regex_count, room);
        }
    }

    return room->data && room->context ? ES_OK : ES_NOMEM;
}


es_rc_t
es_regex_match(const es_regex_t *regex, es_str_t text, es_regex_room_t *room,
    int64_t *work)
{
    int       rc;
    uint32_t  steps;

    if (es_regex_prepare(room) != ES_OK) {
        return ES_NOMEM;
    }

    room->work = *work - (int64_t) (ES_REGEX_CALL + text.len / ES_REGEX_FAST);
    room->position = 0;
    room->extra = regex->repeats;

    if (regex->references > 0) {
        room->extra += text.len / ES_REGEX_FAST;
    }

    if (room->work < 0) {
        *work = room->work;
        return ES_TOO_LARGE;
    }

    /* These count from zero at each start, so they only add to the above. */

    steps = room->work < INT32_MAX ? (uint32_t) room->work + 1 : INT32_MAX;

    (void) pcre2_set_match_limit(room->context, steps);
    (void) pcre2_set_depth_limit(room->context, steps);

    rc = pcre2_match(regex->code, (PCRE2_SPTR) (text.data ? text.data : ""),
                     text.len, 0, PCRE2_NO_UTF_CHECK, room->data,
                     room->context);

    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT) {
        room->work = -1;
    }

    *work = room->work;

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
