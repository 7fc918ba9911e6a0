/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The reader table of an LMDB environment.
 *
 * LMDB writes the process id into each slot that a process takes.  While the
 * process has the environment open, it also holds a lock on the byte of
 * lock.mdb at that offset.  A slot whose byte nobody locks belongs to a dead
 * process, and mdb_reader_check() frees it.
 *
 * Process ids are those of PID namespaces.  Of two processes with the same id
 * in different namespaces, the second cannot get the lock.  Slots of a dead
 * process stay taken while a process with the same id lives.
 */

#ifndef ES_READER_TABLE_H
#define ES_READER_TABLE_H

#include <lmdb.h>

#include "base/base.h"

typedef struct {
    uint64_t  taken;           /* slots in use */
    uint64_t  own;             /* slots with this process's id */
    uint64_t  oldest;          /* commit that the slowest reader sees; 0: no
                                  reader */
    int       slowest;         /* id of its process, in its own namespace */
} es_reader_table_t;

void es_reader_table_read(MDB_env *mdb, es_reader_table_t *readers);

#endif /* ES_READER_TABLE_H */
