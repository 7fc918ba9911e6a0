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

/*
 * Writes a copy of the environment to `fd`, an empty file that is open for
 * reading too.  Two threads of its own hash and slow down.  Outcomes are those
 * of es_env_copy().
 */
es_rc_t es_stream_env(es_env_t *env, int fd, es_pace_t *pace,
    uint8_t sha256[ES_BACKUP_HASH]);

/* Copies all of `in` to `out`, and tells `pace` how far it is. */
es_rc_t es_stream_file(int in, int out, es_pace_t *pace,
    uint8_t sha256[ES_BACKUP_HASH]);

#endif /* ES_BACKUP_STREAM_H */
