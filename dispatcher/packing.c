/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Packs the history of feeds, in a thread of its own, because it compresses,
 * and waits for the disk and for other writers.
 *
 * The thread looks at all feeds every two seconds.  It takes those that have
 * enough to pack in turns, with one step for each, and a step is one commit.
 * After a step it rests for nine times as long as the step took, so publishers
 * have the writer lock and the disk for nine tenths of the time.  It rests less
 * while nobody else writes to the log.
 *
 * No position is stored: es_pack_position() finds it in the log at the start,
 * and again after a feed has begun another epoch.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/reason.h"
#include "log/feed.h"
#include "log/feed_pack.h"
#include "pack/pack.h"
#include "pack/position.h"
#include "store/txn.h"

#include "dispatcher.h"
#include "log.h"
#include "packing.h"
#include "thread.h"

#define ESD_PACKING_US      2000000    /* between looks at all feeds */
#define ESD_PACKING_RUNS         16    /* runs that are worth a commit ... */
#define ESD_PACKING_WAIT_US 10000000   /* ... or fewer that waited so long */
#define ESD_PACKING_REST          9    /* times as long as the step took */
#define ESD_PACKING_REST_US   50000    /* at least */
#define ESD_PACKING_AGAIN_US 10000000  /* after an error */
#define ESD_PACKING_SAY_US  600000000  /* between two lines of the log */

/* A feed that is packed. */
typedef struct {
    char      name[ES_FEED_MAX + 1];
    char      epoch[ES_EPOCH_MAX + 1];
    uint32_t  number;
    uint32_t  page_size;
    unsigned  level;
    uint64_t  after;           /* the next step begins after it */
    uint64_t  end;             /* of what can be packed now */
    int64_t   since_us;        /* something waits since then, monotonic */
    int64_t   again_us;        /* no step before; 0: no error */
} esd_packed_t;

/* All of them, by name; of the packer's thread. */
typedef struct {
    esd_dispatcher_t     *d;
    esd_packed_t         *feeds;
    size_t                n;
    char                  turn[ES_FEED_MAX + 1];   /* had the last step */
    uint64_t              version;     /* of the log after that step */
    bool                  unread;      /* the feeds cannot be read; logged */
    es_packing_counts_t   counts;
    es_packing_counts_t   said;        /* at the last line of the log */
    int64_t               said_us;
} esd_packer_t;

static void *esd_packing_main(void *ctx);


es_rc_t
esd_packing_start(esd_dispatcher_t *d)
{
    es_rc_t         rc;
    esd_packing_t  *packing;

    packing = &d->packing;

    rc = es_delivery_packing(d->store, &packing->counts);
    packing->recorded = packing->counts;

    return rc == ES_OK ? esd_thread_start(&packing->thread, "es-packer",
                                          esd_packing_main, d)
                       : rc;
}


void
esd_packing_finish(esd_dispatcher_t *d)
{
    (void) esd_thread_finish(&d->packing.thread);
}


bool
esd_packing_moved(esd_packing_t *packing, es_packing_counts_t *counts)
{
    bool  moved;

    if (packing->thread.run == NULL) {     /* it was never started */
        return false;
    }

    esd_thread_lock(&packing->thread);
    *counts = packing->counts;
    esd_thread_unlock(&packing->thread);

    moved = memcmp(counts, &packing->recorded, sizeof(*counts)) != 0;
    packing->recorded = *counts;

    return moved;
}


/* ---- the thread ---- */


static bool
esd_packing_quits(esd_packer_t *p)
{
    bool           quit;
    esd_thread_t  *thread;

    thread = &p->d->packing.thread;

    esd_thread_lock(thread);
    quit = thread->quit;
    esd_thread_unlock(thread);

    return quit;
}


static void
esd_packing_rest(esd_packer_t *p, int64_t us)
{
    esd_thread_t     *thread;
    struct timespec   until;

    thread = &p->d->packing.thread;

    esd_thread_deadline(&until, (int) (us / 1000000));
    until.tv_nsec += us % 1000000 * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;

    esd_thread_lock(thread);

    while (!thread->quit && esd_thread_wait_until(thread, &until)) {
        /* void */
    }

    esd_thread_unlock(thread);
}


static int
esd_packed_compare(const void *name, const void *feed)
{
    return strcmp(name, ((const esd_packed_t *) feed)->name);
}


/* Fills the state of a feed, from the last look or from the log. */

