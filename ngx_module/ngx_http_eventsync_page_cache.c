/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cached pages: a page is composed once, together with its headers. The worker
 * keeps the pages that are requested most.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_send.h"

#include "event/cursor.h"
#include "log/feed.h"
#include "read/encoded_pages.h"
#include "read/reader.h"

#include <xxhash.h>


/* size of the cache of a worker, in bytes */
#define NGX_HTTP_EVENTSYNC_LEAF_BYTES  (16 * 1024 * 1024)
#define NGX_HTTP_EVENTSYNC_LEAF_MAX    (1024 * 1024)

#define NGX_HTTP_EVENTSYNC_LEAF_FRAME                                         \
    (sizeof("{\"events\":[],\"feed\":\"\",\"epoch\":\"\",\"page\":,"          \
            "\"first\":null,\"last\":null,\"next\":\"\"}")                    \
     + ES_FEED_MAX + ES_EPOCH_MAX + NGX_INT64_LEN + 3 * ES_CURSOR_MAX)

/* seconds: nobody knows when retention by count or bytes trims a page */
#define NGX_HTTP_EVENTSYNC_LEAF_YEAR     31536000
#define NGX_HTTP_EVENTSYNC_LEAF_BOUNDED  60

#define ngx_http_eventsync_copy(p, text)                                      \
    ngx_cpymem(p, text, sizeof(text) - 1)


static ngx_http_eventsync_leaf_t *ngx_http_eventsync_leaf_create(
    const ngx_http_eventsync_leaf_key_t *key, const es_feed_t *feed,
    int64_t time_ms, size_t size, ngx_log_t *log);
static u_char *ngx_http_eventsync_leaf_cursors(
    const ngx_http_eventsync_leaf_t *leaf, u_char *p);
static void ngx_http_eventsync_leaf_seal(ngx_http_eventsync_leaf_t *leaf,
    const es_feed_t *feed);
static u_char *ngx_http_eventsync_leaf_link(ngx_http_eventsync_leaf_t *leaf,
    u_char *p);
static ngx_http_eventsync_leaf_t **ngx_http_eventsync_leaf_bucket(
    ngx_http_eventsync_pages_t *pages,
    const ngx_http_eventsync_leaf_key_t *key);
static void ngx_http_eventsync_leaf_forget(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_leaf_t **link);


/*
 * A full page contains only what never changes, so that its bytes are the same
 * in every worker and after every restart.
 */

ngx_http_eventsync_leaf_t *
ngx_http_eventsync_leaf_compose(const ngx_http_eventsync_leaf_key_t *key,
    const es_feed_t *feed, const es_page_t *page, int64_t time_ms,
    ngx_log_t *log)
{
    u_char                     *p;
    ngx_http_eventsync_leaf_t  *leaf;

    leaf = ngx_http_eventsync_leaf_create(key, feed, time_ms,
                                          NGX_HTTP_EVENTSYNC_LEAF_FRAME
                                          + page->bytes, log);
    if (leaf == NULL) {
        return NULL;
    }

    p = ngx_http_eventsync_copy(leaf->data, "{\"events\":[");
    p = (u_char *) es_page_copy(page, (char *) p);
    p = ngx_http_eventsync_copy(p, "],\"feed\":\"");
    p = ngx_cpymem(p, feed->name, ngx_strlen(feed->name));
    p = ngx_http_eventsync_copy(p, "\",\"epoch\":\"");
    p = ngx_cpymem(p, leaf->key.epoch, ngx_strlen(leaf->key.epoch));
    p = ngx_http_eventsync_copy(p, "\",\"page\":");
    p = ngx_http_eventsync_number(p, leaf->key.page);
    p = ngx_http_eventsync_leaf_cursors(leaf, p);

    leaf->len = p - leaf->data;

    ngx_http_eventsync_leaf_seal(leaf, feed);

    return leaf;
}


static u_char *
ngx_http_eventsync_leaf_cursors(const ngx_http_eventsync_leaf_t *leaf,
    u_char *p)
{
    if (leaf->key.last < leaf->first) {
        p = ngx_http_eventsync_copy(p, ",\"first\":null,\"last\":null,");

    } else {
        p = ngx_http_eventsync_copy(p, ",\"first\":\"");
        p += es_cursor_print(leaf->key.epoch, leaf->first, (char *) p);
        p = ngx_http_eventsync_copy(p, "\",\"last\":\"");
        p += es_cursor_print(leaf->key.epoch, leaf->key.last, (char *) p);
        p = ngx_http_eventsync_copy(p, "\",");
    }

    p = ngx_http_eventsync_copy(p, "\"next\":\"");
    p += es_cursor_print(leaf->key.epoch, leaf->key.last, (char *) p);

    return ngx_http_eventsync_copy(p, "\"}");
}


