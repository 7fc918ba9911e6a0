/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The publisher of a drill and its partners, a thread each.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "drill.h"
#include "incoming.h"

#define PARTNER_WAIT_S    1
#define PARTNER_PAUSE_US  100000
#define PARTNER_EDGE_S    1        /* Retry-After of the edge */


/* The caller has the lock. */

static void
ctl_partner_has(ctl_drill_partner_t *p, uint64_t sequence)
{
    if (sequence < DRILL_EVENTS_MAX) {
        p->has[sequence] = 1;
    }

    while (p->whole + 1 < DRILL_EVENTS_MAX && p->has[p->whole + 1]) {
        p->whole++;
    }
}


void
ctl_drill_take(ctl_drill_partner_t *p, uint64_t sequence)
{
    (void) pthread_mutex_lock(&p->drill->lock);
    ctl_partner_has(p, sequence);
    (void) pthread_mutex_unlock(&p->drill->lock);
}


uint64_t
ctl_drill_lacks(ctl_drill_partner_t *p)
{
    uint64_t  n, lacks, published;

    published = atomic_load(&p->drill->published);
    lacks = 0;

    (void) pthread_mutex_lock(&p->drill->lock);

    for (n = p->whole + 1; n <= published && n < DRILL_EVENTS_MAX; n++) {
        lacks += !p->has[n];
    }

    (void) pthread_mutex_unlock(&p->drill->lock);

    return lacks;
}


/* ---- polls ---- */

/* The cursor is too old: the partner goes on at the oldest event, and knows
   what it has lost. */

static void
ctl_partner_gone(ctl_drill_partner_t *p)
{
    char         oldest[ES_CURSOR_MAX];
    uint64_t     missed, n;
    es_cursor_t  cursor;

    if (!ctl_http_member(&p->http, "oldest", oldest, sizeof(oldest))
        || es_cursor_parse(es_str(oldest), &cursor) != ES_OK)
    {
        return;
    }

    if (!ctl_http_count(&p->http, "missed", &missed)) {
        missed = 0;
    }

    (void) pthread_mutex_lock(&p->drill->lock);
    memcpy(p->cursor, oldest, sizeof(oldest));
    p->told += missed;

    for (n = p->whole + 1; n <= cursor.sequence; n++) {
        ctl_partner_has(p, n);
    }

    (void) pthread_mutex_unlock(&p->drill->lock);
}


static void
ctl_partner_page(ctl_drill_partner_t *p)
{
    char         *line, *end, *body;
    ctl_event_t   event;

    body = p->http.body.data;

    for (line = body; line != NULL && *line != '\0'; line = end) {
        end = strchr(line, '\n');

        if (end != NULL) {
            *end++ = '\0';
        }

        if (ctl_event_parse(es_str(line), &event) == ES_OK) {
            ctl_drill_take(p, event.cursor.sequence);
        }
    }

    (void) pthread_mutex_lock(&p->drill->lock);
    memcpy(p->cursor, p->http.next, sizeof(p->cursor));
    (void) pthread_mutex_unlock(&p->drill->lock);
}


/* Takes a new key into use, if there is one. */

static void
ctl_partner_key(ctl_drill_partner_t *p)
{
    char  key[DRILL_TEXT];
    bool  is;

    (void) pthread_mutex_lock(&p->drill->lock);
    is = p->new_key;
    p->new_key = false;
    memcpy(key, p->key, sizeof(key));
    (void) pthread_mutex_unlock(&p->drill->lock);

    if (is) {
        ctl_http_close(&p->http);
        (void) ctl_http_open(&p->http, "url", p->drill->url, key);
    }

    explicit_bzero(key, sizeof(key));
}


