/*
 * manage_report.c - what a partner is shown of deliveries to its endpoints.
 *
 * An endpoint may have been sent other feeds before: of those that a key is
 * narrowed away from it is told nothing.
 */

#include "managing.h"


static bool
es_manage_tells(const es_managing_t *m, uint32_t feed)
{
    return es_narrow_covers(&m->manage->narrow,
                            es_str(es_report_feed(&m->feeds, feed)->name));
}


static es_rc_t
es_manage_append(es_managing_t *m, json_t *report)
{
    if (report == NULL || json_array_append_new(m->list, report) != 0) {
        return ES_NOMEM;
    }

    return ES_OK;
}


static es_rc_t
es_on_progress(void *ctx, const es_progress_t *progress)
{
    const es_away_t  *away;
    es_managing_t    *m = ctx;

    if (!es_manage_tells(m, progress->feed)) {
        return ES_OK;
    }

    /* how much is published to a feed that it may not read is not for it */

    away = es_report_away(&m->feeds, m->number, progress->feed);

    return es_manage_append(m, away != NULL
                               ? es_report_kept(away)
                               : es_report_progress(&m->feeds, progress));
}


static es_rc_t
es_on_retry(void *ctx, const es_retry_t *retry)
{
    es_managing_t  *m = ctx;

    return es_manage_tells(m, retry->feed)
           && es_report_away(&m->feeds, m->number, retry->feed) == NULL
           ? es_manage_append(m, es_report_retry(&m->feeds, retry)) : ES_OK;
}


static es_rc_t
es_on_circuit(void *ctx, const es_circuit_t *circuit)
{
    es_managing_t  *m = ctx;

    return es_manage_append(m, es_report_circuit(circuit));
}


/* A mark counts only for the revision of the endpoint that it stopped. */

static es_rc_t
es_manage_stopped(es_managing_t *m)
{
    es_rc_t    rc;
    es_stop_t  stop;

    rc = es_delivery_stop(m->store, m->number, &stop);

    if (rc == ES_OK && stop.revision == m->revision) {
        (void) json_object_set_new(m->answer, "stopped",
                                   json_string(stop.reason));
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_manage_status(es_managing_t *m)
{
    es_rc_t  rc;

    m->list = json_array();
    m->answer = json_pack("{s:s, s:o}", "name", m->managed->name, "deliveries",
                          m->list);

    rc = es_delivery_each_progress(m->store, m->number, es_on_progress, m);

    if (rc == ES_OK) {
        rc = es_delivery_each_retry(m->store, m->number, es_on_retry, m);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_circuit(m->store, m->number, es_on_circuit, m);
    }

    return rc == ES_OK ? es_manage_stopped(m) : rc;
}


static es_rc_t
es_on_attempt(void *ctx, const es_attempt_t *attempt)
{
    es_managing_t       *m = ctx;
    es_attempt_place_t   place = { attempt->time_ms, attempt->feed,
                                   attempt->sequence, attempt->attempt };

    if (m->room-- == 0) {
        return ES_EXISTS;
    }

    es_attempt_place_print(&place, m->next);

    /* of no feed are tests, and what tokens were asked for */

    return attempt->feed == 0 || es_manage_tells(m, attempt->feed)
           ? es_manage_append(m, es_report_attempt(&m->feeds, attempt))
           : ES_OK;
}


static es_rc_t
es_on_dead(void *ctx, const es_dead_t *dead)
{
    es_managing_t    *m = ctx;
    es_dead_place_t   place = { dead->endpoint, dead->feed, dead->sequence };

    if (m->room-- == 0) {
        return ES_EXISTS;
    }

    es_dead_place_print(&place, m->next);

    return es_manage_tells(m, dead->feed)
           ? es_manage_append(m, es_report_dead(&m->feeds, dead)) : ES_OK;
}


static es_rc_t
es_manage_attempts(es_managing_t *m)
{
    return es_delivery_last_attempts(m->store, m->number,
                                     m->manage->has_after
                                     ? &m->manage->attempt_after : NULL,
                                     es_on_attempt, m);
}


static es_rc_t
es_manage_dead(es_managing_t *m)
{
    es_dead_place_t  after;

    if (!m->manage->has_after) {
        return es_delivery_each_dead(m->store, m->number, es_on_dead, m);
    }

    after = m->manage->dead_after;
    after.endpoint = m->number;

    return es_delivery_dead_after(m->store, &after, es_on_dead, m);
}


/* Attempts from the newest on, dead letters from the oldest. */

es_rc_t
es_manage_records(es_managing_t *m)
{
    bool     attempts, more;
    es_rc_t  rc;

    attempts = m->manage->op == ES_MANAGE_ATTEMPTS;
    m->room = m->manage->limit;
    m->list = json_array();
    m->answer = json_pack("{s:o}", attempts ? "attempts" : "dead_letters",
                          m->list);

    rc = attempts ? es_manage_attempts(m) : es_manage_dead(m);
    more = rc == ES_EXISTS;

    (void) json_object_set_new(m->answer, "has_more", json_boolean(more));
    (void) json_object_set_new(m->answer, "next",
                               more ? json_string(m->next) : json_null());

    return more ? ES_OK : rc;
}
