/* SPDX-License-Identifier: BSD-2-Clause */

/* The index of (source, id): what is entered is found, whatever it collides
   with, and files that cannot be trusted are made anew. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/id_index.h"
#include "log/id_index_impl.h"

#include "tap.h"

#define EVENTS   300000
#define SAME     2000      /* of one hash: more than four buckets */
#define FAR      (UINT64_C(3) << 32)

static char  dir[] = "/tmp/eventsync-ids-XXXXXX";
static char  ids_dir[64];
static bool  disk_full;


/* Stands before the function of libc. */

int
posix_fallocate(int fd, off_t offset, off_t len)
{
    if (disk_full) {
        return ENOSPC;
    }

    return fallocate(fd, 0, offset, len) == 0 ? 0 : errno;
}


static uint64_t
hash_of(uint64_t n)
{
    n = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);

    return n ^ (n >> 31);
}


static es_id_index_t *
open_index(uint64_t identity, uint64_t published, bool *trusted)
{
    es_id_index_t  *ids = NULL;

    if (es_id_index_open(dir, ids_dir, identity, published, &ids, trusted)
        != ES_OK)
    {
        return NULL;
    }

    return ids;
}


static bool
has(const es_id_index_t *ids, uint64_t hash, uint64_t last, uint64_t sequence)
{
    uint64_t            found;
    es_id_index_iter_t  iter;

    es_id_index_find(ids, hash, last, &iter);

    while (es_id_index_next(ids, &iter, &found)) {
        if (found == sequence) {
            return true;
        }
    }

    return false;
}


static bool
has_all(const es_id_index_t *ids, uint64_t n)
{
    uint64_t  i;

    for (i = 1; i <= n; i++) {
        if (!has(ids, hash_of(i), n, i)) {
            printf("# sequence %llu is missing\n", (unsigned long long) i);
            return false;
        }
    }

    return true;
}


/* How many sequences are found for hashes that were never entered. */

static unsigned
found_in_vain(const es_id_index_t *ids)
{
    unsigned            n = 0;
    uint64_t            i, found;
    es_id_index_iter_t  iter;

    for (i = 1; i <= EVENTS; i++) {
        es_id_index_find(ids, hash_of(i + (UINT64_C(1) << 40)), EVENTS, &iter);

        while (es_id_index_next(ids, &iter, &found)) {
            n++;
        }
    }

    return n;
}


static bool
fill(es_id_index_t *ids, uint64_t from, uint64_t to)
{
    uint64_t  i;

    for (i = from; i <= to; i++) {
        if (es_id_index_insert(ids, hash_of(i), i) != ES_OK) {
            return false;
        }
    }

    return true;
}


static uint64_t
bytes_of_files(void)
{
    char         path[128];
    unsigned     i;
    uint64_t     bytes = 0;
    struct stat  st;

    for (i = 0; i < 2; i++) {
        (void) snprintf(path, sizeof(path), "%s/%u", ids_dir, i);
        bytes += stat(path, &st) == 0 ? (uint64_t) st.st_size : 0;
    }

    return bytes;
}


static es_id_index_t *
test_fill(void)
{
    bool            trusted;
    uint64_t        step, bytes;
    es_id_index_t  *ids, *other;

    ids = open_index(7, 0, &trusted);
    ok(ids != NULL && !trusted, "a new index must be filled");
    ok(!has(ids, hash_of(1), EVENTS, 1), "it is empty");
    ok(fill(ids, 1, 1000), "a thousand events");

    es_id_index_mark(ids, 1000);
    es_id_index_trust(ids);

    other = open_index(7, 1000, &trusted);
    ok(other != NULL && trusted && has_all(other, 1000),
       "another process finds them");

    for (step = 2000; step <= EVENTS; step *= 2) {
        (void) fill(ids, step / 2 + 1, step);
        bytes = bytes_of_files();

        if (step > 10000 && (bytes < 8 * step || bytes > 21 * step)) {
            ok(false, "%llu events take %llu bytes", (unsigned long long) step,
               (unsigned long long) bytes);
        }
    }

    ok(fill(ids, step / 2 + 1, EVENTS), "it grows");
    ok(has_all(ids, EVENTS), "and loses nothing");
    ok(found_in_vain(ids) < 100, "few other hashes find anything");
    ok(fill(ids, 1, EVENTS) && ids->control->used == EVENTS,
       "an event that is entered again takes no other slot");
    ok(es_id_index_refresh(other) == ES_OK && has_all(other, EVENTS),
       "the other process finds what was added");
    ok(fill(other, EVENTS + 1, 2 * EVENTS) && es_id_index_refresh(ids) == ES_OK
       && has_all(ids, 2 * EVENTS), "and adds to it");

    es_id_index_close(other);

    return ids;
}


static void
test_collisions(es_id_index_t *ids)
{
    uint32_t            before = ids->depth;
    uint64_t            i, last, found;
    es_id_index_iter_t  iter;

    last = 2 * EVENTS + SAME;

    for (i = 2 * EVENTS + 1; i <= last; i++) {
        if (es_id_index_insert(ids, hash_of(1), i) != ES_OK) {
            break;
        }
    }

    ok(i > last, "one id is published %d times", SAME);
    ok(ids->depth <= before + 6, "which hardly makes the directory larger");
    ok(has_all(ids, 2 * EVENTS), "nothing is lost");

    for (i = 2 * EVENTS + 1; i <= last && has(ids, hash_of(1), last, i); i++) {
        /* void */
    }

    ok(i > last, "each time is found");

    es_id_index_forget(ids, hash_of(1), 1);
    es_id_index_forget(ids, hash_of(1), last);
    ok(!has(ids, hash_of(1), last, 1) && !has(ids, hash_of(1), last, last)
       && has(ids, hash_of(1), last, last - 1),
       "the slots of erased events are cleared");

    ok(es_id_index_insert(ids, hash_of(5), FAR + 9) == ES_OK
       && has(ids, hash_of(5), FAR + 100, FAR + 9)
       && has(ids, hash_of(5), FAR + 100, 5),
       "sequences beyond 32 bits are found, and those before them");

    es_id_index_find(ids, hash_of(5), 100, &iter);
    ok(es_id_index_next(ids, &iter, &found) && found == 5,
       "a sequence after the last one is none");
}


