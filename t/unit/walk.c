/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Walks by filter: compared with a scan of every event, and their cost, which
 * is the number of their LMDB calls.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log/chunk.h"
#include "log/feed.h"
#include "open/open.h"
#include "read/reader.h"
#include "tap.h"

#define EVENTS   100000      /* of the feed "f" */
#define RANDOM   6000        /* of "r" */
#define KINDS    60

static char      dir[] = "/tmp/eventsync-walk-XXXXXX";
static unsigned  calls;      /* of LMDB */
static long      faults;     /* reads from disk, and how many more each time */
static long      slow;       /* and milliseconds */
static unsigned  advised;

static unsigned  kinds[RANDOM + 1];
static unsigned  subjects[RANDOM + 1];


/* ---- what the library asks ---- */


int
mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
    MDB_cursor_op op)
{
    static int  (*real)(MDB_cursor *, MDB_val *, MDB_val *, MDB_cursor_op);

    if (real == NULL) {
        *(void **) &real = dlsym(RTLD_NEXT, "mdb_cursor_get");
    }

    calls++;

    return real(cursor, key, data, op);
}


int
getrusage(__rusage_who_t who, struct rusage *usage)
{
    (void) who;
    memset(usage, 0, sizeof(*usage));
    faults += slow;
    usage->ru_majflt = faults;

    return 0;
}


int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    static long  ms;

    ms += slow;
    (void) syscall(SYS_clock_gettime, clock, ts);
    ts->tv_sec += ms / 1000;

    return 0;
}


int
madvise(void *from, size_t len, int advice)
{
    advised += advice == MADV_WILLNEED && (uintptr_t) from % 4096 == 0
               && len > 0;

    return 0;
}


/* ---- feeds ---- */


static es_batch_t  *batch;


static void
flush(es_store_t *store)
{
    es_publish(store, &batch, 1);

    if (es_batch_rc(batch) != ES_OK) {
        printf("Bail out! publish: %s\n", es_strerror(es_batch_rc(batch)));
        exit(1);
    }

    es_batch_destroy(batch);
    batch = NULL;
}


static void
add(es_store_t *store, const char *feed, unsigned n, const char *type,
    const char *subject, bool last)
{
    int              len;
    char             json[512];
    static unsigned  have;
    es_problem_t     problem;

    if (batch == NULL) {
        batch = es_batch_create(es_str(feed), NULL);
        have = 0;
    }

    len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\",\"id\":"
                   "\"e%u\",\"source\":\"/s\",\"type\":\"%s\"%s%s%s}", n, type,
                   *subject ? ",\"subject\":\"" : "", subject,
                   *subject ? "\"" : "");

    if (es_batch_add(batch, json, (size_t) len, &problem) != ES_OK) {
        printf("Bail out! %s\n", problem.detail);
        exit(1);
    }

    if (last || ++have == 5000) {
        flush(store);
    }
}


/* Half are of the subject "hot"; a chunk has one "sparse" and one of "thin",
   ten of them each of "few.a" to "few.e", and a hundred one "rare" and one of
   "cold". */

static void
fill_large(es_store_t *store)
{
    char         text[16];
    unsigned     n;
    const char  *type;

    for (n = 1; n <= EVENTS; n++) {
        type = "y";

        if (n % 100 == 7) {
            type = "sparse";

        } else if (n % 10000 == 50) {
            type = "rare";

        } else if (n % 1000 % 100 == 13 && n % 1000 < 500) {
            (void) snprintf(text, sizeof(text), "few.%c",
                            (char) ('a' + n % 1000 / 100));
            type = text;
        }

        add(store, "f", n, type,
            n % 10000 == 51 ? "cold" : n % 100 == 21 ? "thin"
            : n % 2 ? "" : "hot", n == EVENTS);
    }
}


/* Names that begin alike, in groups. */

static const char *
kind_of(unsigned kind, char text[64])
{
    (void) snprintf(text, 64, kind % 7 == 0 ? "k%u" : kind % 7 == 1 ? "k%u.x"
                    : kind % 7 < 4 ? "k%u.x.a%u" : "k%u.y.a%u", kind % 5,
                    kind);

    return text;
}


static void
fill_random(es_store_t *store)
{
    char      type[64], subject[64];
    unsigned  n;

    for (n = 1; n <= RANDOM; n++) {

        /* a few are in most events */

        kinds[n] = (unsigned) rand() % 3 ? (unsigned) rand() % 4
                                         : (unsigned) rand() % KINDS;
        subjects[n] = (unsigned) rand() % 3 ? (unsigned) rand() % 2
                                            : (unsigned) rand() % 30;

        /* and there is a time of each */

        if (n > RANDOM / 3 && n < RANDOM / 2) {
            kinds[n] = kinds[n] == 1 ? 2 : kinds[n];
            subjects[n] = subjects[n] == 0 ? 5 : subjects[n];
        }

        (void) snprintf(subject, sizeof(subject), "s/%u", subjects[n]);
        add(store, "r", n, kind_of(kinds[n], type), subject,
            n == RANDOM || rand() % 60 == 0);
    }
}


