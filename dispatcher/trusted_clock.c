/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The trusted clock: the time by which data expires, and the time of records.
 *
 * The store has a time of its own (store_clock.h).  While the wall clock of
 * this process agrees with it, that is the trusted time.  If they differ, the
 * wall clock has jumped or the machine was off.  Nothing is then deleted or
 * stopped by the wall clock until the difference has lasted for ten minutes
 * of monotonic time, and no other process has confirmed the store's time
 * meanwhile.  After that this process trusts its wall clock.
 *
 * The janitor compares the clocks every two seconds.  Other threads read its
 * result and add the time since.
 */

#include <stdatomic.h>

#include "base/base.h"
#include "base/clock.h"
#include "log/store_clock.h"
#include "store/txn.h"

#include "dispatcher.h"
#include "log.h"
#include "trusted_clock.h"

#define ESD_CLOCK_OBSERVE_MS  3600000  /* maximum age of the store's record */


static int64_t
esd_clock_mono_ms(void)
{
    return es_clock_mono_us() / 1000;
}


int64_t
esd_clock_expiry_ms(const esd_dispatcher_t *d)
{
    return atomic_load(&d->clock.sure_ms) + esd_clock_mono_ms();
}


int64_t
esd_clock_stamp_ms(const esd_dispatcher_t *d)
{
    return atomic_load(&d->clock.time_ms) + esd_clock_mono_ms();
}


int64_t
esd_clock_due_ms(const esd_dispatcher_t *d)
{
    return atomic_load(&d->clock.due_ms) + esd_clock_mono_ms();
}


/* True: the difference has lasted for ten minutes; `now_ms` is the monotonic
   clock. */

static bool
esd_clock_proved(esd_clock_t *c, int64_t now_ms, int64_t wall_ms,
    const es_clock_record_t *record, bool refuted)
{
    int64_t  apart_ms;

    apart_ms = wall_ms - now_ms - c->offset_ms;

    /* a process that advanced the record has confirmed the store's time */

    refuted = refuted && record->boot_ms > c->record.boot_ms;

    if (!c->held || refuted
        || apart_ms > ES_CLOCK_AHEAD_MS || apart_ms < -ES_CLOCK_AHEAD_MS)
    {
        c->held = true;
        c->proved = false;
        c->since_ms = now_ms;
        c->offset_ms = wall_ms - now_ms;
    }

    if (now_ms - c->since_ms >= ES_CLOCK_PROOF_MS) {
        c->proved = true;
    }

    return c->proved;
}


static void
esd_clock_report(esd_clock_t *c, const es_clock_verdict_t *v, bool proved)
{
    char  span[ES_CLOCK_SPAN_LEN];

    if (c->reported == (proved ? 2 : 1)) {
        return;
    }

    c->reported = proved ? 2 : 1;
    es_clock_span(v->off_ms, span);

    if (proved) {
        esd_log_line(ESD_LOG_WARN, "the clock has been %s %s the store's time "
                     "for ten minutes: it is trusted now, and events, dead "
                     "letters and attempts that are too old by it are "
                     "deleted",
                     span, v->off_ms > 0 ? "ahead of" : "behind");

    } else {
        esd_log_line(ESD_LOG_WARN,
                     "the clock is %s %s the store's time: nothing "
                     "is deleted or stopped by it until this has lasted "
                     "for ten minutes", span,
                     v->off_ms > 0 ? "ahead of" : "behind");
    }
}


/* True: the record must be written, because it is of an earlier boot, does not
   show a jump, or is old. */

static bool
esd_clock_stale(const es_clock_verdict_t *v, const es_clock_record_t *record,
    int64_t wall_ms)
{
    return v->changed
           || (v->settled && wall_ms - record->time_ms > ESD_CLOCK_OBSERVE_MS);
}


static es_rc_t
esd_clock_read(esd_dispatcher_t *d, es_clock_verdict_t *v,
    es_clock_record_t *record)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_clock_peek(txn, v, record);
    es_txn_end(txn);

    return rc;
}


/* Until the first comparison nothing expires. */

void
esd_clock_init(esd_dispatcher_t *d)
{
    int64_t  time_ms;

    time_ms = es_clock_ms() - esd_clock_mono_ms();

    atomic_init(&d->clock.time_ms, time_ms);
    atomic_init(&d->clock.due_ms, time_ms);
    atomic_init(&d->clock.sure_ms, -esd_clock_mono_ms());
}


es_rc_t
esd_clock_update(esd_dispatcher_t *d)
{
    bool                proved;
    es_rc_t             rc;
    int64_t             now_ms, wall_ms;
    esd_clock_t        *c;
    es_clock_record_t   record;
    es_clock_verdict_t  v;

    c = &d->clock;

    rc = esd_clock_read(d, &v, &record);
    if (rc != ES_OK) {
        return rc;
    }

    now_ms = esd_clock_mono_ms();
    wall_ms = es_clock_ms();

    if (v.settled) {
        c->held = false;
        c->reported = 0;
        proved = true;

    } else {
        proved = esd_clock_proved(c, now_ms, wall_ms, &record,
                                  v.outcome == ES_CLOCK_AHEAD
                                  || v.outcome == ES_CLOCK_BEHIND);
        v.off_ms = v.off_ms != 0 ? v.off_ms : wall_ms - v.sure_ms;
        esd_clock_report(c, &v, proved);
    }

    c->record = record;
    atomic_store(&c->time_ms, (proved ? wall_ms : v.time_ms) - now_ms);
    atomic_store(&c->due_ms, (proved ? wall_ms : v.due_ms) - now_ms);
    atomic_store(&c->sure_ms, (proved ? wall_ms : v.sure_ms) - now_ms);

    if (esd_clock_stale(&v, &record, wall_ms)) {
        rc = es_clock_observe(d->store, &v);
    }

    return rc;
}
