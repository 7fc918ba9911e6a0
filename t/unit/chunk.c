/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a chunk says beside its events: the publisher, the form, and erased
 * events.  No program writes another form, so the test does.
 */

#include <stdio.h>
#include <stdlib.h>

#include "event/batch.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "open/open.h"
#include "read/range.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "store/env.h"
#include "tap.h"
#include "verifies.h"

#define DIGEST  "00112233445566778899aabbccddeeff"                             \
                "00112233445566778899aabbccddeeff"
#define EVENTS  12

typedef struct {
    uint8_t  key[ES_EVENT_KEY_LEN];
    MDB_val  value;
    char     bytes[4096];
} record_t;

static char         dir[] = "/tmp/eventsync-chunk-XXXXXX";
static es_store_t  *store;
static es_feed_t    feed;


static es_batch_t *
batch_of(unsigned from, unsigned n, uint32_t partner, uint32_t number)
{
    int           len;
    char          json[256];
    unsigned      i;
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_lit("f"), NULL);
    batch->publisher.partner = partner;
    batch->publisher.key = number;

    for (i = from; i < from + n; i++) {
        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                       "\"id\":\"e%u\",\"source\":\"/s\",\"type\":\"t\","
                       "\"subject\":\"s/%u\",\"data\":\"secret\"}", i, i % 2);
        (void) es_batch_add(batch, json, (size_t) len, &problem);
    }

    return batch;
}


static void
publish(es_batch_t **batches, size_t n)
{
    size_t    i;
    es_txn_t  *txn;

    es_publish(store, batches, n);

    for (i = 0; i < n; i++) {
        if (es_batch_rc(batches[i]) != ES_OK) {
            printf("Bail out! %s\n", es_strerror(es_batch_rc(batches[i])));
            exit(1);
        }

        es_batch_destroy(batches[i]);
    }

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("f"), &feed);
    es_txn_end(txn);
}


/* The chunks as "1-3 by 1/2, ..." */

static es_str_t
publishers(char *out)
{
    char        *p;
    uint64_t     next;
    es_txn_t    *txn;
    es_chunk_t   chunk;

    p = out;
    *p = '\0';
    (void) es_txn_begin(store, &txn);

    for (next = 1; next <= feed.last; next = chunk.last + 1) {
        if (es_chunk_seek(txn->events, feed.number, next, true, &chunk)
            != ES_OK)
        {
            break;
        }

        p += sprintf(p, "%s%llu-%llu by %u/%u", next > 1 ? ", " : "",
                     (unsigned long long) chunk.head->first,
                     (unsigned long long) chunk.last, chunk.head->partner,
                     chunk.head->key);
    }

    es_txn_end(txn);

    return es_str(out);
}


static void
test_publishers(void)
{
    char         text[256];
    es_batch_t  *batches[4];

    batches[0] = batch_of(1, 3, 1, 1);
    batches[1] = batch_of(4, 2, 1, 2);
    batches[2] = batch_of(6, 1, 1, 2);
    batches[3] = batch_of(7, 2, 0, ES_PUBLISHER_DISPATCHER);
    publish(batches, 4);

    batches[0] = batch_of(9, EVENTS - 8, 0, 0);
    batches[0]->publisher = (es_publisher_t) { 0, ES_PUBLISHER_OPERATOR };
    publish(batches, 1);

    is_str(publishers(text), "1-3 by 1/1, 4-6 by 1/2, 7-8 by 0/1, 9-12 by 0/0",
           "a chunk ends where the publisher changes, and nowhere else");
}


/* ---- records as no program of today writes them ---- */


typedef struct {
    record_t  *record;
    bool       put;
} access_t;


static es_rc_t
access_txn(MDB_txn *txn, void *ctx)
{
    int        rc;
    MDB_dbi    dbi;
    MDB_val    key, value;
    access_t  *a = ctx;

    dbi = es_env_dbi(store->log, ES_LOG_EVENTS);
    key.mv_data = a->record->key;
    key.mv_size = sizeof(a->record->key);

    if (a->put) {
        return es_env_rc(mdb_put(txn, dbi, &key, &a->record->value, 0));
    }

    rc = mdb_get(txn, dbi, &key, &value);

    if (rc == 0) {
        memcpy(a->record->bytes, value.mv_data, value.mv_size);
        a->record->value.mv_data = a->record->bytes;
        a->record->value.mv_size = value.mv_size;
    }

    return es_env_rc(rc);
}


static void
take(record_t *record, uint64_t last)
{
    access_t  a = { record, false };

    es_event_key(feed.number, last, record->key);

    if (es_env_update(store->log, access_txn, &a) != ES_OK) {
        printf("Bail out! no record\n");
        exit(1);
    }
}


static void
put(record_t *record)
{
    access_t          a = { record, true };
    es_chunk_head_t  *head;

    head = record->value.mv_data;
    head->hash = es_chunk_hash(feed.number, es_event_key_last(record->key),
                               head, record->value.mv_size);

    ok(es_env_update(store->log, access_txn, &a) == ES_OK, "a record is put");
}


