/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One run of the probe: a publisher in the main thread, a thread for each
 * channel that reads, and the server's thread for webhooks.
 *
 * Every reader begins at the cursor of a first poll, before anything is
 * published.  It must see each event once and in order; only a webhook may come
 * again.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "probe.h"

#define PROBE_TICK_US      2000
#define PROBE_POLL_US      50000       /* between polls */
#define PROBE_WAIT_S       5           /* of a long poll */
#define PROBE_BATCH_MAX    500

typedef struct {
    ctl_probe_t               *p;
    pthread_t                  thread;
    ctl_probe_channel_name_t   channel;
    bool                       runs;
} ctl_probe_reader_t;


const char *
ctl_probe_name(ctl_probe_channel_name_t channel)
{
    static const char  *const  names[CTL_PROBE_CHANNELS] = {
        [CTL_PROBE_PUBLISH] = "publish",
        [CTL_PROBE_POLL] = "poll",
        [CTL_PROBE_LONG_POLL] = "long-poll",
        [CTL_PROBE_SSE] = "sse",
        [CTL_PROBE_WEBHOOK] = "webhook"
    };

    return names[channel];
}


/* ---- what a channel sees ---- */

void
ctl_probe_fault(ctl_probe_t *p, ctl_probe_channel_name_t channel,
    const char *fmt, ...)
{
    va_list               args;
    ctl_probe_channel_t  *c;

    c = &p->channels[channel];

    (void) pthread_mutex_lock(&p->lock);

    if (c->fault[0] == '\0') {
        va_start(args, fmt);
        (void) vsnprintf(c->fault, sizeof(c->fault), fmt, args);
        va_end(args);
    }

    (void) pthread_mutex_unlock(&p->lock);
}


/* The number of the event of this run; false: it is another event. */

static bool
ctl_probe_number(const ctl_probe_t *p, es_str_t event, unsigned *n)
{
    char         id[CTL_PROBE_RUN_LEN + 16];
    char        *end;
    const char  *found;

    (void) snprintf(id, sizeof(id), "\"id\":\"%s-", p->run);
    found = memmem(event.data, event.len, id, strlen(id));

    if (found == NULL) {
        return false;
    }

    *n = (unsigned) strtoul(found + strlen(id), &end, 10);

    return *end == '"' && *n < p->total;
}


void
ctl_probe_seen(ctl_probe_t *p, ctl_probe_channel_name_t channel,
    es_str_t event)
{
    int64_t               now_us;
    unsigned              n, next;
    ctl_probe_channel_t  *c;

    now_us = es_clock_mono_us();
    c = &p->channels[channel];

    if (!ctl_probe_number(p, event, &n)) {
        return;
    }

    (void) pthread_mutex_lock(&p->lock);

    next = c->next;

    if (n == next) {
        c->took_us[n] = now_us - p->sent_us[n];
        c->next++;

    } else if (n < next) {
        c->duplicates++;
    }

    (void) pthread_mutex_unlock(&p->lock);

    if (n > next) {
        ctl_probe_fault(p, channel, "event %u came before event %u", n, next);

    } else if (n < next && channel != CTL_PROBE_WEBHOOK) {
        ctl_probe_fault(p, channel, "event %u came twice", n);
    }
}


void
ctl_probe_ready(ctl_probe_t *p, ctl_probe_channel_name_t channel)
{
    (void) pthread_mutex_lock(&p->lock);
    p->channels[channel].ready = true;
    (void) pthread_mutex_unlock(&p->lock);
}


bool
ctl_probe_ended(ctl_probe_t *p, ctl_probe_channel_name_t channel)
{
    bool                        ended;
    const ctl_probe_channel_t  *c;

    c = &p->channels[channel];

    (void) pthread_mutex_lock(&p->lock);
    ended = c->next >= p->total || c->fault[0] != '\0';
    (void) pthread_mutex_unlock(&p->lock);

    return ended || atomic_load(&p->stop);
}


/* ---- the readers ---- */

/* Sees the events of an answer, one a line. */

static void
ctl_probe_lines(ctl_probe_http_t *http)
{
    es_str_t     line, rest = { http->body.data, http->body.len };
    const char  *end;

    while (rest.len > 0) {
        end = memchr(rest.data, '\n', rest.len);
        line.data = rest.data;
        line.len = end != NULL ? (size_t) (end - rest.data) : rest.len;
        ctl_probe_seen(http->p, http->channel, line);

        line.len += end != NULL;
        rest.data += line.len;
        rest.len -= line.len;
    }
}


