/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ciphertexts that are kept: one for each field of an event and key, whichever
 * process makes it.  They are bounded, and go with their events.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "erase/erase.h"
#include "log/feed.h"
#include "open/open.h"
#include "read/ciphertexts.h"
#include "store/txn.h"
#include "tap.h"

#define HALF  (UINT64_C(64) << 10)

static char               dir[] = "/tmp/eventsync-ciphertexts-XXXXXX";
static char               path[64];            /* the environment */
static es_store_t        *store;
static es_ciphertexts_t  *texts;
static es_jwe_key_t       key, other;


static void
need(es_rc_t rc, const char *what)
{
    if (rc != ES_OK) {
        printf("Bail out! %s: %s\n", what, es_strerror(rc));
        exit(1);
    }
}


static void
reopen(void)
{
    es_ciphertexts_free(texts);
    texts = es_ciphertexts_create(store, HALF);
}


static void
publish(const char *feed, unsigned n)
{
    int            len;
    char           json[256];
    unsigned       i;
    es_batch_t    *batch;
    es_problem_t   problem;

    batch = es_batch_create(es_str(feed), NULL);

    for (i = 1; i <= n; i++) {
        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                       "\"id\":\"e%u\",\"source\":\"/s\",\"type\":\"t\","
                       "\"data\":{\"n\":%u}}", i, i);
        need(es_batch_add(batch, json, (size_t) len, &problem), "add");
    }

    es_publish(store, &batch, 1);
    need(es_batch_rc(batch), "publish");
    es_batch_destroy(batch);
}


/* The field of the feed's n-th event. */

static es_ciphertext_t
item_of(const char *feed, unsigned n, char cursor[ES_CURSOR_MAX])
{
    es_txn_t         *txn;
    es_feed_t         f;
    es_ciphertext_t   item;

    need(es_txn_begin(store, &txn), "txn");
    need(es_feed_get(txn, es_str(feed), &f), "feed");
    es_txn_end(txn);

    memset(&item, 0, sizeof(item));
    item.key = &key;
    item.place.feed = es_str(feed);
    item.place.source = es_lit("/s");
    item.place.id = es_lit("e");
    item.place.field = es_lit("/data/n");
    item.plain = es_lit("1");
    item.cursor.data = cursor;
    item.cursor.len = es_feed_cursor(&f, n, cursor);

    return item;
}


static es_str_t
text(const es_ciphertext_t *item)
{
    return (es_str_t) { item->out.data, item->out.len };
}


static bool
kept(const char *feed, unsigned n)
{
    char             cursor[ES_CURSOR_MAX];
    es_rc_t          rc;
    es_ciphertext_t  item;

    item = item_of(feed, n, cursor);
    rc = es_ciphertexts_get(texts, &item);
    es_buf_free(&item.out);

    return rc == ES_OK;
}


static void
keep(const char *feed, unsigned n)
{
    char             cursor[ES_CURSOR_MAX];
    es_ciphertext_t  item;

    item = item_of(feed, n, cursor);
    need(es_ciphertexts_make(texts, &item, 1), "make");
    es_buf_free(&item.out);
}


static void
test_one(void)
{
    char             cursor[ES_CURSOR_MAX];
    es_ciphertext_t  a, b;

    a = b = item_of("a", 1, cursor);
    is_int(es_ciphertexts_prune(texts), ES_OK, "nothing to prune yet");
    ok(access(path, F_OK) != 0, "the environment is made when it is needed");
    is_int(es_ciphertexts_get(texts, &a), ES_NOT_FOUND, "nothing yet");
    is_int(es_ciphertexts_make(texts, &a, 1), ES_OK, "made");
    ok(es_jwe_is(text(&a), &key, &a.place), "a JWE of the place");

    is_int(es_ciphertexts_get(texts, &b), ES_OK, "it is kept");
    ok(es_str_eq(text(&a), text(&b)), "and the same");

    reopen();
    b.out.len = 0;
    is_int(es_ciphertexts_get(texts, &b), ES_NOT_FOUND, "not open yet");
    is_int(es_ciphertexts_make(texts, &b, 1), ES_OK, "open");
    ok(es_str_eq(text(&a), text(&b)), "the same after that");

    es_buf_free(&a.out);
    es_buf_free(&b.out);
}


/* Whatever differs leads to a text of its own. */

static void
test_other(void)
{
    char             cursor[ES_CURSOR_MAX], next[ES_CURSOR_MAX];
    size_t           i;
    es_ciphertext_t  o[8];

    for (i = 0; i < 8; i++) {
        o[i] = item_of("a", 1, cursor);
    }

    o[0].key = &other;
    o[1].place.feed = es_lit("b");
    o[2].place.source = es_lit("/t");
    o[3].place.id = es_lit("f");
    o[4].place.field = es_lit("/data/m");
    o[5].plain = es_lit("2");
    o[6] = item_of("a", 2, next);
    o[7].place.source = es_lit("/se");
    o[7].place.id = es_lit("");

    for (i = 0; i < 8; i++) {
        is_int(es_ciphertexts_get(texts, &o[i]), ES_NOT_FOUND, "another one");
    }

    o[0].cursor = es_lit("no cursor");
    is_int(es_ciphertexts_get(texts, &o[0]), ES_CORRUPT, "no cursor");
}


