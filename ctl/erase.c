/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "erase": events of one subject, or one event.
 *
 * A call must state the number of events, so that a wrong subject does not
 * erase more than its author meant.  A run that was interrupted is completed by
 * the same call.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "ctl.h"
#include "erase/erase.h"
#include "feed.h"
#include "log/feed.h"
#include "read/ciphertexts.h"
#include "read/encoded_pages.h"

#define CTL_ERASE_WAIT_MS  10000   /* for a reader of an old state */

typedef struct {
    const char  *subject;
    const char  *event;
    const char  *feed;
    const char  *dry;
    const char  *expect;
    const char  *forget;
    const char  *drop;
} ctl_erase_text_t;

typedef struct {
    es_erase_t   what;
    bool         dry;
    uint64_t     expected;
    es_buf_t     subject;          /* as JSON text */
    char       (*feeds)[ES_FEED_MAX + 1];
    size_t       nfeeds;
    uint64_t     count;
    json_t      *found;            /* feeds with their cursors */
    json_t      *keys;             /* of pages in caches */
    es_erasure_t  *erasures;       /* whose copies are not removed yet */
    size_t       nerasures;
    es_encoded_page_t  *pages;     /* that workers may have stored */
    size_t       npages;
    json_t      *cursors;          /* of the present feed */
    char         held[ES_FEED_MAX + 1];    /* a feed that has events to erase
                                              and is held; empty: none */
    uint64_t     page;             /* the last one of the present feed */
    es_scrub_t   scrub;
} ctl_erase_t;


