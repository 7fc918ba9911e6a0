/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files with secret keys: who may have rights to them.
 */

#ifndef ES_KEYFILE_H
#define ES_KEYFILE_H

#include "base/base.h"

/*
 * Reads the file into `data`, less than `size` bytes.  ES_IO: it cannot be
 * read; ES_DENIED: others than its owner and, to read, its group have rights
 * to it; ES_INVALID: it is empty or too large.  The problem has a sentence.
 * Blocks for the disk.  The caller wipes `data`, whatever the outcome.
 */
es_rc_t es_key_file_read(const char *path, void *data, size_t size,
    size_t *len, es_problem_t *problem);

#endif /* ES_KEYFILE_H */
