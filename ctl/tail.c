/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "tail" from the store: prints events and follows the feed.
 *
 * Each slice is one read transaction, so that a slow reader of the output never
 * holds a transaction open.
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl.h"
#include "read/reader.h"
#include "store/wake.h"
#include "tail.h"

#define CTL_TAIL_EVENTS  1000
#define CTL_TAIL_BYTES   (4 * 1024 * 1024)
#define CTL_TAIL_POLL_MS  1000     /* a bell may be missed, see wake.h */

typedef struct {
    ctl_t        *ctl;
    const char   *feed;
    const char   *after;
    const char   *from;
    uint64_t      limit;           /* events still to print; 0: no limit */
    bool          limited;
    es_filter_t   filter;
    es_buf_t      scratch;
    char          epoch[ES_EPOCH_MAX + 1];
    uint64_t      position;
    es_page_t     page;
} ctl_tail_t;


/* Sets the start position, which is the oldest event by default. */

static int
ctl_tail_start(ctl_tail_t *t, es_txn_t *txn, const es_feed_t *feed)
{
    es_rc_t      es;
    int64_t      ms;
    es_cursor_t  cursor;

    memcpy(t->epoch, feed->epoch, sizeof(t->epoch));
    t->position = feed->oldest - 1;

    if (t->after != NULL) {
        if (es_cursor_parse(es_str(t->after), &cursor) != ES_OK) {
            return ctl_fail(CTL_USAGE, "\"--after=%s\" is not a cursor",
                            t->after);
        }

        es = es_feed_check(feed, &cursor);
        if (es != ES_OK) {
            return ctl_fail(CTL_FAILED, "cursor \"%s\": %s", t->after,
                            es_reason(es));
        }

        t->position = cursor.sequence;

    } else if (t->from != NULL && strcmp(t->from, "latest") == 0) {
        t->position = feed->last;

    } else if (t->from != NULL && strcmp(t->from, "oldest") != 0) {
        if (es_time_parse(es_str(t->from), &ms) != ES_OK) {
            return ctl_fail(CTL_USAGE, "\"--from=%s\" is not oldest, latest "
                            "or an RFC 3339 time", t->from);
        }

        es = es_feed_seek_time(txn, feed, ms, &t->position);
        if (es != ES_OK) {
            return ctl_fail(CTL_FAILED, "feed \"%s\": %s", t->feed,
                            es_reason(es));
        }
    }

    return CTL_OK;
}


char *
ctl_page_lines(const es_page_t *page)
{
    char      *text;
    unsigned   i;

    text = malloc(page->bytes + 1);

    if (text != NULL && page->count > 0) {
        *es_page_copy(page, text) = '\n';

        for (i = 0; i + 1 < page->count; i++) {
            text[page->ends[i]] = '\n';
        }
    }

    return text;
}


static int
ctl_tail_print(const ctl_tail_t *t, const char *text)
{
    if (t->page.count == 0) {
        return CTL_OK;
    }

    (void) fwrite(text, 1, t->page.bytes + 1, stdout);

    return fflush(stdout) == 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write to standard output");
}


/* Reads the page after the position.  `*text` receives its lines, which the
   caller frees. */

static int
ctl_tail_read(ctl_tail_t *t, es_txn_t *txn, const es_feed_t *feed, char **text)
{
    char      held[ES_CURSOR_MAX];
    es_rc_t   es;
    unsigned  n;

    n = t->limited && t->limit < CTL_TAIL_EVENTS ? (unsigned) t->limit
                                                 : CTL_TAIL_EVENTS;
    memcpy(t->epoch, feed->epoch, sizeof(t->epoch));
    (void) es_feed_cursor(feed, t->position, held);

    es = es_page_read(txn, feed, t->position, es_str(held), n, CTL_TAIL_BYTES,
                      &t->filter, NULL, &t->page);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "feed \"%s\": %s", t->feed, es_reason(es));
    }

    *text = ctl_page_lines(&t->page);

    return *text ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


/* Reads one slice in one transaction; *more: the feed has another one. */

