/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Two processes write to an environment.  One deletes the records that the
 * other one has put, and scrubs the files; then the other one writes on, with
 * every size of transaction in turn.  No byte of the deleted records may come
 * back from its buffers.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/env.h"
#include "store/scrub.h"
#include "tap.h"

#define ROUNDS   20
#define RECORDS  400
#define SIZE     900               /* of a record: four fill a page */
#define CANARY   "CANARY"

static char        dir[] = "/tmp/eventsync-scrub-XXXXXX";
static es_env_t   *env;
static unsigned    lot;            /* records of one transaction */
static unsigned    number;

static const es_env_db_t  dbs[] = {
    { .name = "data" }, { .name = "meta" }, { .name = NULL }
};


static void
open_env(void)
{
    es_env_options_t  options = {
        .dir = dir, .writable = true, .create = true, .map_initial = 1 << 26,
        .map_max = 1 << 28, .remedy = "-", .dbs = dbs
    };

    if (es_env_open(&options, &env) != ES_OK) {
        printf("Bail out! cannot open %s\n", dir);
        exit(1);
    }
}


/* Puts records of a byte that is repeated, or of the canary. */

static es_rc_t
put(MDB_txn *txn, void *ctx)
{
    int          rc;
    char         name[32], bytes[SIZE];
    size_t       i;
    MDB_val      key, value;
    unsigned     n;
    const char  *text = ctx;

    for (n = 0, rc = 0; rc == 0 && n < lot; n++) {
        (void) snprintf(name, sizeof(name), "%s-%06u", text, number + n);

        for (i = 0; i < sizeof(bytes); i++) {
            bytes[i] = text[i % strlen(text)];
        }

        key = (MDB_val) { strlen(name), name };
        value = (MDB_val) { sizeof(bytes), bytes };
        rc = mdb_put(txn, es_env_dbi(env, 0), &key, &value, 0);
    }

    return es_env_rc(rc);
}


static es_rc_t
delete_all(MDB_txn *txn, void *ctx)
{
    int          rc;
    MDB_val      key, value;
    MDB_cursor  *cursor;

    (void) ctx;

    rc = mdb_cursor_open(txn, es_env_dbi(env, 0), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = (MDB_val) { strlen(CANARY), (void *) (uintptr_t) CANARY };

    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         rc == 0 && memcmp(key.mv_data, CANARY, strlen(CANARY)) == 0;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
    {
        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
write_lot(unsigned n, const char *text)
{
    es_rc_t  rc;

    lot = n;
    rc = es_env_update(env, put, (void *) (uintptr_t) text);
    number += n;

    return rc;
}


/* The writer obeys one byte at a time. */

static void
writer(int in, int out)
{
    char      byte;
    bool      well;
    unsigned  i;

    open_env();

    while (read(in, &byte, 1) == 1) {
        if (byte == 'c') {
            for (i = 0, well = true; well && i < RECORDS; i += 40) {
                well = write_lot(40, CANARY) == ES_OK;
            }

        } else {
            well = write_lot((unsigned char) byte, "other") == ES_OK;
        }

        byte = well ? 'y' : 'n';

        if (write(out, &byte, 1) != 1) {
            break;
        }
    }

    es_env_close(env);
    _exit(0);
}


static unsigned
canaries(void)
{
    int          fd;
    char         path[128];
    char        *data, *at, *end;
    unsigned     n;
    struct stat  sb;

    (void) snprintf(path, sizeof(path), "cp %s/data.mdb %s/copy", dir, dir);

    if (system(path) != 0) {
        return 1;
    }

    (void) snprintf(path, sizeof(path), "%s/copy", dir);
    fd = open(path, O_RDONLY);
    (void) fstat(fd, &sb);
    data = mmap(NULL, (size_t) sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void) close(fd);

    end = data + sb.st_size;

    for (n = 0, at = data;
         (at = memmem(at, (size_t) (end - at), CANARY, 6)) != NULL; at++)
    {
        n++;
    }

    (void) munmap(data, (size_t) sb.st_size);

    return n;
}


static bool
obeys(int to, int from, unsigned char byte)
{
    char  answer;

    return write(to, &byte, 1) == 1 && read(from, &answer, 1) == 1
           && answer == 'y';
}


static void
test_buffers(int to, int from)
{
    bool        well;
    unsigned    round, n, at_once, later, there;
    es_slice_t  slice = { 1, 1 };
    es_scrub_t  scrub;

    well = true;
    at_once = later = there = 0;

    for (round = 1; well && round <= ROUNDS; round++) {
        well = obeys(to, from, 'c');
        there += canaries() > 0;

        well = well
               && es_env_shrink(env, delete_all, NULL, &slice) == ES_OK
               && es_env_scrub(env, 1000, &scrub) == ES_OK;
        at_once += canaries();

        for (n = 1; well && n <= 3; n++) {
            well = obeys(to, from, (unsigned char) (n * round));
            later += canaries();
        }
    }

    ok(well, "each step succeeds");
    is_int(there, ROUNDS, "the records are in the file");
    is_int(at_once, 0, "the scrub takes each byte of them");
    is_int(later, 0, "a process that had them in its buffers writes none");
}


int
main(void)
{
    int    to[2], from[2];
    char   command[64];
    pid_t  pid;

    if (mkdtemp(dir) == NULL || pipe(to) == -1 || pipe(from) == -1) {
        printf("Bail out! cannot make %s\n", dir);
        return 1;
    }

    pid = fork();

    if (pid == 0) {
        (void) close(to[1]);
        (void) close(from[0]);
        writer(to[0], from[1]);
    }

    (void) close(to[0]);
    (void) close(from[1]);

    open_env();
    test_buffers(to[1], from[0]);
    es_env_close(env);

    (void) close(to[1]);
    (void) waitpid(pid, NULL, 0);

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
