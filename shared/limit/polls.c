/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sets of eight records.  A record's key is the partner's number and the
 * feed's; 0 is a free record.
 *
 * Every word is atomic by itself, and no order between words matters: a reader
 * may see an epoch with the position of another, which its feed does not have,
 * until the next request.
 */

#include <stdatomic.h>
#include <string.h>

#include "base/fresh.h"
#include "limit/polls.h"

#define ES_POLLS_WAYS   8
#define ES_POLLS_ALL    UINT32_MAX     /* no partner has this number */
#define ES_POLLS_EPOCH  2      /* words */

/* nginx's status of a request whose client has left */
#define ES_POLLS_LEFT   499

#define es_polls_load(word)                                                   \
    atomic_load_explicit(word, memory_order_relaxed)
#define es_polls_store(word, value)                                           \
    atomic_store_explicit(word, value, memory_order_relaxed)
#define es_polls_add(word, n)                                                 \
    (void) atomic_fetch_add_explicit(word, n, memory_order_relaxed)

typedef struct {
    _Alignas(64)
    _Atomic uint64_t  key;
    _Atomic int64_t   since_ms;
    _Atomic int64_t   last_ms;
    _Atomic uint64_t  epoch[ES_POLLS_EPOCH];
    _Atomic uint64_t  position;
    _Atomic uint64_t  requests[ES_POLL_CHANNELS];
    _Atomic uint64_t  events[ES_POLL_CHANNELS];
    _Atomic uint64_t  empty[ES_POLL_CHANNELS];
    _Atomic uint64_t  batches;
    _Atomic uint64_t  refused;
    _Atomic uint64_t  classes[ES_POLL_CLASSES];
    _Atomic uint64_t  fresh[ES_FRESH_VERDICTS];
    _Atomic uint64_t  worst_ms;
} es_polls_record_t;

struct es_polls_s {
    uint64_t           nsets;
    _Atomic uint64_t   evicted;
    es_polls_record_t  records[];
};

_Static_assert(ES_EPOCH_MAX + 1 == ES_POLLS_EPOCH * sizeof(uint64_t),
               "an epoch fills its words");


size_t
es_polls_size(size_t sets)
{
    return sizeof(es_polls_t)
           + sets * ES_POLLS_WAYS * sizeof(es_polls_record_t);
}


void
es_polls_init(es_polls_t *polls, size_t sets)
{
    polls->nsets = sets;
}


static uint64_t
es_polls_key(uint32_t partner, uint32_t feed)
{
    return (uint64_t) partner << 32 | feed;
}


static es_polls_record_t *
es_polls_set(const es_polls_t *polls, uint64_t key)
{
    uint64_t  hash;

    hash = key * UINT64_C(0x9e3779b97f4a7c15) >> 32;

    return (es_polls_record_t *) (uintptr_t)
           &polls->records[hash % polls->nsets * ES_POLLS_WAYS];
}


/* The first record of the pair counts. */

static es_polls_record_t *
es_polls_find(const es_polls_t *polls, uint64_t key)
{
    unsigned            i;
    es_polls_record_t  *set;

    set = es_polls_set(polls, key);

    for (i = 0; i < ES_POLLS_WAYS; i++) {
        if (es_polls_load(&set[i].key) == key) {
            return &set[i];
        }
    }

    return NULL;
}


static es_polls_record_t *
es_polls_oldest(const es_polls_t *polls, uint64_t key)
{
    int64_t             oldest, last;
    unsigned            i;
    es_polls_record_t  *set, *record;

    set = es_polls_set(polls, key);
    record = set;
    oldest = INT64_MAX;

    for (i = 0; i < ES_POLLS_WAYS; i++) {
        last = es_polls_load(&set[i].key) == 0
               ? INT64_MIN : es_polls_load(&set[i].last_ms);

        if (last < oldest) {
            oldest = last;
            record = &set[i];
        }
    }

    return record;
}


/* All words but the key. */

static void
es_polls_clear(es_polls_record_t *record, int64_t now_ms)
{
    size_t             i;
    _Atomic uint64_t  *words;

    words = (_Atomic uint64_t *) record;

    for (i = 1; i < sizeof(*record) / sizeof(uint64_t); i++) {
        es_polls_store(&words[i], 0);
    }

    es_polls_store(&record->since_ms, now_ms);
    es_polls_store(&record->last_ms, now_ms);
}


