/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Deprecated versions of event types: each partner with a feed of operational
 * events is told once of each version whose type is in a feed that it may read,
 * and again when the dates change.
 *
 * The notifier's thread looks after a change of the registry, and now and then
 * for types that are new in a feed.
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/pool.h"
#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "delivery/report.h"
#include "manage/deprecations.h"
#include "registry/patterns.h"
#include "registry/record.h"
#include "registry/registry.h"

#include "data_use.h"
#include "deprecation.h"
#include "dispatcher.h"
#include "log.h"
#include "notice.h"
#include "notifier.h"

#define ESD_DEPRECATION_US   10000000      /* between checks without a change */
#define ESD_DEPRECATION_MAX  1000          /* announcements in one commit */

typedef struct {
    esd_dispatcher_t   *d;
    es_deprecations_t   found;
    uint64_t            hashes[ES_DEPRECATIONS_MAX];
    es_buf_t            partners;  /* numbers, as they come */
    unsigned            told;      /* in this commit */
} esd_deprecation_t;


/* The names of those feeds that the partner may read; never that of its own
   operational events. */

static json_t *
esd_deprecation_feeds(const es_deprecation_t *version,
    const es_partner_t *partner)
{
    size_t    i;
    json_t   *feeds, *name;
    es_str_t  feed;

    feeds = json_array();

    json_array_foreach(version->feeds, i, name) {
        feed = es_str(json_string_value(name));

        if (es_patterns_match(&partner->feeds, feed)
            && !es_str_eq(partner->operations, feed))
        {
            (void) json_array_append(feeds, name);
        }
    }

    return feeds;
}


static es_rc_t
esd_deprecation_version(esd_deprecation_t *scan, const es_partner_t *partner,
    size_t i)
{
    bool               told;
    json_t            *feeds;
    es_rc_t            rc;
    es_deprecation_t  *version;

    version = &scan->found.list[i];

    rc = es_delivery_deprecation_told(scan->d->store, partner->number,
                                      scan->hashes[i],
                                      version->lifetime.deprecated_ms,
                                      version->lifetime.sunset_ms, &told);
    if (rc != ES_OK || told) {
        return rc;
    }

    feeds = esd_deprecation_feeds(version, partner);

    if (json_array_size(feeds) > 0) {
        scan->told++;
        rc = esd_notice_deprecated(scan->d, partner,
                                   es_deprecation_report(version, feeds));

        if (rc == ES_OK) {
            rc = es_changeset_deprecation_told(
                     scan->d->notifier.changes, partner->number,
                     scan->hashes[i], version->lifetime.deprecated_ms,
                     version->lifetime.sunset_ms);
        }
    }

    json_decref(feeds);

    return rc;
}


static es_rc_t
esd_deprecation_partner(void *ctx, es_str_t name, es_str_t text)
{
    size_t              i;
    json_t             *object;
    es_rc_t             rc;
    es_pool_t           pool = { 0 };
    es_partner_t        partner = { 0 };
    esd_deprecation_t  *scan = ctx;

    object = json_loadb(text.data, text.len, 0, NULL);
    partner.name = name;

    rc = json_is_object(object)
         ? es_partner_decode(object, &pool, &partner, NULL) : ES_CORRUPT;

    if (rc == ES_OK) {
        rc = es_buf_append(&scan->partners, &partner.number,
                           sizeof(partner.number));
    }

    if (rc == ES_OK && partner.operations.data != NULL && !partner.disabled) {
        for (i = 0; rc == ES_OK && i < scan->found.n; i++) {
            rc = scan->told < ESD_DEPRECATION_MAX
                 ? esd_deprecation_version(scan, &partner, i) : ES_STOP;
        }
    }

    json_decref(object);
    es_pool_free(&pool);

    return rc;
}


static bool
esd_deprecation_known(const esd_deprecation_t *scan, uint32_t partner,
    uint64_t hash)
{
    bool      found;
    size_t    i, n;
    uint32_t  number;

    found = false;

    for (i = 0; i < scan->found.n; i++) {
        found = found || scan->hashes[i] == hash;
    }

    n = scan->partners.len / sizeof(number);

    for (i = 0; found && i < n; i++) {
        memcpy(&number, scan->partners.data + i * sizeof(number),
               sizeof(number));

        if (number == partner) {
            return true;
        }
    }

    return false;
}


/* Forgets versions that are no longer deprecated, and partners that are gone,
   so that a later deprecation is announced. */

static es_rc_t
esd_deprecation_old(void *ctx, uint32_t partner, uint64_t hash)
{
    esd_deprecation_t  *scan = ctx;

    return esd_deprecation_known(scan, partner, hash)
           || esd_data_use_told(hash)
           ? ES_OK
           : es_changeset_deprecation_forget(scan->d->notifier.changes,
                                             partner, hash);
}


static es_rc_t
esd_deprecation_scan(esd_deprecation_t *scan)
{
    char               label[ES_TYPE_LABEL_MAX];
    size_t             i;
    es_rc_t            rc;
    es_report_feeds_t  feeds;

    rc = es_report_feeds_load(scan->d->store, &feeds);

    if (rc == ES_OK) {
        rc = es_deprecations_load(scan->d->store, &feeds, NULL, NULL,
                                  &scan->found);
    }

    es_report_feeds_free(&feeds);

    for (i = 0; i < scan->found.n; i++) {
        (void) snprintf(label, sizeof(label), "%s/%s",
                        scan->found.list[i].type, scan->found.list[i].version);
        scan->hashes[i] = es_hash_long(label, strlen(label), 0);
    }

    if (rc == ES_OK && scan->found.n > 0) {
        rc = es_registry_each(scan->d->store, ES_KIND_PARTNER, es_null_str,
                              esd_deprecation_partner, scan);
    }

    /* an incomplete picture says nothing about what is gone */

    if (rc == ES_OK && scan->found.all) {
        rc = es_delivery_each_deprecation(scan->d->store, esd_deprecation_old,
                                          scan);
    }

    return rc == ES_STOP ? ES_OK : rc;
}


void
esd_deprecation_check(esd_dispatcher_t *d)
{
    es_rc_t             rc;
    uint64_t            version;
    esd_notifier_t     *notifier;
    esd_deprecation_t   scan = { .d = d };

    notifier = &d->notifier;
    version = es_registry_version(d->store);

    if (version == notifier->deprecation_version
        && es_clock_mono_us() < notifier->deprecation_us)
    {
        return;
    }

    rc = esd_deprecation_scan(&scan);

    if (rc == ES_OK) {
        rc = es_delivery_commit(d->store, notifier->changes);
    }

    if (rc != ES_OK) {

        /* the next check finds the same */

        es_changeset_clear(notifier->changes);
        esd_log_line(notifier->deprecation_failed ? ESD_LOG_DEBUG
                                                  : ESD_LOG_ERROR,
                     "cannot search for deprecated event types: %s",
                     es_reason(rc));
    }

    notifier->deprecation_failed = rc != ES_OK;
    notifier->deprecation_us = es_clock_mono_us() + ESD_DEPRECATION_US;
    notifier->deprecation_version = scan.told < ESD_DEPRECATION_MAX ? version
                                                                    : 0;

    es_deprecations_free(&scan.found);
    es_buf_free(&scan.partners);
}
