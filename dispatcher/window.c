/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The window of an endpoint: how many requests it may have in flight, up to its
 * `in_flight`.
 *
 * Each success that is about as fast as the fastest one so far enlarges the
 * window a little.  A round of much slower answers shows that requests waited
 * for each other; it shrinks the window in proportion, at most to half.
 * Throttling and missing answers halve the window at once.
 *
 * The fastest time is forgotten after a while.  If the endpoint is slower now,
 * the window is halved, to measure it with fewer requests.
 */

#include <curl/curl.h>

#include "base/clock.h"
#include "registry/registry.h"

#include "send.h"
#include "target.h"
#include "window.h"

#define ESD_WINDOW_SLACK_US   50000
#define ESD_WINDOW_ROUND      4        /* minimum number of answers */
#define ESD_WINDOW_FORGET_US  30000000


static void
esd_window_scale(esd_target_t *target, double factor)
{
    target->window *= factor < 0.5 ? 0.5 : factor;

    if (target->window < 1) {
        target->window = 1;
    }
}


void
esd_window_reset(esd_target_t *target)
{
    target->window = target->conf->in_flight;
    memset(&target->latency, 0, sizeof(target->latency));
}


void
esd_window_halve(esd_target_t *target)
{
    esd_window_scale(target, 0.5);
}


/* The longest time of an answer that did not wait for others. */

static double
esd_window_limit(const esd_latency_t *latency)
{
    return 2.0 * (double) latency->best_us + ESD_WINDOW_SLACK_US;
}


static void
esd_window_round(esd_target_t *target)
{
    double          mean, limit;
    int64_t         now_us;
    esd_latency_t  *latency;

    latency = &target->latency;
    now_us = es_clock_mono_us();
    mean = (double) latency->sum_us / latency->n;
    limit = esd_window_limit(latency);

    if (mean > limit) {
        esd_window_scale(target, limit / mean);
    }

    if (now_us - latency->best_at_us > ESD_WINDOW_FORGET_US) {

        if (mean > (double) latency->best_us + ESD_WINDOW_SLACK_US) {
            esd_window_scale(target, 0.5);
        }

        /* requests in flight now were sent with the larger window */

        latency->skip = target->in_flight;
        latency->best_us = 0;
    }

    latency->sum_us = 0;
    latency->n = 0;
}


/* The time between the request and the first byte of the answer. */

static int64_t
esd_window_took(const esd_send_t *send)
{
    curl_off_t  sent, answered;

    sent = 0;
    answered = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
    (void) curl_easy_getinfo(send->easy, CURLINFO_STARTTRANSFER_TIME_T,
                             &answered);

    return answered > sent ? answered - sent : 1;
}


void
esd_window_success(esd_target_t *target, const esd_send_t *send)
{
    int64_t         took_us;
    esd_latency_t  *latency;

    latency = &target->latency;

    if (latency->skip > 0) {
        latency->skip--;
        return;
    }

    took_us = esd_window_took(send);

    if (latency->best_us == 0) {
        latency->best_at_us = es_clock_mono_us();
        latency->best_us = took_us;

    } else if (took_us < latency->best_us) {
        latency->best_us = took_us;
    }

    if ((double) took_us <= esd_window_limit(latency)
        && target->window < target->conf->in_flight)
    {
        target->window += 1 / target->window;
    }

    latency->sum_us += took_us;
    latency->n++;

    if (latency->n >= ESD_WINDOW_ROUND && latency->n >= target->window) {
        esd_window_round(target);
    }
}
