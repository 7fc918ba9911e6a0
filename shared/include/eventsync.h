/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The producer's interface to an eventsync store.
 *
 * A producer opens the store directory, collects CloudEvents 1.0 events for
 * one feed in a batch, and publishes the batch.  When es_publish() returns
 * ES_OK the events are on disk (fdatasync returned) with their sequence; every
 * nginx worker and the dispatcher have been woken.
 *
 *     es_store_t    *store;
 *     es_batch_t    *batch;
 *     es_problem_t   problem;
 *
 *     if (es_store_open("/var/lib/eventsync", ES_STORE_PUBLISH, &store,
 *                       &problem) != ES_OK) ...
 *     batch = es_batch_create(feed, NULL);
 *     es_batch_add(batch, json, len, &problem);
 *     es_publish(store, &batch, 1);
 *     ... es_batch_rc(batch), es_batch_result(batch, 0)->cursor ...
 *     es_batch_destroy(batch);
 *     es_store_close(store);
 *
 * Rules
 *
 *   - One es_store_t per store directory and process, opened after fork();
 *     a child must not use its parent's.  (LMDB's advisory locks would be
 *     dropped by a second open and close; see lmdb.h, caveats.)
 *   - An es_store_t may be used by any number of threads.  A batch belongs to
 *     one thread at a time.
 *   - Strings are pointer and length, UTF-8, not NUL-terminated unless said.
 *   - Times are milliseconds since the epoch, UTC.
 */

#ifndef EVENTSYNC_H
#define EVENTSYNC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every outcome of the library.  es_strerror() has the words. */
typedef enum {
    ES_OK = 0,
    ES_NOT_FOUND,       /* no such feed, event, partner, key or endpoint */
    ES_EXISTS,          /* it is there already */
    ES_INVALID,         /* malformed input; the problem says where */
    ES_TOO_LARGE,       /* an event or attribute over its limit */
    ES_CONFLICT,        /* same (source, id), other content */
    ES_EXPIRED,         /* cursor older than retention */
    ES_RESET,           /* cursor of another epoch */
    ES_AHEAD,           /* cursor ahead of the log */
    ES_DENIED,          /* no right to do that */
    ES_FULL,            /* disk or map limit reached; nothing was written */
    ES_BUSY,            /* reader table full or store not available now */
    ES_CORRUPT,         /* a record does not match its hash */
    ES_FORMAT,          /* not an eventsync store, or of another version */
    ES_IO,              /* the operating system refused; errno has why */
    ES_NOMEM,
    ES_MISMATCH,        /* an event that its schema does not allow */
    ES_TAKEN,           /* the store takes this process for another one, see
                           es_store_open() */
    ES_STOP             /* of a callback: it has seen enough, so the walk ends
                           and returns this */
} es_rc_t;

/* Text that is not owned and not NUL-terminated. */
typedef struct {
    const char  *data;
    size_t       len;
} es_str_t;

/* What was wrong, for people and for the problem document (RFC 9457). */
typedef struct {
    es_rc_t   rc;
    int       index;           /* event in the batch, from 0; -1: none */
    char      pointer[128];    /* JSON Pointer (RFC 6901), may be "" */
    char      detail[256];     /* one sentence, NUL-terminated */
    char      keyword[24];     /* of a JSON Schema, NUL-terminated, or "" */
} es_problem_t;

typedef struct es_store  es_store_t;
typedef struct es_batch  es_batch_t;

/* Of library, module, dispatcher and eventsyncctl. */
#define ES_VERSION  "0.1.0"

#define ES_FEED_MAX      63    /* bytes in a feed name, [a-z0-9][a-z0-9_-]* */
#define ES_EPOCH_MAX     15    /* bytes in an epoch */
#define ES_CURSOR_MAX    40    /* bytes in a cursor's text, NUL included */

/* Ways to open a store. */
#define ES_STORE_READ     0    /* log and registry read-only */
#define ES_STORE_PUBLISH  1    /* log writable */
#define ES_STORE_ADMIN    2    /* registry writable */
#define ES_STORE_DELIVER  4    /* delivery state writable: the dispatcher */
#define ES_STORE_DELIVERY_READ  8    /* delivery state readable */
#define ES_STORE_CHECKPOINT  16    /* consumers' checkpoints writable */

/*
 * Opens an existing store.  ES_NOT_FOUND: no such directory; ES_FORMAT: not
 * an eventsync store or another version, which is never changed; ES_IO;
 * ES_TAKEN: a process of another PID namespace, which has the number of this
 * process in its own, has the store open.  A child has another number: fork()
 * and open the store there.
 */