static void
ctl_partner_poll(ctl_drill_partner_t *p, unsigned wait_s)
{
    char         cursor[ES_CURSOR_MAX];
    ctl_query_t  query = { .feed = p->drill->feed, .wait_s = wait_s };

    memcpy(cursor, p->cursor, sizeof(cursor));

    query.after = cursor[0] != '\0' ? cursor : NULL;
    query.from = query.after ? NULL : "oldest";

    if (ctl_http_poll(&p->http, &query) != CTL_OK) {
        (void) sleep(1);
        return;
    }

    if (p->http.status == 200) {
        ctl_partner_page(p);

    } else if (p->http.status == 410) {
        ctl_partner_gone(p);

    } else {
        (void) sleep(p->http.retry_after_s > 0 && p->http.retry_after_s < 5
                     ? p->http.retry_after_s : 1);
    }
}


/* The partner "push" polls only what it lacks, the other one all the time. */

static void *
ctl_partner_thread(void *ctx)
{
    bool                  away, edge;
    ctl_drill_partner_t  *p = ctx;

    while (!atomic_load(&p->drill->stop)) {
        (void) pthread_mutex_lock(&p->drill->lock);
        away = p->away;
        edge = p->edge_fails;
        (void) pthread_mutex_unlock(&p->drill->lock);

        if (edge) {
            (void) sleep(PARTNER_EDGE_S);
            continue;
        }

        if (away) {
            (void) usleep(PARTNER_PAUSE_US);
            continue;
        }

        ctl_partner_key(p);

        if (p == ctl_drill_pull(p->drill)) {
            ctl_partner_poll(p, PARTNER_WAIT_S);

        } else {
            (void) sleep(1);

            if (ctl_drill_lacks(p) > 0) {
                ctl_partner_poll(p, 0);
            }
        }
    }

    return NULL;
}


/* ---- the publisher ---- */

/* An event without an answer, or that was refused, is published again: the
   same id is stored once. */

static void *
ctl_partner_publish(void *ctx)
{
    int           n;
    char          event[256];
    ctl_drill_t  *d = ctx;

    while (!atomic_load(&d->stop)
           && atomic_load(&d->published) < DRILL_EVENTS_MAX - 1)
    {
        n = snprintf(event, sizeof(event), "{\"specversion\":\"1.0\",\"id\":"
                     "\"%s-%lu\",\"source\":\"/drill\",\"type\":"
                     "\"eventsync.drill\",\"data\":{\"n\":%lu}}", d->feed,
                     atomic_load(&d->published) + 1,
                     atomic_load(&d->published) + 1);

        if (ctl_http_post(&d->http, d->feed, "application/json",
                          (es_str_t) { event, (size_t) n }) == CTL_OK
            && d->http.status == 201)
        {
            (void) atomic_fetch_add(&d->published, 1);
            (void) usleep(1000000 / d->rate);

        } else {
            (void) atomic_fetch_add(&d->not_taken, 1);
            (void) usleep(PARTNER_PAUSE_US);
        }
    }

    return NULL;
}


int
ctl_drill_begin(ctl_drill_t *d)
{
    int  i;

    if (ctl_drill_hook(d) != CTL_OK) {
        return CTL_FAILED;
    }

    d->publishing = pthread_create(&d->thread, NULL, ctl_partner_publish, d)
                    == 0;

    for (i = 0; i < DRILL_PARTNERS; i++) {
        d->partners[i].has = calloc(DRILL_EVENTS_MAX, 1);
        d->polling[i] = d->partners[i].has != NULL
                        && pthread_create(&d->partners[i].thread, NULL,
                                          ctl_partner_thread, &d->partners[i])
                           == 0;
    }

    return d->publishing && d->polling[0] && d->polling[1]
           ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


void
ctl_drill_end(ctl_drill_t *d)
{
    int  i;

    atomic_store(&d->stop, true);

    if (d->publishing) {
        (void) pthread_join(d->thread, NULL);
    }

    for (i = 0; i < DRILL_PARTNERS; i++) {
        if (d->polling[i]) {
            (void) pthread_join(d->partners[i].thread, NULL);
        }
    }

    ctl_hook_end(&d->hook);
}
