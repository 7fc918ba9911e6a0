/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files with secret keys, and the rights that they may have.
 */

#ifndef ES_KEYFILE_H
#define ES_KEYFILE_H

#include "base/base.h"

/*
 * Reads the file into `data`, less than `size` bytes.  Blocks for the disk.
 * `what` names it in problems: "key file".
 * The caller wipes `data`, whatever the outcome.
 *
 * ES_IO: it cannot be read.  ES_DENIED: users other than its owner and, for
 * reading, its group have rights to it.  ES_INVALID: it is empty or too large.
 * The problem has a sentence.
 */
es_rc_t es_key_file_read(const char *what, const char *path, void *data,
    size_t size, size_t *len, es_problem_t *problem);

#endif /* ES_KEYFILE_H */
