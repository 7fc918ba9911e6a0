/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses LMDB's list of readers.  LMDB gives the list as text only.
 */

#include <stdio.h>
#include <unistd.h>

#include "store/reader_table.h"

typedef struct {
    es_reader_table_t  *readers;
    long                number;  /* of this process */
} es_reader_table_ctx_t;


/* A line has the process id, the thread, and the transaction or "-".  The
   first line is a heading. */

static int
es_reader_table_line(const char *line, void *ctx)
{
    int                     n;
    long                    number;
    es_reader_table_t      *readers;
    es_reader_table_ctx_t  *reading;
    unsigned long long      txn;

    reading = ctx;
    readers = reading->readers;

    n = sscanf(line, "%ld %*s %llu", &number, &txn);
    if (n < 1) {
        return 0;
    }

    readers->taken++;
    readers->own += number == reading->number;

    if (n == 2 && (readers->oldest == 0 || txn < readers->oldest)) {
        readers->oldest = txn;
        readers->slowest = (int) number;
    }

    return 0;
}


void
es_reader_table_read(MDB_env *mdb, es_reader_table_t *readers)
{
    es_reader_table_ctx_t  reading;

    memset(readers, 0, sizeof(es_reader_table_t));

    reading.readers = readers;
    reading.number = (long) getpid();

    (void) mdb_reader_list(mdb, es_reader_table_line, &reading);
}
