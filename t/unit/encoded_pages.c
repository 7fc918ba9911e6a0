/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The store of encoded pages: a page is found only while it is valid, the size
 * is bounded, and a page is removed when retention or a reset deletes its
 * events.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "log/chunk.h"
#include "log/erased.h"
#include "log/feed.h"
#include "open/open.h"
#include "read/encoded_pages.h"
#include "tap.h"

#define SIZE  (UINT64_C(1) << 20)

static char          dir[] = "/tmp/eventsync-pages-XXXXXX";
static es_store_t   *store;
static es_encoded_pages_t   *pages;


static void
need(es_rc_t rc, const char *what)
{
    if (rc != ES_OK) {
        printf("Bail out! %s: %s\n", what, es_strerror(rc));
        exit(1);
    }
}


static void
reopen(uint64_t size)
{
    es_problem_t  problem;

    es_encoded_close(pages);
    need(es_encoded_open(store, size, &pages, &problem), "pages");
}


static void
publish(const char *feed, unsigned from, unsigned n)
{
    int            len;
    char           json[256];
    unsigned       i;
    es_batch_t    *batch;
    es_problem_t   problem;

    batch = es_batch_create(es_str(feed), NULL);

    for (i = from; i < from + n; i++) {
        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                       "\"id\":\"e%u\",\"source\":\"/s\",\"type\":\"t\","
                       "\"data\":{\"n\":%u}}", i, i);
        need(es_batch_add(batch, json, (size_t) len, &problem), "add");
    }

    es_publish(store, &batch, 1);
    need(es_batch_rc(batch), "publish");
    es_batch_destroy(batch);
}


static es_feed_t
feed_of(const char *name)
{
    es_txn_t   *txn;
    es_feed_t   feed;

    need(es_txn_begin(store, &txn), "txn");
    need(es_feed_get(txn, es_str(name), &feed), "feed");
    es_txn_end(txn);

    return feed;
}


static es_encoded_key_t
key_of(const char *name, uint64_t page, es_encoding_t encoding)
{
    es_feed_t         feed;
    es_encoded_key_t  key;

    feed = feed_of(name);

    memset(&key, 0, sizeof(key));
    key.feed = feed.number;
    memcpy(key.epoch, feed.epoch, sizeof(key.epoch));
    key.page = page;
    key.encoding = encoding;
    key.source = 42;

    return key;
}


static es_rc_t
get(es_encoded_key_t key)
{
    es_rc_t   rc;
    es_buf_t  out;

    memset(&out, 0, sizeof(out));
    rc = es_encoded_get(pages, &key, &out);
    es_buf_free(&out);

    return rc;
}


/* Bytes that do not get smaller. */
static es_str_t
noise(char *data, size_t len, unsigned seed)
{
    size_t    i;
    uint64_t  v;

    v = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

    for (i = 0; i < len; i++) {
        v ^= v << 13;
        v ^= v >> 7;
        v ^= v << 17;
        data[i] = (char) v;
    }

    return (es_str_t) { data, len };
}


static void
make(es_encoded_key_t key, es_str_t in, es_buf_t *out)
{
    es_encoded_item_t  item;

    memset(&item, 0, sizeof(item));
    item.key = key;
    item.in = in;

    is_int(es_encoded_make(pages, &item, 1), ES_OK, "made");
    need(item.rc, "item");

    if (out != NULL) {
        *out = item.out;
    } else {
        es_buf_free(&item.out);
    }
}


static void
test_encoders(void)
{
    char           text[3000], back[3000], name[64];
    uLong          n;
    es_buf_t       out, again;
    z_stream       z;
    unsigned       i;
    es_encoding_t  encoding;

    for (i = 0; i < sizeof(text); i++) {
        text[i] = "event"[i % 5];
    }

    memset(&out, 0, sizeof(out));
    memset(&again, 0, sizeof(again));

    for (encoding = ES_ENCODING_BR; encoding < ES_ENCODING_IDENTITY;
         encoding++)
    {
        out.len = 0;
        again.len = 0;
        need(es_encode(encoding, (es_str_t) { text, sizeof(text) }, &out),
             "encode");
        need(es_encode(encoding, (es_str_t) { text, sizeof(text) }, &again),
             "encode");
        ok(out.len < 100, "%s: smaller", es_encoding_names[encoding].data);
        ok(out.len == again.len && memcmp(out.data, again.data, out.len) == 0,
           "%s: the same again", es_encoding_names[encoding].data);

        if (encoding == ES_ENCODING_ZSTD) {
            n = ZSTD_decompress(back, sizeof(back), out.data, out.len);
            ok(n == sizeof(text) && memcmp(text, back, n) == 0, "zstd: back");
        }

        if (encoding == ES_ENCODING_GZIP) {
            memset(&z, 0, sizeof(z));
            (void) inflateInit2(&z, 15 + 16);
            z.next_in = (Bytef *) out.data;
            z.avail_in = (uInt) out.len;
            z.next_out = (Bytef *) back;
            z.avail_out = sizeof(back);
            ok(inflate(&z, Z_FINISH) == Z_STREAM_END
               && memcmp(text, back, sizeof(text)) == 0, "gzip: back");
            (void) inflateEnd(&z);
        }
    }

    is_int(es_encode(ES_ENCODING_IDENTITY, es_lit("x"), &out), ES_INVALID,
           "identity is not for encoding");
    is_str(es_encoding_maker(ES_ENCODING_IDENTITY, name, 5), "iden",
           "a maker's name is cut");

    es_buf_free(&out);
    es_buf_free(&again);
}