static void
ctl_probe_poll(ctl_probe_http_t *http, unsigned wait_s)
{
    char  after[ES_CURSOR_MAX];

    memcpy(after, http->p->after, sizeof(after));
    ctl_probe_ready(http->p, http->channel);

    while (!ctl_probe_ended(http->p, http->channel)
           && ctl_probe_http_poll(http, after, wait_s))
    {
        memcpy(after, http->next, sizeof(after));

        ctl_probe_lines(http);

        if (wait_s == 0 && !ctl_probe_ended(http->p, http->channel)) {
            (void) usleep(PROBE_POLL_US);
        }
    }
}


/* A stream that ends before the last event is a fault. */

static void
ctl_probe_stream(ctl_probe_http_t *http)
{
    if (ctl_probe_http_stream(http, http->p->after)
        && !ctl_probe_ended(http->p, http->channel))
    {
        ctl_probe_fault(http->p, http->channel, "the stream has ended");
    }
}


static void *
ctl_probe_read(void *ctx)
{
    ctl_probe_http_t           http;
    const ctl_probe_reader_t  *reader = ctx;

    if (!ctl_probe_http_open(&http, reader->p, reader->channel)) {
        ctl_probe_fault(reader->p, reader->channel, "out of memory");
        return NULL;
    }

    if (reader->channel == CTL_PROBE_SSE) {
        ctl_probe_stream(&http);
    } else {
        ctl_probe_poll(&http, reader->channel == CTL_PROBE_LONG_POLL
                       ? PROBE_WAIT_S : 0);
    }

    ctl_probe_http_close(&http);

    return NULL;
}


/* ---- the publisher ---- */

/* Composes the events up to `end`, and notes when they are sent. */

static es_rc_t
ctl_probe_compose(ctl_probe_t *p, unsigned end, es_buf_t *batch)
{
    es_rc_t   rc;
    unsigned  n;

    batch->len = 0;
    rc = es_buf_printf(batch, "[");

    (void) pthread_mutex_lock(&p->lock);

    for (n = p->published; rc == ES_OK && n < end; n++) {
        rc = es_buf_printf(batch, "%s{\"specversion\":\"1.0\",\"id\":\"%s-%u\","
                           "\"source\":\"/eventsync-probe\",\"type\":\""
                           CTL_PROBE_TYPE "\",\"data\":{\"number\":%u}}",
                           n > p->published ? "," : "", p->run, n, n);
        p->sent_us[n] = es_clock_mono_us();
    }

    (void) pthread_mutex_unlock(&p->lock);

    return rc == ES_OK ? es_buf_printf(batch, "]") : rc;
}


/* How many events are due: the first one at once. */

static unsigned
ctl_probe_due(const ctl_probe_t *p, int64_t start_us)
{
    uint64_t  due;

    due = (uint64_t) (es_clock_mono_us() - start_us) * p->rate / 1000000 + 1;

    if (due > p->published + PROBE_BATCH_MAX) {
        due = p->published + PROBE_BATCH_MAX;
    }

    return due < p->total ? (unsigned) due : p->total;
}


/* Events that are due at once share a request. */

static void
ctl_probe_publish(ctl_probe_http_t *http)
{
    int64_t               start_us, sent_us;
    unsigned              n, due;
    es_buf_t              batch = { 0 };
    ctl_probe_t          *p;
    ctl_probe_channel_t  *c;

    p = http->p;
    c = &p->channels[CTL_PROBE_PUBLISH];
    start_us = es_clock_mono_us();

    while (p->published < p->total) {
        due = ctl_probe_due(p, start_us);

        if (due <= p->published) {
            (void) usleep(PROBE_TICK_US);
            continue;
        }

        sent_us = es_clock_mono_us();

        if (ctl_probe_compose(p, due, &batch) != ES_OK) {
            ctl_probe_fault(p, CTL_PROBE_PUBLISH, "out of memory");
            break;
        }

        if (!ctl_probe_http_publish(http,
                                    (es_str_t) { batch.data, batch.len }))
        {
            break;
        }

        for (n = p->published; n < due; n++) {
            c->took_us[n] = es_clock_mono_us() - sent_us;
        }

        p->published = due;
        c->next = due;
    }

    es_buf_free(&batch);
}


/* ---- the run ---- */

