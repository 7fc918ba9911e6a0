/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks of what the registry and the delivery state say: keys, secrets, and
 * endpoints that are not sent their events.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "delivery/endpoint_status.h"
#include "delivery/report.h"
#include "delivery/undelivered.h"
#include "doctor.h"
#include "registry/secrets.h"

#define DOCTOR_BACKLOG     10000   /* events */
#define DOCTOR_EXPIRES_MS  (14LL * 24 * 3600 * 1000)

typedef struct {
    ctl_doctor_t  *d;
    int64_t        now_ms;
    unsigned       keys;           /* that may publish */
    unsigned       forever;        /* of them, that never expire */
    char           first[ES_KEYID_LEN + 1];
} ctl_doctor_keys_t;


bool
ctl_doctor_wants(const ctl_doctor_t *d, const es_endpoint_t *endpoint)
{
    return d->only == NULL
           || strcmp(endpoint->name.data, d->only) == 0
           || es_str_eq(endpoint->partner->name, es_str(d->only));
}


static void
ctl_doctor_key_ends(const ctl_doctor_keys_t *k, const es_key_t *key)
{
    char     time[ES_TIME_LEN + 1];
    json_t  *check;

    check = ctl_check(k->d, "keys", CTL_CHECK_WARN, "key %s of %s %s at %s",
                      key->id, key->partner->name.data,
                      key->expires_ms > k->now_ms ? "expires" : "has expired",
                      ctl_finding_time(key->expires_ms, time));
    ctl_finding_next(check, "eventsyncctl key create %s --scopes=..., and "
                     "later: eventsyncctl key remove %s",
                     key->partner->name.data, key->id);
}


static void
ctl_doctor_data_use(ctl_doctor_t *d)
{
    char                 time[ES_TIME_LEN + 1];
    json_t              *check;
    size_t               i, n;
    int64_t              ends_ms, now_ms;
    const es_partner_t  *partners;

    now_ms = es_clock_ms();
    partners = es_registry_partners(d->registry, &n);

    for (i = 0; i < n; i++) {
        ends_ms = partners[i].data_use.expires_ms;

        if (ends_ms == 0 || ends_ms - now_ms >= DOCTOR_EXPIRES_MS
            || (d->only != NULL
                && !es_str_eq(partners[i].name, es_str(d->only))))
        {
            continue;
        }

        check = ctl_check(d, "data-use", CTL_CHECK_WARN, "the data-use "
                          "agreement of %s %s at %s", partners[i].name.data,
                          ends_ms > now_ms ? "ends" : "has ended",
                          ctl_finding_time(ends_ms, time));
        ctl_finding_next(check, "eventsyncctl partner data-use %s "
                         "--expires=TIME", partners[i].name.data);
    }
}


/* A key that ends soon or has ended, or a publisher's that never does. */

static es_rc_t
ctl_doctor_key(void *ctx, es_str_t name, es_str_t text)
{
    char                id[ES_KEYID_LEN + 1];
    ctl_doctor_keys_t  *k = ctx;
    const es_key_t     *key;

    (void) text;
    (void) snprintf(id, sizeof(id), "%.*s", (int) name.len, name.data);
    key = es_registry_key(k->d->registry, id);

    if (key == NULL
        || (k->d->only != NULL
            && !es_str_eq(key->partner->name, es_str(k->d->only))))
    {
        return ES_OK;
    }

    /* that of a link is meant to */

    if (key->expires_ms != 0
        && !key->linked
        && key->revoked_ms == 0
        && !key->partner->disabled
        && key->expires_ms - k->now_ms < DOCTOR_EXPIRES_MS)
    {
        ctl_doctor_key_ends(k, key);
    }

    if ((key->scopes & ES_SCOPE_PUBLISH) && es_key_valid(key, k->now_ms)) {
        k->keys++;

        if (key->expires_ms == 0 && k->forever++ == 0) {
            memcpy(k->first, id, sizeof(id));
        }
    }

    return ES_OK;
}


static void
ctl_doctor_publishers(ctl_doctor_t *d)
{
    json_t             *check;
    ctl_doctor_keys_t   k = { .d = d, .now_ms = es_clock_ms() };

    (void) es_registry_each(d->ctl->store, ES_KIND_KEY, es_null_str,
                            ctl_doctor_key, &k);

    if (k.forever > 0) {
        check = ctl_check(d, "publisher-keys", CTL_CHECK_WARN, "%u of %u keys "
                          "that may publish never expire, such as %s",
                          k.forever, k.keys, k.first);
        ctl_finding_next(check, "eventsyncctl key create PARTNER "
                         "--scopes=publish --expires=TIME, then: eventsyncctl "
                         "key revoke %s", k.first);

    } else {
        (void) ctl_check(d, "publisher-keys", CTL_CHECK_OK, "every key that "
                         "may publish expires");
    }
}


