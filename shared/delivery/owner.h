/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The lock that makes a process the only dispatcher of a store.
 *
 * It is on the file delivery/owner, and ends with the process that holds it,
 * however that ends.  A child process inherits it.  A process must not open
 * the file a second time while it holds the lock.
 */

#ifndef ES_OWNER_H
#define ES_OWNER_H

#include <sys/types.h>

#include "base/base.h"

typedef struct {
    int    fd;                 /* of delivery/owner; -1: not open */
    dev_t  dev;                /* of delivery/data.mdb then */
    ino_t  ino;
} es_owner_t;

/* Opens the file of the store in the directory `store`, and makes it if it is
   missing.  ES_NOT_FOUND, ES_IO: it is not open.  The caller closes it. */
es_rc_t es_owner_open(const char *store, es_owner_t *owner);

/* Ends the lock, unless a child has inherited it.  Nothing happens to one that
   is not open. */
void es_owner_close(es_owner_t *owner);

/* Takes the lock for as long as the file is open.  ES_EXISTS: another process
   has it. */
es_rc_t es_owner_take(const es_owner_t *owner);

/* The same, but waits until the other process has ended.  ES_BUSY: a signal
   with a handler that does not restart system calls has ended the wait. */
es_rc_t es_owner_await(const es_owner_t *owner);

/* The process that has the lock, by its number in this PID namespace.  0: none,
   one of another namespace, or unknown. */
long es_owner_pid(const es_owner_t *owner);

/* What the directory has become since the file was opened. */
typedef enum {
    ES_OWNER_SAME = 0,
    ES_OWNER_GONE,             /* no store */
    ES_OWNER_REPLACED          /* another store */
} es_owner_store_t;

es_owner_store_t es_owner_store(const char *store, const es_owner_t *owner);

#endif /* ES_OWNER_H */
