/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "export": prints a range of events as a backfill has it by HTTP: a line for
 * each event, and a last line, the manifest, by which "import" sees whether all
 * of them are there.
 *
 * Each slice is one read transaction, which ends before the output is written.
 */

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl.h"
#include "event/cursor.h"
#include "progress.h"
#include "read/range.h"
#include "read/reader.h"
#include "tail.h"

#define EXPORT_EVENTS  1000
#define EXPORT_BYTES   (4 * 1024 * 1024)

typedef struct {
    ctl_t        *ctl;
    const char   *name;            /* of the feed */
    es_filter_t   filter;
    bool          filtered;
    es_buf_t      scratch;
    es_feed_t     feed;            /* as it was at the beginning */
    uint64_t      after;
    uint64_t      to;
    uint64_t      position;        /* read up to here */
    char          prev[ES_CURSOR_MAX];
    es_page_t     page;
    uint64_t      count;
    uint64_t      bytes;
    uint64_t      first;
    uint64_t      last;
    uint8_t       from[ES_CHAIN_LEN];
    uint8_t       digest[ES_CHAIN_LEN];
    EVP_MD_CTX   *md;              /* with a filter: of the lines */
} ctl_export_t;


int
ctl_feed_position(es_txn_t *txn, const es_feed_t *feed, const char *option,
    const char *text, uint64_t *sequence)
{
    es_rc_t      es;
    int64_t      ms;
    es_cursor_t  cursor;

    if (strcmp(text, "oldest") == 0) {
        *sequence = feed->oldest - 1;
        return CTL_OK;
    }

    if (strcmp(text, "latest") == 0) {
        *sequence = feed->last;
        return CTL_OK;
    }

    if (es_cursor_parse(es_str(text), &cursor) == ES_OK) {
        *sequence = cursor.sequence;
        es = es_feed_check(feed, &cursor);

        return es == ES_OK ? CTL_OK
                           : ctl_fail(CTL_FAILED, "cursor \"%s\": %s", text,
                                      es_reason(es));
    }

    if (es_time_parse(es_str(text), &ms) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"--%s=%s\" is not oldest, latest, a "
                        "cursor or an RFC 3339 time", option, text);
    }

    es = es_feed_seek_time(txn, feed, ms, sequence);

    return es == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "feed \"%s\": %s",
                                           feed->name, es_reason(es));
}


/* The store has the digests of a range without a filter. */

static int
ctl_export_digests(ctl_export_t *x, es_txn_t *txn)
{
    es_rc_t  es;

    if (x->filtered) {
        x->md = EVP_MD_CTX_new();

        return x->md != NULL
               && EVP_DigestInit_ex(x->md, EVP_sha256(), NULL) == 1
               ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
    }

    es = es_range_digest(txn, &x->feed, x->after, x->from);

    if (es == ES_OK) {
        es = es_range_digest(txn, &x->feed, x->to, x->digest);
    }

    if (es == ES_BUSY) {
        return ctl_fail(CTL_FAILED, "feed \"%s\": an erasure makes its digest "
                        "chain anew; try again when \"erase\" has ended, or "
                        "complete it with --expect=0", x->name);
    }

    return es == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "feed \"%s\": %s",
                                           x->name, es_reason(es));
}


static int
ctl_export_range(ctl_export_t *x, es_txn_t *txn, const char *from,
    const char *to)
{
    int      rc;
    es_rc_t  es;

    es = es_feed_get(txn, es_str(x->name), &x->feed);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "feed \"%s\": %s", x->name, es_reason(es));
    }

    rc = ctl_feed_position(txn, &x->feed, "from", from, &x->after);

    if (rc == CTL_OK) {
        rc = ctl_feed_position(txn, &x->feed, "to", to, &x->to);
    }

    if (rc == CTL_OK && x->to < x->after) {
        rc = ctl_fail(CTL_USAGE, "\"--to=%s\" is before \"--from=%s\"", to,
                      from);
    }

    return rc == CTL_OK ? ctl_export_digests(x, txn) : rc;
}


static int
ctl_export_start(ctl_export_t *x, const char *from, const char *to)
{
    int        rc;
    es_rc_t    es;
    es_txn_t  *txn;

    es = es_txn_begin(x->ctl->store, &txn);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    rc = ctl_export_range(x, txn, from, to);
    es_txn_end(txn);

    x->position = x->after;
    (void) es_feed_cursor(&x->feed, x->after, x->prev);

    return rc;
}