/* Makes a record for the pair.  NULL: another process has taken it. */

static es_polls_record_t *
es_polls_claim(es_polls_t *polls, uint64_t key, int64_t now_ms)
{
    uint64_t            old;
    es_polls_record_t  *record, *first;

    record = es_polls_oldest(polls, key);
    old = es_polls_load(&record->key);

    if (old == key
        || !atomic_compare_exchange_strong(&record->key, &old, key))
    {
        return NULL;
    }

    es_polls_clear(record, now_ms);

    if (old != 0) {
        es_polls_add(&polls->evicted, 1);
    }

    /* Another process may have made a record of the same pair meanwhile. */

    first = es_polls_find(polls, key);

    if (first != NULL && first != record) {
        es_polls_store(&record->key, 0);
        return first;
    }

    return record;
}


/* Stores the greater value, and returns the one that it replaced. */

static uint64_t
es_polls_raise(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t  old;

    old = es_polls_load(word);

    while (old < value
           && !atomic_compare_exchange_weak(word, &old, value))
    {
        /* void */
    }

    return old;
}


/* Returns the furthest position so far in the epoch; 0: none. */

static uint64_t
es_polls_position(es_polls_record_t *record, const es_poll_t *poll)
{
    bool      same;
    uint64_t  epoch[ES_POLLS_EPOCH] = { 0 };
    unsigned  i;

    memcpy(epoch, poll->epoch, strnlen(poll->epoch, ES_EPOCH_MAX));
    same = true;

    for (i = 0; i < ES_POLLS_EPOCH; i++) {
        same = same && es_polls_load(&record->epoch[i]) == epoch[i];
    }

    if (!same) {
        for (i = 0; i < ES_POLLS_EPOCH; i++) {
            es_polls_store(&record->epoch[i], epoch[i]);
        }

        es_polls_store(&record->position, poll->position);
        return 0;
    }

    return es_polls_raise(&record->position, poll->position);
}


static es_poll_class_t
es_polls_class(unsigned status)
{
    return status < 200 || status == ES_POLLS_LEFT ? ES_POLL_NONE
           : status < 300 ? ES_POLL_2XX
           : status < 400 ? ES_POLL_3XX
           : status < 500 ? ES_POLL_4XX : ES_POLL_5XX;
}


static void
es_polls_answer(es_polls_record_t *record, const es_poll_t *poll)
{
    es_poll_class_t  class;

    class = es_polls_class(poll->status);

    es_polls_add(&record->requests[poll->channel], 1);
    es_polls_add(&record->classes[class], 1);

    if (poll->status == 429) {
        es_polls_add(&record->refused, 1);
    }

    if (class == ES_POLL_2XX && poll->events == 0
        && poll->channel != ES_POLL_STREAM)
    {
        es_polls_add(&record->empty[poll->channel], 1);
    }
}


static es_polls_record_t *
es_polls_record(es_polls_t *polls, uint32_t partner, const es_poll_t *poll)
{
    uint64_t            key;
    es_polls_record_t  *record;

    key = es_polls_key(partner, poll->feed);
    record = es_polls_find(polls, key);

    while (record == NULL) {
        record = es_polls_claim(polls, key, poll->now_ms);
        record = record != NULL ? record : es_polls_find(polls, key);
    }

    es_polls_store(&record->last_ms, poll->now_ms);

    return record;
}


static void
es_polls_judged(es_polls_record_t *record, es_fresh_verdict_t verdict,
    int64_t age_ms)
{
    es_polls_add(&record->fresh[verdict], 1);

    if (verdict != ES_FRESH_EXCUSED && age_ms > 0) {
        (void) es_polls_raise(&record->worst_ms, (uint64_t) age_ms);
    }
}


/* An event may have been committed after its reader asked, or before. */

static void
es_polls_judge(es_polls_t *polls, es_polls_record_t *record,
    const es_poll_t *poll)
{
    int64_t              since_ms, age_ms;
    es_fresh_verdict_t   verdict;

    since_ms = poll->asked_ms > poll->first_ms ? poll->asked_ms
                                               : poll->first_ms;
    age_ms = poll->answered_ms - poll->first_ms;
    verdict = es_fresh_judge(poll->within_ms, age_ms,
                             poll->answered_ms - since_ms);

    es_polls_judged(record, verdict, age_ms);
    es_polls_judged(es_polls_record(polls, ES_POLLS_ALL, poll), verdict,
                    age_ms);
}