static int
ctl_erase_args(ctl_t *ctl, int *argc, char **argv, ctl_erase_text_t *text,
    ctl_erase_t *e)
{
    int  rc;

    const ctl_option_t  options[] = {
        { "subject", &text->subject },
        { "event", &text->event },
        { "feed", &text->feed },
        { "dry-run", &text->dry },
        { "expect", &text->expect },
        { "forget-ids", &text->forget },
        { "drop-digest", &text->drop },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    e->dry = text->dry != NULL;
    e->what.forget = text->forget != NULL;
    e->what.drop = text->drop != NULL;

    if (text->expect != NULL) {
        rc = ctl_number("expect", text->expect, 0, ES_SEQUENCE_MAX,
                        &e->expected);
        if (rc != CTL_OK) {
            return rc;
        }
    }

    if (text->event != NULL && text->feed == NULL) {
        return ctl_fail(CTL_USAGE, "\"--event\" needs \"--feed\": a cursor "
                        "does not name its feed");
    }

    if (text->event != NULL
        && es_cursor_parse(es_str(text->event), &e->what.event) != ES_OK)
    {
        return ctl_fail(CTL_USAGE, "\"%s\" is not a cursor", text->event);
    }

    if (text->subject != NULL
        && (text->subject[0] == '\0'
            || es_json_escape(es_str(text->subject), &e->subject) != ES_OK))
    {
        return ctl_fail(CTL_USAGE, "\"--subject\" is empty, or not UTF-8");
    }

    e->what.subject = (es_str_t) { e->subject.data, e->subject.len };

    return CTL_OK;
}


/* The feeds' names, so that no transaction is open while events are erased. */

static int
ctl_erase_feeds(ctl_t *ctl, const char *name, ctl_erase_t *e)
{
    void       *feeds;
    es_rc_t     es;
    es_txn_t   *txn;
    es_feed_t   feed = { 0 };

    es = es_txn_begin(ctl->store, &txn);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    for ( ;; ) {
        es = name != NULL && e->nfeeds == 0
             ? es_feed_get(txn, es_str(name), &feed)
             : name != NULL ? ES_NOT_FOUND
                            : es_feed_next(txn, es_str(feed.name), &feed);
        if (es != ES_OK) {
            break;
        }

        feeds = realloc(e->feeds, (e->nfeeds + 1) * sizeof(*e->feeds));
        if (feeds == NULL) {
            es = ES_NOMEM;
            break;
        }

        e->feeds = feeds;
        memcpy(e->feeds[e->nfeeds++], feed.name, sizeof(feed.name));
    }

    es_txn_end(txn);

    if (es != ES_NOT_FOUND) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    return name != NULL && e->nfeeds == 0
           ? ctl_fail(CTL_FAILED, "no feed \"%s\"", name) : CTL_OK;
}


/* A cache has the page under the present epoch, and may have it under an
   earlier one. */

static void
ctl_erase_page(ctl_erase_t *e, const es_feed_t *feed, uint64_t sequence)
{
    uint32_t     i;
    uint64_t     page;
    const char  *epoch;

    page = (sequence - 1) / feed->page_size + 1;

    if (page == e->page) {
        return;
    }

    e->page = page;

    for (i = 0; i <= feed->nearlier; i++) {
        epoch = i < feed->nearlier ? feed->earlier[i].name : feed->epoch;

        if (i == feed->nearlier || feed->earlier[i].last >= sequence) {
            (void) json_array_append_new(e->keys,
                                         json_sprintf("%s-%s-%" PRIu64,
                                                      feed->name, epoch,
                                                      page));
        }
    }
}


static void
ctl_erase_each(void *ctx, const es_feed_t *feed, uint64_t sequence)
{
    char          cursor[ES_CURSOR_MAX];
    ctl_erase_t  *e = ctx;

    e->count++;

    if (feed->held) {
        memcpy(e->held, feed->name, sizeof(e->held));
    }

    (void) es_feed_cursor(feed, sequence, cursor);
    (void) json_array_append_new(e->cursors, json_string(cursor));

    ctl_erase_page(e, feed, sequence);
}


static int
ctl_erase_failed(ctl_erase_t *e, const char *feed, es_rc_t es)
{
    if (es == ES_EXPIRED || es == ES_RESET || es == ES_AHEAD
        || es == ES_INVALID)
    {
        return ctl_fail(CTL_FAILED, "feed \"%s\" has no event of this cursor: "
                        "%s", feed, es == ES_INVALID
                        ? "it is before the first event" : es_strerror(es));
    }

    if (es == ES_DENIED && !e->what.forget) {
        return ctl_fail(CTL_USAGE, "erased events must not be published again:"
                        " give the key file under which their ids are hashed, "
                        "or --forget-ids");
    }

    return es == ES_HELD
           ? ctl_feed_failed(feed, es)
           : ctl_fail(CTL_FAILED, "feed \"%s\": %s", feed, es_reason(es));
}


/* Finds or erases the events of each feed. */

static int
ctl_erase_all(ctl_t *ctl, ctl_erase_t *e, bool erase)
{
    size_t    i;
    es_rc_t   es;
    uint64_t  before;

    e->count = 0;
    e->npages = 0;
    (void) json_array_clear(e->found);
    (void) json_array_clear(e->keys);

    for (i = 0; i < e->nfeeds; i++) {
        e->what.feed = es_str(e->feeds[i]);
        e->cursors = json_array();
        e->page = 0;
        before = e->count;

        es = erase ? es_erase(ctl->store, &e->what)
                   : es_erase_find(ctl->store, &e->what);

        if (e->count > before) {
            (void) json_array_append_new(e->found,
                                         json_pack("{s:s, s:I, s:o}",
                                                   "feed", e->feeds[i],
                                                   "events", (json_int_t)
                                                   (e->count - before),
                                                   "cursors", e->cursors));
        } else {
            json_decref(e->cursors);
        }

        /* a feed may have been removed meanwhile */

        if (es != ES_OK && !(es == ES_NOT_FOUND && e->nfeeds > 1)) {
            return ctl_erase_failed(e, e->feeds[i], es);
        }
    }

    return CTL_OK;
}


/* The key file must be there before anything is erased. */

static int
ctl_erase_check(ctl_t *ctl, ctl_erase_t *e)
{
    int  rc;

    rc = ctl_erase_all(ctl, e, false);

    if (rc == CTL_OK && e->held[0] != '\0') {
        return ctl_fail(CTL_FAILED, "feed \"%s\" is held and has such events: "
                        "nothing %s erased", e->held, e->dry ? "would be"
                                                             : "was");
    }

    if (rc != CTL_OK || e->dry || e->count == e->expected) {
        return rc;
    }

    return ctl_fail(CTL_FAILED, "%" PRIu64 " events match, and not %" PRIu64
                    ": nothing was erased", e->count, e->expected);
}


/* Notes an erased event, also one of a run that was killed, and its page. */

static es_rc_t
ctl_erase_note(void *ctx, uint64_t number, const es_erasure_t *erasure)
{
    void               *more;
    ctl_erase_t        *e = ctx;
    es_encoded_page_t   page;

    (void) number;

    more = realloc(e->erasures, (e->nerasures + 1) * sizeof(*e->erasures));
    if (more == NULL) {
        return ES_NOMEM;
    }

    e->erasures = more;
    e->erasures[e->nerasures++] = *erasure;

    page.feed = erasure->feed;
    page.page = (erasure->sequence - 1) / ES_FEED_PAGE + 1;

    if (e->npages > 0
        && e->pages[e->npages - 1].feed == page.feed
        && e->pages[e->npages - 1].page == page.page)
    {
        return ES_OK;
    }

    more = realloc(e->pages, (e->npages + 1) * sizeof(*e->pages));
    if (more == NULL) {
        return ES_NOMEM;
    }

    e->pages = more;
    e->pages[e->npages++] = page;

    return ES_OK;
}


/* Stored pages of these events are of no use any more. */

static int
ctl_erase_pages(ctl_t *ctl, ctl_erase_t *e)
{
    es_rc_t              es;
    es_scrub_t           scrub;
    es_problem_t         problem = { 0 };
    es_encoded_pages_t  *pages;

    es = es_encoded_open(ctl->store, 0, &pages, &problem);

    if (es == ES_NOT_FOUND) {
        return CTL_OK;
    }

    if (es == ES_OK) {
        es = es_encoded_erase(pages, e->pages, e->npages, CTL_ERASE_WAIT_MS,
                              &scrub);
        es_encoded_close(pages);
    }

    return es == ES_OK ? CTL_OK
           : ctl_fail(CTL_FAILED, "the events are erased, but pages that "
                      "workers have stored are not: %s; stop nginx and remove "
                      "pages/ of the store", problem.detail[0] != '\0'
                      ? problem.detail : es_reason(es));
}


static int
ctl_erase_ciphertexts(ctl_t *ctl, ctl_erase_t *e)
{
    es_rc_t            es;
    es_scrub_t         scrub;
    es_ciphertexts_t  *texts;

    texts = es_ciphertexts_create(ctl->store, ES_CIPHERTEXTS_HALF);

    es = texts == NULL ? ES_NOMEM
         : es_ciphertexts_erase(texts, e->erasures, e->nerasures,
                                CTL_ERASE_WAIT_MS, &scrub);
    es_ciphertexts_free(texts);

    return es == ES_OK ? CTL_OK
           : ctl_fail(CTL_FAILED, "the events are erased, but their encrypted "
                      "fields are not: %s; stop nginx and the dispatcher, and "
                      "remove encrypted/ of the store", es_reason(es));
}


/* Copies that other processes have made of these events. */

static int
ctl_erase_copies(ctl_t *ctl, ctl_erase_t *e)
{
    int       rc;
    es_rc_t   es;
    uint64_t  erased, finished;

    es = es_erase_state(ctl->store, &erased, &finished);

    if (es == ES_OK) {
        es = es_erase_each(ctl->store, finished, ctl_erase_note, e);
    }

    if (es != ES_OK || e->nerasures == 0) {
        return es == ES_OK ? CTL_OK
                           : ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    rc = ctl_erase_pages(ctl, e);

    return rc == CTL_OK ? ctl_erase_ciphertexts(ctl, e) : rc;
}


/* What records have no longer is still in the files. */

static int
ctl_erase_end(ctl_t *ctl, ctl_erase_t *e)
{
    int      rc;
    size_t   i;
    es_rc_t  es;

    rc = ctl_erase_copies(ctl, e);
    if (rc != CTL_OK) {
        return rc;
    }

    es = ES_OK;

    for (i = 0; es == ES_OK && e->what.subject.len != 0 && i < e->nfeeds; i++)
    {
        es = es_erase_bounds(ctl->store, es_str(e->feeds[i]),
                             e->what.subject);
        es = es == ES_NOT_FOUND ? ES_OK : es;
    }

    if (es == ES_OK) {
        es = es_erase_finish(ctl->store, CTL_ERASE_WAIT_MS, &e->scrub);
    }

    if (es == ES_BUSY && e->scrub.reader != 0) {
        return ctl_fail(CTL_FAILED, "the events are erased, but process %d "
                        "reads an old state and keeps free pages from being "
                        "overwritten: end it and erase again with --expect=0",
                        e->scrub.reader);
    }

    return es == ES_OK ? CTL_OK
           : ctl_fail(CTL_FAILED, "the events are erased, but their bytes are "
                      "not overwritten: %s; erase again with --expect=0",
                      es_reason(es));
}


static void
ctl_erase_print(ctl_t *ctl, ctl_erase_t *e)
{
    size_t   i;
    json_t  *feed, *cursors;

    for (i = 0; !ctl->json && i < json_array_size(e->found); i++) {
        feed = json_array_get(e->found, i);
        cursors = json_object_get(feed, "cursors");

        (void) printf("%s: %" JSON_INTEGER_FORMAT " events, %s\n",
                      json_string_value(json_object_get(feed, "feed")),
                      json_integer_value(json_object_get(feed, "events")),
                      json_string_value(json_array_get(cursors, 0)));
    }

    for (i = 0; !ctl->json && i < json_array_size(e->keys); i++) {
        (void) printf("purge %s\n",
                      json_string_value(json_array_get(e->keys, i)));
    }

    if (!ctl->json) {
        (void) printf("%" PRIu64 " events %s\n", e->count,
                      e->dry ? "would be erased" : "erased");
    }

    ctl_result(ctl, json_pack("{s:b, s:I, s:O, s:O}", "erased", !e->dry,
                              "events", (json_int_t) e->count, "feeds",
                              e->found, "surrogate_keys", e->keys));
}


static int
ctl_erase_run(ctl_t *ctl, ctl_erase_t *e)
{
    int  rc;

    rc = ctl_erase_check(ctl, e);

    if (rc == CTL_OK && !e->dry) {
        rc = ctl_erase_all(ctl, e, true);

        if (rc == CTL_OK) {
            rc = ctl_erase_end(ctl, e);
        }
    }

    /* also after a failure: caches may have what is gone here */

    if (rc == CTL_OK || (!e->dry && e->count > 0)) {
        ctl_erase_print(ctl, e);
    }

    return rc;
}


int
ctl_erase(ctl_t *ctl, int argc, char **argv)
{
    int               rc;
    ctl_erase_t       e = { 0 };
    ctl_erase_text_t  text = { 0 };

    e.what.each = ctl_erase_each;
    e.what.ctx = &e;
    e.found = json_array();
    e.keys = json_array();

    rc = ctl_erase_args(ctl, &argc, argv, &text, &e);

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, e.dry ? 0 : ES_STORE_PUBLISH);
    }

    if (rc == CTL_OK) {
        rc = ctl_erase_feeds(ctl, text.feed, &e);
    }

    if (rc == CTL_OK) {
        rc = ctl_erase_run(ctl, &e);
    }

    json_decref(e.found);
    json_decref(e.keys);
    es_buf_free(&e.subject);
    free(e.feeds);
    free(e.erasures);
    free(e.pages);

    return rc;
}