/* Changes the record of the events up to `last` by `change`, and restores
   it. */

static void
fault(uint64_t last, void (*change)(record_t *record, es_chunk_head_t *head),
    const char *faults, const char *name)
{
    record_t  good, bad;

    take(&good, last);
    take(&bad, last);
    change(&bad, bad.value.mv_data);
    put(&bad);
    verifies(store, faults, name);
    put(&good);
}


static void
other_partner(record_t *record, es_chunk_head_t *head)
{
    (void) record;
    head->partner = 7;
}


static void
other_key(record_t *record, es_chunk_head_t *head)
{
    (void) record;
    head->key = 7;
}


static void
no_key(record_t *record, es_chunk_head_t *head)
{
    (void) record;
    head->key = 0;
}


static void
other_form(record_t *record, es_chunk_head_t *head)
{
    (void) record;
    head->form = 2;
}


static es_entry_t *
entries_of(es_chunk_head_t *head)
{
    return (es_entry_t *) ((char *) (head + 1)
                           + head->count * sizeof(uint32_t));
}


static void
flagged(record_t *record, es_chunk_head_t *head)
{
    (void) record;
    entries_of(head)[1].flags = 2;
}


static void
erased_without(record_t *record, es_chunk_head_t *head)
{
    (void) record;
    entries_of(head)[1].flags = ES_ENTRY_ERASED;
}


static void
test_faults(void)
{
    verifies(store, "", "publishers that there are");

    fault(3, other_partner, "feed f: the record of events 1 to 3 names a "
          "publisher that there never was: key 1 of partner 7",
          "a partner that there never was");
    fault(6, other_key, "feed f: the record of events 4 to 6 names a "
          "publisher that there never was: key 7 of partner 1",
          "a key that there never was");
    fault(6, no_key, "", "a partner without a key: an issuer's token");
    fault(8, other_key, "feed f: the record of events 7 to 8 names a publisher "
          "that there never was: key 7 of partner 0", "another program");
    fault(6, other_form, "feed f: the record of event 4 has the form 2, which this "
          "program does not know\nfeed number 1: the type index has an entry for "
          "a missing event 4", "another form");
    fault(6, flagged, "feed f: event 5 has the flags 0x2, of which this "
          "program knows 0x1\nfeed f: event 7 has a wrong subject link to event "
          "5\nfeed f: the digest chain is broken before event 7\nfeed f: event "
          "11 has a wrong subject link to event 5", "another flag");
    fault(6, erased_without, "feed f: the record of events 4 to 6 has 1 erased "
          "events, but the digests of 0\nfeed f: the digest chain is broken "
          "before event 7", "an erased event without its digest");

    verifies(store, "", "all is restored");
}


/* Nobody reads what he does not know. */

static void
test_form(void)
{
    record_t   good, bad;
    es_txn_t  *txn;
    es_page_t  page = { 0 };

    take(&good, 6);
    take(&bad, 6);
    other_form(&bad, bad.value.mv_data);
    put(&bad);

    (void) es_txn_begin(store, &txn);
    is_int(es_page_read(txn, &feed, 0, es_null_str, 100, 1 << 20, NULL, NULL,
                        &page),
           ES_CORRUPT, "a page with a chunk of another form is refused");
    es_txn_end(txn);
    es_page_free(&page);
    put(&good);
}


/* ---- an erased event ---- */


/* Replaces the text of the event `i` of a record by a tombstone. */

static void
erase(const record_t *from, uint32_t i, record_t *to)
{
    char             *p;
    size_t            start, len;
    int               n;
    uint32_t          j;
    es_entry_t       *entries;
    es_chunk_t        chunk;
    es_erased_t       erased;
    es_chunk_head_t  *head;

    static const char  tail[] = ",\"data\":null}";

    memcpy(to->key, from->key, sizeof(to->key));
    (void) es_chunk_decode(feed.number, from->key, &from->value, true, &chunk);

    head = (es_chunk_head_t *) to->bytes;
    memcpy(head, chunk.head, chunk.head->body);
    head->nerased = 1;
    head->body += sizeof(erased);
    entries = entries_of(head);

    start = i == 0 ? 0 : chunk.entries[i - 1].end + 1;
    erased.len = (uint32_t) (chunk.entries[i].end - start);
    es_digest_event(chunk.body + start, erased.len, erased.digest);
    memcpy(entries + head->count, &erased, sizeof(erased));

    /* the id becomes "gone", and subject and data go */

    p = to->bytes + head->body;
    memcpy(p, chunk.body, start);
    p += start;
    n = sprintf(p, "{\"specversion\":\"1.0\",\"id\":\"gone\",\"source\":\"/s\","
                "\"type\":\"t\",\"feed\":\"f\"");
    entries[i].mid = (uint32_t) n;
    entries[i].id_len = 4;
    entries[i].ident_len = (uint16_t) (strstr(p, ",\"type") - p);
    entries[i].type_off = (uint16_t) (strstr(p, "\"t\"") + 1 - p);
    entries[i].subject_off = 0;
    entries[i].subject_len = 0;
    entries[i].subject_hash = 0;
    entries[i].time_off = 0;
    entries[i].flags = ES_ENTRY_ERASED;
    len = (size_t) (es_mid_print(feed.epoch, feed.epoch, head->first + i,
                                 p + n) - p);
    memcpy(p + len, tail, sizeof(tail) - 1);
    len += sizeof(tail) - 1;
    entries[i].hash = es_event_hash(p, len);
    memcpy(p + len, chunk.body + start + erased.len,
           chunk.size - head->body + sizeof(erased) - start - erased.len);

    for (j = i; j < head->count; j++) {
        entries[j].end += (uint32_t) len - erased.len;
    }

    to->value.mv_data = to->bytes;
    to->value.mv_size = head->body + entries[head->count - 1].end;
}


