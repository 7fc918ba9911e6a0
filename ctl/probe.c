/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "probe": the command, and the results of a run.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/private.h"
#include "base/random.h"
#include "probe.h"
#include "registry/values.h"

#define PROBE_FEED         "eventsync-probe"
#define PROBE_ADDRESS      "127.0.0.1"
#define PROBE_PORT         "18780"
#define PROBE_RATE         "10"
#define PROBE_FOR          "1s"
#define PROBE_TIMEOUT      "10s"
#define PROBE_RATE_MAX     10000
#define PROBE_EVENTS_MAX   1000000

/* The options as they were given, or their defaults. */
typedef struct {
    const char  *setup;
    const char  *cleanup;
    const char  *state;
    const char  *url;
    const char  *feed;
    const char  *address;
    const char  *port;
    const char  *rate;
    const char  *length;
    const char  *timeout;
    const char  *channels;
    const char  *metrics;
} ctl_probe_options_t;


/* ---- setup ---- */

static int
ctl_probe_copy(const char *option, const char *text, char *out, size_t size)
{
    if (strlen(text) >= size) {
        return ctl_fail(CTL_USAGE, "\"--%s=%s\" is too long", option, text);
    }

    memcpy(out, text, strlen(text) + 1);

    return CTL_OK;
}


static int
ctl_probe_begin_setup(ctl_t *ctl, const ctl_probe_options_t *o)
{
    int                 rc;
    size_t              n;
    uint64_t            port;
    const char         *fault;
    ctl_probe_state_t   state = { 0 };

    if (o->url == NULL) {
        return ctl_fail(CTL_USAGE, "\"--setup\" needs \"--url\"");
    }

    fault = es_url_fault(es_str(o->url));
    if (fault != NULL) {
        return ctl_fail(CTL_USAGE, "\"--url=%s\" %s", o->url, fault);
    }

    rc = ctl_number("port", o->port, 1024, 65535, &port);

    if (rc == CTL_OK) {
        rc = ctl_probe_copy("url", o->url, state.url, sizeof(state.url));
    }

    if (rc == CTL_OK) {
        rc = ctl_probe_copy("feed", o->feed, state.feed, sizeof(state.feed));
    }

    if (rc == CTL_OK) {
        rc = ctl_probe_copy("address", o->address, state.address,
                            sizeof(state.address));
    }

    if (rc != CTL_OK) {
        return rc;
    }

    for (n = strlen(state.url); n > 0 && state.url[n - 1] == '/'; n--) {
        state.url[n - 1] = '\0';
    }

    state.port = (uint16_t) port;
    rc = ctl_probe_setup(ctl, &state, o->state);

    if (rc == CTL_OK) {
        ctl_note("the dispatcher must be started with --allow-http and "
                 "--allow-address=%s, or run the probe without the channel "
                 "webhook", state.address);
        ctl_result(ctl, json_pack("{s:s, s:s}", "feed", state.feed, "endpoint",
                                  state.endpoint));
    }

    explicit_bzero(&state, sizeof(state));

    return rc;
}


/* ---- a run ---- */

/* All channels, or those of the list; publishing is always one of them. */

static int
ctl_probe_channels(ctl_probe_t *p, const char *text)
{
    int       rc;
    size_t    i;
    json_t   *list, *item;
    unsigned  k;

    rc = CTL_OK;
    list = text != NULL ? ctl_list(text) : NULL;
    p->channels[CTL_PROBE_PUBLISH].wanted = true;

    for (k = CTL_PROBE_POLL; k < CTL_PROBE_CHANNELS; k++) {
        p->channels[k].wanted = text == NULL;
    }

    json_array_foreach(list, i, item) {
        for (k = CTL_PROBE_POLL; k < CTL_PROBE_CHANNELS; k++) {
            if (strcmp(json_string_value(item),
                       ctl_probe_name((ctl_probe_channel_name_t) k)) == 0)
            {
                p->channels[k].wanted = true;
                break;
            }
        }

        if (k == CTL_PROBE_CHANNELS) {
            rc = ctl_fail(CTL_USAGE, "\"--channels\": \"%s\" is none of poll, "
                          "long-poll, sse, webhook", json_string_value(item));
            break;
        }
    }

    json_decref(list);

    return rc;
}


