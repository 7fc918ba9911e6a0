/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Making a store, and checking that a directory has one.  Producers open and
 * close it with es_store_open() and es_store_close() of eventsync.h, which
 * open.c also implements.
 */

#ifndef ES_OPEN_H
#define ES_OPEN_H

#include "base/base.h"

/*
 * A directory with this file is not whole, because the command that makes it
 * has not ended.  es_store_open() refuses it, except with this flag.  Without
 * the flag it refuses a backup, too.
 */
#define ES_STORE_UNFINISHED  "unfinished"
#define ES_STORE_STAGED      0x10000

/*
 * Creates an empty store in `path`, which is made if it is missing.  The
 * caller's user owns it; directories have mode 0770 and files 0660.
 * ES_EXISTS: there is a store.
 */
es_rc_t es_store_create(const char *path, es_problem_t *problem);

/* Reads the identity of a store or backup from its file `format`, which must be
   of the version that this program knows.  ES_NOT_FOUND, ES_FORMAT. */
es_rc_t es_store_read_identity(const char *path, uint64_t *identity,
    es_problem_t *problem);

/* Checks only the file `format`, for `nginx -t`.  Opens no environment. */
es_rc_t es_store_probe(const char *path, es_problem_t *problem);

#endif /* ES_OPEN_H */
