/* SPDX-License-Identifier: BSD-2-Clause */

/* The store's time: which wall clocks move it, and when they do. */

#include "log/store_clock.h"
#include "tap.h"

#define DAY   INT64_C(86400000)
#define MIN   INT64_C(60000)
#define NOON  INT64_C(1796040000000)

static es_clock_record_t   record;
static es_clock_verdict_t  verdict;


/* The machine has run for `boot_ms`, and a process's wall clock says NOON plus
   `wall_ms`. */

static es_clock_case_t
at(uint64_t boot, int64_t boot_ms, int64_t wall_ms)
{
    es_clock_now_t  now = { boot, boot_ms, NOON + wall_ms };

    es_clock_decide(&record, &now, &verdict);

    return verdict.outcome;
}


/* A store whose time was NOON when machine 1 had run for an hour. */

static void
begin(void)
{
    memset(&record, 0, sizeof(record));
    record.boot_ms = INT64_MAX;
    record.doubt_ms = -1;
    record.time_ms = NOON;

    (void) at(1, 60 * MIN, 0);
}


static bool
says(int64_t time_ms, int64_t sure_ms, bool settled)
{
    return verdict.time_ms == NOON + time_ms
           && verdict.sure_ms == NOON + sure_ms && verdict.settled == settled;
}


static void
ahead(void)
{
    begin();
    ok(at(1, 60 * MIN + 5000, 5000) == ES_CLOCK_GOOD && says(5000, 5000, true),
       "a clock that goes as the machine's does is believed");
    ok(at(1, 61 * MIN, 31 * MIN) == ES_CLOCK_AHEAD && says(MIN, MIN, false)
       && verdict.off_ms == 30 * MIN && verdict.changed,
       "one that is ahead is not: the time is what the machine's says");
    ok(verdict.due_ms == NOON + MIN, "also of what ends");
    ok(at(1, 62 * MIN, 32 * MIN) == ES_CLOCK_AHEAD && !verdict.changed,
       "nor a minute later");
    ok(at(1, 63 * MIN, 3 * MIN) == ES_CLOCK_GOOD && says(3 * MIN, 3 * MIN, true)
       && verdict.changed, "another process is right");
    ok(at(1, 72 * MIN, 42 * MIN) == ES_CLOCK_AHEAD
       && at(1, 81 * MIN, 51 * MIN) == ES_CLOCK_AHEAD,
       "the ten minutes count from there on");
    ok(at(1, 82 * MIN, 52 * MIN) == ES_CLOCK_MOVED
       && says(52 * MIN, 52 * MIN, true), "after which the clock is right");
    ok(at(1, 83 * MIN, 53 * MIN) == ES_CLOCK_GOOD, "and good");

    begin();
    ok(at(1, 61 * MIN, 2 * MIN) == ES_CLOCK_GOOD && says(2 * MIN, 2 * MIN, true),
       "a minute ahead is believed");
    ok(at(1, 61 * MIN, MIN) == ES_CLOCK_GOOD && says(MIN, MIN, true),
       "also who is then a minute behind");

    begin();
    (void) at(1, 61 * MIN, 10 * DAY);
    (void) at(1, 66 * MIN, 20 * DAY);
    ok(at(1, 75 * MIN, 20 * DAY + 9 * MIN) == ES_CLOCK_AHEAD,
       "another jump begins anew");
    ok(at(1, 76 * MIN, 20 * DAY + 10 * MIN) == ES_CLOCK_MOVED,
       "and has its own ten minutes");
}


static void
behind(void)
{
    begin();
    ok(at(1, 61 * MIN, -10 * DAY) == ES_CLOCK_BEHIND
       && says(-10 * DAY, -10 * DAY, false),
       "a clock that is put back dates events, and does not move the store's "
       "time");
    ok(verdict.due_ms == NOON + MIN, "nor put off what ends");
    ok(at(1, 62 * MIN, MIN - 2000) == ES_CLOCK_GOOD
       && says(MIN - 2000, MIN - 2000, true), "a minute behind is believed");
    ok(at(1, 63 * MIN, 3 * MIN) == ES_CLOCK_GOOD
       && says(3 * MIN, 3 * MIN, true), "and makes nobody else early");
    ok(at(1, 64 * MIN, -DAY) == ES_CLOCK_BEHIND
       && at(1, 74 * MIN, -DAY + 10 * MIN) == ES_CLOCK_MOVED
       && says(-DAY + 10 * MIN, -DAY + 10 * MIN, true),
       "a clock that was put back is right after ten minutes");
}


static void
restart(void)
{
    begin();
    ok(at(2, MIN, 30000) == ES_CLOCK_GOOD && says(30000, 30000, true),
       "a machine that starts within a minute says what time it is");

    begin();
    ok(at(2, MIN, 40 * DAY) == ES_CLOCK_DOUBT && says(40 * DAY, 0, false)
       && verdict.off_ms == 40 * DAY,
       "after a stop of forty days events are dated by the clock, and none is "
       "deleted by it");
    ok(at(2, 6 * MIN, 40 * DAY + 5 * MIN) == ES_CLOCK_GOOD
       && says(40 * DAY + 5 * MIN, 0, false), "as five minutes later");
    ok(at(2, 11 * MIN, 40 * DAY + 10 * MIN) == ES_CLOCK_MOVED
       && says(40 * DAY + 10 * MIN, 40 * DAY + 10 * MIN, true),
       "after ten minutes they are");

    begin();
    (void) at(2, MIN, 40 * DAY);
    ok(at(2, 2 * MIN, DAY) == ES_CLOCK_DOUBT && says(DAY, 0, false),
       "a clock that is set right after the start is taken at once");
    ok(at(2, 11 * MIN, DAY + 9 * MIN) == ES_CLOCK_GOOD && !verdict.settled
       && at(2, 12 * MIN, DAY + 10 * MIN) == ES_CLOCK_MOVED,
       "and its ten minutes begin then");

    begin();
    ok(at(2, MIN, -20000 * DAY) == ES_CLOCK_DOUBT && says(0, -20000 * DAY, false),
       "a machine that starts in 1970 goes on from the last time");
    ok(at(2, 2 * MIN, 3 * DAY) == ES_CLOCK_DOUBT && says(3 * DAY, 0, false),
       "until somebody sets its clock");
    ok(at(2, 12 * MIN, 3 * DAY + 10 * MIN) == ES_CLOCK_MOVED, "for good");

    begin();
    (void) at(2, MIN, -20000 * DAY);
    ok(at(2, 11 * MIN, -20000 * DAY + 10 * MIN) == ES_CLOCK_MOVED
       && says(-20000 * DAY + 10 * MIN, -20000 * DAY + 10 * MIN, true),
       "or what it says has stayed so for ten minutes");

    begin();
    ok(at(1, MIN, MIN) == ES_CLOCK_GOOD && says(MIN, MIN, true),
       "a clock of the machine that is less than it was is another start");
}


static void
machine(void)
{
    char          text[ES_CLOCK_SPAN_LEN];
    es_machine_t  m;

    es_machine_read(&m);
    ok(m.boot != 0, "this start of the machine has a name");
    ok(es_machine_ms(&m) > 0 && es_machine_ms(&m) + m.offset_ms
       <= es_clock_boot_ms(), "its clock is the time since boot");

    es_clock_span(-(2 * DAY + 3 * 60 * MIN + 4 * MIN + 5678), text);
    is_str(es_str(text), "2d 03:04:05", "an amount is days and a time");
}


int
main(void)
{
    ahead();
    behind();
    restart();
    machine();

    return done();
}
