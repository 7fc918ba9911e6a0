/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The file of "verify-poller --applied": each line that has the id of an event
 * says that the poller has applied the event.
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "poller.h"

#define APPLIED_TRIES     40
#define APPLIED_SLICE_MS  50


static char *
ctl_applied_read(const char *name)
{
    char    piece[4096];
    FILE   *file;
    size_t  n;
    es_buf_t  text = { 0 };

    file = fopen(name, "re");

    while (file != NULL && (n = fread(piece, 1, sizeof(piece), file)) > 0) {
        if (es_buf_append(&text, piece, n) != ES_OK) {
            break;
        }
    }

    if (file != NULL) {
        (void) fclose(file);
    }

    if (es_buf_append(&text, "", 1) != ES_OK) {
        es_buf_free(&text);
    }

    return text.data;
}


/* In how many lines the id is. */

static unsigned
ctl_applied_lines(const char *text, const char *id)
{
    unsigned     n;
    const char  *at;

    for (n = 0, at = text; (at = strstr(at, id)) != NULL; n++) {
        at += strcspn(at, "\n");
    }

    return n;
}


/* The first event that is not there; `last`: no more time is given. */

static bool
ctl_applied_agree(ctl_poller_t *p, size_t place, bool last)
{
    char               *text;
    size_t              i;
    unsigned            n;
    const ctl_place_t  *event;

    text = ctl_applied_read(p->applied);
    n = 1;

    for (i = p->since + 1; n == 1 && i <= place; i++) {
        event = &p->feed.places[i];

        if (event->kind == CTL_PLACE_HIDDEN) {
            continue;
        }

        n = ctl_applied_lines(text ? text : "", event->id);

        if (n == 0 && last) {
            ctl_poller_wrong(p, "lost-events", "asked on after event %s, which "
                             "is not in %s", event->id, p->applied);

        } else if (n > 1) {
            ctl_poller_wrong(p, "applied-twice", "event %s was applied %u "
                             "times", event->id, n);
        }
    }

    free(text);

    return n > 0;
}


void
ctl_poller_applied(ctl_poller_t *p, size_t place)
{
    unsigned  tries;

    for (tries = 0; tries < APPLIED_TRIES; tries++) {
        if (ctl_applied_agree(p, place, tries == APPLIED_TRIES - 1)) {
            return;
        }

        (void) poll(NULL, 0, APPLIED_SLICE_MS);
    }
}
