/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Data-use agreements: each partner with a feed of operational events is told
 * 30 days, 7 days and one day before its access ends.
 *
 * What was told is remembered beside the deprecations, under a number that is
 * no version's, so that no restart tells it again.
 */

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/pool.h"
#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "registry/data_use.h"
#include "registry/record.h"
#include "registry/registry.h"

#include "data_use.h"
#include "dispatcher.h"
#include "log.h"
#include "notice.h"
#include "notifier.h"

#define ESD_DATA_USE_US    60000000        /* between checks without a change */
#define ESD_DATA_USE_AGAIN_US  1000000     /* after one: the number of a commit
                                              is known before readers see it */
#define ESD_DATA_USE_MAX   1000            /* announcements in one commit */
#define ESD_DATA_USE_HASH  UINT64_C(0x6573757365656e64)
#define ESD_DATA_USE_DAY_MS         (24 * 3600 * INT64_C(1000))

typedef struct {
    esd_dispatcher_t  *d;
    int64_t            now_ms;
    es_buf_t           partners;   /* numbers of those with an agreement */
    unsigned           told;       /* in this commit */
} esd_data_use_t;

static const unsigned  esd_data_use_days[] = { 1, 7, 30 };


/* The least number of days that have begun; 0: it is not soon, or over. */

static unsigned
esd_data_use_stage(int64_t expires_ms, int64_t now_ms)
{
    size_t  i;

    for (i = 0; now_ms < expires_ms
                && i < sizeof(esd_data_use_days) / sizeof(unsigned); i++)
    {
        if (expires_ms - now_ms <= esd_data_use_days[i] * ESD_DATA_USE_DAY_MS) {
            return esd_data_use_days[i];
        }
    }

    return 0;
}


static es_rc_t
esd_data_use_tell(esd_data_use_t *scan, const es_partner_t *partner)
{
    bool      told;
    es_rc_t   rc;
    int64_t   ends_ms;
    unsigned  days;

    ends_ms = partner->data_use.expires_ms;
    days = esd_data_use_stage(ends_ms, scan->now_ms);

    if (days == 0) {
        return ES_OK;
    }

    rc = es_delivery_deprecation_told(scan->d->store, partner->number,
                                      ESD_DATA_USE_HASH, days, ends_ms, &told);
    if (rc != ES_OK || told) {
        return rc;
    }

    scan->told++;
    rc = esd_notice_data_use(scan->d, partner, days);

    return rc == ES_OK
           ? es_changeset_deprecation_told(scan->d->notifier.changes,
                                           partner->number, ESD_DATA_USE_HASH,
                                           days, ends_ms)
           : rc;
}


/* There may be ten thousand partners, and few have the member. */

static es_rc_t
esd_data_use_partner(void *ctx, es_str_t name, es_str_t text)
{
    json_t          *object;
    es_rc_t          rc;
    es_pool_t        pool = { 0 };
    es_partner_t     partner = { 0 };
    esd_data_use_t  *scan = ctx;

    static const char  member[] = "\"data_use\"";

    if (memmem(text.data, text.len, member, sizeof(member) - 1) == NULL) {
        return ES_OK;
    }

    object = json_loadb(text.data, text.len, 0, NULL);
    partner.name = name;

    rc = json_is_object(object)
         ? es_partner_decode(object, &pool, &partner, NULL) : ES_CORRUPT;

    if (rc == ES_OK && partner.data_use.expires_ms != 0) {
        rc = es_buf_append(&scan->partners, &partner.number,
                           sizeof(partner.number));
    }

    if (rc == ES_OK && partner.operations.data != NULL && !partner.disabled) {
        rc = scan->told < ESD_DATA_USE_MAX ? esd_data_use_tell(scan, &partner)
                                           : ES_STOP;
    }

    json_decref(object);
    es_pool_free(&pool);

    return rc;
}


/* Forgets partners that have no agreement any more. */

static es_rc_t
esd_data_use_old(void *ctx, uint32_t partner, uint64_t hash)
{
    size_t           i, n;
    uint32_t         number;
    esd_data_use_t  *scan = ctx;

    if (hash != ESD_DATA_USE_HASH) {
        return ES_OK;
    }

    n = scan->partners.len / sizeof(number);

    for (i = 0; i < n; i++) {
        memcpy(&number, scan->partners.data + i * sizeof(number),
               sizeof(number));

        if (number == partner) {
            return ES_OK;
        }
    }

    return es_changeset_deprecation_forget(scan->d->notifier.changes, partner,
                                           hash);
}


static es_rc_t
esd_data_use_scan(esd_data_use_t *scan)
{
    es_rc_t  rc;

    rc = es_registry_each(scan->d->store, ES_KIND_PARTNER, es_null_str,
                          esd_data_use_partner, scan);

    if (rc == ES_OK) {
        rc = es_delivery_each_deprecation(scan->d->store, esd_data_use_old,
                                          scan);
    }

    return rc == ES_STOP ? ES_OK : rc;
}


void
esd_data_use_check(esd_dispatcher_t *d)
{
    es_rc_t          rc;
    uint64_t         version;
    esd_data_use_t   scan = { .d = d, .now_ms = es_clock_ms() };
    esd_notifier_t  *notifier;

    notifier = &d->notifier;
    version = es_registry_version(d->store);

    if (version == notifier->data_use_version
        && es_clock_mono_us() < notifier->data_use_us)
    {
        return;
    }

    rc = esd_data_use_scan(&scan);

    if (rc == ES_OK) {
        rc = es_delivery_commit(d->store, notifier->changes);
    }

    if (rc != ES_OK) {

        /* the next check finds the same */

        es_changeset_clear(notifier->changes);
        esd_log_line(notifier->data_use_failed ? ESD_LOG_DEBUG : ESD_LOG_ERROR,
                     "cannot search for agreements that end: %s",
                     es_reason(rc));
    }

    notifier->data_use_failed = rc != ES_OK;
    notifier->data_use_us = es_clock_mono_us()
                            + (version == notifier->data_use_version
                               ? ESD_DATA_USE_US : ESD_DATA_USE_AGAIN_US);
    notifier->data_use_version = scan.told < ESD_DATA_USE_MAX ? version : 0;

    es_buf_free(&scan.partners);
}


bool
esd_data_use_told(uint64_t hash)
{
    return hash == ESD_DATA_USE_HASH;
}
