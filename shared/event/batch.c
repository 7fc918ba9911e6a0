/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Collects the events of one publish request.
 *
 * The arena grows while drafts are added, so until the batch is sealed a draft
 * holds offsets.  A batch that is used again keeps its memory.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/pool.h"
#include "event/batch.h"
#include "event/event.h"

#define ES_EVENT_MAX  262144
#define ES_COUNT_MAX  10000


es_batch_t *
es_batch_create(es_str_t feed, const es_limits_t *limits)
{
    es_batch_t  *batch;

    batch = calloc(1, sizeof(es_batch_t));

    if (batch != NULL) {
        es_batch_reset(batch, feed, limits);
    }

    return batch;
}


bool
es_batch_trace(const es_batch_t *batch, size_t i, es_trace_t *trace)
{
    return batch->sealed && es_event_trace(batch->drafts[i].head, trace);
}


void
es_batch_reset(es_batch_t *batch, es_str_t feed, const es_limits_t *limits)
{
    es_batch_t  kept;

    es_pool_free(&batch->problems);
    kept = *batch;
    memset(batch, 0, sizeof(es_batch_t));

    batch->arena = kept.arena;
    batch->arena.len = 0;
    batch->drafts = kept.drafts;
    batch->cap = kept.cap;
    batch->results = kept.results;
    batch->results_cap = kept.results_cap;

    /* A name that no feed can have stays empty; the commit finds no feed. */

    if (feed.len <= ES_FEED_MAX) {
        memcpy(batch->feed, feed.data, feed.len);
    }

    if (limits != NULL) {
        batch->limits = *limits;
    }

    if (batch->limits.event_max == 0) {
        batch->limits.event_max = ES_EVENT_MAX;
    }

    if (batch->limits.count_max == 0) {
        batch->limits.count_max = ES_COUNT_MAX;
    }

    batch->compose.feed = es_str(batch->feed);
    batch->compose.event_max = batch->limits.event_max;
    batch->compose.now_ms = es_clock_ms();
    batch->compose.replace = batch->limits.handling & ES_HANDLE_REPLACE;
    batch->rc = ES_OK;
    batch->problem.index = -1;
}


size_t
es_batch_kept(const es_batch_t *batch)
{
    return batch->arena.cap + batch->cap * sizeof(es_draft_t)
           + batch->results_cap * sizeof(es_result_t);
}


void
es_batch_destroy(es_batch_t *batch)
{
    if (batch == NULL) {
        return;
    }

    es_buf_free(&batch->arena);
    es_pool_free(&batch->problems);
    free(batch->drafts);
    free(batch->results);
    free(batch);
}


/* Makes room for one more draft.  ES_TOO_LARGE: there are too many. */

static es_rc_t
es_batch_room(es_batch_t *batch, es_problem_t *problem)
{
    size_t       cap;
    es_draft_t  *drafts;

    if (batch->n == batch->limits.count_max) {
        return es_problem_set(problem, ES_TOO_LARGE, (int) batch->n, NULL,
                              "the batch has more than %u events",
                              batch->limits.count_max);
    }

    if (batch->n == batch->cap) {
        cap = batch->cap ? batch->cap * 2 : 8;

        drafts = realloc(batch->drafts, cap * sizeof(es_draft_t));
        if (drafts == NULL) {
            return es_problem_set(problem, ES_NOMEM, -1, NULL,
                                  "out of memory");
        }

        batch->drafts = drafts;
        batch->cap = cap;
    }

    return ES_OK;
}


const es_problem_t *
es_batch_keep(es_batch_t *batch, const es_problem_t *problem)
{
    es_problem_t  *copy;

    copy = es_pool_alloc(&batch->problems, sizeof(es_problem_t));
    if (copy != NULL) {
        *copy = *problem;
    }

    return copy;
}


/* Counts the next draft, which was made with the outcome `rc`. */

static es_rc_t
es_batch_added(es_batch_t *batch, es_rc_t rc, const es_problem_t *problem)
{
    es_draft_t  *draft;

    if ((batch->limits.handling & ES_HANDLE_EACH)
        && (rc == ES_INVALID || rc == ES_TOO_LARGE))
    {
        draft = &batch->drafts[batch->n];
        memset(draft, 0, sizeof(es_draft_t));

        draft->refused = es_batch_keep(batch, problem);
        rc = draft->refused ? ES_OK : ES_NOMEM;
    }

    if (rc == ES_OK) {
        batch->ntraced += batch->drafts[batch->n].traced;
        batch->n++;
    }

    return rc;
}


