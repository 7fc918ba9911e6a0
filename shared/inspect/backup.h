/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Backups: a complete copy of a store, made beside live traffic and checked
 * when it is restored.
 *
 * A backup is a directory:
 *
 *     backup              text: version, time, the store's identity, the ids of
 *                         the keys of its secrets, and the SHA-256 of each file
 *                         as sha256sum prints it; written last
 *     format              as in the store
 *     checkpoints/data.mdb, delivery/data.mdb, log/data.mdb, registry/data.mdb
 *
 * Each environment is copied in one read transaction, in this order.  So
 * neither a consumer's checkpoint nor an endpoint's progress is ahead of the
 * log that it points into, and the registry has given every number by which the
 * log names a publisher.  A backup leaves out what a store makes again by
 * itself (ids/, pages/, bell, used).  It holds the ids of the keys of secrets and
 * never the keys.
 *
 * All functions block for the disk.  Their problem names the file that failed
 * and the reason.
 */

#ifndef ES_BACKUP_H
#define ES_BACKUP_H

#include <sys/stat.h>

#include "base/base.h"
#include "inspect/pace.h"
#include "store/store.h"

#define ES_BACKUP_FILES  5
#define ES_BACKUP_HASH   32            /* bytes of a SHA-256 */
#define ES_BACKUP_MODE   0600
#define ES_BACKUP_LIST   "backup"

typedef struct {
    char               name[32];   /* "log/data.mdb" */
    uint8_t            sha256[ES_BACKUP_HASH];
    struct es_hasher  *hasher;     /* that has yet to set it, or NULL */
} es_backup_file_t;

typedef struct {
    int64_t           made_ms;     /* when the copy of the log was made */
    uint64_t          identity;    /* of the store */
    es_backup_file_t  files[ES_BACKUP_FILES];
    unsigned          nfiles;
    es_buf_t          keys;        /* ids of the keys of its secrets, separated
                                      by blanks */
    uint64_t          grown;       /* bytes that the store took more of its
                                      disk when it had been copied */
} es_backup_t;

/* Copies the environments that the store has open, and `format`, into the empty
   directory `dir`, and sets all of `backup` but its keys.  Each environment is
   pinned in its state while it is copied, at the rate of `pace`.  With `hash`,
   threads compute the hashes until es_backup_seal(), and use `pace`.
   es_backup_free() in any case. */
es_rc_t es_backup_copy(es_store_t *store, const char *dir, bool hash,
    es_pace_t *pace, es_backup_t *backup, es_problem_t *problem);

/* Waits for the hashes, and writes `backup`.  Nobody may change a file there
   afterwards. */
es_rc_t es_backup_seal(const char *dir, es_backup_t *backup,
    es_problem_t *problem);

void es_backup_free(es_backup_t *backup);

/* Reads `backup`.  ES_NOT_FOUND: `dir` is not a backup.  ES_FORMAT: the backup
   is incomplete or of another version. */
es_rc_t es_backup_read(const char *dir, es_backup_t *backup,
    es_problem_t *problem);

/* Returns the bytes of the backup's files, or of the environments that the
   store has open, free pages among them. */
uint64_t es_backup_bytes(const char *dir, const es_backup_t *backup);
uint64_t es_backup_store_bytes(const es_store_t *store);

/* Makes a store of a backup in the empty directory `to`, and tells `pace` how
   far it is.  ES_CORRUPT: a file differs from the one that was backed up. */
es_rc_t es_backup_unpack(const char *dir, const es_backup_t *backup,
    const char *to, es_pace_t *pace, es_problem_t *problem);

/* For the files backup*.c: a problem from errno, and a sync of a file or
   directory of `dir`. */
es_rc_t es_backup_fault(es_problem_t *problem, const char *what,
    const char *dir, const char *name);
es_rc_t es_backup_sync(const char *dir, const char *name,
    es_problem_t *problem);

#endif /* ES_BACKUP_H */