/* Two processes that make the same text at once have one of the two. */

static void
test_race(void)
{
    int              fds[2], status;
    char             cursor[ES_CURSOR_MAX], line[4096];
    pid_t            pid[2];
    size_t           len;
    ssize_t          n;
    unsigned         i;
    es_str_t         first, second;
    es_ciphertext_t  item;

    item = item_of("a", 3, cursor);
    es_ciphertexts_free(texts);
    texts = NULL;
    (void) pipe(fds);

    for (i = 0; i < 2; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            texts = es_ciphertexts_create(store, HALF);
            if (es_ciphertexts_make(texts, &item, 1) == ES_OK) {
                (void) es_buf_append(&item.out, "\n", 1);
                (void) write(fds[1], item.out.data, item.out.len);
            }
            _exit(0);
        }
    }

    (void) waitpid(pid[0], &status, 0);
    (void) waitpid(pid[1], &status, 0);
    (void) close(fds[1]);

    for (len = 0; (n = read(fds[0], line + len, sizeof(line) - len)) > 0; ) {
        len += (size_t) n;
    }

    (void) close(fds[0]);
    first = second = es_null_str;

    if (len > 0) {
        first.data = line;
        first.len = strcspn(line, "\n");
        second.data = line + first.len + 1;
        second.len = len - first.len - 2;
    }

    ok(first.len > 0 && es_str_eq(first, second), "both have the same text");
    reopen();
}


static void
test_bound(void)
{
    unsigned  i;

    keep("a", 1);

    for (i = 0; kept("a", 1) && i < 1000; i++) {
        keep("b", 1 + i % 1000);
    }

    ok(i > 60 && i < 1000, "the oldest text made room after %u others", i);
    ok(kept("b", i), "the youngest is kept");
    ok(kept("b", i / 2 + 2), "and so is the younger half");

    keep("a", 1);
    ok(kept("a", 1), "what made room can be made again");
}


static void
test_prune(void)
{
    es_feed_t  feed;

    keep("a", 1);
    keep("a", 4);
    keep("c", 1);
    keep("d", 1);
    is_int(es_ciphertexts_prune(texts), ES_OK, "prune");
    ok(kept("a", 1) && kept("a", 4) && kept("c", 1) && kept("d", 1),
       "texts of events that are there stay");

    need(es_feed_begin_epoch(store, es_lit("d"), NULL, &feed), "epoch");
    is_int(es_ciphertexts_prune(texts), ES_OK, "prune");
    ok(kept("d", 1), "also in an earlier epoch");

    need(es_feed_trim(store, es_lit("a"), 4), "trim");
    need(es_feed_reset(store, es_lit("c"), &feed), "reset");
    is_int(es_ciphertexts_prune(texts), ES_OK, "prune");
    ok(!kept("a", 1) && kept("a", 4), "trimmed events have no texts");

    publish("c", 1);
    need(es_feed_remove(store, es_lit("b")), "remove");
    is_int(es_ciphertexts_prune(texts), ES_OK, "prune");
    is_int(es_ciphertexts_prune(texts), ES_OK, "again");
    ok(kept("a", 4) && !kept("c", 1), "nor have those before a reset");
}


static es_rc_t
note(void *ctx, uint64_t number, const es_erasure_t *erasure)
{
    (void) number;
    *(es_erasure_t *) ctx = *erasure;

    return ES_OK;
}


/* True if the file has the bytes. */

static bool
in_file(es_str_t bytes)
{
    int          fd;
    bool         found;
    char        *file, name[80];
    struct stat  st;

    (void) snprintf(name, sizeof(name), "%s/data.mdb", path);

    fd = open(name, O_RDONLY);
    (void) fstat(fd, &st);
    file = malloc((size_t) st.st_size);
    found = pread(fd, file, (size_t) st.st_size, 0) == st.st_size
            && memmem(file, (size_t) st.st_size, bytes.data, bytes.len);

    free(file);
    (void) close(fd);

    return found;
}


/* Closing the file in this process would release LMDB's locks. */

static bool
on_disk(es_str_t bytes)
{
    int    status;
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        _exit(in_file(bytes));
    }

    (void) waitpid(pid, &status, 0);

    return WEXITSTATUS(status) != 0;
}