static int
ctl_export_page(ctl_export_t *x, es_txn_t *txn)
{
    es_rc_t    es;
    es_feed_t  feed;

    es = es_feed_get(txn, es_str(x->name), &feed);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "feed \"%s\": %s", x->name, es_reason(es));
    }

    if (!es_feed_has(&feed, x->feed.epoch, x->position)) {
        return ctl_fail(CTL_FAILED, "feed \"%s\" was reset", x->name);
    }

    if (x->position + 1 < feed.oldest) {
        return ctl_fail(CTL_FAILED, "events of feed \"%s\" expired before they "
                        "were read", x->name);
    }

    feed.last = x->to;

    es = es_page_read(txn, &feed, x->position, es_str(x->prev), EXPORT_EVENTS,
                      EXPORT_BYTES, &x->filter, NULL, &x->page);

    return es == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "feed \"%s\": %s",
                                           x->name, es_reason(es));
}


static int
ctl_export_print(ctl_export_t *x, const char *text)
{
    size_t  len;

    x->position = x->page.next;

    if (x->page.count == 0) {
        return CTL_OK;
    }

    len = x->page.bytes + 1;
    x->first = x->count == 0 ? x->page.first : x->first;
    x->last = x->page.last;
    x->count += x->page.count;
    x->bytes += len;
    (void) es_feed_cursor(&x->feed, x->last, x->prev);

    if (x->md != NULL) {
        (void) EVP_DigestUpdate(x->md, text, len);
    }

    return fwrite(text, 1, len, stdout) == len
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write to standard output");
}


static int
ctl_export_slice(ctl_export_t *x)
{
    int        rc;
    char      *text;
    es_rc_t    es;
    es_txn_t  *txn;

    es = es_txn_begin(x->ctl->store, &txn);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    text = NULL;
    rc = ctl_export_page(x, txn);

    if (rc == CTL_OK) {
        text = ctl_page_lines(&x->page);
        rc = text ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
    }

    es_txn_end(txn);

    if (rc == CTL_OK) {
        rc = ctl_export_print(x, text);
    }

    free(text);

    return rc;
}


static void
ctl_export_hex(const uint8_t digest[ES_CHAIN_LEN], char *out)
{
    size_t  i;

    for (i = 0; i < ES_CHAIN_LEN; i++) {
        (void) snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}


/* The members of a backfill's manifest, in their order. */

static int
ctl_export_manifest(ctl_export_t *x)
{
    char  from[ES_CURSOR_MAX], to[ES_CURSOR_MAX];
    char  hex[2 * ES_CHAIN_LEN + 1];

    if (x->md != NULL && EVP_DigestFinal_ex(x->md, x->digest, NULL) != 1) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    (void) es_feed_cursor(&x->feed, x->after, from);
    (void) es_feed_cursor(&x->feed, x->to, to);

    (void) printf("{\"manifest\":{\"complete\":true,\"from\":\"%s\","
                  "\"to\":\"%s\",\"next\":\"%s\",\"count\":%" PRIu64 ","
                  "\"bytes\":%" PRIu64 ",", from, to, to, x->count, x->bytes);

    if (x->count > 0) {
        (void) es_feed_cursor(&x->feed, x->first, from);
        (void) es_feed_cursor(&x->feed, x->last, to);
        (void) printf("\"first\":\"%s\",\"last\":\"%s\",", from, to);

    } else {
        (void) printf("\"first\":null,\"last\":null,");
    }

    if (x->md != NULL) {
        (void) printf("\"algorithm\":\"sha256\",");

    } else {
        ctl_export_hex(x->from, hex);
        (void) printf("\"algorithm\":\"" ES_CHAIN_NAME
                      "\",\"digest_from\":\"%s\",", hex);
    }

    ctl_export_hex(x->digest, hex);
    (void) printf("\"digest\":\"%s\"}}\n", hex);

    return fflush(stdout) == 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write to standard output");
}


static int
ctl_export_run(ctl_export_t *x, const char *from, const char *to)
{
    int  rc;

    x->filtered = !es_filter_is_all(&x->filter);

    rc = ctl_open(x->ctl, 0);

    if (rc == CTL_OK) {
        rc = ctl_export_start(x, from, to);
    }

    if (rc == CTL_OK && !isatty(STDOUT_FILENO)) {
        ctl_progress_begin("export", CTL_EVENTS, x->to - x->after);
    }

    while (rc == CTL_OK && x->position < x->to) {
        rc = ctl_export_slice(x);
        ctl_progress(x->position - x->after);
    }

    return rc == CTL_OK ? ctl_export_manifest(x) : rc;
}


int
ctl_export(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    const char    *from = "oldest", *to = "latest";
    const char    *filter[ES_FILTER_PARAMS] = { NULL };
    ctl_export_t   x = { .ctl = ctl };

    ctl_option_t  options[3 + ES_FILTER_PARAMS] = {
        { "from", &from },
        { "to", &to }
    };

    ctl_filter_options(options, filter);

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK) {
        x.name = argv[0];
        rc = ctl_filter_parse(filter, &x.filter, &x.scratch);
    }

    if (rc == CTL_OK) {
        rc = ctl_export_run(&x, from, to);
    }

    EVP_MD_CTX_free(x.md);
    es_page_free(&x.page);
    es_buf_free(&x.scratch);

    return rc;
}
