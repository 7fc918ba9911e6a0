/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts attempts in cells of time, and reads and writes the record.
 */

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/figures.h"
#include "delivery/figures_span.h"
#include "delivery/tally.h"

#define ES_META_FIGURES  "figures"

/* The head of the record.  The cells of each span follow. */
typedef struct __attribute__((packed)) {
    uint16_t  cell_size;
    uint8_t   classes;
    uint8_t   n[ES_SPANS];
    uint32_t  waiting;
    uint32_t  held;
    int64_t   next_ms;
} es_figures_value_t;

ES_STORED_SIZE(es_figures_value_t, 22);

typedef struct {
    es_figures_fn  fn;
    void          *ctx;
} es_figures_visitor_t;

/* Cells are stored as they are in memory. */
ES_STORED_SIZE(es_figures_cell_t, 200);

const es_figures_shape_t  es_figures_shapes[ES_SPANS] = {
    [ES_SPAN_MINUTE] = { "minute", 10000, 6 },
    [ES_SPAN_HOUR] = { "hour", 300000, 12 },
    [ES_SPAN_DAY] = { "day", 3600000, 24 },
};


void
es_figures_free(es_figures_t *figures)
{
    unsigned  i;

    for (i = 0; i < ES_SPANS; i++) {
        free(figures->spans[i].cells);
    }

    memset(figures, 0, sizeof(*figures));
}


bool
es_figures_counts(const es_attempt_t *attempt)
{
    return attempt->class < ES_ATTEMPT_CLASSES
           && attempt->class != ES_ATTEMPT_SIMULATED
           && (attempt->flags & (ES_ATTEMPT_TEST | ES_ATTEMPT_FETCH
                                 | ES_ATTEMPT_CHECK)) == 0;
}


/* Makes room for one more cell.  Of a full span goes the cell that is farthest
   from now: the oldest, or one that a wrong clock has put far ahead. */

static es_rc_t
es_figures_room(es_figures_span_t *span, const es_figures_shape_t *shape,
    int64_t start_ms)
{
    unsigned            cap;
    es_figures_cell_t  *cells;

    if (span->n == shape->cells) {
        span->n--;

        if (span->cells[span->n].start_ms <= start_ms) {
            memmove(span->cells, span->cells + 1,
                    span->n * sizeof(es_figures_cell_t));
        }
    }

    if (span->n < span->cap) {
        return ES_OK;
    }

    cap = span->cap == 0 ? 1 : span->cap * 2;
    cap = cap < shape->cells ? cap : shape->cells;
    ES_ASSERT(cap > span->n);

    cells = realloc(span->cells, cap * sizeof(es_figures_cell_t));
    if (cells == NULL) {
        return ES_NOMEM;
    }

    span->cells = cells;
    span->cap = cap;

    return ES_OK;
}


/* The cell of this time.  NULL: no memory. */

static es_figures_cell_t *
es_figures_cell(es_figures_span_t *span, const es_figures_shape_t *shape,
    int64_t now_ms)
{
    int64_t             start_ms;
    unsigned            i;
    es_figures_cell_t  *cell;

    start_ms = now_ms - now_ms % shape->width_ms;

    for (i = span->n; i > 0; i--) {
        if (span->cells[i - 1].start_ms <= start_ms) {
            break;
        }
    }

    if (i > 0 && span->cells[i - 1].start_ms == start_ms) {
        return &span->cells[i - 1];
    }

    if (es_figures_room(span, shape, start_ms) != ES_OK) {
        return NULL;
    }

    for (i = span->n; i > 0; i--) {
        cell = &span->cells[i];

        if (cell[-1].start_ms < start_ms) {
            break;
        }

        *cell = cell[-1];
    }

    cell = &span->cells[i];
    memset(cell, 0, sizeof(*cell));
    cell->start_ms = start_ms;
    span->n++;

    return cell;
}


static es_answer_t
es_figures_answer(int32_t status)
{
    return status == 0 ? ES_ANSWER_NONE
           : status < 200 ? ES_ANSWER_3XX
           : status < 300 ? ES_ANSWER_2XX
           : status < 400 ? ES_ANSWER_3XX
           : status == 429 ? ES_ANSWER_429
           : status < 500 ? ES_ANSWER_4XX : ES_ANSWER_5XX;
}


es_rc_t
es_figures_attempt(es_figures_t *figures, const es_attempt_t *attempt,
    int64_t now_ms)
{
    unsigned            i, try;
    es_figures_cell_t  *cell;

    try = attempt->attempt == 0 ? 0 : attempt->attempt - 1;
    try = try < ES_FIGURES_TRIES ? try : ES_FIGURES_TRIES - 1;

    for (i = 0; i < ES_SPANS; i++) {
        cell = es_figures_cell(&figures->spans[i], &es_figures_shapes[i],
                               now_ms);
        if (cell == NULL) {
            return ES_NOMEM;
        }

        cell->attempts[attempt->class]++;
        cell->answers[es_figures_answer(attempt->status)]++;
        cell->tries[try]++;
        cell->within[es_tally_bucket(attempt->latency_us)]++;
        cell->duration_us += attempt->latency_us;
    }

    return ES_OK;
}


es_rc_t
es_figures_dead(es_figures_t *figures, int64_t now_ms)
{
    unsigned            i;
    es_figures_cell_t  *cell;

    for (i = 0; i < ES_SPANS; i++) {
        cell = es_figures_cell(&figures->spans[i], &es_figures_shapes[i],
                               now_ms);
        if (cell == NULL) {
            return ES_NOMEM;
        }

        cell->dead++;
    }

    return ES_OK;
}