static void
test_erase(void)
{
    char             cursor[ES_CURSOR_MAX];
    es_txn_t        *txn;
    es_feed_t        f;
    es_erase_t       what = { .feed = es_lit("a"), .forget = true };
    es_scrub_t       scrub;
    es_erasure_t     erasure;
    es_ciphertext_t  item;

    keep("a", 6);
    item = item_of("a", 5, cursor);
    need(es_ciphertexts_make(texts, &item, 1), "make");
    ok(on_disk(text(&item)), "the text is in the file");

    need(es_txn_begin(store, &txn), "txn");
    need(es_feed_get(txn, es_lit("a"), &f), "feed");
    es_txn_end(txn);

    memcpy(what.event.epoch, f.epoch, sizeof(f.epoch));
    what.event.sequence = 5;
    need(es_erase(store, &what), "erase");
    need(es_erase_each(store, 0, note, &erasure), "each");

    is_int(es_ciphertexts_erase(texts, &erasure, 1, 1000, &scrub), ES_OK,
           "erase");
    ok(!kept("a", 5) && kept("a", 6), "the text of that event is gone");
    ok(!on_disk(text(&item)), "and its bytes are");

    keep("a", 5);
    ok(!kept("a", 5), "what was read before the erasure is not kept");

    es_buf_free(&item.out);
}


/* One byte of each text, so that none matches its hash. */

static void
test_damage(void)
{
    int              fd;
    char            *file, cursor[ES_CURSOR_MAX], name[80];
    size_t           at;
    struct stat      st;
    es_ciphertext_t  item;

    keep("a", 4);
    es_ciphertexts_free(texts);
    (void) snprintf(name, sizeof(name), "%s/data.mdb", path);

    fd = open(name, O_RDWR);
    (void) fstat(fd, &st);
    file = malloc((size_t) st.st_size);
    (void) pread(fd, file, (size_t) st.st_size, 0);

    for (at = 0; at + 3 < (size_t) st.st_size; at++) {
        if (memcmp(file + at, "eyJ", 3) == 0) {
            (void) pwrite(fd, "\"", 1, (off_t) at + 5);
        }
    }

    free(file);
    (void) close(fd);

    texts = NULL;
    reopen();
    item = item_of("a", 4, cursor);
    item.plain = es_lit("x");
    need(es_ciphertexts_make(texts, &item, 1), "open");
    es_buf_free(&item.out);
    ok(!kept("a", 4), "a damaged text is none");
    keep("a", 4);
    ok(kept("a", 4), "and is made again");
}


/* A key that is no point of its curve, and a place that nobody can write. */

static void
test_refused(void)
{
    char             cursor[ES_CURSOR_MAX], command[128];
    es_jwe_key_t     bad;
    es_ciphertext_t  items[2];

    bad = key;
    (void) strcpy(bad.y, bad.x);
    items[0] = item_of("a", 5, cursor);
    items[1] = items[0];
    items[1].key = &bad;

    is_int(es_ciphertexts_make(texts, items, 2), ES_INVALID, "a bad key");
    es_buf_free(&items[0].out);
    ok(!kept("a", 5), "nothing of the request is kept");

    es_ciphertexts_free(texts);
    texts = NULL;
    (void) snprintf(command, sizeof(command), "rm -rf '%s'", path);
    (void) system(command);
    (void) close(open(path, O_WRONLY | O_CREAT, 0600));
    reopen();
    is_int(es_ciphertexts_make(texts, items, 1), ES_IO, "no directory");
    ok(strstr(es_reason(ES_IO), "encrypted") != NULL, "which is named: %s",
       es_reason(ES_IO));
    (void) unlink(path);
    is_int(es_ciphertexts_make(texts, items, 1), ES_OK, "until there is one");
    es_buf_free(&items[0].out);
}


static void
make_key(const char *kid, es_jwe_key_t *out)
{
    json_t      *jwk;
    const char  *member;

    jwk = json_pack("{s:s, s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256",
                    "kid", kid,
                    "x", "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                    "y", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
    ok(es_jwe_key_read(jwk, out, &member) == NULL, "key %s", kid);
    json_decref(jwk);
}


int
main(void)
{
    char          command[128];
    es_feed_t     record;
    es_problem_t  problem;

    const char *const  *feed;

    static const char  *const  feeds[] = { "a", "b", "c", "d", NULL };

    if (mkdtemp(dir) == NULL) {
        printf("Bail out! mkdtemp\n");
        return 1;
    }

    (void) snprintf(path, sizeof(path), "%s/encrypted", dir);
    make_key("k1", &key);
    make_key("k2", &other);

    need(es_store_create(dir, &problem), "create");
    need(es_store_open(dir, ES_STORE_PUBLISH, &store, &problem), "open");

    for (feed = feeds; *feed != NULL; feed++) {
        need(es_feed_create(store, es_str(*feed), NULL, &record), *feed);
        publish(*feed, **feed == 'b' ? 1000 : 10);
    }

    reopen();
    test_one();
    test_other();
    test_race();
    test_bound();
    test_prune();
    test_erase();
    test_damage();
    test_refused();

    es_ciphertexts_free(texts);
    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    (void) system(command);

    return done();
}