static bool
ctl_probe_all(ctl_probe_t *p, bool (*is)(ctl_probe_t *p,
    ctl_probe_channel_name_t channel))
{
    unsigned  i;

    for (i = CTL_PROBE_POLL; i < CTL_PROBE_CHANNELS; i++) {
        if (p->channels[i].wanted
            && !is(p, (ctl_probe_channel_name_t) i))
        {
            return false;
        }
    }

    return true;
}


static bool
ctl_probe_is_ready(ctl_probe_t *p, ctl_probe_channel_name_t channel)
{
    bool  ready;

    (void) pthread_mutex_lock(&p->lock);
    ready = p->channels[channel].ready
            || p->channels[channel].fault[0] != '\0';
    (void) pthread_mutex_unlock(&p->lock);

    return ready;
}


static void
ctl_probe_await(ctl_probe_t *p, bool (*is)(ctl_probe_t *p,
    ctl_probe_channel_name_t channel))
{
    int64_t  until_us;

    until_us = es_clock_mono_us() + (int64_t) p->timeout_ms * 1000;

    while (!ctl_probe_all(p, is) && es_clock_mono_us() < until_us) {
        (void) usleep(PROBE_TICK_US);
    }
}


/* The events that did not come are the fault of the channel, unless they were
   not published. */

static void
ctl_probe_judge(ctl_probe_t *p)
{
    unsigned              i;
    ctl_probe_channel_t  *c;

    for (i = CTL_PROBE_POLL; i < CTL_PROBE_CHANNELS; i++) {
        c = &p->channels[i];

        if (c->wanted && c->next < p->published) {
            ctl_probe_fault(p, (ctl_probe_channel_name_t) i, "%u of %u events "
                            "came within %u ms", c->next, p->published,
                            p->timeout_ms);
        }
    }
}


static void
ctl_probe_read_begin(ctl_probe_t *p, ctl_probe_reader_t *readers)
{
    unsigned  i;

    for (i = CTL_PROBE_POLL; i <= CTL_PROBE_SSE; i++) {
        readers[i].p = p;
        readers[i].channel = (ctl_probe_channel_name_t) i;
        readers[i].runs = p->channels[i].wanted
                          && pthread_create(&readers[i].thread, NULL,
                                            ctl_probe_read, &readers[i]) == 0;

        if (p->channels[i].wanted && !readers[i].runs) {
            ctl_probe_fault(p, readers[i].channel, "cannot make a thread");
        }
    }
}


static void
ctl_probe_read_end(ctl_probe_t *p, ctl_probe_reader_t *readers)
{
    unsigned  i;

    atomic_store(&p->stop, true);

    for (i = CTL_PROBE_POLL; i <= CTL_PROBE_SSE; i++) {
        if (readers[i].runs) {
            (void) pthread_join(readers[i].thread, NULL);
        }
    }

    atomic_store(&p->stop, false);
}


/* What was published is acknowledged at the end, also after a failure. */

static void
ctl_probe_measure(ctl_probe_t *p, ctl_probe_http_t *http)
{
    ctl_hook_t           hook = { 0 };
    ctl_probe_reader_t   readers[CTL_PROBE_CHANNELS] = { { 0 } };

    if (p->channels[CTL_PROBE_WEBHOOK].wanted) {
        (void) ctl_probe_hook_begin(p, &hook);
    }

    ctl_probe_read_begin(p, readers);
    ctl_probe_await(p, ctl_probe_is_ready);

    ctl_probe_publish(http);

    if (p->published > 0) {
        ctl_probe_await(p, ctl_probe_ended);
    }

    ctl_probe_judge(p);
    ctl_probe_read_end(p, readers);
    ctl_hook_end(&hook);
}


int
ctl_probe_run(ctl_probe_t *p)
{
    ctl_probe_http_t  http;

    (void) curl_global_init(CURL_GLOBAL_DEFAULT);

    if (!ctl_probe_http_open(&http, p, CTL_PROBE_PUBLISH)) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    http.channel = CTL_PROBE_POLL;

    if (ctl_probe_http_poll(&http, NULL, 0)) {
        memcpy(p->after, http.next, sizeof(p->after));
        http.channel = CTL_PROBE_PUBLISH;
        ctl_probe_measure(p, &http);

        http.channel = CTL_PROBE_POLL;

        if (p->published > 0 && ctl_probe_http_poll(&http, NULL, 0)) {
            ctl_probe_http_ack(&http, http.next);
        }
    }

    ctl_probe_http_close(&http);

    return CTL_OK;
}
