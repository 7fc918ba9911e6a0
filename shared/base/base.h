/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Strings, buffers, outcomes and problems that all other files use.
 *
 * No function here takes a lock or keeps state.  Any thread may call them on
 * objects that it owns.
 */

#ifndef ES_BASE_H
#define ES_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "eventsync.h"

/* A growable byte buffer.  A zeroed one is empty and valid. */
typedef struct {
    char    *data;
    size_t   len;
    size_t   cap;
} es_buf_t;

#define es_lit(s)           ((es_str_t) { (s), sizeof(s) - 1 })
#define es_null_str         ((es_str_t) { NULL, 0 })

static inline es_str_t
es_str(const char *s)
{
    return (es_str_t) { s, s ? strlen(s) : 0 };
}

static inline bool
es_str_eq(es_str_t a, es_str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Makes room for `size` more bytes.  After ES_NOMEM the buffer is as
   before. */
es_rc_t es_buf_reserve(es_buf_t *buf, size_t size);
es_rc_t es_buf_append(es_buf_t *buf, const void *data, size_t len);
es_rc_t es_buf_str(es_buf_t *buf, es_str_t str);

/* Appends printf-formatted text.  `len` does not count the final NUL. */
es_rc_t es_buf_printf(es_buf_t *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Frees the memory and leaves the buffer empty and usable. */
void es_buf_free(es_buf_t *buf);

/*
 * Fills a problem and returns `rc`.  `problem` and `pointer` (a JSON Pointer,
 * RFC 6901) may be NULL.  Control characters of the detail become '?'; those
 * of the pointer stay.
 */
es_rc_t es_problem_set(es_problem_t *problem, es_rc_t rc, int index,
    const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Adds the name of a schema's keyword.  Returns the problem's outcome. */
es_rc_t es_problem_keyword(es_problem_t *problem, const char *keyword);

/* Appends '/' and a name, escaped, to the JSON Pointer in `pointer`.  The
   array has `size` bytes, and a pointer that does not fit is cut. */
void es_pointer_add(char *pointer, size_t size, es_str_t name);

#endif /* ES_BASE_H */
