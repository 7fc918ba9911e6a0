/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who is in the reader table of an LMDB environment.
 *
 * LMDB writes a process's number (its pid) into each slot that it takes, and
 * holds a lock on the byte of lock.mdb at that number for as long as the
 * process has the environment open.  A slot whose number nobody locks belongs
 * to a dead process, and mdb_reader_check() clears it.
 *
 * Numbers are those of PID namespaces.  A second process with the same number,
 * of another namespace, cannot get the lock; and slots of a dead process stay
 * if a process that lives has come by its number.
 */

#ifndef ES_READER_TABLE_H
#define ES_READER_TABLE_H

#include <lmdb.h>

#include "base/base.h"

typedef struct {
    uint64_t  taken;           /* slots */
    uint64_t  own;             /* with this process's number */
    uint64_t  oldest;          /* commit that the slowest reads; 0: none */
    int       slowest;         /* its process, in its own namespace */
} es_reader_table_t;

void es_reader_table_read(MDB_env *mdb, es_reader_table_t *readers);

#endif /* ES_READER_TABLE_H */
