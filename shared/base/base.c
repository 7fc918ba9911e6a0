/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Buffers, problems and the words of outcomes.
 *
 * Problems reach clients in JSON documents and operators in log lines, so
 * every text is cut at whole UTF-8 characters and stays on one line.
 */

#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ES_BUF_MIN  256

es_rc_t
es_buf_reserve(es_buf_t *buf, size_t size)
{
    char    *data;
    size_t   need, cap;

    if (size <= buf->cap - buf->len) {
        return ES_OK;
    }

    if (__builtin_add_overflow(buf->len, size, &need)) {
        return ES_NOMEM;
    }

    cap = buf->cap ? buf->cap : ES_BUF_MIN;

    while (cap < need) {
        if (cap > SIZE_MAX / 2) {
            cap = need;
            break;
        }
        cap *= 2;
    }

    data = realloc(buf->data, cap);
    if (data == NULL) {
        return ES_NOMEM;
    }

    buf->data = data;
    buf->cap = cap;

    return ES_OK;
}


es_rc_t
es_buf_append(es_buf_t *buf, const void *data, size_t len)
{
    if (len == 0) {
        return ES_OK;
    }

    if (es_buf_reserve(buf, len) != ES_OK) {
        return ES_NOMEM;
    }

    memcpy(buf->data + buf->len, data, len);
    buf->len += len;

    return ES_OK;
}


es_rc_t
es_buf_str(es_buf_t *buf, es_str_t str)
{
    return es_buf_append(buf, str.data, str.len);
}


es_rc_t
es_buf_printf(es_buf_t *buf, const char *fmt, ...)
{
    int      n;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);

    if (n < 0 || es_buf_reserve(buf, (size_t) n + 1) != ES_OK) {
        return ES_NOMEM;
    }

    va_start(args, fmt);
    (void) vsnprintf(buf->data + buf->len, (size_t) n + 1, fmt, args);
    va_end(args);

    buf->len += (size_t) n;

    return ES_OK;
}


void
es_buf_free(es_buf_t *buf)
{
    free(buf->data);
    memset(buf, 0, sizeof(es_buf_t));
}


/*
 * A cut inside a UTF-8 sequence would make the problem document invalid JSON,
 * so this function moves the cut before the sequence.
 */
static void
es_trim_utf8(char *text, size_t size)
{
    size_t         len, i;
    unsigned char  c;

    len = strlen(text);
    if (len + 1 < size) {
        return;
    }

    for (i = 1; i <= 4 && i <= len; i++) {
        c = (unsigned char) text[len - i];

        if (c < 0x80) {
            return;
        }

        if (c >= 0xc0) {
            if ((c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) != i) {
                text[len - i] = '\0';
            }
            return;
        }
    }
}


/* A detail may quote a client's text.  It must not break a line of a log, nor
 * control the terminal that shows it: U+0080 to U+009F do so, too. */

static void
es_one_line(char *text)
{
    unsigned char  *p;

    for (p = (unsigned char *) text; *p != '\0'; p++) {

        if (*p < ' ' || *p == 0x7f) {
            *p = '?';

        } else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
            *p++ = '?';
            *p = '?';
        }
    }
}


es_rc_t
es_problem_set(es_problem_t *problem, es_rc_t rc, int index,
    const char *pointer, const char *fmt, ...)
{
    va_list  args;

    if (problem == NULL) {
        return rc;
    }

    problem->rc = rc;
    problem->index = index;

    (void) snprintf(problem->pointer, sizeof(problem->pointer), "%s",
                    pointer ? pointer : "");
    es_trim_utf8(problem->pointer, sizeof(problem->pointer));

    va_start(args, fmt);
    (void) vsnprintf(problem->detail, sizeof(problem->detail), fmt, args);
    va_end(args);
    es_trim_utf8(problem->detail, sizeof(problem->detail));
    es_one_line(problem->detail);
    problem->keyword[0] = '\0';
    problem->quota = NULL;
    problem->limit = 0;

    return rc;
}


es_rc_t
es_problem_keyword(es_problem_t *problem, const char *keyword)
{
    (void) snprintf(problem->keyword, sizeof(problem->keyword), "%s", keyword);
    es_trim_utf8(problem->keyword, sizeof(problem->keyword));

    return problem->rc;
}


void
es_pointer_add(char *pointer, size_t size, es_str_t name)
{
    char    c;
    size_t  i, n;

    n = strlen(pointer);

    if (n + 1 < size) {
        pointer[n++] = '/';
    }

    for (i = 0; i < name.len && n + 2 < size; i++) {
        c = name.data[i];

        if (c == '~' || c == '/') {
            pointer[n++] = '~';
            pointer[n++] = c == '~' ? '0' : '1';

        } else if (c != '\0') {
            pointer[n++] = c;
        }
    }

    pointer[n] = '\0';
    es_trim_utf8(pointer, n + 1);
}


const char *
es_strerror(es_rc_t rc)
{
    switch (rc) {
    case ES_OK:
        return "success";
    case ES_NOT_FOUND:
        return "not found";
    case ES_EXISTS:
        return "already exists";
    case ES_INVALID:
        return "invalid input";
    case ES_TOO_LARGE:
        return "too large";
    case ES_CONFLICT:
        return "same source and id with other content";
    case ES_EXPIRED:
        return "cursor older than retention";
    case ES_RESET:
        return "cursor of another epoch";
    case ES_AHEAD:
        return "cursor ahead of the log";
    case ES_DENIED:
        return "not allowed";
    case ES_FULL:
        return "store full";
    case ES_BUSY:
        return "store not available now";
    case ES_CORRUPT:
        return "record does not match its hash";
    case ES_FORMAT:
        return "not an eventsync store of this version";
    case ES_IO:
        return "input/output error";
    case ES_NOMEM:
        return "out of memory";
    case ES_MISMATCH:
        return "not allowed by the schema";
    case ES_TAKEN:
        return "another process has the same process id";
    case ES_QUOTA:
        return "quota used up";
    case ES_PENDING:
        return "fields must be encrypted first";
    case ES_STOP:
        return "stopped by its caller";
    case ES_ERASED:
        return "the event with this source and id was erased";
    case ES_HELD:
        return "a legal hold keeps its events";
    }

    return "unknown outcome";
}
