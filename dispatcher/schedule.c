/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The time of the next attempt: the schedule, its jitter, and Retry-After.
 */

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "event/filter.h"
#include "registry/registry.h"

#include "dispatcher.h"
#include "schedule.h"

#define ESD_JITTER  0.2


/*
 * A number in [0, 1) that depends only on the event, the endpoint and the
 * attempt: the first 53 bits of SHA-256("id.endpoint.attempt").
 */

double
esd_schedule_draw(es_str_t id, es_str_t endpoint, uint32_t attempt)
{
    int            n;
    char           text[ES_ATTR_MAX];
    uint64_t       bits;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    n = snprintf(text, sizeof(text), "%.*s.%.*s.%u", (int) id.len, id.data,
                 (int) endpoint.len, endpoint.data, attempt);

    if (n >= (int) sizeof(text)
        || EVP_Digest(text, (size_t) n, digest, NULL, EVP_sha256(), NULL) != 1)
    {
        return 0.5;
    }

    memcpy(&bits, digest, sizeof(bits));

    return (double) (__builtin_bswap64(bits) >> 11) / (double) (1ULL << 53);
}


/* Both clocks are rounded down to milliseconds, so that one is added: nothing
   is due before the wall clock says so. */

void
esd_schedule_init(esd_dispatcher_t *d)
{
    d->booted_ms = es_clock_ms() - es_clock_boot_ms() + 1;
}


int64_t
esd_schedule_ms(const esd_dispatcher_t *d)
{
    return d->booted_ms + es_clock_boot_ms();
}


/* The delay before the next attempt after `attempts`; -1: there is none. */

int64_t
esd_schedule_delay(const es_endpoint_t *endpoint, es_str_t id,
    uint32_t attempts)
{
    double  delay;

    if (attempts >= endpoint->nschedule) {
        return -1;
    }

    delay = endpoint->schedule_ms[attempts];
    delay *= 1 - ESD_JITTER
             + 2 * ESD_JITTER * esd_schedule_draw(id, endpoint->name,
                                                  attempts + 1);

    return (int64_t) delay;
}


int64_t
esd_schedule_longest(const es_endpoint_t *endpoint)
{
    int64_t   longest, delay;
    unsigned  i;

    longest = ESD_RETRY_AFTER_MAX_MS;

    for (i = 0; i < endpoint->nschedule; i++) {
        delay = (int64_t) (endpoint->schedule_ms[i] * (1 + ESD_JITTER)) + 1;
        longest = delay > longest ? delay : longest;
    }

    return longest;
}


/* Reads seconds or an HTTP date, up to the bound; -1: neither. */

int64_t
esd_schedule_retry_after(const char *value, int64_t now_ms)
{
    char     *end;
    time_t    date;
    int64_t   ms;

    if (value[0] >= '0' && value[0] <= '9') {
        ms = strtoll(value, &end, 10);

        if (*end != '\0') {
            return -1;
        }

        ms = ms < ESD_RETRY_AFTER_MAX_MS / 1000 ? ms * 1000
                                                : ESD_RETRY_AFTER_MAX_MS;

    } else {
        date = curl_getdate(value, NULL);
        if (date == -1) {
            return -1;
        }

        ms = (int64_t) date * 1000 - now_ms;
        ms = ms > 0 ? ms : 0;
    }

    return ms < ESD_RETRY_AFTER_MAX_MS ? ms : ESD_RETRY_AFTER_MAX_MS;
}