es_rc_t
es_figures_fresh(es_figures_t *figures, es_fresh_verdict_t verdict,
    int64_t age_ms, int64_t now_ms)
{
    unsigned            i;
    es_fresh_t          fresh = { 0 };
    es_figures_cell_t  *cell;

    es_fresh_count(&fresh, verdict, age_ms);

    for (i = 0; i < ES_SPANS; i++) {
        cell = es_figures_cell(&figures->spans[i], &es_figures_shapes[i],
                               now_ms);
        if (cell == NULL) {
            return ES_NOMEM;
        }

        cell->fresh[verdict]++;

        if (fresh.worst_ms > cell->worst_ms) {
            cell->worst_ms = fresh.worst_ms < UINT32_MAX
                             ? (uint32_t) fresh.worst_ms : UINT32_MAX;
        }
    }

    return ES_OK;
}


static es_dkey_t
es_figures_key(uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_FIGURES);
    es_key32(&key, endpoint);

    return key;
}


es_rc_t
es_changeset_figures(es_changeset_t *c, uint32_t endpoint,
    const es_figures_t *figures)
{
    size_t               len;
    es_rc_t              rc;
    es_buf_t             buf = { 0 };
    unsigned             i;
    es_dkey_t            key;
    es_figures_value_t   value;

    key = es_figures_key(endpoint);
    value.cell_size = sizeof(es_figures_cell_t);
    value.classes = ES_ATTEMPT_CLASSES;
    value.waiting = figures->waiting.waiting;
    value.held = figures->waiting.held;
    value.next_ms = figures->waiting.next_ms;

    for (i = 0; i < ES_SPANS; i++) {
        value.n[i] = (uint8_t) figures->spans[i].n;
    }

    rc = es_buf_append(&buf, &value, sizeof(value));

    for (i = 0; rc == ES_OK && i < ES_SPANS; i++) {
        len = figures->spans[i].n * sizeof(es_figures_cell_t);

        if (len != 0) {
            rc = es_buf_append(&buf, figures->spans[i].cells, len);
        }
    }

    if (rc == ES_OK) {
        rc = es_changeset_meta_put(c, &key, buf.data, buf.len);
    }

    es_buf_free(&buf);

    return rc;
}


es_rc_t
es_changeset_figures_done(es_changeset_t *c, uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_figures_key(endpoint);

    return es_changeset_meta_delete(c, &key, false);
}


static es_rc_t
es_figures_decode_span(es_figures_span_t *span,
    const es_figures_shape_t *shape, const char **p, const char *end,
    unsigned n)
{
    size_t    len;
    unsigned  i;

    len = n * sizeof(es_figures_cell_t);

    if (n > shape->cells || len > (size_t) (end - *p)) {
        return ES_CORRUPT;
    }

    if (n == 0) {
        return ES_OK;
    }

    span->cells = malloc(len);
    if (span->cells == NULL) {
        return ES_NOMEM;
    }

    memcpy(span->cells, *p, len);
    *p += len;
    span->n = n;
    span->cap = n;

    for (i = 1; i < n; i++) {
        if (span->cells[i].start_ms <= span->cells[i - 1].start_ms) {
            return ES_CORRUPT;
        }
    }

    return ES_OK;
}


static es_rc_t
es_figures_decode(void *ctx, const MDB_val *key, const MDB_val *record)
{
    es_rc_t              rc;
    unsigned             i;
    const char          *p, *end;
    es_figures_t        *figures = ctx;
    es_figures_value_t   value;

    (void) key;

    if (record->mv_size < sizeof(value)) {
        return ES_CORRUPT;
    }

    p = record->mv_data;
    end = p + record->mv_size;
    memcpy(&value, p, sizeof(value));
    p += sizeof(value);

    figures->waiting.waiting = value.waiting;
    figures->waiting.held = value.held;
    figures->waiting.next_ms = value.next_ms;

    if (value.cell_size != sizeof(es_figures_cell_t)
        || value.classes != ES_ATTEMPT_CLASSES)
    {
        return ES_OK;
    }

    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < ES_SPANS; i++) {
        rc = es_figures_decode_span(&figures->spans[i], &es_figures_shapes[i],
                                    &p, end, value.n[i]);
    }

    return rc == ES_OK && p != end ? ES_CORRUPT : rc;
}


es_rc_t
es_delivery_figures(es_store_t *store, uint32_t endpoint,
    es_figures_t *figures)
{
    es_rc_t  rc;

    rc = es_delivery_get_meta(store, es_figures_key(endpoint),
                              es_figures_decode, figures);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_figures_visit(void *ctx, const MDB_val *key, const MDB_val *value)
{
    es_rc_t                      rc;
    es_figures_t                 figures = { 0 };
    const es_figures_visitor_t  *visitor = ctx;

    if (key->mv_size != strlen(ES_META_FIGURES) + sizeof(uint32_t)) {
        return ES_CORRUPT;
    }

    rc = es_figures_decode(&figures, key, value);

    if (rc == ES_OK) {
        rc = visitor->fn(visitor->ctx,
                         es_key32_get(key, strlen(ES_META_FIGURES)), &figures);
    }

    es_figures_free(&figures);

    return rc;
}


es_rc_t
es_delivery_each_figures(es_store_t *store, es_figures_fn fn, void *ctx)
{
    es_figures_visitor_t  visitor = { fn, ctx };

    return es_delivery_each_meta(store, es_meta_key(ES_META_FIGURES),
                                 es_figures_visit, &visitor);
}