static int
ctl_tail_slice(ctl_tail_t *t, bool first, bool *more)
{
    int         rc;
    char       *text;
    es_rc_t     es;
    es_txn_t   *txn;
    es_feed_t   feed;

    text = NULL;
    es = es_txn_begin(t->ctl->store, &txn);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    rc = CTL_OK;
    es = es_feed_get(txn, es_str(t->feed), &feed);

    if (es != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "feed \"%s\": %s", t->feed, es_reason(es));

    } else if (first) {
        rc = ctl_tail_start(t, txn, &feed);

    } else if (!es_feed_has(&feed, t->epoch, t->position)) {
        rc = ctl_fail(CTL_FAILED, "feed \"%s\" was reset", t->feed);

    } else if (t->position + 1 < feed.oldest) {
        rc = ctl_fail(CTL_FAILED, "events of feed \"%s\" expired before they "
                      "were read", t->feed);
    }

    if (rc == CTL_OK) {
        rc = ctl_tail_read(t, txn, &feed, &text);
    }

    /* a slow reader of the output must not keep the transaction open */

    es_txn_end(txn);

    if (rc == CTL_OK) {
        rc = ctl_tail_print(t, text);
    }

    free(text);

    t->position = t->page.next;
    t->limit -= t->limited ? t->page.count : 0;
    *more = t->page.has_more && !(t->limited && t->limit == 0);

    return rc;
}


static int
ctl_tail_run(ctl_tail_t *t, bool follow)
{
    int            rc, fd;
    bool           more;
    struct pollfd  pfd;

    fd = -1;

    if (follow && es_wake_open(t->ctl->store, &fd) != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot watch the store");
    }

    rc = ctl_tail_slice(t, true, &more);

    while (rc == CTL_OK && (more || follow)
           && !(t->limited && t->limit == 0))
    {
        if (!more) {
            pfd.fd = fd;
            pfd.events = POLLIN;
            (void) poll(&pfd, 1, CTL_TAIL_POLL_MS);
            es_wake_drain(fd);
        }

        rc = ctl_tail_slice(t, false, &more);
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}


/* Checks the arguments, including the filter, for both ways of reading. */

static int
ctl_tail_options(ctl_tail_t *t, const ctl_query_t *query, const char *limit)
{
    int  rc;

    if (query->after != NULL && query->from != NULL) {
        return ctl_fail(CTL_USAGE, "\"--after\" and \"--from\" exclude each "
                        "other");
    }

    rc = ctl_filter_parse(query->filter, &t->filter, &t->scratch);
    if (rc != CTL_OK) {
        return rc;
    }

    t->feed = query->feed;
    t->after = query->after;
    t->from = query->from;
    t->limited = limit != NULL;

    return limit ? ctl_number("limit", limit, 1, UINT32_MAX, &t->limit)
                 : CTL_OK;
}


static int
ctl_tail_store(ctl_tail_t *t, bool follow)
{
    int  rc;

    rc = ctl_open(t->ctl, 0);

    if (rc == CTL_OK) {
        rc = ctl_tail_run(t, follow);
    }

    es_page_free(&t->page);

    return rc;
}


int
ctl_tail(ctl_t *ctl, int argc, char **argv)
{
    int               rc;
    ctl_tail_t        t = { .ctl = ctl };
    const char       *limit = NULL, *follow = NULL, *url = NULL, *key = NULL;
    ctl_tail_args_t   args = { 0 };

    ctl_option_t  options[7 + ES_FILTER_PARAMS] = {
        { "after", &args.query.after },
        { "from", &args.query.from },
        { "limit", &limit },
        { "follow", &follow },
        { "url", &url },
        { "key", &key }
    };

    ctl_filter_options(options, args.query.filter);

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (url == NULL && key != NULL) {
        return ctl_fail(CTL_USAGE, "\"--key\" needs \"--url\"");
    }

    args.query.feed = argv[0];
    rc = ctl_tail_options(&t, &args.query, limit);

    if (rc == CTL_OK && url == NULL) {
        rc = ctl_tail_store(&t, follow != NULL);

    } else if (rc == CTL_OK) {
        args.follow = follow != NULL;
        args.limited = t.limited;
        args.limit = t.limit;
        rc = ctl_tail_http(url, key, &args);
    }

    es_buf_free(&t.scratch);

    return rc;
}
