/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Assertions that stay on in every build.
 *
 * ES_ASSERT() stands where an invariant of docs/architecture.md is kept, and
 * where a broken contract between two functions would damage the store.  A
 * false condition ends the process with abort().  LMDB then discards the write
 * transaction under way, so the wrong state never reaches the disk, and nginx
 * or the service manager starts the process again.
 *
 * The packages ship what the tests run: NDEBUG changes nothing here.  An
 * assertion is one comparison, and none runs more often than once for each
 * chunk, request or transaction, so that the benchmarks show no difference.
 *
 * An assertion is about this program.  What comes from a client, from the disk
 * or from another process is checked and refused with an outcome (ES_INVALID,
 * ES_CORRUPT), because a damaged file must not end a process.  The condition
 * must have no side effect.
 */

#ifndef ES_ASSERT_H
#define ES_ASSERT_H

#include <stddef.h>

#define ES_ASSERT(condition)                                                  \
    ((condition) ? (void) 0                                                   \
                 : es_assert_failed(#condition, __func__, __FILE__, __LINE__))

/* The layout of a record of the store, checked by the compiler.  A change
   of the layout is a change of the store's format. */
#define ES_STORED_SIZE(type, size)                                            \
    _Static_assert(sizeof(type) == (size), "the store's format: " #type)
#define ES_STORED_AT(type, member, offset)                                    \
    _Static_assert(offsetof(type, member) == (offset),                        \
                   "the store's format: " #type "." #member)

/* Writes one line to standard error, which in nginx is the error log, and
   aborts.  It allocates no memory and takes no lock. */
__attribute__((noreturn, cold))
void es_assert_failed(const char *condition, const char *function,
    const char *file, int line);

#endif /* ES_ASSERT_H */
