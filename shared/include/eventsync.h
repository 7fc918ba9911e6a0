/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The producer's interface to an eventsync store.
 *
 * A producer opens the store directory, collects CloudEvents 1.0 events for
 * one feed in a batch, and publishes the batch.  When es_publish() has set
 * ES_OK, the events are on disk (fdatasync has returned) with their sequences,
 * and all nginx workers and the dispatcher have been woken.
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
 *   - A process opens one es_store_t for each store directory, after fork().
 *     A child must not use its parent's.  (A second open and close would
 *     release LMDB's advisory locks; see the caveats in lmdb.h.)
 *   - Any number of threads may use an es_store_t.  A batch belongs to one
 *     thread at a time.
 *   - Strings are pointer and length, in UTF-8, and not NUL-terminated unless
 *     the header says so.
 *   - Times are milliseconds since the epoch, UTC.
 */

#ifndef EVENTSYNC_H
#define EVENTSYNC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All outcomes of the library.  es_strerror() has their words. */
typedef enum {
    ES_OK = 0,
    ES_NOT_FOUND,       /* no such feed, event, partner, key or endpoint */
    ES_EXISTS,          /* it exists already */
    ES_INVALID,         /* malformed input; the problem has the place */
    ES_TOO_LARGE,       /* an event or attribute over its limit */
    ES_CONFLICT,        /* same (source, id), other content */
    ES_EXPIRED,         /* cursor older than retention */
    ES_RESET,           /* cursor of another epoch */
    ES_AHEAD,           /* cursor ahead of the log */
    ES_DENIED,          /* the caller may not do that */
    ES_FULL,            /* disk or map limit reached; nothing was written */
    ES_BUSY,            /* no reader slot, or store not available */
    ES_CORRUPT,         /* a record does not match its hash */
    ES_FORMAT,          /* not an eventsync store, or of another version */
    ES_IO,              /* the operating system refused; errno has why */
    ES_NOMEM,
    ES_MISMATCH,        /* the schema does not allow the event */
    ES_TAKEN,           /* another process has the same process id, see
                           es_store_open() */
    ES_QUOTA,           /* a partner has as much as its quota allows */
    ES_STOP,            /* a callback has seen enough: the walk ends and
                           returns this */
    ES_ERASED,          /* the event with this (source, id) was erased */
    ES_PENDING,         /* fields must be encrypted first, see encrypter.h */
    ES_HELD             /* a legal hold keeps the feed's events */
} es_rc_t;

/* Text that the struct does not own and that is not NUL-terminated. */
typedef struct {
    const char  *data;
    size_t       len;
} es_str_t;

/* What was wrong, for people and for problem documents (RFC 9457). */
typedef struct {
    es_rc_t   rc;
    int       index;           /* event in the batch, from 0; -1: none */
    char      pointer[128];    /* JSON Pointer (RFC 6901), may be "" */
    char      detail[256];     /* one sentence, NUL-terminated */
    char      keyword[24];     /* of a JSON Schema, NUL-terminated, or "" */
    const char  *quota;        /* that is used up; NULL: none */
    uint64_t  limit;           /* of that quota */
} es_problem_t;

typedef struct es_store  es_store_t;
typedef struct es_batch  es_batch_t;

/* The version of library, module, dispatcher and eventsyncctl. */
#define ES_VERSION  "0.1.0"

#define ES_FEED_MAX      63    /* bytes in a feed name, [a-z0-9][a-z0-9_-]* */
#define ES_EPOCH_MAX     15    /* bytes in an epoch */
#define ES_CURSOR_MAX    40    /* bytes in a cursor's text, with NUL */

/* Ways to open a store. */
#define ES_STORE_READ     0    /* log and registry read-only */
#define ES_STORE_PUBLISH  1    /* log writable */
#define ES_STORE_ADMIN    2    /* registry writable */
#define ES_STORE_DELIVER  4    /* delivery state writable: the dispatcher */
#define ES_STORE_DELIVERY_READ  8    /* delivery state readable */
#define ES_STORE_CHECKPOINT  16    /* consumers' checkpoints writable */
#define ES_STORE_CHECKPOINT_READ  32    /* consumers' checkpoints readable */

/*
 * Opens an existing store.  ES_NOT_FOUND: there is no such directory.
 * ES_FORMAT: it is no eventsync store, or one of another version, which is
 * never changed.  ES_IO.  ES_TAKEN: a process of another PID namespace, with
 * the same process id there as this process has here, has the store open.  A
 * child has another process id, so a program may fork() and open the store
 * there.
 */
es_rc_t es_store_open(const char *path, unsigned flags, es_store_t **store,
    es_problem_t *problem);

/* Closes a store, without waiting.  No transaction or batch of the store
   may be in use; an open transaction ends the process (abort()). */
void es_store_close(es_store_t *store);

/* How a batch treats events that are not as they should be. */
#define ES_HANDLE_REPLACE  1   /* The log's own attributes, which an event of
                                  another log has, are replaced.  Otherwise
                                  the event is refused. */
#define ES_HANDLE_EACH     2   /* An event that is refused does not refuse the
                                  others: es_result_t has its problem. */