static es_rc_t
esd_packing_feed(const esd_packer_t *p, es_txn_t *txn, const es_feed_t *feed,
    esd_packed_t *packed)
{
    es_rc_t              rc;
    uint64_t             kept;
    const esd_packed_t  *known;

    known = p->n ? bsearch(feed->name, p->feeds, p->n, sizeof(esd_packed_t),
                           esd_packed_compare)
                 : NULL;

    if (known != NULL && known->number == feed->number
        && strcmp(known->epoch, feed->epoch) == 0)
    {
        packed->after = known->after;
        packed->since_us = known->since_us;
        packed->again_us = known->again_us;

    } else {
        packed->since_us = 0;
        packed->again_us = 0;
        rc = es_pack_position(txn, feed, &packed->after);

        if (rc != ES_OK) {
            return rc;
        }
    }

    memcpy(packed->name, feed->name, sizeof(packed->name));
    memcpy(packed->epoch, feed->epoch, sizeof(packed->epoch));
    packed->number = feed->number;
    packed->page_size = feed->page_size;
    packed->end = es_pack_end(feed);

    kept = (feed->oldest - 1) / feed->page_size * feed->page_size;

    if (packed->after < kept) {
        packed->after = kept;
    }

    if (packed->after >= packed->end) {
        packed->since_us = 0;

    } else if (packed->since_us == 0) {
        packed->since_us = es_clock_mono_us();
    }

    return ES_OK;
}


/* Reads the next feed after `packed->name` that is packed, in a transaction of
   its own, because a search in a log that is not in memory takes a while.
   ES_NOT_FOUND: there is none. */