void
es_polls_count(es_polls_t *polls, const es_poll_t *poll)
{
    uint64_t            before;
    es_polls_record_t  *record;

    record = es_polls_record(polls, poll->partner, poll);

    if (!poll->piece) {
        es_polls_answer(record, poll);
    }

    if (poll->events != 0) {
        es_polls_add(&record->events[poll->channel], poll->events);
        es_polls_add(&record->batches, 1);
    }

    if (poll->epoch == NULL) {
        return;
    }

    before = es_polls_position(record, poll);

    if (poll->events != 0 && poll->within_ms != 0 && poll->first > before) {
        es_polls_judge(polls, record, poll);
    }
}


static void
es_polls_copy(const es_polls_record_t *record, uint64_t key,
    es_poll_figures_t *figures)
{
    uint64_t  epoch[ES_POLLS_EPOCH];
    unsigned  i;

    memset(figures, 0, sizeof(*figures));

    figures->partner = (uint32_t) (key >> 32);
    figures->feed = (uint32_t) key;
    figures->since_ms = es_polls_load(&record->since_ms);
    figures->last_ms = es_polls_load(&record->last_ms);
    figures->position = es_polls_load(&record->position);
    figures->batches = es_polls_load(&record->batches);
    figures->refused = es_polls_load(&record->refused);

    for (i = 0; i < ES_POLLS_EPOCH; i++) {
        epoch[i] = es_polls_load(&record->epoch[i]);
    }

    memcpy(figures->epoch, epoch, ES_EPOCH_MAX);

    for (i = 0; i < ES_POLL_CHANNELS; i++) {
        figures->requests[i] = es_polls_load(&record->requests[i]);
        figures->events[i] = es_polls_load(&record->events[i]);
        figures->empty[i] = es_polls_load(&record->empty[i]);
    }

    for (i = 0; i < ES_POLL_CLASSES; i++) {
        figures->classes[i] = es_polls_load(&record->classes[i]);
    }

    for (i = 0; i < ES_FRESH_VERDICTS; i++) {
        figures->fresh.counts[i] = es_polls_load(&record->fresh[i]);
    }

    figures->fresh.worst_ms = es_polls_load(&record->worst_ms);
}


bool
es_polls_get(const es_polls_t *polls, uint32_t partner, uint32_t feed,
    es_poll_figures_t *figures)
{
    uint64_t                  key;
    const es_polls_record_t  *record;

    key = es_polls_key(partner, feed);
    record = es_polls_find(polls, key);

    if (record == NULL) {
        return false;
    }

    es_polls_copy(record, key, figures);

    return true;
}


void
es_polls_fresh(const es_polls_t *polls, uint32_t feed, es_fresh_t *fresh)
{
    es_poll_figures_t  figures = { 0 };

    (void) es_polls_get(polls, ES_POLLS_ALL, feed, &figures);
    *fresh = figures.fresh;
}


void
es_polls_each(const es_polls_t *polls,
    void (*fn)(void *ctx, const es_poll_figures_t *figures), void *ctx)
{
    size_t             i;
    uint64_t           key;
    es_poll_figures_t  figures;

    for (i = 0; i < polls->nsets * ES_POLLS_WAYS; i++) {
        key = es_polls_load(&polls->records[i].key);

        if (key != 0 && key >> 32 != ES_POLLS_ALL) {
            es_polls_copy(&polls->records[i], key, &figures);
            fn(ctx, &figures);
        }
    }
}


uint64_t
es_polls_evicted(const es_polls_t *polls)
{
    return es_polls_load(&polls->evicted);
}


const char *
es_poll_channel_name(es_poll_channel_t channel)
{
    switch (channel) {
    case ES_POLL_POLL:
        return "poll";
    case ES_POLL_LONG:
        return "long_poll";
    case ES_POLL_STREAM:
        return "stream";
    case ES_POLL_PAGES:
        return "pages";
    case ES_POLL_CHANNELS:
        break;
    }

    return "";
}


const char *
es_poll_class_name(es_poll_class_t class)
{
    switch (class) {
    case ES_POLL_NONE:
        return "none";
    case ES_POLL_2XX:
        return "2xx";
    case ES_POLL_3XX:
        return "3xx";
    case ES_POLL_4XX:
        return "4xx";
    case ES_POLL_5XX:
        return "5xx";
    case ES_POLL_CLASSES:
        break;
    }

    return "";
}
