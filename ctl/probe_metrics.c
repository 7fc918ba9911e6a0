/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The results of a run as metrics for the textfile collector of Prometheus'
 * node_exporter.
 *
 * The collector reads the file at any time and as another user, so the file is
 * replaced in one step.
 */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/exposition.h"
#include "probe.h"
#include "replace.h"

static const struct {
    const char  *name;
    unsigned     percent;
}  ctl_probe_stats[] = {
    { "min", 0 }, { "median", 50 }, { "p99", 99 }, { "max", 100 }
};


static int
ctl_probe_order(const void *a, const void *b)
{
    const int64_t  *one = a, *two = b;

    return *one < *two ? -1 : *one > *two;
}


int64_t
ctl_probe_percentile(const ctl_probe_channel_t *c, unsigned percent)
{
    unsigned  at;

    if (c->next == 0) {
        return 0;
    }

    qsort(c->took_us, c->next, sizeof(int64_t), ctl_probe_order);

    at = percent * c->next / 100;

    return c->took_us[at < c->next ? at : c->next - 1];
}


static void
ctl_probe_family(const ctl_probe_t *p, es_exposition_t *e, const char *name,
    const char *help, uint64_t (*value)(const ctl_probe_channel_t *c))
{
    unsigned    i;
    es_label_t  label = { "channel", es_null_str };

    es_metric_family(e, name, "gauge", help);

    for (i = 0; i < CTL_PROBE_CHANNELS; i++) {
        if (p->channels[i].wanted) {
            label.value = es_str(ctl_probe_name((ctl_probe_channel_name_t) i));
            es_metric(e, "", &label, 1, value(&p->channels[i]));
        }
    }
}


static uint64_t
ctl_probe_works(const ctl_probe_channel_t *c)
{
    return c->fault[0] == '\0';
}


static uint64_t
ctl_probe_count(const ctl_probe_channel_t *c)
{
    return c->next;
}


static uint64_t
ctl_probe_repeated(const ctl_probe_channel_t *c)
{
    return c->duplicates;
}


static void
ctl_probe_latencies(const ctl_probe_t *p, es_exposition_t *e)
{
    size_t      k;
    unsigned    i;
    es_label_t  labels[2] = { { "channel", es_null_str },
                              { "stat", es_null_str } };

    es_metric_family(e, "eventsync_probe_latency_seconds", "gauge",
                     "Time from the publish of an event until the channel had "
                     "it; of publish, until its answer.");

    for (i = 0; i < CTL_PROBE_CHANNELS; i++) {
        if (!p->channels[i].wanted || p->channels[i].next == 0) {
            continue;
        }

        labels[0].value = es_str(ctl_probe_name((ctl_probe_channel_name_t) i));

        for (k = 0; k < sizeof(ctl_probe_stats) / sizeof(ctl_probe_stats[0]);
             k++)
        {
            labels[1].value = es_str(ctl_probe_stats[k].name);
            es_metric_us(e, "", labels, 2,
                         (uint64_t) ctl_probe_percentile(&p->channels[i],
                                        ctl_probe_stats[k].percent));
        }
    }
}


int
ctl_probe_metrics(const ctl_probe_t *p, const char *path)
{
    int               rc;
    es_buf_t          text = { 0 };
    es_exposition_t   e = { .out = &text };

    ctl_probe_family(p, &e, "eventsync_probe_success",
                     "1: the channel had every event of the last run, once and "
                     "in order.", ctl_probe_works);
    ctl_probe_family(p, &e, "eventsync_probe_events",
                     "Events of the last run that the channel had.",
                     ctl_probe_count);
    ctl_probe_family(p, &e, "eventsync_probe_duplicates",
                     "Events of the last run that the channel had again.",
                     ctl_probe_repeated);
    ctl_probe_latencies(p, &e);
    es_metric_family(&e, "eventsync_probe_last_run_timestamp_seconds", "gauge",
                     "When the last run ended.");
    es_metric_ms(&e, "", NULL, 0, (uint64_t) es_clock_ms());

    rc = e.rc == ES_OK && ctl_replace(path, &text)
         ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write \"%s\": %s", path,
                             strerror(errno));
    es_buf_free(&text);

    return rc;
}
