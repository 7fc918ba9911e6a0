/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cached pages: a page is composed once, together with its headers. The worker
 * keeps the pages that are requested most.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_transfer.h"

#include "event/cursor.h"
#include "log/feed.h"
#include "read/encoded_pages.h"
#include "read/reader.h"

#include <xxhash.h>


/* size of the cache of a worker, in bytes */
#define NGX_HTTP_EVENTSYNC_CACHED_BYTES  (16 * 1024 * 1024)
#define NGX_HTTP_EVENTSYNC_CACHED_MAX    (1024 * 1024)

#define ngx_http_eventsync_cached_size(cached)                                \
    (sizeof(ngx_http_eventsync_cached_t)                                      \
     + ((cached)->data ? (cached)->len : 0))

/* seconds: nobody knows when retention by count or bytes trims a page */
#define NGX_HTTP_EVENTSYNC_CACHED_YEAR     31536000
#define NGX_HTTP_EVENTSYNC_CACHED_BOUNDED  60


static ngx_http_eventsync_cached_t *ngx_http_eventsync_cached_create(
    const ngx_http_eventsync_cached_key_t *key, const es_feed_t *feed,
    int64_t time_ms, size_t size, ngx_log_t *log);
static u_char *ngx_http_eventsync_cached_cursors(
    const ngx_http_eventsync_cached_t *cached, u_char *p);
static void ngx_http_eventsync_cached_seal(ngx_http_eventsync_cached_t *cached,
    const es_feed_t *feed);
static u_char *ngx_http_eventsync_cached_link(
    ngx_http_eventsync_cached_t *cached, u_char *p);
static ngx_http_eventsync_cached_t **ngx_http_eventsync_cached_bucket(
    ngx_http_eventsync_pages_t *pages,
    const ngx_http_eventsync_cached_key_t *key);
static void ngx_http_eventsync_cached_forget(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_cached_t **link);


/*
 * A full page contains only what never changes, so that its bytes are the same
 * in every worker and after every restart.
 */

ngx_http_eventsync_cached_t *
ngx_http_eventsync_cached_compose(const ngx_http_eventsync_cached_key_t *key,
    const es_feed_t *feed, const es_page_t *page, int64_t time_ms,
    ngx_log_t *log)
{
    u_char                       *p;
    ngx_str_t                     name;
    ngx_http_eventsync_cached_t  *cached;

    cached = ngx_http_eventsync_cached_create(key, feed, time_ms,
                                              NGX_HTTP_EVENTSYNC_CACHED_FRAME
                                              + page->bytes, log);
    if (cached == NULL) {
        return NULL;
    }

    p = ngx_http_eventsync_copy(cached->data, "{\"events\":[");
    p = (u_char *) es_page_copy(page, (char *) p);

    name.data = (u_char *) feed->name;
    name.len = ngx_strlen(feed->name);

    p = ngx_http_eventsync_cached_end(cached, &name, p);

    cached->len = p - cached->data;

    ngx_http_eventsync_cached_seal(cached, feed);

    return cached;
}


/* writes the text after the events */

u_char *
ngx_http_eventsync_cached_end(const ngx_http_eventsync_cached_t *cached,
    ngx_str_t *feed, u_char *p)
{
    p = ngx_http_eventsync_copy(p, "],\"feed\":\"");
    p = ngx_cpymem(p, feed->data, feed->len);
    p = ngx_http_eventsync_copy(p, "\",\"epoch\":\"");
    p = ngx_cpymem(p, cached->key.epoch, ngx_strlen(cached->key.epoch));
    p = ngx_http_eventsync_copy(p, "\",\"page\":");
    p = ngx_http_eventsync_number(p, cached->key.page);

    return ngx_http_eventsync_cached_cursors(cached, p);
}