static bool
ranges(es_txn_t *txn, uint8_t digests[][ES_CHAIN_LEN], uint64_t *bytes)
{
    bool      same;
    uint8_t   digest[ES_CHAIN_LEN];
    uint64_t  n, total;

    for (n = 0, same = true; n <= EVENTS; n++) {
        same &= es_range_digest(txn, &feed, n, digest) == ES_OK
                && es_range_bytes(txn, &feed, 0, n, &total) == ES_OK;

        if (bytes[n] == UINT64_MAX) {
            bytes[n] = total;
            memcpy(digests[n], digest, ES_CHAIN_LEN);
        }

        same &= total == bytes[n]
                && memcmp(digest, digests[n], ES_CHAIN_LEN) == 0;
    }

    return same;
}


static void
other_digest(record_t *record, es_chunk_head_t *head)
{
    (void) record;
    ((es_erased_t *) (entries_of(head) + head->count))->digest[31] ^= 1;
}


static void
test_erased(void)
{
    char       *text;
    uint8_t     digests[EVENTS + 1][ES_CHAIN_LEN];
    uint64_t    bytes[EVENTS + 1];
    record_t    whole, gone, twice;
    es_txn_t   *txn;
    es_page_t   page = { 0 };
    es_event_t  event;

    memset(bytes, 0xff, sizeof(bytes));
    (void) es_txn_begin(store, &txn);
    (void) ranges(txn, digests, bytes);
    es_txn_end(txn);

    take(&whole, 6);
    erase(&whole, 1, &gone);
    put(&gone);
    verifies(store, "", "an erased event is no fault");

    (void) es_txn_begin(store, &txn);
    ok(ranges(txn, digests, bytes),
       "digests and byte counts are those of the events as published");
    is_int(es_page_read(txn, &feed, 3, es_null_str, 3, 1 << 20, NULL, NULL,
                        &page),
           ES_OK, "a page with the tombstone is read");
    text = calloc(1, page.bytes + 1);
    (void) es_page_copy(&page, text);
    ok(strstr(text, "\"id\":\"e4\"") && strstr(text, "\"id\":\"gone\"")
       && strstr(text, "\"id\":\"e6\"") && !strstr(text, "\"id\":\"e5\""),
       "it has the tombstone in the event's place");
    free(text);
    es_page_free(&page);
    is_int(es_event_get(txn, &feed, 5, &event), ES_OK, "it is found alone");
    is_str(event.id, "gone", "with an id of its own");
    ok(event.after.len == sizeof("\",\"data\":null}") - 1, "and its parts");
    es_txn_end(txn);

    fault(6, other_digest, "feed f: the digest chain is broken before event 7",
          "another digest");

    take(&gone, 12);
    erase(&gone, 1, &twice);
    put(&twice);
    verifies(store, "", "so is a second one");
    (void) es_txn_begin(store, &txn);
    ok(ranges(txn, digests, bytes), "digests and byte counts stay");
    es_txn_end(txn);
}


int
main(void)
{
    char          command[64];
    es_problem_t  problem;

    (void) mkdtemp(dir);

    if (es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH | ES_STORE_ADMIN, &store,
                         &problem) != ES_OK
        || es_feed_create(store, es_lit("f"), NULL, NULL) != ES_OK
        || es_registry_create(store, ES_KIND_PARTNER, es_lit("acme"),
                              "{\"publish\":[\"f\"]}", &problem) != ES_OK
        || es_registry_create(store, ES_KIND_KEY, es_lit("aaaaaaaaaa"),
                              "{\"partner\":\"acme\",\"digest\":\"" DIGEST
                              "\",\"scopes\":[\"publish\"]}", &problem)
           != ES_OK
        || es_registry_create(store, ES_KIND_KEY, es_lit("bbbbbbbbbb"),
                              "{\"partner\":\"acme\",\"digest\":\"" DIGEST
                              "\",\"scopes\":[\"publish\"]}", &problem)
           != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    test_publishers();
    test_faults();
    test_form();
    test_erased();

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