ngx_http_eventsync_leaf_t *
ngx_http_eventsync_leaf_encoded(const ngx_http_eventsync_leaf_key_t *key,
    const es_feed_t *feed, int64_t time_ms, es_str_t bytes, ngx_log_t *log)
{
    ngx_http_eventsync_leaf_t  *leaf;

    leaf = ngx_http_eventsync_leaf_create(key, feed, time_ms, bytes.len, log);
    if (leaf == NULL) {
        return NULL;
    }

    ngx_memcpy(leaf->data, bytes.data, bytes.len);
    leaf->len = bytes.len;

    ngx_http_eventsync_leaf_seal(leaf, feed);

    return leaf;
}


static ngx_http_eventsync_leaf_t *
ngx_http_eventsync_leaf_create(const ngx_http_eventsync_leaf_key_t *key,
    const es_feed_t *feed, int64_t time_ms, size_t size, ngx_log_t *log)
{
    ngx_http_eventsync_leaf_t  *leaf;

    leaf = ngx_alloc(sizeof(ngx_http_eventsync_leaf_t) + size, log);
    if (leaf == NULL) {
        return NULL;
    }

    ngx_memzero(leaf, offsetof(ngx_http_eventsync_leaf_t, texts));

    leaf->key = *key;
    leaf->refs = 1;
    leaf->time_ms = time_ms;
    leaf->first = (key->page - 1) * feed->page_size + 1;
    leaf->full = (key->last == key->page * feed->page_size);
    leaf->len = 0;

    return leaf;
}


/*
 * A strong ETag of the bytes sent. It differs between encodings, and between
 * versions of an encoder.
 */

static void
ngx_http_eventsync_leaf_seal(ngx_http_eventsync_leaf_t *leaf,
    const es_feed_t *feed)
{
    u_char                *p;
    XXH128_hash_t          hash;
    XXH128_canonical_t     canonical;

    hash = XXH3_128bits(leaf->data, leaf->len);
    XXH128_canonicalFromHash(&canonical, hash);

    p = leaf->texts;

    leaf->etag.data = p;
    *p++ = '"';
    p = ngx_hex_dump(p, canonical.digest, sizeof(canonical.digest));
    *p++ = '"';
    leaf->etag.len = p - leaf->etag.data;

    leaf->link.data = p;
    p = ngx_http_eventsync_leaf_link(leaf, p);
    leaf->link.len = p - leaf->link.data;

    /* keys by which a CDN can purge: feed, epoch and page */

    leaf->surrogate.data = p;
    p = ngx_sprintf(p, "%s %s-%s %s-%s-%uL", feed->name, feed->name,
                    leaf->key.epoch, feed->name, leaf->key.epoch,
                    leaf->key.page);
    leaf->surrogate.len = p - leaf->surrogate.data;

    leaf->text = p;
}


/* links are relative to the page's URL (RFC 8288, RFC 5005) */

static u_char *
ngx_http_eventsync_leaf_link(ngx_http_eventsync_leaf_t *leaf, u_char *p)
{
    if (leaf->full) {
        *p++ = '<';
        p = ngx_http_eventsync_number(p, leaf->key.page + 1);
        p = ngx_http_eventsync_copy(p, ">; rel=\"next\", ");
    }

    if (leaf->key.page > 1) {
        *p++ = '<';
        p = ngx_http_eventsync_number(p, leaf->key.page - 1);
        p = ngx_http_eventsync_copy(p, ">; rel=\"prev-archive\", ");
    }

    return ngx_http_eventsync_copy(p, "<head>; rel=\"current\"");
}


/* prints how long the page is fresh, at most once a second */

void
ngx_http_eventsync_leaf_age(ngx_http_eventsync_leaf_t *leaf,
    int64_t retain_ms, ngx_uint_t bounded)
{
    u_char      *p;
    int64_t      age, now;
    uint64_t     seconds;
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    if (leaf->aged == tp->sec
        && leaf->retain_ms == retain_ms
        && leaf->bounded == bounded)
    {
        return;
    }

    leaf->aged = tp->sec;
    leaf->retain_ms = retain_ms;
    leaf->bounded = bounded;

    seconds = NGX_HTTP_EVENTSYNC_LEAF_YEAR;

    if (retain_ms) {
        now = (int64_t) tp->sec * 1000 + tp->msec;
        age = (ngx_min(leaf->time_ms, now) + retain_ms - now) / 1000;
        seconds = ngx_min((uint64_t) ngx_max(age, 0), seconds);
    }

    p = leaf->text;

    leaf->control.data = p;
    p = ngx_http_eventsync_copy(p, "private, max-age=");
    p = ngx_http_eventsync_number(p, seconds);
    p = ngx_http_eventsync_copy(p, ", immutable");
    leaf->control.len = p - leaf->control.data;

    if (bounded) {
        seconds = ngx_min(seconds, NGX_HTTP_EVENTSYNC_LEAF_BOUNDED);
    }

    leaf->cdn.data = p;
    p = ngx_http_eventsync_copy(p, "public, max-age=");

    leaf->expires.data = p;
    p = ngx_http_eventsync_number(p, seconds);
    leaf->expires.len = p - leaf->expires.data;
    leaf->cdn.len = p - leaf->cdn.data;
}