/* ---- pages ---- */


static es_page_t  page;


static es_rc_t
read_page(es_store_t *store, const char *name, const char *types,
    const char *subject, uint64_t after, unsigned limit)
{
    es_rc_t       rc;
    es_txn_t     *txn;
    es_feed_t     feed;
    es_filter_t   filter = { 0 };
    es_problem_t  problem;

    (void) es_filter_types(&filter, es_str(types), &problem);
    filter.by_subject = *subject != '\0';
    filter.subject = es_str(subject);

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_str(name), &feed);

    calls = 0;
    advised = 0;
    rc = es_page_read(txn, &feed, after, es_lit("x-0"), limit, 1 << 22,
                      &filter, NULL, &page);
    es_txn_end(txn);

    return rc;
}


/* One page of all there are, and what it may cost. */

static void
costs(es_store_t *store, const char *types, const char *subject,
    unsigned limit, unsigned count, unsigned max)
{
    ok(read_page(store, "f", types, subject, 0, limit) == ES_OK
       && page.count == count
       && (page.count == limit || page.next == EVENTS),
       "%u of %s, subject '%s': in one page", count, types, subject);

    if (!ok(calls <= max, "at a cost of %u", max)) {
        printf("# %u events, next %llu, %u calls\n", page.count,
               (unsigned long long) page.next, calls);
    }
}


static void
test_cost(es_store_t *store)
{
    costs(store, "sparse", "", 1000, 1000, 1200);
    costs(store, "few.*", "", 1000, 500, 700);
    costs(store, "few.a,few.b,few.e,rare", "", 1000, 310, 450);
    costs(store, "sparse,few.*,rare,none", "", 1000, 1000, 1400);
    costs(store, "none", "", 100, 0, 10);

    /* the rarer of both, be it the type ... */

    costs(store, "rare", "hot", 1, 1, 150);
    costs(store, "rare", "hot", 100, 10, 300);
    costs(store, "rare", "cold", 1, 0, 200);
    costs(store, "few.*", "hot", 100, 0, 1200);
    costs(store, "sparse", "hot", 1, 0, 3000);
    costs(store, "none", "hot", 1, 0, 10);
    costs(store, "none.*", "hot", 100, 0, 10);

    /* ... or the subject, or both are in all of it */

    costs(store, "y", "cold", 100, 10, 150);
    costs(store, "y,few.*", "cold", 1, 1, 150);
    costs(store, "y", "hot", 1, 1, 80);
    costs(store, "y", "hot", 100, 100, 300);
    costs(store, "y", "thin", 1000, 1000, 1400);
    costs(store, "y", "nobody", 100, 0, 100);
}


/* Who waits for what is new does not ask the index. */

static void
test_near(es_store_t *store)
{
    ok(read_page(store, "f", "few.*,sparse,rare", "", EVENTS - 100, 1000)
       == ES_OK && page.count == 1 && !page.has_more
       && calls <= 2, "near the end events are read");
    ok(read_page(store, "f", "few.*,y", "hot", EVENTS - 100, 1) == ES_OK
       && page.count == 1 && calls <= 30, "and those of a subject");
    ok(read_page(store, "f", "few.*", "hot", EVENTS - 100, 1000) == ES_OK
       && page.count == 0 && !page.has_more && calls <= 200,
       "also where none is of the types");
}


/* Types that others use do not slow down a feed that has few. */

static void
test_others(es_store_t *store)
{
    char      type[64];
    unsigned  n;

    for (n = 1; n <= 3000; n++) {
        (void) snprintf(type, sizeof(type), "few.z%u", n);
        add(store, "o", n, type, "", n == 3000);

        if (n == 900 || n == 3000) {
            costs(store, "few.*", "", 1000, 500, n == 900 ? 1600 : 1800);
            costs(store, "few.*", "hot", 100, 0, 2500);
        }
    }
}


/* A filter of so many types that each event is looked at: not too many. */

static void
test_bound(es_store_t *store)
{
    char      type[64];
    bool      good;
    unsigned  n, count, pages;
    uint64_t  after;

    for (n = 1; n <= 45300; n++) {
        (void) snprintf(type, sizeof(type), n <= 45000 ? "q" : "p.z%u", n);
        add(store, "b", n, type, n % 2 ? "" : "hot", n == 45300);
    }

    ok(read_page(store, "b", "p.*", "", 0, 1000) == ES_OK
       && page.count == 0 && page.has_more && page.next >= 20000
       && page.next < 20000 + ES_CHUNK_COUNT,
       "a page ends after 20,000 events that do not match");

    ok(read_page(store, "b", "p.*", "hot", 0, 1000) == ES_OK
       && page.count == 0 && page.has_more && page.next >= 4000
       && page.next <= 4500,
       "or 2,000 of a subject");

    good = true;
    after = 0;
    count = pages = 0;

    do {
        good &= read_page(store, "b", "p.*", "", after, 1000) == ES_OK
                && page.next > after;
        after = page.next;
        count += page.count;
        pages++;
    } while (good && page.has_more);

    ok(good && count == 300 && pages == 3 && after == 45300,
       "and the next goes on where it ended");
}


