/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Shows a partner the status, attempts and dead letters of its endpoints.
 *
 * An endpoint may have been sent other feeds before.  Records of feeds that
 * the key may not see are left out.
 */

#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/endpoint_status.h"
#include "delivery/list_position.h"
#include "delivery/report.h"
#include "manage/manage.h"
#include "manage/manage_internal.h"


static bool
es_manage_tells(const es_manage_ctx_t *m, uint32_t feed)
{
    return es_narrow_covers(&m->manage->narrow,
                            es_str(es_report_feed(&m->feeds, feed)->name));
}


static es_rc_t
es_manage_append(es_manage_ctx_t *m, json_t *report)
{
    if (report == NULL || json_array_append_new(m->list, report) != 0) {
        return ES_NOMEM;
    }

    return ES_OK;
}


static bool
es_manage_status_tells(void *ctx, uint32_t feed)
{
    return es_manage_tells(ctx, feed);
}


/* `disabled` stays false: the key of a disabled partner cannot get here. */

es_rc_t
es_manage_status(es_manage_ctx_t *m)
{
    es_rc_t            rc;
    json_t            *status;
    es_endpoint_status_query_t  q = {
        .store = m->store, .feeds = &m->feeds, .endpoint = m->number,
        .revision = m->revision, .paused = m->paused,
        .partner = true,
        .figures = es_narrow_covers(&m->manage->narrow, es_str("*")),
        .tells = es_manage_status_tells, .ctx = m
    };

    rc = es_endpoint_status_read(&q, &status);

    if (rc == ES_OK) {
        m->answer = json_pack("{s:s}", "name", m->managed->name);
        rc = json_object_update(m->answer, status) == 0 ? ES_OK : ES_NOMEM;
        json_decref(status);
    }

    return rc;
}


static es_rc_t
es_on_attempt(void *ctx, const es_attempt_t *attempt)
{
    es_manage_ctx_t       *m = ctx;
    es_attempt_position_t  position = { attempt->time_ms, attempt->feed,
                                        attempt->sequence, attempt->attempt };

    if (m->room-- == 0) {
        return ES_STOP;
    }

    m->managed->examined++;
    es_attempt_position_print(&position, m->next);

    /* tests and requests for tokens belong to no feed */

    return attempt->feed == 0 || es_manage_tells(m, attempt->feed)
           ? es_manage_append(m, es_report_attempt(&m->feeds, attempt))
           : ES_OK;
}


static es_rc_t
es_on_dead(void *ctx, const es_dead_t *dead)
{
    es_manage_ctx_t    *m = ctx;
    es_dead_position_t  position = { .endpoint = dead->endpoint,
                                     .feed = dead->feed,
                                     .sequence = dead->sequence };

    if (m->room-- == 0) {
        return ES_STOP;
    }

    m->managed->examined++;
    memcpy(position.epoch, dead->epoch, sizeof(position.epoch));
    es_dead_position_print(&position, m->next);

    return es_manage_tells(m, dead->feed)
           ? es_manage_append(m, es_report_dead(&m->feeds, dead)) : ES_OK;
}


static es_rc_t
es_manage_attempts(es_manage_ctx_t *m)
{
    return es_delivery_last_attempts(m->store, m->number,
                                     m->manage->has_after
                                     ? &m->manage->attempt_after : NULL,
                                     es_on_attempt, m);
}


static es_rc_t
es_manage_dead(es_manage_ctx_t *m)
{
    es_dead_position_t  after;

    if (!m->manage->has_after) {
        return es_delivery_each_dead(m->store, m->number, es_on_dead, m);
    }

    after = m->manage->dead_after;
    after.endpoint = m->number;

    return es_delivery_dead_after(m->store, &after, es_on_dead, m);
}


/* Lists attempts from the newest, and dead letters from the oldest. */

es_rc_t
es_manage_records(es_manage_ctx_t *m)
{
    bool     attempts, more;
    es_rc_t  rc;

    attempts = m->manage->op == ES_MANAGE_ATTEMPTS;
    m->room = m->manage->limit;
    m->list = json_array();
    m->answer = json_pack("{s:o}", attempts ? "attempts" : "dead_letters",
                          m->list);

    rc = attempts ? es_manage_attempts(m) : es_manage_dead(m);
    more = rc == ES_STOP;

    (void) json_object_set_new(m->answer, "has_more", json_boolean(more));
    (void) json_object_set_new(m->answer, "next",
                               es_manage_next(m, more));

    return more ? ES_OK : rc;
}
