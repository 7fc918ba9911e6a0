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

    { .name = "has-more", .about = "ten events, two in a page, with has_more",
      .expected = "the next pages at once", .cause = "same-cursor",
      .moves = 1, .move = { { .events = 10, .cap = 2 } } },

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

    /* --sse: each stream ends, and the reader comes back */

    { .name = "first", .about = "three events",
      .expected = "the id of the last one, as Last-Event-ID",
      .cause = "no-last-id", .stream = true,
      .moves = 1, .move = { { .kind = CTL_MOVE_STREAM, .events = 3 } } },

    { .name = "retry", .about = "a retry of two seconds",
      .expected = "the last id, not before", .cause = "no-last-id",
      .stream = true,
      .moves = 1, .move = { { .kind = CTL_MOVE_STREAM_RETRY, .events = 1 } } },

    { .name = "cut", .about = "a stream that is cut off within an event",
      .expected = "the id of the event before", .cause = "no-last-id",
      .stream = true,
      .moves = 2, .move = { { .kind = CTL_MOVE_STREAM_CUT, .events = 3 },
                            { .kind = CTL_MOVE_STREAM } } },

    { .name = "position", .about = "an event, then a position",
      .expected = "the id of the position", .cause = "position",
      .stream = true,
      .moves = 2, .move = { { .kind = CTL_MOVE_STREAM, .events = 1 },
                            { .kind = CTL_MOVE_STREAM, .hidden = 3 } } },

    { .name = "nothing",
      .about = "comments, a lone retry, an event of another name",
      .expected = "the id of the event after them", .cause = "nothing",
      .stream = true,
      .moves = 1,
      .move = { { .kind = CTL_MOVE_STREAM_NOTHING, .events = 1 } } },

    { .name = "split", .about = "an event in pieces of seven bytes",
      .expected = "its id", .cause = "split", .stream = true,
      .moves = 1, .move = { { .kind = CTL_MOVE_STREAM_SPLIT, .events = 2,
                              .place = CTL_PLACE_TEXT } } },

    { .name = "slow", .about = "a stream with pauses",
      .expected = "no other request before its end", .cause = "short-timeout",
      .stream = true,
      .moves = 1, .move = { { .kind = CTL_MOVE_STREAM_SLOW, .events = 2 } } },

    { .name = "unknown-members", .about = "members of no meaning in an event",
      .expected = "its id", .cause = "unknown-members", .stream = true,
      .moves = 1, .move = { { .kind = CTL_MOVE_STREAM, .events = 1,
                              .place = CTL_PLACE_MEMBERS } } },

    { .name = "unknown-type", .about = "an event of an unknown type",
      .expected = "its id", .cause = "unknown-type", .stream = true,
      .moves = 1, .move = { { .kind = CTL_MOVE_STREAM, .events = 1,
                              .place = CTL_PLACE_TYPE } } },

    { .name = "large", .about = "64 events, almost 4 MB",
      .expected = "the id of the last one", .cause = "large", .stream = true,
      .moves = 1, .move = { { .kind = CTL_MOVE_STREAM, .events = 64,
                              .place = CTL_PLACE_LARGE } } },

    { .name = "opaque-cursor", .about = "cursors of another form",
      .expected = "these very cursors", .cause = "parses-cursor",
      .stream = true,
      .moves = 2, .move = { { .kind = CTL_MOVE_STREAM, .events = 2,
                              .opaque = true },
                            { .kind = CTL_MOVE_STREAM, .events = 1,
                              .opaque = true } } },

    { .name = "restart", .about = "the command is killed and started again",
      .expected = "the id from before", .cause = "forgets-cursor",
      .stream = true, .run = true,
      .moves = 3, .move = { { .kind = CTL_MOVE_STREAM, .events = 2 },
                            { .kind = CTL_MOVE_RESTART },
                            { .kind = CTL_MOVE_STREAM, .events = 1 } } },

    { .name = "limit", .about = "the event end with 429 and a retry",
      .expected = "the same id, not before", .cause = "gives-up",
      .stream = true,
      .moves = 2, .move = { { .kind = CTL_MOVE_STREAM_LIMIT },
                            { .kind = CTL_MOVE_STREAM, .events = 1 } } },

    { .name = "expired", .about = "the event end with 410",
      .expected = "restart of the problem, or the snapshot's cursor",
      .cause = "repeats-410", .stream = true,
      .moves = 2, .move = { { .kind = CTL_MOVE_STREAM_EXPIRED, .events = 4 },
                            { .kind = CTL_MOVE_STREAM } } },

    { .name = "gone", .about = "410 to a command that was started again",
      .expected = "oldest, or the snapshot's cursor", .cause = "repeats-410",
      .stream = true, .run = true,
      .moves = 3, .move = { { .kind = CTL_MOVE_RESTART },
                            { .kind = CTL_MOVE_STREAM_EXPIRED, .events = 4 },
                            { .kind = CTL_MOVE_STREAM } } },

    { .name = "revoked", .about = "401, because the key is revoked",
      .expected = "no request at once", .cause = "hammers-401",
      .stream = true,
      .moves = 1, .move = { { .kind = CTL_MOVE_REVOKED } } },

    { .name = NULL }
};