static void
test_trust(void)
{
    bool            trusted;
    char            path[128];
    es_id_index_t  *ids, *other;

    ids = open_index(8, 0, &trusted);
    ok(ids != NULL && !trusted, "another store's index is made anew");
    (void) fill(ids, 1, 5000);
    es_id_index_mark(ids, 10);
    es_id_index_trust(ids);

    other = open_index(8, 11, &trusted);
    ok(other != NULL && !trusted, "one that is behind the log, too");
    ok(es_id_index_refresh(ids) == ES_CORRUPT,
       "meanwhile nobody else trusts it");
    (void) fill(other, 5001, 10000);
    es_id_index_mark(other, 11);
    es_id_index_trust(other);
    ok(es_id_index_refresh(ids) == ES_OK
       && has(ids, hash_of(7000), 10000, 7000)
       && !has(ids, hash_of(7), 10000, 7), "then they find the new files");

    ids->control->busy = 1;
    ok(es_id_index_refresh(other) == ES_CORRUPT,
       "nor is one in which a process died while it split a bucket");
    es_id_index_close(other);
    other = open_index(8, 11, &trusted);
    ok(other != NULL && !trusted, "which is made anew");
    (void) fill(other, 1, 5000);
    es_id_index_mark(other, 11);
    es_id_index_trust(other);
    es_id_index_close(ids);
    es_id_index_close(other);

    (void) snprintf(path, sizeof(path), "%s/0", ids_dir);
    ok(truncate(path, 8192) == 0, "a file is cut");
    ids = open_index(8, 11, &trusted);
    ok(ids != NULL && !trusted, "its index is made anew");

    (void) fill(ids, 1, 5000);
    es_id_index_mark(ids, 11);
    es_id_index_trust(ids);
    es_id_index_empty(ids);
    ok(es_id_index_refresh(ids) == ES_CORRUPT
       && !has(ids, hash_of(1), 5000, 1), "an emptied index has nothing");
    ok(fill(ids, 1, 6000) && has_all(ids, 6000), "and can be filled again");

    es_id_index_close(ids);
}


static void
test_full_disk(void)
{
    int             err;
    bool            trusted;
    es_rc_t         rc;
    uint64_t        n;
    es_id_index_t  *ids;

    ids = open_index(10, 0, &trusted);
    disk_full = true;
    ok(es_id_index_insert(ids, hash_of(1), 1) == ES_FULL && errno == ENOSPC
       && !has(ids, hash_of(1), 1, 1), "a full disk has no room for an index");
    disk_full = false;
    ok(fill(ids, 1, 1000), "there is room again");

    disk_full = true;
    for (n = 1001, rc = ES_OK; rc == ES_OK && n < EVENTS; n++) {
        rc = es_id_index_insert(ids, hash_of(n), n);
    }

    err = errno;
    n -= 2;
    ok(rc == ES_FULL && err == ENOSPC && n > ids->room * 434,
       "the disk is full, and so is a bucket, after %llu events",
       (unsigned long long) n);
    ok(has_all(ids, n), "those before are found");
    ok(es_id_index_stuck(ids, 1000), "a thousand would have room");
    ok(!es_id_index_stuck(ids, n), "but not all of them");

    es_id_index_empty(ids);
    ok(fill(ids, 1, n) && has_all(ids, n),
       "the blocks that it has are used again");

    disk_full = false;
    ok(fill(ids, 1, EVENTS) && has_all(ids, EVENTS)
       && !es_id_index_stuck(ids, 0), "and it grows again");

    es_id_index_close(ids);
}


/* An earlier build must see that the files are not its own, and the other way
   round.  Both builds have the magic number first. */

static void
test_earlier(void)
{
    int             fd;
    bool            trusted;
    char            path[128], magic[9] = "";
    es_id_index_t  *ids;

    ids = open_index(9, 0, &trusted);
    (void) fill(ids, 1, 10);
    es_id_index_mark(ids, 1);
    es_id_index_trust(ids);
    es_id_index_close(ids);

    (void) snprintf(path, sizeof(path), "%s/control", ids_dir);
    fd = open(path, O_RDWR);
    ok(pread(fd, magic, 8, 0) == 8 && strcmp(magic, "esysids3") == 0,
       "an earlier build sees another magic number");
    ok(pwrite(fd, "esysids2", 8, 0) == 8, "the files of an earlier build");
    (void) close(fd);

    ids = open_index(9, 1, &trusted);
    ok(ids != NULL && !trusted, "are made anew");
    es_id_index_close(ids);
}


int
main(void)
{
    char            cmd[128];
    es_id_index_t  *ids;

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    (void) snprintf(ids_dir, sizeof(ids_dir), "%s/ids", dir);

    ids = test_fill();
    test_collisions(ids);
    es_id_index_close(ids);
    test_trust();
    test_full_disk();
    test_earlier();

    (void) snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
    ok(system(cmd) == 0, "the files are removed");

    return done();
}