/* Limits of a batch; zero takes the default. */
typedef struct {
    size_t    event_max;       /* bytes of one composed event, 262144 */
    unsigned  count_max;       /* events in a batch, 10000 */
    unsigned  handling;        /* 0: refuses all events because of one */
} es_limits_t;

/* The outcome of one event. */
typedef struct {
    es_str_t  id;              /* lives as long as the batch */
    uint64_t  sequence;
    int       duplicate;       /* 1: stored before; `sequence` is the first */
    char      cursor[ES_CURSOR_MAX];    /* NUL-terminated */

    /* Why the schema does not allow the event, in a feed that only warns.
       NULL: nothing is wrong.  Lives as long as the batch. */
    const es_problem_t  *warning;

    /* With ES_HANDLE_EACH, why the event is not stored.  NULL: it is.  The id
       is empty if it is not known. */
    const es_problem_t  *refused;

    int       replaced;        /* 1: with ES_HANDLE_REPLACE, it had attributes
                                  of the log */
} es_result_t;

/* Makes a batch; es_batch_destroy() frees it.  `feed` and `limits` are
   copied.  NULL: out of memory. */
es_batch_t *es_batch_create(es_str_t feed, const es_limits_t *limits);
void es_batch_destroy(es_batch_t *batch);

/*
 * Adds one CloudEvent in the JSON event format (CloudEvents 1.0.2, JSON format
 * 1.0.2, section 3).  `json` is copied.  The bytes of `data` are kept as they
 * are, except that line breaks and tabs between tokens become spaces.
 *
 * ES_INVALID, ES_TOO_LARGE: the problem has a JSON Pointer to the attribute
 * and the event's index.  The batch must not be published then.  With
 * ES_HANDLE_EACH, these are outcomes of the event, and the result is ES_OK
 * unless the batch is full.
 */
es_rc_t es_batch_add(es_batch_t *batch, const char *json, size_t len,
    es_problem_t *problem);

/* Adds every event of a JSON array (the batch format, section 4). */
es_rc_t es_batch_add_array(es_batch_t *batch, const char *json, size_t len,
    es_problem_t *problem);

/* Adds one event for each line and ignores empty lines. */
es_rc_t es_batch_add_ndjson(es_batch_t *batch, const char *text, size_t len,
    es_problem_t *problem);

/* An attribute of an event in binary mode, with its value decoded. */
typedef struct {
    es_str_t  name;
    es_str_t  value;
} es_attr_t;

/*
 * Adds one event in binary content mode: attributes beside the data.
 * `content_type` becomes datacontenttype.  JSON data goes to `data` as it is,
 * other text to `data` as a string, and anything else to `data_base64`.
 */
es_rc_t es_batch_add_binary(es_batch_t *batch, const es_attr_t *attrs,
    size_t nattrs, es_str_t content_type, const char *data, size_t len,
    es_problem_t *problem);

/*
 * Validates the events by the event catalogue, if the batch's feed asks for
 * that (docs/catalogue.md).  Nothing can be added to the batch afterwards.
 * ES_MISMATCH: an event is refused; the problem says which one and why.
 *
 * es_publish() validates a batch that has not been validated.  A caller with
 * several threads may validate several batches at once before that.  Takes up
 * to some tenths of a second for a batch.
 */
es_rc_t es_batch_validate(es_store_t *store, es_batch_t *batch,
    es_problem_t *problem);

/*
 * Publishes batches in one durable commit.  Each batch is stored wholly or not
 * at all, and has its own outcome, es_batch_rc(): ES_OK, ES_NOT_FOUND (no such
 * feed), ES_CONFLICT, ES_ERASED or ES_MISMATCH (es_batch_problem() has the
 * index), or the failure of the commit.
 *
 * After ES_IO it is unknown whether the events are stored.  The producer then
 * publishes the same events again, with the same ids; the library opens the
 * store anew if it must.
 *
 * Blocks for the writer lock and the disk, so an event loop must not call it.
 */
void es_publish(es_store_t *store, es_batch_t **batches, size_t n);

es_rc_t es_batch_rc(const es_batch_t *batch);
const es_problem_t *es_batch_problem(const es_batch_t *batch);
/* Returns how many of the results have a warning. */
size_t es_batch_warnings(const es_batch_t *batch);

/* Returns how many of the events are refused, of a batch that is published. */
size_t es_batch_refused(const es_batch_t *batch);

/* Returns the name of the feed, NUL-terminated. */
const char *es_batch_feed(const es_batch_t *batch);
size_t es_batch_count(const es_batch_t *batch);
const es_result_t *es_batch_result(const es_batch_t *batch, size_t i);

/* Returns a short phrase, never NULL. */
const char *es_strerror(es_rc_t rc);

/*
 * Returns the same, or a sentence if this was the outcome of the thread's last
 * failed call.  For ES_IO and ES_TAKEN the sentence has the path and the words
 * of the operating system; for ES_FULL it says whether the map or the disk is
 * full, and what gives room.  It lives until the thread's next call.
 */
const char *es_reason(es_rc_t rc);

#ifdef __cplusplus
}
#endif

#endif /* EVENTSYNC_H */
