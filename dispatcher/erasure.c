/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the log's record of erasures, and announces them by feed.
 */

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/pool.h"
#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "log/erased.h"
#include "log/feed.h"
#include "registry/patterns.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "dispatcher.h"
#include "erasure.h"
#include "log.h"
#include "notice.h"
#include "notifier.h"

#define ESD_ERASURE_CURSORS  100       /* in one event */
#define ESD_ERASURE_MAX      1000      /* erasures in one commit */

/* The erasures of a feed, which become one event. */
typedef struct {
    uint32_t  feed;            /* number */
    uint64_t  number;          /* of the first one */
    json_t   *data;            /* "cursors" at first */
} esd_erasure_group_t;

typedef struct {
    esd_dispatcher_t     *d;
    uint64_t              last;        /* erasure that was read */
    unsigned              n;           /* erasures */
    esd_erasure_group_t  *groups;
    size_t                ngroups;
} esd_erasure_t;


static esd_erasure_group_t *
esd_erasure_group(esd_erasure_t *e, uint32_t feed, uint64_t number)
{
    size_t                i;
    esd_erasure_group_t  *groups;

    /* the latest group of a feed is the one with room */

    for (i = e->ngroups; i > 0; i--) {
        if (e->groups[i - 1].feed == feed) {
            break;
        }
    }

    if (i > 0
        && json_array_size(e->groups[i - 1].data) < ESD_ERASURE_CURSORS)
    {
        return &e->groups[i - 1];
    }

    groups = realloc(e->groups, (e->ngroups + 1) * sizeof(*groups));
    if (groups == NULL) {
        return NULL;
    }

    e->groups = groups;
    groups += e->ngroups++;
    *groups = (esd_erasure_group_t) { feed, number, json_array() };

    return groups;
}


static es_rc_t
esd_erasure_read(void *ctx, uint64_t number, const es_erasure_t *erasure)
{
    char                  cursor[ES_CURSOR_MAX];
    esd_erasure_t        *e = ctx;
    esd_erasure_group_t  *group;

    if (e->n == ESD_ERASURE_MAX) {
        return ES_STOP;
    }

    group = esd_erasure_group(e, erasure->feed, number);
    (void) es_cursor_print(erasure->epoch, erasure->sequence, cursor);

    if (group == NULL
        || json_array_append_new(group->data, json_string(cursor)) != 0)
    {
        return ES_NOMEM;
    }

    e->n++;
    e->last = number;

    return ES_OK;
}


/* Completes the groups of the feed. */

static es_rc_t
esd_erasure_feed(esd_erasure_t *e, const es_feed_t *feed)
{
    size_t                i;
    json_t               *data;
    esd_erasure_group_t  *group;

    for (i = 0; i < e->ngroups; i++) {
        group = &e->groups[i];

        if (group->feed != feed->number) {
            continue;
        }

        data = json_pack("{s:s, s:I, s:O}", "feed", feed->name, "count",
                         (json_int_t) json_array_size(group->data), "cursors",
                         group->data);
        if (data == NULL) {
            return ES_NOMEM;
        }

        json_decref(group->data);
        group->data = data;
    }

    return ES_OK;
}


static es_rc_t
esd_erasure_load(esd_erasure_t *e)
{
    es_rc_t    rc;
    es_txn_t  *txn;
    es_feed_t  feed = { 0 };

    rc = es_txn_begin(e->d->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_erasures_each(e->d->store, txn->mdb, e->last, esd_erasure_read, e);
    rc = rc == ES_STOP ? ES_OK : rc;

    while (rc == ES_OK && e->ngroups > 0) {
        rc = es_feed_next(txn, es_str(feed.name), &feed);

        if (rc == ES_OK) {
            rc = esd_erasure_feed(e, &feed);
        }
    }

    es_txn_end(txn);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* A feed that was removed meanwhile has no name, and no readers. */

static es_rc_t
esd_erasure_tell(esd_erasure_t *e, const es_partner_t *partner)
{
    size_t        i;
    es_rc_t       rc;
    const char   *feed;

    for (i = 0, rc = ES_OK; rc == ES_OK && i < e->ngroups; i++) {
        feed = json_string_value(json_object_get(e->groups[i].data, "feed"));

        if (feed != NULL
            && es_patterns_match(&partner->feeds, es_str(feed)))
        {
            rc = esd_notice_erased(e->d, partner, e->groups[i].number,
                                   json_incref(e->groups[i].data));
        }
    }

    return rc;
}


static es_rc_t
esd_erasure_partner(void *ctx, es_str_t name, es_str_t text)
{
    json_t         *object;
    es_rc_t         rc;
    es_pool_t       pool = { 0 };
    es_partner_t    partner = { 0 };
    esd_erasure_t  *e = ctx;

    object = json_loadb(text.data, text.len, 0, NULL);
    partner.name = name;

    rc = json_is_object(object)
         ? es_partner_decode(object, &pool, &partner, NULL) : ES_CORRUPT;

    if (rc == ES_OK && partner.operations.data != NULL && !partner.disabled) {
        rc = esd_erasure_tell(e, &partner);
    }

    json_decref(object);
    es_pool_free(&pool);

    return rc;
}


static es_rc_t
esd_erasure_announce(esd_erasure_t *e)
{
    es_rc_t           rc;
    esd_notifier_t   *notifier;

    notifier = &e->d->notifier;

    if (!notifier->erasures_read) {
        rc = es_delivery_erasures_told(e->d->store, &notifier->erasures);
        if (rc != ES_OK) {
            return rc;
        }

        notifier->erasures_read = true;
    }

    e->last = notifier->erasures;
    rc = esd_erasure_load(e);

    if (rc != ES_OK || e->n == 0) {
        return rc;
    }

    rc = es_registry_each(e->d->store, ES_KIND_PARTNER, es_null_str,
                          esd_erasure_partner, e);

    if (rc == ES_OK) {
        rc = es_changeset_erasures_told(notifier->changes, e->last);
    }

    if (rc == ES_OK) {
        rc = es_delivery_commit(e->d->store, notifier->changes);
    }

    if (rc == ES_OK) {
        notifier->erasures = e->last;
    }

    return rc;
}


void
esd_erasure_check(esd_dispatcher_t *d)
{
    size_t          i;
    es_rc_t         rc;
    esd_erasure_t   e = { .d = d };

    rc = esd_erasure_announce(&e);

    if (rc != ES_OK) {

        /* the next check finds the same */

        es_changeset_clear(d->notifier.changes);
        esd_log_line(d->notifier.erasures_failed ? ESD_LOG_DEBUG
                                                 : ESD_LOG_ERROR,
                     "cannot tell partners of erased events: %s",
                     es_reason(rc));
    }

    d->notifier.erasures_failed = rc != ES_OK;

    for (i = 0; i < e.ngroups; i++) {
        json_decref(e.groups[i].data);
    }

    free(e.groups);
}