/* ---- endpoints ---- */

static void
ctl_doctor_secret(ctl_doctor_t *d, const es_endpoint_t *endpoint)
{
    json_t  *check;

    if (!d->keys || endpoint->locked == ES_OK) {
        return;
    }

    check = ctl_check(d, "secret", CTL_CHECK_FAIL, "nothing is sent: %s",
                      es_secrets_reason(endpoint->locked));
    ctl_finding_set(check, "endpoint", endpoint->name.data);
    ctl_finding_next(check, "eventsyncctl endpoint rotate %s",
                     endpoint->name.data);
}


/* True: the state is one that an operator has chosen, or a good one. */

static bool
ctl_doctor_state(ctl_doctor_t *d, const es_endpoint_t *endpoint)
{
    json_t               *check;
    es_rc_t               rc;
    es_endpoint_facts_t   facts = { 0 };
    es_endpoint_state_t   state;

    rc = es_endpoint_facts_read(d->ctl->store, endpoint->number,
                                endpoint->revision, &facts);
    facts.paused = endpoint->paused;
    facts.disabled = es_endpoint_disabled(endpoint);
    state = es_endpoint_state(&facts);

    if ((rc != ES_OK && rc != ES_NOT_FOUND) || state == ES_STATE_ACTIVE
        || state == ES_STATE_PAUSED || state == ES_STATE_DISABLED)
    {
        return true;
    }

    check = ctl_check(d, "endpoint", CTL_CHECK_WARN, "the endpoint is %s",
                      es_endpoint_state_name(state));
    ctl_finding_set(check, "endpoint", endpoint->name.data);
    ctl_finding_next(check, "eventsyncctl explain %s", endpoint->name.data);

    return false;
}


/* Many events that were not delivered yet. */

static void
ctl_doctor_backlog(ctl_doctor_t *d)
{
    size_t                   i, k, n;
    json_t                  *check;
    unsigned                 before;
    const es_endpoint_t     *endpoints;
    es_undelivered_list_t    list;

    if (es_undelivered_load(d->ctl->store, 0, es_null_str, UINT64_MAX, &list)
        != ES_OK)
    {
        return;
    }

    endpoints = es_registry_endpoints(d->registry, &n);
    before = d->counts[CTL_CHECK_WARN];

    for (i = 0; i < list.n; i++) {
        if (list.list[i].events < DOCTOR_BACKLOG) {
            continue;
        }

        for (k = 0; k < n; k++) {
            if (endpoints[k].number != list.list[i].endpoint
                || !ctl_doctor_wants(d, &endpoints[k]))
            {
                continue;
            }

            check = ctl_check(d, "backlog", CTL_CHECK_WARN, "%" PRIu64
                              " events of feed %s are not delivered yet",
                              list.list[i].events, list.list[i].feed);
            ctl_finding_set(check, "endpoint", endpoints[k].name.data);
            ctl_finding_next(check, "eventsyncctl explain %s",
                             endpoints[k].name.data);
        }
    }

    if (before == d->counts[CTL_CHECK_WARN]) {
        (void) ctl_check(d, "backlog", CTL_CHECK_OK, "no endpoint is %d events "
                         "behind", DOCTOR_BACKLOG);
    }

    es_undelivered_free(&list);
}


void
ctl_doctor_registry(ctl_doctor_t *d)
{
    size_t                i, n;
    unsigned              good, seen;
    const es_endpoint_t  *endpoints;

    ctl_doctor_data_use(d);
    ctl_doctor_publishers(d);

    endpoints = es_registry_endpoints(d->registry, &n);
    good = 0;
    seen = 0;

    for (i = 0; i < n; i++) {
        if (ctl_doctor_wants(d, &endpoints[i])) {
            ctl_doctor_secret(d, &endpoints[i]);
            good += ctl_doctor_state(d, &endpoints[i]);
            seen++;
        }
    }

    if (good == seen) {
        (void) ctl_check(d, "endpoints", CTL_CHECK_OK, "%u of %u are active, "
                         "or were stopped on purpose", good, seen);
    }

    ctl_doctor_backlog(d);
}