ngx_http_eventsync_leaf_t *
ngx_http_eventsync_leaf_find(ngx_http_eventsync_pages_t *pages,
    const ngx_http_eventsync_leaf_key_t *key)
{
    ngx_http_eventsync_leaf_t  *leaf;

    leaf = *ngx_http_eventsync_leaf_bucket(pages, key);

    for ( /* void */ ; leaf; leaf = leaf->next) {

        if (ngx_memcmp(&leaf->key, key, sizeof(*key)) != 0) {
            continue;
        }

        if (ngx_queue_head(&pages->leaves) != &leaf->queue) {
            ngx_queue_remove(&leaf->queue);
            ngx_queue_insert_head(&pages->leaves, &leaf->queue);
        }

        leaf->refs++;

        return leaf;
    }

    return NULL;
}


/* frees a page, complete or not */

static ngx_http_eventsync_leaf_t **
ngx_http_eventsync_leaf_bucket(ngx_http_eventsync_pages_t *pages,
    const ngx_http_eventsync_leaf_key_t *key)
{
    uint64_t  hash;

    hash = XXH3_64bits_withSeed(&key->page, sizeof(key->page),
                                ((uint64_t) key->feed << 8) + key->encoding);

    return &pages->buckets[hash % NGX_HTTP_EVENTSYNC_LEAF_BUCKETS];
}


void
ngx_http_eventsync_leaf_remember(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_leaf_t *leaf)
{
    ngx_queue_t                 *q, *prev;
    ngx_http_eventsync_leaf_t  **bucket, **old;

    if (leaf->len > NGX_HTTP_EVENTSYNC_LEAF_MAX) {
        return;
    }

    bucket = ngx_http_eventsync_leaf_bucket(pages, &leaf->key);

    leaf->next = *bucket;
    *bucket = leaf;
    ngx_queue_insert_head(&pages->leaves, &leaf->queue);

    leaf->refs++;
    pages->bytes += sizeof(ngx_http_eventsync_leaf_t) + leaf->len;

    /* the previous version of the page is of no more use */

    for (old = &leaf->next; *old; old = &(*old)->next) {

        if ((*old)->key.page == leaf->key.page
            && (*old)->key.feed == leaf->key.feed
            && (*old)->key.encoding == leaf->key.encoding)
        {
            ngx_http_eventsync_leaf_forget(pages, old);
            break;
        }
    }

    for (q = ngx_queue_last(&pages->leaves);
         q != ngx_queue_sentinel(&pages->leaves)
         && pages->bytes > NGX_HTTP_EVENTSYNC_LEAF_BYTES;
         q = prev)
    {
        prev = ngx_queue_prev(q);
        leaf = ngx_queue_data(q, ngx_http_eventsync_leaf_t, queue);

        old = ngx_http_eventsync_leaf_bucket(pages, &leaf->key);

        while (*old != leaf) {
            old = &(*old)->next;
        }

        ngx_http_eventsync_leaf_forget(pages, old);
    }
}


static void
ngx_http_eventsync_leaf_forget(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_leaf_t **link)
{
    ngx_http_eventsync_leaf_t  *leaf;

    leaf = *link;
    *link = leaf->next;

    ngx_queue_remove(&leaf->queue);
    pages->bytes -= sizeof(ngx_http_eventsync_leaf_t) + leaf->len;

    ngx_http_eventsync_leaf_release(leaf);
}


void
ngx_http_eventsync_leaf_free_all(ngx_http_eventsync_pages_t *pages)
{
    ngx_queue_t  *q, *next;

    for (q = ngx_queue_head(&pages->leaves);
         q != ngx_queue_sentinel(&pages->leaves);
         q = next)
    {
        next = ngx_queue_next(q);

        ngx_http_eventsync_leaf_release(
                        ngx_queue_data(q, ngx_http_eventsync_leaf_t, queue));
    }

    ngx_queue_init(&pages->leaves);
    ngx_memzero(pages->buckets, sizeof(pages->buckets));
    pages->bytes = 0;
}


void
ngx_http_eventsync_leaf_release(void *data)
{
    ngx_http_eventsync_leaf_t  *leaf = data;

    if (leaf && --leaf->refs == 0) {
        ngx_free(leaf);
    }
}


void
ngx_http_eventsync_leaf_pages_key(const ngx_http_eventsync_leaf_key_t *key,
    const es_page_t *page, es_encoded_key_t *out)
{
    out->feed = key->feed;
    ngx_memcpy(out->epoch, key->epoch, sizeof(out->epoch));
    out->page = key->page;
    out->encoding = key->encoding;
    out->source = es_encoded_source(page, key->encoding);
}