static es_rc_t
esd_packing_next(const esd_packer_t *p, esd_packed_t *packed)
{
    es_rc_t     rc;
    es_txn_t   *txn;
    es_feed_t   feed;

    rc = es_txn_begin(p->d->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    memcpy(feed.name, packed->name, sizeof(feed.name));

    do {
        rc = es_feed_next(txn, es_str(feed.name), &feed);

        if (rc == ES_OK) {
            rc = es_feed_pack_get(txn, feed.number, &packed->level);
        }

    } while (rc == ES_OK && packed->level == ES_PACK_OFF);

    if (rc == ES_OK) {
        rc = esd_packing_feed(p, txn, &feed, packed);
    }

    es_txn_end(txn);

    return rc;
}


static es_rc_t
esd_packing_list(const esd_packer_t *p, esd_packed_t **feeds, size_t *n)
{
    void          *more;
    size_t         room;
    es_rc_t        rc;
    esd_packed_t   next = { .name = "" };

    room = 0;

    while ((rc = esd_packing_next(p, &next)) == ES_OK) {

        if (*n == room) {
            room = room ? room * 2 : 16;
            more = realloc(*feeds, room * sizeof(esd_packed_t));

            if (more == NULL) {
                return ES_NOMEM;
            }

            *feeds = more;
        }

        (*feeds)[(*n)++] = next;
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* Without a complete list the packer goes on with the last one. */

static void
esd_packing_look(esd_packer_t *p)
{
    size_t         n = 0;
    es_rc_t        rc;
    esd_packed_t  *feeds = NULL;

    rc = esd_packing_list(p, &feeds, &n);

    if (rc == ES_OK) {
        free(p->feeds);
        p->feeds = feeds;
        p->n = n;

    } else {
        free(feeds);
        p->counts.errors++;
    }

    if (rc != ES_OK && !p->unread) {
        esd_log_line(ESD_LOG_ERROR, "cannot read which feeds are packed: %s",
                     es_reason(rc));
    }

    p->unread = rc != ES_OK;
}


/* Publishes the counters to the loop. */

static void
esd_packing_count(esd_packer_t *p)
{
    size_t               i;
    esd_thread_t        *thread;
    const esd_packed_t  *packed;

    p->counts.pending = 0;

    for (i = 0; i < p->n; i++) {
        packed = &p->feeds[i];

        if (packed->after < packed->end) {
            p->counts.pending += packed->end - packed->after;
        }
    }

    thread = &p->d->packing.thread;

    esd_thread_lock(thread);
    p->d->packing.counts = p->counts;
    esd_thread_unlock(thread);
}


static void
esd_packing_say(esd_packer_t *p, bool end)
{
    int64_t   now_us;
    uint64_t  pages;

    now_us = es_clock_mono_us();
    pages = p->counts.pages - p->said.pages;

    if (pages == 0 || (!end && now_us - p->said_us < ESD_PACKING_SAY_US)) {
        return;
    }

    esd_log_line(ESD_LOG_INFO, "packed %" PRIu64 " pages: %" PRIu64 " bytes "
                 "became %" PRIu64 "; %" PRIu64 " events wait to be packed",
                 pages, p->counts.before - p->said.before,
                 p->counts.after - p->said.after, p->counts.pending);

    p->said = p->counts;
    p->said_us = now_us;
}


/* Logs once that a feed cannot be packed, and once that it can be again. */

static void
esd_packing_note(esd_packer_t *p, esd_packed_t *packed, es_rc_t rc)
{
    bool  failing;

    failing = packed->again_us != 0;

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        packed->again_us = 0;

        if (failing && rc == ES_OK) {
            esd_log_about(ESD_LOG_WARN, (esd_about_t) { .feed = packed->name },
                          "feed \"%s\" is packed again", packed->name);
        }

        return;
    }

    p->counts.errors++;
    packed->again_us = es_clock_mono_us() + ESD_PACKING_AGAIN_US;

    if (!failing) {
        esd_log_about(ESD_LOG_ERROR, (esd_about_t) { .feed = packed->name },
                      "cannot pack feed \"%s\": %s; the dispatcher tries "
                      "again every %d s", packed->name, es_reason(rc),
                      ESD_PACKING_AGAIN_US / 1000000);
    }
}


/* The step has passed over it, so each damaged page is logged once. */

static void
esd_packing_damaged(esd_packer_t *p, const esd_packed_t *packed,
    const es_packed_runs_t *runs)
{
    if (runs->damaged == 0) {
        return;
    }

    p->counts.errors += runs->damaged;

    esd_log_about(ESD_LOG_ERROR,
                  (esd_about_t) { .feed = packed->name, .epoch = packed->epoch,
                                  .sequence = runs->damaged_at },
                  "%" PRIu64 " page%s of feed \"%s\" cannot be packed, from "
                  "\"%s-%" PRIu64 "\" on: the log is damaged there; run "
                  "\"eventsyncctl verify\"", runs->damaged,
                  runs->damaged == 1 ? "" : "s", packed->name, packed->epoch,
                  runs->damaged_at);
}


/* Returns how long the step took. */

static int64_t
esd_packing_step(esd_packer_t *p, esd_packed_t *packed)
{
    es_rc_t           rc;
    int64_t           begun_us;
    es_packed_runs_t  runs;

    begun_us = es_clock_mono_us();

    rc = es_pack_step(p->d->store, es_str(packed->name), packed->after,
                      ES_PACK_RUNS_MAX, packed->level, &runs);

    if (rc == ES_OK) {
        packed->after = runs.done ? packed->end : runs.next;
        p->counts.pages += runs.runs;
        p->counts.before += runs.before;
        p->counts.after += runs.after;
        esd_packing_damaged(p, packed, &runs);

    } else if (rc == ES_NOT_FOUND) {
        packed->after = packed->end;
    }

    if (packed->after >= packed->end) {
        packed->since_us = 0;
    }

    esd_packing_note(p, packed, rc);

    return es_clock_mono_us() - begun_us;
}


static bool
esd_packing_due(const esd_packed_t *packed, int64_t now_us)
{
    uint64_t  runs;

    if (packed->after >= packed->end || now_us < packed->again_us) {
        return false;
    }

    runs = (packed->end - packed->after) / packed->page_size;

    return runs >= ESD_PACKING_RUNS
           || now_us - packed->since_us >= ESD_PACKING_WAIT_US;
}


/* Returns the next feed in turn that is due; NULL: none is. */

static esd_packed_t *
esd_packing_choose(esd_packer_t *p)
{
    size_t   i, first;
    int64_t  now_us;

    now_us = es_clock_mono_us();
    first = 0;

    while (first < p->n && strcmp(p->feeds[first].name, p->turn) <= 0) {
        first++;
    }

    for (i = 0; i < p->n; i++) {
        if (esd_packing_due(&p->feeds[(first + i) % p->n], now_us)) {
            return &p->feeds[(first + i) % p->n];
        }
    }

    return NULL;
}


/* Packs until it is time for another look, or for the end. */

static void
esd_packing_round(esd_packer_t *p, int64_t until_us)
{
    int64_t        us;
    uint64_t       version;
    esd_packed_t  *packed;

    while (es_clock_mono_us() < until_us && !esd_packing_quits(p)) {
        packed = esd_packing_choose(p);
        if (packed == NULL) {
            return;
        }

        memcpy(p->turn, packed->name, sizeof(p->turn));
        version = es_store_version(p->d->store);
        us = esd_packing_step(p, packed);

        if (version != p->version) {
            us *= ESD_PACKING_REST;
        }

        p->version = es_store_version(p->d->store);
        esd_packing_rest(p, us > ESD_PACKING_REST_US ? us
                                                     : ESD_PACKING_REST_US);
    }
}


static void *
esd_packing_main(void *ctx)
{
    int64_t           now_us, until_us;
    esd_dispatcher_t  *d = ctx;
    esd_packer_t       p = { .d = d, .counts = d->packing.counts };

    p.said = p.counts;
    p.said_us = es_clock_mono_us();

    while (!esd_packing_quits(&p)) {
        until_us = es_clock_mono_us() + ESD_PACKING_US;

        esd_packing_look(&p);
        esd_packing_round(&p, until_us);
        esd_packing_count(&p);
        esd_packing_say(&p, false);

        now_us = es_clock_mono_us();

        if (now_us < until_us) {
            esd_packing_rest(&p, until_us - now_us);
        }
    }

    esd_packing_say(&p, true);
    free(p.feeds);

    return NULL;
}