/* Parts of an entry, as long as it is the one that was verified. */
static void
test_parts(void)
{
    char              in[20000], part[21000];
    size_t            at, n;
    bool              good;
    es_buf_t          out, again;
    uint64_t          hash, other;
    es_encoded_key_t  key;

    key = key_of("a", 9, ES_ENCODING_GZIP);
    hash = 0;
    is_int(es_encoded_part(pages, &key, &hash, 0, part, 1), ES_NOT_FOUND,
           "no part of nothing");

    make(key, noise(in, sizeof(in), 17), &out);

    hash = 0;
    is_int(es_encoded_part(pages, &key, &hash, 0, NULL, 0), ES_OK,
           "verified");
    ok(hash != 0, "its hash");

    good = true;

    for (at = 0; at < out.len; at += n) {
        n = out.len - at < 777 ? out.len - at : 777;
        good &= es_encoded_part(pages, &key, &hash, at, part + at, n) == ES_OK;
    }

    ok(good && memcmp(part, out.data, out.len) == 0, "all of its parts");

    is_int(es_encoded_part(pages, &key, &hash, out.len, part, 1),
           ES_NOT_FOUND, "nothing behind it");
    is_int(es_encoded_part(pages, &key, &hash, out.len + 1, part, 0),
           ES_NOT_FOUND, "nor beyond");
    is_int(es_encoded_part(pages, &key, &hash, 1, part, out.len),
           ES_NOT_FOUND, "nor partly");

    other = hash + 1;
    is_int(es_encoded_part(pages, &key, &other, 0, part, 1), ES_NOT_FOUND,
           "not that entry");

    key.source = 43;
    make(key, noise(in, sizeof(in), 18), &again);
    is_int(es_encoded_part(pages, &key, &hash, 0, part, 1), ES_NOT_FOUND,
           "another entry has taken its place");

    es_buf_free(&out);
    es_buf_free(&again);
}


static void
test_kept(void)
{
    es_buf_t          one, two;
    es_encoded_key_t  key, other;

    key = key_of("a", 1, ES_ENCODING_GZIP);
    is_int(get(key), ES_NOT_FOUND, "nothing yet");
    make(key, es_lit("some text"), &one);
    is_int(get(key), ES_OK, "kept");

    /* What is there is not made again: other input does not matter. */

    make(key, es_lit("other text"), &two);
    ok(one.len == two.len && memcmp(one.data, two.data, one.len) == 0,
       "not made twice");
    es_buf_free(&two);

    reopen(SIZE);
    is_int(get(key), ES_OK, "kept on disk");

    other = key;
    other.encoding = ES_ENCODING_BR;
    is_int(get(other), ES_NOT_FOUND, "another encoding");
    other = key;
    other.page = 2;
    is_int(get(other), ES_NOT_FOUND, "another page");
    other = key;
    other.epoch[0] ^= 1;
    is_int(get(other), ES_NOT_FOUND, "another epoch");
    other = key;
    other.source++;
    is_int(get(other), ES_NOT_FOUND, "of other events, or another encoder");

    make(other, es_lit("other text"), &two);
    is_int(get(other), ES_OK, "takes its place");
    is_int(get(key), ES_NOT_FOUND, "of which there is one only");

    es_buf_free(&one);
    es_buf_free(&two);
}


/* A process that has the writer lock until it is killed. */

static pid_t
hold_writer(void)
{
    int       fds[2];
    char      path[64], byte;
    pid_t     pid;
    MDB_env  *env;
    MDB_txn  *txn;

    (void) pipe(fds);
    pid = fork();

    if (pid == 0) {
        (void) snprintf(path, sizeof(path), "%s/pages", dir);

        if (mdb_env_create(&env) == 0
            && mdb_env_open(env, path, MDB_NOTLS, 0600) == 0
            && mdb_txn_begin(env, NULL, 0, &txn) == 0
            && write(fds[1], "x", 1) == 1)
        {
            (void) pause();
        }

        _exit(1);
    }

    (void) close(fds[1]);

    if (read(fds[0], &byte, 1) != 1) {
        need(ES_IO, "no writer");
    }

    (void) close(fds[0]);

    return pid;
}


