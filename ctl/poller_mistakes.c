/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The usual mistakes of pollers, and the line to change.
 *
 * docs/pollers.md lists the causes in the same order.
 */

#include <stdlib.h>

#include "poller.h"

const ctl_mistake_t  ctl_poller_mistakes[] = {

    { "no-request", "No request came.",
      "the base URL of the poller: it must be the URL that verify-poller "
      "prints" },

    { "no-start", "The command ended before it sent a request.",
      "what --run starts, by the shell and in the present directory: the output "
      "of the command says why it ended" },

    { "old-state", "The poller began with a cursor of another feed.",
      "nothing in the code: remove the stored cursor before the run" },

    { "no-credential", "A request has no bearer token.",
      "send the header field \"Authorization: Bearer KEY\" with every "
      "request" },

    { "bad-request", "The server does not have what the poller requests.",
      "the line that makes the URL: GET /v1/feeds/FEED/events with `after` or "
      "`from`, and only the documented parameters" },

    { "latest-wait", "The poller waits with from=latest: when that request is "
      "cut off, events in between are lost.",
      "make the first request with from=latest and without wait, and wait "
      "after its next" },

    { "no-cursor", "The poller begins again at the oldest event.",
      "send after=CURSOR in every request but the first" },

    { "no-last-id", "The reader comes back without the id of what it was sent "
      "last.",
      "keep the id of each event and position, and send it as the header field "
      "Last-Event-ID" },

    { "same-cursor", "The poller does not go on after the page that it got.",
      "after each page set the cursor to the member next of the answer" },

    { "goes-back", "The poller goes back to a cursor that it had passed.",
      "set the cursor to next, not to oldest or prevcursor" },

    { "skips-events", "The poller goes on after events that it was not sent.",
      "set the cursor to next, not to latest" },

    { "skips-to-latest", "The poller goes on at the latest event and skips "
      "those before it.",
      "use from=latest in the first request only; after 410 go on with the "
      "member oldest or restart of the problem" },

    { "made-up-cursor", "The poller sends a cursor that no answer had.",
      "send next as it came, percent-encoded in the URL and not changed" },

    { "parses-cursor", "The poller reads numbers out of cursors: it cannot go "
      "on when their form changes.",
      "store next as a text, and compare it with nothing but other cursors" },

    { "overlaps", "The poller sends a request while it waits for the answer to "
      "another.",
      "start the timer for the next request when the answer is done, instead "
      "of every so many seconds (setInterval)" },

    { "hammers", "The poller asks again at once when there was no event.",
      "add wait=30 to the request, or sleep before the next one while has_more "
      "is false" },

    { "ignores-has-more", "The poller waits although has_more is true.",
      "go on with the next request at once while has_more is true" },

    { "empty-page", "The poller takes a page without events for the end.",
      "decide by has_more and not by the number of events, and set the cursor "
      "to next also after an empty page" },

    { "not-modified", "The poller does not understand 304.",
      "treat 304 as an answer without events: keep the cursor, read no body" },

    { "gave-up", "The poller has stopped.",
      "put the request into a loop that does not end" },

    { "gives-up", "The poller stops after 429 or 503.",
      "treat 429 and every 5xx as a pause: wait, and send the same request "
      "again" },

    { "ignores-retry-after", "The poller asks again before Retry-After is "
      "over.",
      "after 429 and 503 sleep for the seconds in the header field "
      "Retry-After" },

    { "ignores-date", "The poller does not understand a Retry-After that is a "
      "date.",
      "if Retry-After is not a number, parse it as an HTTP date and sleep "
      "until then" },

    { "ignores-retry", "The reader comes back before the time of retry is "
      "over.",
      "keep the milliseconds of the last field retry, and wait so long before "
      "you connect again" },

    { "position", "The reader forgets the id of a position.",
      "keep the id of every event, also of one with a name" },

    { "nothing", "The reader does not get past comments, or takes what is no "
      "event for one.",
      "take an event only if it has data and no name" },

    { "split", "The reader does not get past an event that comes in pieces.",
      "collect bytes up to an empty line, and decode the characters then" },

    { "no-backoff", "The poller asks again at once after a 503 without "
      "Retry-After.",
      "after an error without Retry-After sleep for a second, and twice as "
      "long each time" },

    { "short-timeout", "The poller gives up waiting for an answer.",
      "set the timeout of the HTTP client to wait plus 10 seconds" },

    { "cut", "The poller stops after an answer that was cut off.",
      "treat a broken connection and an incomplete answer as a pause: send the "
      "same request again" },

    { "takes-cut-answer", "The poller goes on after an answer of which it has "
      "only a part.",
      "set the cursor when all of the answer has come, not before" },

    { "repeated", "The poller does not get past events that it has already.",
      "drop an event with your epoch whose sequence is not greater than yours, "
      "and go on" },

    { "unknown-members", "The poller does not get past members that it does "
      "not know.",
      "let the parser ignore unknown members of pages and events" },

    { "unknown-type", "The poller does not get past an event of a type that it "
      "does not know.",
      "skip events of unknown types, and set the cursor after them" },

    { "large", "The poller does not get past a page of 4 MB.",
      "raise the limits of the HTTP client and the parser to 8 MB, or ask for "
      "fewer events with limit" },

    { "gzip", "The poller accepts gzip and does not decode it.",
      "remove your own Accept-Encoding, or switch on decoding in the HTTP "
      "client" },

    { "forgets-cursor", "The poller did not find its cursor again when it was "
      "started again.",
      "write the cursor to disk before the next request, and read it at the "
      "start" },

    { "repeats-410", "The poller does not get past a 410.",
      "after 410 set the cursor to the member oldest of the problem, and "
      "forget the sequence" },

    { "no-snapshot", "The poller goes on after a 410 with a state that lacks "
      "the lost events.",
      "after 410 read the snapshot, replace your state by it, and poll after "
      "its cursor" },

    { "hammers-401", "The poller goes on asking with a key that is refused.",
      "after 401 stop and tell an operator; each attempt counts against your "
      "address" },

    { "lost-events", "The poller asks on before it has applied the events "
      "before, or without it.",
      "apply and store all events of a page, then set the cursor" },

    { "applied-twice", "The poller applies an event more than once.",
      "apply an event only if its prevcursor is the cursor that you hold; "
      "store both in one transaction" },

    { NULL, NULL, NULL }
};


const ctl_mistake_t *
ctl_poller_mistake(const char *cause)
{
    const ctl_mistake_t  *mistake;

    for (mistake = ctl_poller_mistakes; mistake->cause != NULL; mistake++) {
        if (strcmp(mistake->cause, cause) == 0) {
            return mistake;
        }
    }

    abort();
}