es_rc_t es_store_open(const char *path, unsigned flags, es_store_t **store,
    es_problem_t *problem);

/* Waits for nothing: no transaction or batch of this store may be in use. */
void es_store_close(es_store_t *store);

/* A batch's limits; zero takes the default. */
typedef struct {
    size_t    event_max;       /* bytes of one composed event, 262144 */
    unsigned  count_max;       /* events in a batch, 10000 */
} es_limits_t;

/* One event's fate. */
typedef struct {
    es_str_t  id;              /* lives as long as the batch */
    uint64_t  sequence;
    int       duplicate;       /* 1: stored before; `sequence` is the first */
    char      cursor[ES_CURSOR_MAX];    /* NUL-terminated */

    /* Why its schema does not allow it, where the feed only warns; NULL:
       nothing is wrong.  Lives as long as the batch. */
    const es_problem_t  *warning;
} es_result_t;

/* NULL: out of memory.  `feed` and `limits` are copied. */
es_batch_t *es_batch_create(es_str_t feed, const es_limits_t *limits);
void es_batch_destroy(es_batch_t *batch);

/*
 * Adds one CloudEvent in the JSON event format (CloudEvents 1.0.2, JSON
 * 1.0.2, section 3).  `json` is copied.  The bytes of `data` are kept as they
 * are, but for line breaks and tabs between tokens, which become spaces.
 *
 * ES_INVALID, ES_TOO_LARGE: the problem names the attribute by JSON Pointer
 * and the event's index; the batch is then not to be published.
 */
es_rc_t es_batch_add(es_batch_t *batch, const char *json, size_t len,
    es_problem_t *problem);

/* Adds every event of a JSON array (section 4 of the same: a batch). */
es_rc_t es_batch_add_array(es_batch_t *batch, const char *json, size_t len,
    es_problem_t *problem);

/* Adds one event for each line; empty lines are passed over. */
es_rc_t es_batch_add_ndjson(es_batch_t *batch, const char *text, size_t len,
    es_problem_t *problem);

/* An attribute of an event that arrives in binary mode, value decoded. */
typedef struct {
    es_str_t  name;
    es_str_t  value;
} es_attr_t;

/*
 * Adds one event in binary content mode: attributes beside the data.
 * `content_type` becomes datacontenttype; JSON data goes to `data` as it is,
 * other text to `data` as a string, anything else to `data_base64`.
 */
es_rc_t es_batch_add_binary(es_batch_t *batch, const es_attr_t *attrs,
    size_t nattrs, es_str_t content_type, const char *data, size_t len,
    es_problem_t *problem);

/*
 * Judges the batch's events by the event catalogue, if its feed asks for that
 * (docs/catalogue.md); nothing can be added to the batch after.  ES_MISMATCH:
 * an event is refused, the problem says which and why.  es_publish() does this
 * itself with a batch that was not judged; who has several threads may do it
 * beforehand, side by side.  Takes up to some tenths of a second an event.
 */
es_rc_t es_batch_validate(es_store_t *store, es_batch_t *batch,
    es_problem_t *problem);

/*
 * Publishes batches in one durable commit.  Each batch is all or nothing, and
 * has its own outcome, es_batch_rc(): ES_OK, ES_NOT_FOUND (no such feed),
 * ES_CONFLICT and ES_MISMATCH (es_batch_problem() has the index), or the
 * commit's failure.
 * After ES_IO it is not known whether the events are stored: publish the same
 * again, with the same ids.  The store is opened anew by itself if need be.
 * Blocks for the writer lock and the disk: not for an event loop's thread.
 */
void es_publish(es_store_t *store, es_batch_t **batches, size_t n);

es_rc_t es_batch_rc(const es_batch_t *batch);
const es_problem_t *es_batch_problem(const es_batch_t *batch);
/* How many of its results have a warning. */
size_t es_batch_warnings(const es_batch_t *batch);

/* Of the feed, NUL-terminated. */
const char *es_batch_feed(const es_batch_t *batch);
size_t es_batch_count(const es_batch_t *batch);
const es_result_t *es_batch_result(const es_batch_t *batch, size_t i);

/* One short phrase; never NULL. */
const char *es_strerror(es_rc_t rc);

/* The same, or a sentence, if it was this thread's last call that failed so:
   for ES_IO and ES_TAKEN with the path and the words of the operating system,
   for ES_FULL with what is full, its map or its disk, and what gives room.  It
   lives until this thread's next call. */
const char *es_reason(es_rc_t rc);

#ifdef __cplusplus
}
#endif

#endif /* EVENTSYNC_H */
