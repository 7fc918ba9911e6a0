/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Copies files of a backup and computes the SHA-256 of what was written.
 *
 * For the files backup*.c only.  All functions block for the disk.  On failure
 * errno says why.
 */

#ifndef ES_BACKUP_STREAM_H
#define ES_BACKUP_STREAM_H

#include "inspect/backup.h"
#include "inspect/pace.h"
#include "store/env.h"

/* A thread that computes the SHA-256 of a file while it is written. */
typedef struct es_hasher  es_hasher_t;

/* Begins to hash the empty file `fd`, which is open for reading too and is the
   hasher's from then on.  The hasher tells `pace` how far it is.  NULL: out of
   memory; the file is still the caller's. */
es_hasher_t *es_hasher_begin(int fd, es_pace_t *pace);

/* Says that nothing more will be written. */
void es_hasher_whole(es_hasher_t *hasher);

/* Waits for the hash, closes the file and frees the hasher.  NULL is
   allowed. */
es_rc_t es_hasher_end(es_hasher_t *hasher, uint8_t sha256[ES_BACKUP_HASH]);

/* Writes a copy of the environment to `fd` at the rate of `pace`.  Outcomes are
   those of es_env_copy(). */
es_rc_t es_stream_env(es_env_t *env, int fd, es_pace_t *pace);

/* Copies all of `in` to `out`. */
es_rc_t es_stream_file(int in, int out);

#endif /* ES_BACKUP_STREAM_H */