/* Pages that have to be read from disk are few, and are asked for together. */

static void
test_cold(es_store_t *store)
{
    bool      good;
    unsigned  count, pages;
    uint64_t  after;

    ok(read_page(store, "f", "sparse", "", 0, 1000) == ES_OK
       && page.count == 1000 && advised == 0,
       "nothing is asked for of what is in memory");

    slow = 1000;

    ok(read_page(store, "f", "sparse", "", 0, 1000) == ES_OK
       && page.count >= 128 && page.count <= 200 && page.has_more
       && page.next == page.last,
       "a page ends after some chunks that are read from disk");
    ok(advised >= 100, "most were asked for before");
    ok(read_page(store, "f", "*", "thin", 0, 1000) == ES_OK
       && page.count >= 128 && page.count <= 400 && page.has_more
       && page.next == page.last, "so does one by a subject");
    ok(read_page(store, "f", "y", "hot", 0, 1000) == ES_OK
       && page.count == 1000, "where they are together it has all");
    ok(read_page(store, "f", "*", "cold", 0, 1000) == ES_OK
       && page.count == 10 && !page.has_more, "but for a few");

    good = true;
    after = 0;
    count = pages = 0;

    do {
        good &= read_page(store, "f", "sparse,few.*", "", after, 1000)
                == ES_OK && page.next > after;
        after = page.next;
        count += page.count;
        pages++;
    } while (good && page.has_more);

    ok(good && count == 1500 && pages > 4 && after == EVENTS,
       "and following them is all there is");

    slow = 0;
}


/* ---- as a look at every event finds them ---- */


static bool
agrees(es_store_t *store, const char *types, bool by_subject)
{
    char         text[64], subject[16];
    bool         good;
    es_txn_t    *txn;
    uint64_t     after, n;
    unsigned     limit, count, wanted;
    es_feed_t    feed;
    es_filter_t  filter = { 0 };
    es_problem_t problem;

    (void) es_filter_types(&filter, es_str(types), &problem);
    wanted = (unsigned) rand() % 30;
    (void) snprintf(subject, sizeof(subject), "s/%u", wanted);
    filter.by_subject = by_subject;
    filter.subject = es_str(subject);

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_str("r"), &feed);

    feed.last -= (uint64_t) rand() % feed.last;
    after = (uint64_t) rand() % feed.last;
    limit = rand() % 2 ? 1 + (unsigned) rand() % 5
                       : 1 + (unsigned) rand() % 300;

    do {
        n = after;
        good = es_page_read(txn, &feed, after, es_lit("x-0"), limit, 1 << 22,
                            &filter, NULL, &page) == ES_OK;

        for (count = 0; good && n < page.next; ) {
            n++;
            count += es_filter_type_matches(&filter,
                                            es_str(kind_of(kinds[n], text)))
                     && (!by_subject || subjects[n] == wanted);
        }

        good &= count == page.count && page.next > after
                && (page.count == limit || !page.has_more);
        after = page.next;

    } while (good && page.has_more);

    good &= after == feed.last;
    es_txn_end(txn);

    if (!good) {
        printf("# types=%s subject=%s limit=%u after=%llu last=%llu\n", types,
               by_subject ? subject : "", limit, (unsigned long long) after,
               (unsigned long long) feed.last);
    }

    return good;
}


static void
test_random(es_store_t *store, const char *what)
{
    char      list[2048], type[64];
    bool      types, both;
    unsigned  i, j, n;
    size_t    len;

    types = both = true;

    for (i = 0; i < 3000; i++) {
        n = 1 + (unsigned) rand() % (rand() % 3 ? 2 : 8);

        for (j = 0, len = 0; j < n; j++) {
            (void) kind_of((unsigned) rand() % (KINDS + 3), type);

            if (rand() % 3 == 0) {
                type[1 + (unsigned) rand() % strlen(type)] = '\0';
                (void) strcat(type, ".*");
            }

            len += (size_t) snprintf(list + len, sizeof(list) - len, "%s%s",
                                     j ? "," : "", type);
        }

        types &= agrees(store, list, false);
        both &= agrees(store, list, true);
    }

    ok(types, "%s: types", what);
    ok(both, "%s: types and a subject", what);
}


int
main(void)
{
    char          command[64];
    es_feed_t     feed;
    es_store_t   *store;
    es_problem_t  problem;

    srand(20261128);
    (void) mkdtemp(dir);

    if (es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    (void) es_feed_create(store, es_lit("f"), NULL, &feed);
    (void) es_feed_create(store, es_lit("o"), NULL, &feed);
    (void) es_feed_create(store, es_lit("b"), NULL, &feed);
    (void) es_feed_create(store, es_lit("r"), NULL, &feed);

    fill_large(store);
    fill_random(store);

    test_random(store, "few types");
    test_cost(store);
    test_near(store);
    test_others(store);
    test_random(store, "many types elsewhere");
    test_bound(store);
    test_cold(store);

    es_page_free(&page);
    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
