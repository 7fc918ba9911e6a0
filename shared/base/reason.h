/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Why the operating system refused a call, in words.
 *
 * ES_IO says that a call failed, but not which one.  The code that makes the
 * call records the path and the system's words here.  Code that reports an
 * outcome to a person gets the sentence from es_reason() (eventsync.h).
 *
 * Each thread has one record.  Code that hands an outcome to another thread
 * hands over the record as well.
 */

#ifndef ES_REASON_H
#define ES_REASON_H

#include "base/base.h"

#define ES_REASON_TEXT  256

typedef struct {
    es_rc_t  rc;               /* ES_OK: there is no record */
    char     text[ES_REASON_TEXT];    /* NUL-terminated, without a line end */
} es_reason_t;

/*
 * Records `cannot WHAT "PATH": the words of err`, without the beginning of a
 * long path.  `err` is an errno or an error of LMDB.
 *
 * Returns ES_FULL for a full disk or quota, ES_NOMEM, or else ES_IO.  Sets
 * errno to `err`, or to EIO for an error of LMDB.
 */
es_rc_t es_refused(int err, const char *what, const char *path);

/* Records a text.  Returns `rc`. */
es_rc_t es_refused_text(es_rc_t rc, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns the end of a path, short enough for a sentence. */
const char *es_refused_path(const char *path);

/* es_reason_take() moves this thread's record into `reason`;
   es_reason_give() makes `reason` this thread's record. */
void es_reason_take(es_reason_t *reason);
void es_reason_give(const es_reason_t *reason);

#endif /* ES_REASON_H */