static u_char *
ngx_http_eventsync_cached_cursors(const ngx_http_eventsync_cached_t *cached,
    u_char *p)
{
    if (cached->key.last < cached->first) {
        p = ngx_http_eventsync_copy(p, ",\"first\":null,\"last\":null,");

    } else {
        p = ngx_http_eventsync_copy(p, ",\"first\":\"");
        p += es_cursor_print(cached->key.epoch, cached->first, (char *) p);
        p = ngx_http_eventsync_copy(p, "\",\"last\":\"");
        p += es_cursor_print(cached->key.epoch, cached->key.last, (char *) p);
        p = ngx_http_eventsync_copy(p, "\",");
    }

    p = ngx_http_eventsync_copy(p, "\"next\":\"");
    p += es_cursor_print(cached->key.epoch, cached->key.last, (char *) p);

    return ngx_http_eventsync_copy(p, "\"}");
}


ngx_http_eventsync_cached_t *
ngx_http_eventsync_cached_encoded(const ngx_http_eventsync_cached_key_t *key,
    const es_feed_t *feed, int64_t time_ms, es_str_t bytes, ngx_log_t *log)
{
    ngx_http_eventsync_cached_t  *cached;

    cached = ngx_http_eventsync_cached_create(key, feed, time_ms, bytes.len,
                                              log);
    if (cached == NULL) {
        return NULL;
    }

    ngx_memcpy(cached->data, bytes.data, bytes.len);
    cached->len = bytes.len;

    ngx_http_eventsync_cached_seal(cached, feed);

    return cached;
}


static ngx_http_eventsync_cached_t *
ngx_http_eventsync_cached_create(const ngx_http_eventsync_cached_key_t *key,
    const es_feed_t *feed, int64_t time_ms, size_t size, ngx_log_t *log)
{
    ngx_http_eventsync_cached_t  *cached;

    cached = ngx_calloc(sizeof(ngx_http_eventsync_cached_t), log);
    if (cached == NULL) {
        return NULL;
    }

    cached->data = ngx_alloc(size, log);
    if (cached->data == NULL) {
        ngx_free(cached);
        return NULL;
    }

    cached->key = *key;
    cached->refs = 1;
    cached->time_ms = time_ms;
    cached->first = (key->page - 1) * feed->page_size + 1;
    cached->full = (key->last == key->page * feed->page_size);
    cached->shared = ngx_http_eventsync_fields_none(key->fields);

    return cached;
}


/*
 * Frees the bytes of a large page that no answer uses yet, if answers can read
 * them in slices: from the log, or from the stored entry. Slow clients would
 * hold them otherwise.
 */

void
ngx_http_eventsync_cached_slim(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_cached_t *cached)
{
    es_encoded_key_t  key;

    if (cached->len <= NGX_HTTP_EVENTSYNC_SLICE) {
        return;
    }

    if (cached->key.encoding != ES_ENCODING_IDENTITY) {

        if (!cached->shared) {
            return;
        }

        ngx_http_eventsync_cached_key(cached, &key);

        if (pages->kept == NULL
            || es_encoded_part(pages->kept, &key, &cached->hash, 0, NULL, 0)
               != ES_OK)
        {
            return;
        }
    }

    ngx_free(cached->data);
    cached->data = NULL;
}


/* the key of the stored entry */

void
ngx_http_eventsync_cached_key(const ngx_http_eventsync_cached_t *cached,
    es_encoded_key_t *out)
{
    out->feed = cached->key.feed;
    ngx_memcpy(out->epoch, cached->key.epoch, sizeof(out->epoch));
    out->page = cached->key.page;
    out->encoding = cached->key.encoding;
    out->source = cached->source;
}


/*
 * A strong ETag of the bytes sent. It differs between encodings, between
 * versions of an encoder, and between field lists.
 */

