/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The steps of "verify-poller", and what the server answers in each.
 *
 * docs/pollers.md lists them; t/docs/pollers.t compares both.
 */

#include "poller.h"

const ctl_step_t  ctl_poller_steps[] = {

    { .name = "first", .about = "three events",
      .expected = "the poller goes on after them", .cause = "same-cursor",
      .moves = 1, .move = { { .events = 3 } } },

    { .name = "idle", .about = "four answers without an event, 304 if asked",
      .expected = "the same cursor, not at once", .cause = "gave-up",
      .moves = 1, .move = { { .kind = CTL_MOVE_IDLE, .times = 4 } } },

    { .name = "has-more", .about = "six events, two in a page, with has_more",
      .expected = "the next pages at once", .cause = "same-cursor",
      .moves = 1, .move = { { .events = 6, .cap = 2 } } },

    { .name = "empty-page", .about = "two pages without events, with has_more",
      .expected = "the next pages at once, after next",
      .cause = "empty-page",
      .moves = 1, .move = { { .hidden = 6, .events = 2, .search = 3 } } },

    { .name = "retry-after", .about = "429 with Retry-After in seconds",
      .expected = "the same cursor, not before", .cause = "gives-up",
      .moves = 2, .move = { { .kind = CTL_MOVE_SECONDS }, { .events = 1 } } },

    { .name = "retry-after-date", .about = "503 with Retry-After as a date",
      .expected = "the same cursor, not before", .cause = "gives-up",
      .moves = 2, .move = { { .kind = CTL_MOVE_DATE }, { .events = 1 } } },

    { .name = "unavailable",
      .about = "twice 503 with a web page and no Retry-After",
      .expected = "the same cursor, not at once", .cause = "gives-up",
      .moves = 2, .move = { { .kind = CTL_MOVE_GATEWAY, .times = 2 },
                            { .events = 1 } } },

    { .name = "slow", .about = "an answer that takes longer than wait",
      .expected = "no other request before the answer",
      .cause = "same-cursor",
      .moves = 1, .move = { { .kind = CTL_MOVE_SLOW, .events = 2 } } },

    { .name = "cut", .about = "two answers that are cut off within an event",
      .expected = "the cursor before the cut", .cause = "cut",
      .moves = 3, .move = { { .kind = CTL_MOVE_CUT, .events = 3 },
                            { .kind = CTL_MOVE_CUT_CHUNKED }, { 0 } } },

    { .name = "repeated", .about = "a page that begins with events of before",
      .expected = "the cursor after the page", .cause = "repeated",
      .moves = 1, .move = { { .kind = CTL_MOVE_REPEAT, .events = 1 } } },

    { .name = "unknown-members",
      .about = "members of no meaning in page and event",
      .expected = "the cursor after the page", .cause = "unknown-members",
      .moves = 1,
      .move = { { .events = 2, .place = CTL_PLACE_MEMBERS } } },

    { .name = "unknown-type", .about = "an event of an unknown type",
      .expected = "the cursor after the page", .cause = "unknown-type",
      .moves = 1, .move = { { .events = 1, .place = CTL_PLACE_TYPE } } },

    { .name = "large", .about = "64 events, almost 4 MB",
      .expected = "the cursor after the page", .cause = "large",
      .moves = 1, .move = { { .events = 64, .place = CTL_PLACE_LARGE } } },

    { .name = "gzip", .about = "a page with Content-Encoding, if accepted",
      .expected = "the cursor after the page", .cause = "gzip",
      .moves = 1, .move = { { .kind = CTL_MOVE_GZIP, .events = 2 } } },

    { .name = "opaque-cursor", .about = "cursors of another form",
      .expected = "these very cursors", .cause = "parses-cursor",
      .moves = 2, .move = { { .events = 2, .opaque = true },
                            { .events = 1, .opaque = true } } },

    { .name = "restart", .about = "the command is killed and started again",
      .expected = "the cursor from before", .cause = "forgets-cursor",
      .run = true,
      .moves = 3, .move = { { .events = 2 }, { .kind = CTL_MOVE_RESTART },
                            { .events = 1 } } },

    { .name = "expired", .about = "410 cursor-expired",
      .expected = "oldest or restart of the problem, or the snapshot's cursor",
      .cause = "repeats-410",
      .moves = 2, .move = { { .kind = CTL_MOVE_EXPIRED, .events = 4 },
                            { 0 } } },

    { .name = "reset", .about = "410 feed-reset",
      .expected = "oldest or restart of the problem, or the snapshot's cursor",
      .cause = "repeats-410",
      .moves = 2, .move = { { .kind = CTL_MOVE_RESET, .events = 2 },
                            { 0 } } },

    { .name = "revoked", .about = "401, because the key is revoked",
      .expected = "no request at once", .cause = "hammers-401",
      .moves = 1, .move = { { .kind = CTL_MOVE_REVOKED } } },

    { .name = NULL }
};
