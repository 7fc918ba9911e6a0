/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the operating system refused, in words.
 *
 * ES_IO says that a call failed and not which.  Whoever gets the failure of a
 * call records it here, with the path and the system's words, and whoever
 * tells people of an outcome asks es_reason() (eventsync.h).  Each thread has
 * a record of its own; who hands an outcome to another thread hands the record
 * over as well.
 */

#ifndef ES_REASON_H
#define ES_REASON_H

#include "base/base.h"

#define ES_REASON_TEXT  256

typedef struct {
    es_rc_t  rc;               /* ES_OK: there is none */
    char     text[ES_REASON_TEXT];    /* no line end, NUL-terminated */
} es_reason_t;

/*
 * Records `cannot WHAT "PATH": the words of err`; the beginning of a long path
 * is left out.  `err` is an errno, or an error of LMDB.  Returns the outcome:
 * ES_FULL for a disk or a quota that is full, ES_NOMEM, otherwise ES_IO.
 * errno is `err` then, or EIO for one of LMDB.
 */
es_rc_t es_refused(int err, const char *what, const char *path);

/* Records a text, and is `rc`. */
es_rc_t es_refused_text(es_rc_t rc, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The end of a path that fits into a sentence. */
const char *es_refused_path(const char *path);

/* Moves this thread's record out, and puts such a copy in its place. */
void es_reason_take(es_reason_t *reason);
void es_reason_give(const es_reason_t *reason);

#endif /* ES_REASON_H */