static int
ctl_probe_duration(const char *option, const char *text, uint32_t *ms)
{
    return es_duration_parse(es_str(text), ms) == ES_OK && *ms > 0
           ? CTL_OK : ctl_fail(CTL_USAGE, "\"--%s=%s\" is not a time like "
                               "\"10s\"", option, text);
}


static int
ctl_probe_plan(ctl_probe_t *p, const ctl_probe_options_t *o)
{
    int        rc;
    unsigned   i;
    uint32_t   length_ms;
    uint64_t   rate, total;

    rc = ctl_number("rate", o->rate, 1, PROBE_RATE_MAX, &rate);

    if (rc == CTL_OK) {
        rc = ctl_probe_duration("for", o->length, &length_ms);
    }

    if (rc == CTL_OK) {
        rc = ctl_probe_duration("timeout", o->timeout, &p->timeout_ms);
    }

    if (rc == CTL_OK) {
        rc = ctl_probe_channels(p, o->channels);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    total = rate * length_ms / 1000;

    if (total > PROBE_EVENTS_MAX) {
        return ctl_fail(CTL_USAGE, "\"--rate\" and \"--for\" make more than %d "
                        "events", PROBE_EVENTS_MAX);
    }

    p->rate = (unsigned) rate;
    p->total = total > 0 ? (unsigned) total : 1;
    p->sent_us = calloc(p->total, sizeof(int64_t));

    for (i = 0; i < CTL_PROBE_CHANNELS && p->sent_us != NULL; i++) {
        p->channels[i].took_us = calloc(p->total, sizeof(int64_t));

        if (p->channels[i].took_us == NULL) {
            return ctl_fail(CTL_FAILED, "out of memory");
        }
    }

    if (p->sent_us == NULL
        || es_random_base32(p->run, CTL_PROBE_RUN_LEN) != ES_OK
        || es_signer_create(es_str(p->state.secret), &p->signer) != ES_OK)
    {
        return ctl_fail(CTL_FAILED, "the run cannot begin: no memory, or the "
                        "file's secret is not one");
    }

    return CTL_OK;
}


/* ---- results ---- */

static double
ctl_probe_ms(const ctl_probe_channel_t *c, unsigned percent)
{
    return (double) ctl_probe_percentile(c, percent) / 1000;
}


static json_int_t
ctl_probe_us(const ctl_probe_channel_t *c, unsigned percent)
{
    return (json_int_t) ctl_probe_percentile(c, percent);
}


static json_t *
ctl_probe_report(const ctl_probe_t *p)
{
    unsigned                    i;
    json_t                     *list, *one;
    const ctl_probe_channel_t  *c;

    list = json_array();

    for (i = 0; i < CTL_PROBE_CHANNELS; i++) {
        c = &p->channels[i];

        if (!c->wanted) {
            continue;
        }

        one = json_pack("{s:s, s:b, s:i, s:i}", "channel",
                        ctl_probe_name((ctl_probe_channel_name_t) i), "ok",
                        c->fault[0] == '\0', "events", (int) c->next,
                        "duplicates", (int) c->duplicates);

        if (c->next > 0) {
            (void) json_object_update_new(one,
                json_pack("{s:I, s:I, s:I, s:I}",
                          "min_us", ctl_probe_us(c, 0),
                          "median_us", ctl_probe_us(c, 50),
                          "p99_us", ctl_probe_us(c, 99),
                          "max_us", ctl_probe_us(c, 100)));
        }

        if (c->fault[0] != '\0') {
            (void) json_object_set_new(one, "fault", json_string(c->fault));
        }

        (void) json_array_append_new(list, one);
    }

    return json_pack("{s:s, s:i, s:i, s:o}", "run", p->run, "rate",
                     (int) p->rate, "published", (int) p->published,
                     "channels", list);
}


static void
ctl_probe_print(const ctl_probe_t *p)
{
    unsigned                    i;
    const ctl_probe_channel_t  *c;

    for (i = 0; i < CTL_PROBE_CHANNELS; i++) {
        c = &p->channels[i];

        if (!c->wanted) {
            continue;
        }

        (void) printf("%-9s %s %u of %u events",
                      ctl_probe_name((ctl_probe_channel_name_t) i),
                      c->fault[0] == '\0' ? "ok  " : "FAIL", c->next,
                      p->total);

        if (c->next > 0) {
            (void) printf(", min %.1f median %.1f p99 %.1f max %.1f ms",
                          ctl_probe_ms(c, 0), ctl_probe_ms(c, 50),
                          ctl_probe_ms(c, 99), ctl_probe_ms(c, 100));
        }

        if (c->duplicates > 0) {
            (void) printf(", %u came again", c->duplicates);
        }

        (void) printf("\n");
    }
}


/* The first channel that has failed, in one line. */

static int
ctl_probe_verdict(const ctl_probe_t *p)
{
    unsigned  i, failed, first;

    failed = 0;
    first = 0;

    for (i = 0; i < CTL_PROBE_CHANNELS; i++) {
        if (p->channels[i].wanted && p->channels[i].fault[0] != '\0') {
            first = failed++ == 0 ? i : first;
        }
    }

    if (failed == 0) {
        return CTL_OK;
    }

    return ctl_fail(CTL_FAILED, "the channel %s failed: %s%s",
                    ctl_probe_name((ctl_probe_channel_name_t) first),
                    p->channels[first].fault, failed > 1 ? "; so did others"
                                                         : "");
}


static int
ctl_probe_measure_all(ctl_t *ctl, ctl_probe_t *p, const ctl_probe_options_t *o)
{
    int  rc, written;

    rc = ctl_probe_load(o->state, &p->state);

    if (rc == CTL_OK) {
        rc = ctl_probe_plan(p, o);
    }

    if (rc == CTL_OK) {
        rc = ctl_probe_run(p);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (ctl->json) {
        ctl_result(ctl, ctl_probe_report(p));
    } else {
        ctl_probe_print(p);
    }

    rc = ctl_probe_verdict(p);
    written = o->metrics != NULL ? ctl_probe_metrics(p, o->metrics) : CTL_OK;

    return rc != CTL_OK ? rc : written;
}


static void
ctl_probe_free(ctl_probe_t *p)
{
    unsigned  i;

    for (i = 0; i < CTL_PROBE_CHANNELS; i++) {
        free(p->channels[i].took_us);
    }

    free(p->sent_us);
    es_signer_destroy(p->signer);
    (void) pthread_mutex_destroy(&p->lock);
    explicit_bzero(&p->state, sizeof(p->state));
}


int
ctl_probe(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    ctl_probe_t           p = { .lock = PTHREAD_MUTEX_INITIALIZER };
    ctl_probe_options_t   o = {
        .feed = PROBE_FEED, .address = PROBE_ADDRESS, .port = PROBE_PORT,
        .rate = PROBE_RATE, .length = PROBE_FOR, .timeout = PROBE_TIMEOUT
    };

    const ctl_option_t  options[] = {
        { "setup", &o.setup },
        { "cleanup", &o.cleanup },
        { "state", &o.state },
        { "url", &o.url },
        { "feed", &o.feed },
        { "address", &o.address },
        { "port", &o.port },
        { "rate", &o.rate },
        { "for", &o.length },
        { "timeout", &o.timeout },
        { "channels", &o.channels },
        { "metrics", &o.metrics },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (o.setup != NULL && o.cleanup != NULL) {
        return ctl_fail(CTL_USAGE, "\"--setup\" and \"--cleanup\" exclude each "
                        "other");
    }

    if (o.cleanup != NULL) {
        return ctl_probe_cleanup(ctl, o.feed, o.state);
    }

    if (o.state == NULL) {
        return ctl_fail(CTL_USAGE, "\"--state=FILE\" is needed");
    }

    if (!es_process_private()) {
        return ctl_fail(CTL_FAILED, "cannot switch core dumps off");
    }

    if (o.setup != NULL) {
        return ctl_probe_begin_setup(ctl, &o);
    }

    rc = ctl_probe_measure_all(ctl, &p, &o);
    ctl_probe_free(&p);

    return rc;
}