static void
test_held(void)
{
    pid_t             pid;
    es_buf_t          one, two;
    es_encoded_key_t  key;

    key = key_of("a", 1, ES_ENCODING_ZSTD);
    make(key, es_lit("some text"), &one);

    pid = hold_writer();
    (void) alarm(20);

    make(key, es_lit("some text"), &two);
    ok(one.len == two.len && memcmp(one.data, two.data, one.len) == 0,
       "what is kept waits for nobody who encodes");

    (void) alarm(0);
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);

    es_buf_free(&one);
    es_buf_free(&two);
}


static void
test_source(void)
{
    es_txn_t   *txn;
    es_feed_t   feed;
    es_page_t   one, two;

    memset(&one, 0, sizeof(one));
    memset(&two, 0, sizeof(two));

    need(es_txn_begin(store, &txn), "txn");
    need(es_feed_get(txn, es_lit("a"), &feed), "feed");
    need(es_page_read(txn, &feed, 0, es_null_str, 100, SIZE, NULL, NULL, &one),
         "page");
    need(es_page_read(txn, &feed, 100, es_null_str, 100, SIZE, NULL, NULL, &two),
         "page");

    ok(es_encoded_source(&one, ES_ENCODING_GZIP)
       == es_encoded_source(&one, ES_ENCODING_GZIP), "a source is what it is");
    ok(es_encoded_source(&one, ES_ENCODING_GZIP)
       != es_encoded_source(&two, ES_ENCODING_GZIP), "of these events");
    ok(es_encoded_source(&one, ES_ENCODING_GZIP)
       != es_encoded_source(&one, ES_ENCODING_BR), "by this encoder");

    es_txn_end(txn);
    es_page_free(&one);
    es_page_free(&two);
}


static void
test_bound(void)
{
    char              data[100000], file[128];
    unsigned          i, kept;
    struct stat       st;
    es_encoded_key_t  key;

    for (i = 1; i <= 30; i++) {
        make(key_of("b", i, ES_ENCODING_ZSTD), noise(data, sizeof(data), i),
             NULL);
    }

    kept = 0;

    for (i = 1; i <= 30; i++) {
        kept += get(key_of("b", i, ES_ENCODING_ZSTD)) == ES_OK;
    }

    is_int(kept, 10, "as many as there is room for");
    is_int(get(key_of("b", 30, ES_ENCODING_ZSTD)), ES_OK, "the youngest");
    is_int(get(key_of("b", 20, ES_ENCODING_ZSTD)), ES_NOT_FOUND,
           "not the oldest");

    (void) snprintf(file, sizeof(file), "%s/pages/data.mdb", dir);
    ok(stat(file, &st) == 0 && st.st_size < (off_t) (3 * SIZE),
       "the file is bounded");

    key = key_of("b", 31, ES_ENCODING_ZSTD);
    reopen(65536);
    make(key, noise(data, sizeof(data), 31), NULL);
    is_int(get(key), ES_NOT_FOUND, "larger than all: made, not kept");
    reopen(SIZE);
}


static void
test_prune(void)
{
    es_feed_t  feed;

    make(key_of("a", 1, ES_ENCODING_BR), es_lit("a1"), NULL);
    make(key_of("a", 2, ES_ENCODING_BR), es_lit("a2"), NULL);
    make(key_of("b", 1, ES_ENCODING_BR), es_lit("b1"), NULL);

    is_int(es_encoded_prune(pages, store), ES_OK, "nothing to prune");
    is_int(get(key_of("a", 1, ES_ENCODING_BR)), ES_OK, "still there");

    need(es_feed_trim(store, es_lit("a"), 101), "trim");
    need(es_encoded_prune(pages, store), "prune");
    is_int(get(key_of("a", 1, ES_ENCODING_BR)), ES_NOT_FOUND, "trimmed");
    is_int(get(key_of("a", 2, ES_ENCODING_BR)), ES_OK, "not trimmed");

    need(es_feed_trim(store, es_lit("a"), 102), "trim");
    need(es_encoded_prune(pages, store), "prune");
    is_int(get(key_of("a", 2, ES_ENCODING_BR)), ES_NOT_FOUND,
           "trimmed by an event");

    {
        es_encoded_key_t  reset, removed;

        reset = key_of("b", 1, ES_ENCODING_BR);
        need(es_feed_reset(store, es_lit("b"), &feed), "reset");
        make(key_of("c", 1, ES_ENCODING_BR), es_lit("c1"), NULL);
        removed = key_of("c", 1, ES_ENCODING_BR);
        need(es_feed_remove(store, es_lit("c")), "remove");
        need(es_encoded_prune(pages, store), "prune");
        is_int(get(reset), ES_NOT_FOUND, "of another epoch");
        is_int(get(removed), ES_NOT_FOUND, "of no feed");
    }
}


