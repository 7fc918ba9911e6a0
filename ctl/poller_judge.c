/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Judges a request of the poller by the answer before it.
 *
 * The first mistake of a step ends the step, and its events are left out from
 * then on, so that the next step begins as if it had not been.
 */

#include <poll.h>

#include "poller.h"

#define JUDGE_EARLY_US   100000    /* timers of pollers may be early */
#define JUDGE_QUICK_US   100000    /* "at once" */
#define JUDGE_PAUSE_US   250000    /* the shortest pause that is one */
#define JUDGE_BEHIND     2


/* True if the client of the held request has left. */

static bool
ctl_judge_left(const ctl_poller_t *p)
{
    struct pollfd  fd = { .fd = p->pending, .events = POLLRDHUP };

    return poll(&fd, 1, 0) == 1;
}


static void
ctl_judge_held(ctl_poller_t *p)
{
    if (p->pending == -1) {
        return;
    }

    if (ctl_judge_left(p)) {
        ctl_poller_wrong(p, "short-timeout", "the poller closed the connection "
                         "before the answer");
    } else {
        ctl_poller_wrong(p, "overlaps", "a second request before the answer to "
                         "the first");
    }

    p->pending = -1;
}


static void
ctl_judge_time(ctl_poller_t *p, const ctl_asked_t *asked)
{
    int64_t  gap_us, early_us;

    gap_us = asked->came_us - p->answered_us;
    early_us = p->not_before_us - asked->came_us;

    if (p->not_before_us != 0 && early_us > JUDGE_EARLY_US) {
        ctl_poller_wrong(p, p->sse ? "ignores-retry"
                         : p->answered == CTL_MOVE_DATE ? "ignores-date"
                                                        : "ignores-retry-after",
                         "asked again after %.1f s, %s says %.1f s",
                         (double) gap_us / 1e6, p->sse ? "retry"
                                                       : "Retry-After",
                         (double) (gap_us + early_us) / 1e6);
    }

    p->not_before_us = 0;

    if (p->answered_us == 0 || p->waited || p->ended) {
        return;
    }

    p->quick += gap_us < JUDGE_QUICK_US;

    if (p->answered == CTL_MOVE_IDLE
        && (p->idle_gap_us == 0 || gap_us < p->idle_gap_us))
    {
        p->idle_gap_us = gap_us;
    }

    if (p->more && asked->wait_s == 0
        && (p->more_gap_us == 0 || gap_us < p->more_gap_us))
    {
        p->more_gap_us = gap_us;
    }
}


/* The requests of a whole move. */

static void
ctl_judge_pace(ctl_poller_t *p)
{
    int64_t  pause_us;

    if (p->answered == CTL_MOVE_IDLE && p->quick >= 3) {
        ctl_poller_wrong(p, "hammers", "%u of %u requests came at once after "
                         "an answer without events", p->quick, p->done);
    }

    if (p->answered == CTL_MOVE_GATEWAY && p->quick >= 2) {
        ctl_poller_wrong(p, "no-backoff", "%u of %u requests came at once "
                         "after 503", p->quick, p->done);
    }

    pause_us = p->idle_gap_us / 2;

    if (p->more_gap_us > (pause_us > JUDGE_PAUSE_US ? pause_us : JUDGE_PAUSE_US)
        && p->idle_gap_us > 0)
    {
        ctl_poller_wrong(p, "ignores-has-more", "after has_more the next "
                         "request came only after %.1f s",
                         (double) p->more_gap_us / 1e6);
    }
}


static void
ctl_judge_restart(ctl_poller_t *p, const ctl_asked_t *asked)
{
    const char  *oldest = p->feed.places[p->feed.oldest].cursor;

    if (p->need_snapshot && p->snapshot == POLLER_UNKNOWN) {
        ctl_poller_wrong(p, "no-snapshot", "went on after 410 without the "
                         "snapshot");

    } else if (asked->at == p->feed.oldest) {
        return;

    } else if (p->snapshot != POLLER_UNKNOWN && asked->at == p->snapshot) {
        p->since = p->snapshot;

    } else if (asked->at == POLLER_UNKNOWN) {
        ctl_poller_wrong(p, "made-up-cursor", "after=%s, which no answer had; "
                         "oldest is %s", asked->cursor, oldest);

    } else if (asked->at < p->feed.oldest) {
        ctl_poller_wrong(p, "repeats-410", "after=%s again; oldest is %s",
                         asked->cursor, oldest);

    } else {
        ctl_poller_wrong(p, "skips-to-latest", "went on after the events that "
                         "the feed still has; oldest is %s", oldest);
    }
}


static bool
ctl_judge_cut(const ctl_poller_t *p)
{
    return p->answered == CTL_MOVE_CUT || p->answered == CTL_MOVE_CUT_CHUNKED
           || p->answered == CTL_MOVE_STREAM_CUT;
}


/* The request is not from the places that are right. */