static void
ngx_http_eventsync_cached_seal(ngx_http_eventsync_cached_t *cached,
    const es_feed_t *feed)
{
    u_char                *p;
    uint64_t               seed;
    XXH128_hash_t          hash;
    XXH128_canonical_t     canonical;

    /* 0 without a list */

    ngx_memcpy(&seed, cached->key.fields, sizeof(uint64_t));

    hash = XXH3_128bits_withSeed(cached->data, cached->len, seed);
    XXH128_canonicalFromHash(&canonical, hash);

    p = cached->texts;

    cached->etag.data = p;
    *p++ = '"';
    p = ngx_hex_dump(p, canonical.digest, sizeof(canonical.digest));
    *p++ = '"';
    cached->etag.len = p - cached->etag.data;

    cached->link.data = p;
    p = ngx_http_eventsync_cached_link(cached, p);
    cached->link.len = p - cached->link.data;

    /* keys by which a CDN can purge: feed, epoch and page */

    cached->surrogate.data = p;
    p = ngx_sprintf(p, "%s %s-%s %s-%s-%uL", feed->name, feed->name,
                    cached->key.epoch, feed->name, cached->key.epoch,
                    cached->key.page);
    cached->surrogate.len = p - cached->surrogate.data;

    cached->text = p;
}


/* links are relative to the page's URL (RFC 8288, RFC 5005) */

static u_char *
ngx_http_eventsync_cached_link(ngx_http_eventsync_cached_t *cached, u_char *p)
{
    if (cached->full) {
        *p++ = '<';
        p = ngx_http_eventsync_number(p, cached->key.page + 1);
        p = ngx_http_eventsync_copy(p, ">; rel=\"next\", ");
    }

    if (cached->key.page > 1) {
        *p++ = '<';
        p = ngx_http_eventsync_number(p, cached->key.page - 1);
        p = ngx_http_eventsync_copy(p, ">; rel=\"prev-archive\", ");
    }

    return ngx_http_eventsync_copy(p, "<head>; rel=\"current\"");
}


/* prints how long the page is fresh, at most once a second */

void
ngx_http_eventsync_cached_age(ngx_http_eventsync_cached_t *cached,
    int64_t retain_ms, ngx_uint_t bounded)
{
    u_char      *p;
    int64_t      age, now;
    uint64_t     seconds;
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    if (cached->aged == tp->sec
        && cached->retain_ms == retain_ms
        && cached->bounded == bounded)
    {
        return;
    }

    cached->aged = tp->sec;
    cached->retain_ms = retain_ms;
    cached->bounded = bounded;

    seconds = NGX_HTTP_EVENTSYNC_CACHED_YEAR;

    if (retain_ms) {
        now = (int64_t) tp->sec * 1000 + tp->msec;
        age = (ngx_min(cached->time_ms, now) + retain_ms - now) / 1000;
        seconds = ngx_min((uint64_t) ngx_max(age, 0), seconds);
    }

    p = cached->text;

    cached->control.data = p;
    p = ngx_http_eventsync_copy(p, "private, max-age=");
    p = ngx_http_eventsync_number(p, seconds);
    p = ngx_http_eventsync_copy(p, ", immutable");
    cached->control.len = p - cached->control.data;

    if (bounded) {
        seconds = ngx_min(seconds, NGX_HTTP_EVENTSYNC_CACHED_BOUNDED);
    }

    cached->cdn.data = p;
    p = ngx_http_eventsync_copy(p, "public, max-age=");

    cached->expires.data = p;
    p = ngx_http_eventsync_number(p, seconds);
    cached->expires.len = p - cached->expires.data;
    cached->cdn.len = p - cached->cdn.data;
}


ngx_http_eventsync_cached_t *
ngx_http_eventsync_cached_find(ngx_http_eventsync_pages_t *pages,
    const ngx_http_eventsync_cached_key_t *key)
{
    ngx_http_eventsync_cached_t  *cached;

    cached = *ngx_http_eventsync_cached_bucket(pages, key);

    for ( /* void */ ; cached; cached = cached->next) {

        if (ngx_memcmp(&cached->key, key, sizeof(*key)) != 0) {
            continue;
        }

        if (ngx_queue_head(&pages->by_use) != &cached->queue) {
            ngx_queue_remove(&cached->queue);
            ngx_queue_insert_head(&pages->by_use, &cached->queue);
        }

        cached->refs++;

        return cached;
    }

    return NULL;
}


