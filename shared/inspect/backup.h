/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A copy of a store that is whole: made beside live traffic, proved
 * when it is restored.
 *
 * A backup is a directory:
 *
 *     backup              text: what this is, when it was made, of which store,
 *                         the keys of its secrets, and each file with its size
 *                         and hash; written last
 *     format              as in the store
 *     checkpoints/data.mdb, delivery/data.mdb, registry/data.mdb, log/data.mdb
 *
 * Each environment is copied in one read transaction, in this order.  So
 * neither a consumer's checkpoint nor an endpoint's progress is ahead of the
 * log that it points into.  What a store makes again by itself (ids/, pages/,
 * bell) is left out.  The keys of secrets are never in it, only their ids.
 *
 * All functions block for the disk, and say in the problem which file failed
 * and why.
 */

#ifndef ES_BACKUP_H
#define ES_BACKUP_H

#include "base/base.h"
#include "store/store.h"

#define ES_BACKUP_FILES  5

typedef struct {
    char      name[32];            /* "log/data.mdb" */
    uint64_t  size;                /* bytes */
    uint64_t  hash;
} es_backup_file_t;

typedef struct {
    int64_t           made_ms;     /* when the copy of the log was made */
    uint64_t          identity;    /* of the store */
    es_backup_file_t  files[ES_BACKUP_FILES];
    unsigned          nfiles;
    es_buf_t          keys;        /* ids of the keys of its secrets, with a
                                      blank between; freed by the caller */
} es_backup_t;

/* Copies the environments that the store has open, and `format`, into `dir`,
   which is there and empty. */
es_rc_t es_backup_copy(es_store_t *store, const char *dir,
    es_backup_t *backup, es_problem_t *problem);

/* Reads the files of `dir` once more for their sizes and hashes, and writes
   `backup`.  Nothing may be changed there any more. */
es_rc_t es_backup_seal(const char *dir, es_backup_t *backup,
    es_problem_t *problem);

/* Reads `backup`.  ES_NOT_FOUND: `dir` is no backup; ES_FORMAT: it is not
   whole, or of another version. */
es_rc_t es_backup_read(const char *dir, es_backup_t *backup,
    es_problem_t *problem);

/* Makes a store of a backup in `to`, which is there and empty.  ES_CORRUPT: a
   file is not the one that was backed up. */
es_rc_t es_backup_unpack(const char *dir, const es_backup_t *backup,
    const char *to, es_problem_t *problem);

#endif /* ES_BACKUP_H */