static void
ctl_judge_misplaced(ctl_poller_t *p, const ctl_asked_t *asked)
{
    const char  *right = p->feed.places[p->high].cursor;
    const char  *cause;

    if (p->answered == CTL_MOVE_RESTART) {
        cause = "forgets-cursor";

    } else if (asked->after && asked->at == POLLER_UNKNOWN) {
        cause = ctl_poller_plain(p->answered)
                && strcmp(p->rows[p->row].step->cause, "parses-cursor") == 0
                ? "parses-cursor" : "made-up-cursor";

    } else if (!asked->after) {
        cause = asked->latest ? "skips-to-latest"
                : p->sse ? "no-last-id" : "no-cursor";

    } else if (asked->at < p->held) {
        cause = "goes-back";

    } else if (asked->at < p->low) {
        cause = ctl_poller_stuck(p);

    } else {
        cause = ctl_judge_cut(p) ? "takes-cut-answer" : "skips-events";
    }

    if (asked->after) {
        ctl_poller_wrong(p, cause, "after=%s instead of after=%s",
                         asked->cursor, right);
    } else if (p->sse) {
        ctl_poller_wrong(p, cause, "no Last-Event-ID instead of %s", right);
    } else {
        ctl_poller_wrong(p, cause, "from=%s instead of after=%s",
                         asked->latest ? "latest" : "oldest", right);
    }
}


static void
ctl_judge_place(ctl_poller_t *p, const ctl_asked_t *asked)
{
    switch (p->expect) {

    case CTL_EXPECT_FIRST:
        p->since = asked->latest ? asked->at : 0;

        if (asked->after && asked->at == POLLER_UNKNOWN) {
            ctl_poller_wrong(p, "old-state", "the first request has after=%s, "
                             "of another feed", asked->cursor);

        } else if (asked->latest && asked->wait_s > 0) {
            ctl_poller_wrong(p, "latest-wait", "from=latest with wait");
        }

        return;

    case CTL_EXPECT_ANY:
        return;

    case CTL_EXPECT_RESTART:
        ctl_judge_restart(p, asked);
        return;

    case CTL_EXPECT_PLACE:
        if (asked->at == POLLER_UNKNOWN || asked->at < p->low
            || asked->at > p->high)
        {
            ctl_judge_misplaced(p, asked);
        }

        return;
    }
}


/* The last place with an event. */

static size_t
ctl_judge_last(const ctl_poll_feed_t *feed)
{
    size_t  i;

    for (i = feed->n - 1; i > feed->oldest; i--) {
        if (feed->places[i].kind != CTL_PLACE_HIDDEN) {
            break;
        }
    }

    return i;
}


/* Makes the place one from which the server can answer. */

static void
ctl_judge_settle(ctl_poller_t *p, ctl_asked_t *asked)
{
    bool  begins;

    if (asked->at == POLLER_UNKNOWN) {
        asked->at = p->feed.n - 1;
    }

    if (asked->at < p->feed.oldest) {
        asked->at = p->feed.oldest;
    }

    begins = p->move == 0 && !p->added;

    if (!begins || asked->at >= ctl_judge_last(&p->feed)) {
        p->behind = begins ? 0 : p->behind;

    } else if (++p->behind > JUDGE_BEHIND) {
        asked->at = p->feed.n - 1;
        p->behind = 0;
    }
}


bool
ctl_poller_plain(ctl_move_kind_t kind)
{
    return kind == CTL_MOVE_PAGE || kind == CTL_MOVE_STREAM;
}


/* The cause when the poller stops, or does not get on. */

const char *
ctl_poller_stuck(const ctl_poller_t *p)
{
    const ctl_step_t  *step = p->rows[p->row].step;

    if (p->answered_us == 0) {
        return "no-request";
    }

    if (p->status == 304) {
        return "not-modified";
    }

    return ctl_poller_plain(p->answered)
           && !ctl_poller_plain(step->move[0].kind) ? "same-cursor"
                                                    : step->cause;
}


/* Goes to the next move, and from step to step. */

static void
ctl_judge_advance(ctl_poller_t *p, const ctl_asked_t *asked)
{
    const ctl_step_t  *step = p->rows[p->row].step;
    const ctl_move_t  *move = &step->move[p->move];

    if (p->rows[p->row].mistake == NULL) {
        if (!p->added || p->done < (move->times ? move->times : 1)
            || asked->at < p->goal)
        {
            return;
        }

        ctl_judge_pace(p);
    }

    p->added = false;
    p->done = 0;
    p->quick = 0;

    if (p->rows[p->row].mistake == NULL && ++p->move < step->moves) {
        return;
    }

    ctl_poller_step_over(p, asked->at);
}


void
ctl_poller_judge(ctl_poller_t *p, ctl_asked_t *asked)
{
    ctl_judge_held(p);
    ctl_judge_time(p, asked);
    ctl_judge_place(p, asked);
    ctl_judge_advance(p, asked);
    ctl_judge_settle(p, asked);

    p->held = asked->at;
    p->ended = false;
}