static void
test_damage(void)
{
    char              file[128], data[4096];
    FILE             *f;
    long              at;
    size_t            i;
    es_encoded_key_t  key;

    key = key_of("b", 7, ES_ENCODING_ZSTD);
    (void) noise(data, sizeof(data), 7);
    make(key, (es_str_t) { data, sizeof(data) }, NULL);
    is_int(get(key), ES_OK, "before");

    es_encoded_close(pages);
    pages = NULL;

    (void) snprintf(file, sizeof(file), "%s/pages/data.mdb", dir);
    f = fopen(file, "r+");
    if (f == NULL) {
        printf("Bail out! no %s\n", file);
        exit(1);
    }

    /* Incompressible bytes stand as they are. */

    for (at = 0; ; at += 4096) {
        char  page[8192];

        if (fseek(f, at, SEEK_SET) != 0
            || fread(page, 1, sizeof(page), f) != sizeof(page))
        {
            at = -1;
            break;
        }

        for (i = 0; i < 4096 && memcmp(page + i, data, 64) != 0; i++) { }

        if (i < 4096) {
            at += (long) i;
            break;
        }
    }

    if (ok(at >= 0, "found on disk")) {
        (void) fseek(f, at + 10, SEEK_SET);
        (void) fputc(data[10] ^ 1, f);
    }

    (void) fclose(f);

    reopen(SIZE);
    is_int(get(key), ES_NOT_FOUND, "a bit that flipped is found out");
    make(key, (es_str_t) { data, sizeof(data) }, NULL);
    is_int(get(key), ES_OK, "and made anew");
}


/* A page that was read before an erasure is sent, but not stored. */

static es_rc_t
erase(MDB_txn *txn, void *ctx)
{
    es_erasure_t   erasure = { .sequence = 1 };
    es_erasures_t  erasures;

    (void) ctx;
    need(es_erasures_load(store, txn, &erasures), "erasures");

    return es_erasure_put(store, txn, &erasures, &erasure, NULL);
}


static void
test_erased(void)
{
    es_encoded_item_t  item;

    memset(&item, 0, sizeof(item));
    item.key = key_of("a", 4, ES_ENCODING_GZIP);
    item.in = es_lit("text");

    need(es_env_update(store->log, erase, NULL), "erase");

    is_int(es_encoded_make(pages, &item, 1), ES_OK, "read before an erasure");
    ok(item.rc == ES_OK && item.out.len > 0, "it is encoded");
    is_int(get(item.key), ES_NOT_FOUND, "and not stored");
    es_buf_free(&item.out);

    item.erased = 1;
    is_int(es_encoded_make(pages, &item, 1), ES_OK, "read after it");
    is_int(get(item.key), ES_OK, "it is stored");
    es_buf_free(&item.out);
}


static void
test_without(void)
{
    es_encoded_item_t  item;

    memset(&item, 0, sizeof(item));
    item.key = key_of("a", 3, ES_ENCODING_GZIP);
    item.in = es_lit("text");

    is_int(es_encoded_make(NULL, &item, 1), ES_OK, "nowhere to keep");
    ok(item.rc == ES_OK && item.out.len > 0, "but made");
    es_buf_free(&item.out);
}


int
main(void)
{
    char          command[64];
    unsigned      i;
    const char   *names[] = { "a", "b", "c" };
    es_feed_t     feed;
    es_problem_t  problem;

    if (mkdtemp(dir) == NULL) {
        printf("Bail out! mkdtemp\n");
        return 1;
    }

    need(es_store_create(dir, &problem), "create");
    need(es_store_open(dir, ES_STORE_PUBLISH, &store, &problem), "open");

    for (i = 0; i < 3; i++) {
        need(es_feed_create(store, es_str(names[i]), NULL, &feed), "feed");
    }

    publish("a", 0, 300);
    reopen(SIZE);

    test_encoders();
    test_kept();
    test_held();
    test_source();
    test_bound();
    test_parts();
    test_prune();
    test_damage();
    test_without();
    test_erased();

    es_encoded_close(pages);
    es_store_close(store);

    (void) snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    (void) system(command);

    return done();
}
