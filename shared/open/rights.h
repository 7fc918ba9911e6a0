/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Rights to the files of a store, by the groups of its processes.
 *
 * A process is in the group of all, and in a group for each part that it
 * writes.  The directory of the store lets only the group of all in, and only
 * its owner makes files there.  Within it, "others" are therefore processes of
 * the store that do not write the part.  docs/operations.md has the table.
 */

#ifndef ES_RIGHTS_H
#define ES_RIGHTS_H

#include <sys/types.h>

#include "base/base.h"

typedef struct {
    gid_t  group;          /* of all processes */
    gid_t  publish;        /* writes log/ and ids/ */
    gid_t  manage;         /* registry/ */
    gid_t  ack;            /* checkpoints/ */
    gid_t  pages;          /* pages/ */
    gid_t  delivery;       /* reads delivery/ */
    uid_t  dispatcher;     /* the user who writes delivery/ */
} es_rights_t;

/*
 * Gives the store at `path` these rights, and makes what may be lost: `ids`,
 * `pages`, `bell` and `used`.  All files belong to the caller's user then, except those
 * of the dispatcher.  Processes may have the store open, but not this one.
 *
 * ES_IO with a problem: the system refused, or an entry is no file or directory
 * of a store.  What was done before stays; the function may be called again.
 */
es_rc_t es_store_rights(const char *path, const es_rights_t *rights,
    es_problem_t *problem);

/*
 * Reads the rights that the store at `path` has from its directories: their
 * groups, and the owner of `delivery/`.  False with errno: a directory cannot
 * be examined.
 */
bool es_store_rights_read(const char *path, es_rights_t *rights);

/* One directory or file with other rights than it should have.  `why` is the end
   of a sentence: "has mode 0777 instead of 0750". */
typedef void (*es_rights_fault_fn)(void *ctx, const char *name,
    const char *why);

/*
 * Compares the store at `path` with these rights, and calls `fn` for each
 * difference.  It changes nothing, and does not open the store.  The owners of
 * files are not compared, because the user who makes one owns it.  ES_IO with a
 * problem.
 */
es_rc_t es_store_rights_check(const char *path, const es_rights_t *rights,
    es_rights_fault_fn fn, void *ctx, es_problem_t *problem);

#endif /* ES_RIGHTS_H */