/* frees a page, complete or not */

static ngx_http_eventsync_cached_t **
ngx_http_eventsync_cached_bucket(ngx_http_eventsync_pages_t *pages,
    const ngx_http_eventsync_cached_key_t *key)
{
    uint64_t  hash, list;

    ngx_memcpy(&list, key->fields, sizeof(uint64_t));

    hash = XXH3_64bits_withSeed(&key->page, sizeof(key->page),
                                list ^ (((uint64_t) key->feed << 8)
                                        + key->encoding));

    return &pages->buckets[hash % NGX_HTTP_EVENTSYNC_CACHED_BUCKETS];
}


void
ngx_http_eventsync_cached_remember(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_cached_t *cached)
{
    ngx_queue_t                   *q, *prev;
    ngx_http_eventsync_cached_t  **bucket, **old;

    if (cached->data && cached->len > NGX_HTTP_EVENTSYNC_CACHED_MAX) {
        return;
    }

    bucket = ngx_http_eventsync_cached_bucket(pages, &cached->key);

    cached->next = *bucket;
    *bucket = cached;
    ngx_queue_insert_head(&pages->by_use, &cached->queue);

    cached->refs++;
    pages->bytes += ngx_http_eventsync_cached_size(cached);

    /* the previous version of the page is of no more use */

    for (old = &cached->next; *old; old = &(*old)->next) {

        if ((*old)->key.page == cached->key.page
            && (*old)->key.feed == cached->key.feed
            && (*old)->key.encoding == cached->key.encoding
            && ngx_memcmp((*old)->key.fields, cached->key.fields,
                          ES_FIELDS_ID) == 0)
        {
            ngx_http_eventsync_cached_forget(pages, old);
            break;
        }
    }

    for (q = ngx_queue_last(&pages->by_use);
         q != ngx_queue_sentinel(&pages->by_use)
         && pages->bytes > NGX_HTTP_EVENTSYNC_CACHED_BYTES;
         q = prev)
    {
        prev = ngx_queue_prev(q);
        cached = ngx_queue_data(q, ngx_http_eventsync_cached_t, queue);

        old = ngx_http_eventsync_cached_bucket(pages, &cached->key);

        while (*old != cached) {
            old = &(*old)->next;
        }

        ngx_http_eventsync_cached_forget(pages, old);
    }
}


static void
ngx_http_eventsync_cached_forget(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_cached_t **link)
{
    ngx_http_eventsync_cached_t  *cached;

    cached = *link;
    *link = cached->next;

    ngx_queue_remove(&cached->queue);
    pages->bytes -= ngx_http_eventsync_cached_size(cached);

    ngx_http_eventsync_cached_release(cached);
}


void
ngx_http_eventsync_cached_free_all(ngx_http_eventsync_pages_t *pages)
{
    ngx_queue_t  *q, *next;

    for (q = ngx_queue_head(&pages->by_use);
         q != ngx_queue_sentinel(&pages->by_use);
         q = next)
    {
        next = ngx_queue_next(q);

        ngx_http_eventsync_cached_release(
                        ngx_queue_data(q, ngx_http_eventsync_cached_t,
                                       queue));
    }

    ngx_queue_init(&pages->by_use);
    ngx_memzero(pages->buckets, sizeof(pages->buckets));
    pages->bytes = 0;
}


void
ngx_http_eventsync_cached_release(void *data)
{
    ngx_http_eventsync_cached_t  *cached = data;

    if (cached && --cached->refs == 0) {

        if (cached->data) {
            ngx_free(cached->data);
        }

        ngx_free(cached);
    }
}


void
ngx_http_eventsync_cached_pages_key(const ngx_http_eventsync_cached_key_t *key,
    const es_page_t *page, es_encoded_key_t *out)
{
    out->feed = key->feed;
    ngx_memcpy(out->epoch, key->epoch, sizeof(out->epoch));
    out->page = key->page;
    out->encoding = key->encoding;
    out->source = es_encoded_source(page, key->encoding);
}