es_rc_t
es_batch_add(es_batch_t *batch, const char *json, size_t len,
    es_problem_t *problem)
{
    es_rc_t       rc;
    es_problem_t  said = { 0 };

    problem = problem ? problem : &said;

    rc = es_batch_room(batch, problem);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_draft_json(&batch->compose, json, len, (int) batch->n,
                       &batch->arena, &batch->drafts[batch->n], problem);

    return es_batch_added(batch, rc, problem);
}


es_rc_t
es_batch_add_array(es_batch_t *batch, const char *text, size_t len,
    es_problem_t *problem)
{
    bool             first;
    es_rc_t          rc;
    es_json_t        json;
    es_json_value_t  value;

    es_json_init(&json, text, len);

    rc = es_json_enter(&json, '[');

    for (first = true; rc == ES_OK; first = false) {
        rc = es_json_item(&json, first, &value);
        if (rc != ES_OK) {
            break;
        }

        rc = es_batch_add(batch, value.text.data, value.text.len, problem);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (rc == ES_NOT_FOUND) {
        rc = es_json_end(&json);
    }

    if (rc != ES_OK) {
        return es_problem_set(problem, rc, (int) batch->n, NULL,
                              "the body is not a JSON array of events: %s at "
                              "byte %zu",
                              json.error ? json.error : "unexpected text",
                              (size_t) (json.pos - json.start));
    }

    return ES_OK;
}


es_rc_t
es_batch_add_ndjson(es_batch_t *batch, const char *text, size_t len,
    es_problem_t *problem)
{
    size_t       n;
    es_rc_t      rc;
    const char  *p, *end, *line;

    end = text + len;

    for (line = text; line < end; line += n + 1) {
        p = memchr(line, '\n', (size_t) (end - line));
        n = (size_t) ((p ? p : end) - line);

        if (es_json_blank((es_str_t) { line, n })) {
            continue;
        }

        rc = es_batch_add(batch, line, n, problem);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


es_rc_t
es_batch_add_binary(es_batch_t *batch, const es_attr_t *attrs, size_t nattrs,
    es_str_t content_type, const char *data, size_t len, es_problem_t *problem)
{
    es_rc_t       rc;
    es_problem_t  said = { 0 };

    problem = problem ? problem : &said;

    rc = es_batch_room(batch, problem);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_draft_binary(&batch->compose, attrs, nattrs, content_type, data,
                         len, &batch->arena, &batch->drafts[batch->n],
                         problem);

    return es_batch_added(batch, rc, problem);
}


es_rc_t
es_batch_seal(es_batch_t *batch)
{
    size_t        i;
    es_draft_t   *draft;
    es_result_t  *results;

    if (batch->sealed) {
        return ES_OK;
    }

    if (batch->n > batch->results_cap || batch->results == NULL) {
        results = realloc(batch->results,
                          (batch->n ? batch->n : 1) * sizeof(es_result_t));
        if (results == NULL) {
            return ES_NOMEM;
        }

        batch->results = results;
        batch->results_cap = batch->n ? batch->n : 1;
    }

    memset(batch->results, 0, batch->n * sizeof(es_result_t));

    for (i = 0; i < batch->n; i++) {
        draft = &batch->drafts[i];
        batch->results[i].refused = draft->refused;
        batch->results[i].replaced = draft->replaced;

        if (draft->refused != NULL) {
            batch->results[i].id = es_lit("");
            continue;
        }

        draft->head.data = batch->arena.data + (uintptr_t) draft->head.data;
        draft->tail.data = batch->arena.data + (uintptr_t) draft->tail.data;

        batch->results[i].id.data = draft->head.data + draft->id_off;
        batch->results[i].id.len = draft->id_len;
    }

    batch->sealed = true;

    return ES_OK;
}


es_rc_t
es_batch_refuse(es_batch_t *batch, size_t i, const es_problem_t *problem)
{
    batch->results[i].refused = es_batch_keep(batch, problem);

    return batch->results[i].refused ? ES_OK : ES_NOMEM;
}


size_t
es_batch_refused(const es_batch_t *batch)
{
    size_t  i, n;

    for (i = 0, n = 0; i < batch->n; i++) {
        n += batch->results[i].refused != NULL;
    }

    return n;
}


es_rc_t
es_batch_rc(const es_batch_t *batch)
{
    return batch->rc;
}


const es_problem_t *
es_batch_problem(const es_batch_t *batch)
{
    return &batch->problem;
}


size_t
es_batch_warnings(const es_batch_t *batch)
{
    return batch->nwarnings;
}


const char *
es_batch_feed(const es_batch_t *batch)
{
    return batch->feed;
}


size_t
es_batch_count(const es_batch_t *batch)
{
    return batch->n;
}


const es_result_t *
es_batch_result(const es_batch_t *batch, size_t i)
{
    return &batch->results[i];
}
