/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes pages of the view of all partners.
 *
 * Each order is a number, the rank, of which the largest is first, and the name.
 * The position of a page is the rank and the name of its last partner.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/page_token.h"
#include "delivery/endpoint_state.h"
#include "inspect/partners_view.h"
#include "limit/limit.h"
#include "manage/partner_status.h"
#include "registry/patterns.h"
#include "registry/registry.h"

#define ES_RANK_LEN         sizeof(uint64_t)
#define ES_LIST_TEXT_MAX    (32 + ES_FEED_MAX)
#define ES_RANK_ATTENTION   60     /* bits below the attention's */

typedef struct {
    uint64_t                  rank;
    const es_partner_line_t  *line;
} es_ranked_t;

static const char  *const  es_sorts[ES_SORTS] = {
    [ES_SORT_ATTENTION] = "attention",
    [ES_SORT_NAME] = "name",
    [ES_SORT_LAG] = "lag",
    [ES_SORT_FAILURES] = "failures",
    [ES_SORT_DEAD] = "dead-letters"
};

static const char  *const  es_attentions[ES_ATTENTIONS] = {
    [ES_ATTENTION_NONE] = NULL,
    [ES_ATTENTION_LIMITED] = "limited",
    [ES_ATTENTION_LAGGING] = "lagging",
    [ES_ATTENTION_FAILING] = "failing"
};


es_rc_t
es_sort_find(es_str_t name, es_sort_t *sort)
{
    unsigned  i;

    for (i = 0; i < ES_SORTS; i++) {
        if (es_str_eq(name, es_str(es_sorts[i]))) {
            *sort = (es_sort_t) i;
            return ES_OK;
        }
    }

    return ES_NOT_FOUND;
}


json_t *
es_partners_time(int64_t ms)
{
    char  time[ES_TIME_LEN];

    if (ms == 0) {
        return json_null();
    }

    es_time_print(ms, time);

    return json_stringn(time, sizeof(time));
}


/* Names the list for its tokens. */

static es_str_t
es_list_text(const es_partners_query_t *q, char text[ES_LIST_TEXT_MAX])
{
    int  len;

    len = snprintf(text, ES_LIST_TEXT_MAX, "partners/%s/%.*s",
                   es_sorts[q->sort], (int) q->search.len, q->search.data);

    return (es_str_t) { text, (size_t) len < ES_LIST_TEXT_MAX
                              ? (size_t) len : ES_LIST_TEXT_MAX - 1 };
}


es_rc_t
es_partners_after(es_partners_query_t *q, es_str_t token)
{
    char      text[ES_LIST_TEXT_MAX], position[ES_RANK_LEN + ES_FEED_MAX];
    size_t    len;
    es_rc_t   rc;

    rc = es_page_token_parse(es_list_text(q, text), token, position,
                             sizeof(position), &len);

    if (rc != ES_OK || len < ES_RANK_LEN) {
        return ES_INVALID;
    }

    memcpy(&q->after_rank, position, ES_RANK_LEN);
    q->after_len = len - ES_RANK_LEN;
    memcpy(q->after, position + ES_RANK_LEN, q->after_len);
    q->has_after = true;

    return ES_OK;
}


static uint64_t
es_rank(const es_partner_line_t *line, es_sort_t sort)
{
    uint64_t  more;

    switch (sort) {

    case ES_SORT_ATTENTION:
        more = line->attention == ES_ATTENTION_FAILING
               ? line->states[ES_STATE_STOPPED]
                 + line->states[ES_STATE_FAILING]
               : line->attention == ES_ATTENTION_LAGGING
               ? (uint64_t) line->lag_ms : 0;

        return (uint64_t) line->attention << ES_RANK_ATTENTION | more;

    case ES_SORT_LAG:
        return (uint64_t) line->lag_ms;

    case ES_SORT_FAILURES:
        return line->hour.attempts - line->hour.ok;

    case ES_SORT_DEAD:
        return line->dead;

    case ES_SORT_NAME:
    case ES_SORTS:
        break;
    }

    return 0;
}


static int
es_name_order(es_str_t a, es_str_t b)
{
    int  order;

    order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}


static int
es_ranked_order(const void *one, const void *two)
{
    const es_ranked_t  *a = one, *b = two;

    if (a->rank != b->rank) {
        return a->rank > b->rank ? -1 : 1;
    }

    return es_name_order(a->line->partner->name, b->line->partner->name);
}


/* True if the partner comes after the query's position. */

static bool
es_ranked_after(const es_ranked_t *ranked, const es_partners_query_t *q)
{
    if (!q->has_after) {
        return true;
    }

    if (ranked->rank != q->after_rank) {
        return ranked->rank < q->after_rank;
    }

    return es_name_order(ranked->line->partner->name,
                         (es_str_t) { q->after, q->after_len }) > 0;
}


static json_t *
es_states_report(const es_partner_line_t *line)
{
    json_t    *report;
    unsigned   i;

    report = json_object();

    for (i = 0; i < ES_STATES; i++) {
        if (line->states[i] != 0) {
            (void) json_object_set_new(
                report, es_endpoint_state_name((es_endpoint_state_t) i),
                json_integer(line->states[i]));
        }
    }

    return report;
}


static json_t *
es_total_report(const es_figures_total_t *total)
{
    return json_pack("{s:I, s:I, s:I, s:o}",
                     "attempts", (json_int_t) total->attempts,
                     "ok", (json_int_t) total->ok,
                     "dead", (json_int_t) total->dead,
                     "success", total->attempts == 0 ? json_null()
                     : json_real((double) total->ok
                                 / (double) total->attempts));
}


static json_t *
es_limited_report(const es_partner_limits_t *limits)
{
    json_t    *report;
    unsigned   i;

    report = json_array();

    for (i = 0; i < ES_POLICIES; i++) {
        if (limits->policies & 1U << i) {
            (void) json_array_append_new(
                report, json_string(es_policy_name((es_policy_t) i).data));
        }
    }

    return report;
}


static json_t *
es_line_report(const es_partner_line_t *line)
{
    return json_pack(
        "{s:s%, s:b, s:s?, s:o, s:{s:I, s:o}, s:{s:o, s:b, s:I}, s:I, s:o, s:o,"
        " s:o, s:I, s:{s:o, s:I, s:I}}",
        "name", line->partner->name.data, line->partner->name.len,
        "disabled", line->partner->disabled,
        "attention", es_attentions[line->attention],
        "endpoints", es_states_report(line),
        "lag", "events", (json_int_t) line->behind,
        "seconds", line->lag_ms <= 0 ? json_integer(0)
                   : json_real((double) line->lag_ms / 1000),
        "retention", "expires", es_partners_time(line->expires_ms),
        "near", line->near, "missed", (json_int_t) line->missed,
        "dead_letters", (json_int_t) line->dead,
        "minute", es_total_report(&line->minute),
        "hour", es_total_report(&line->hour),
        "limited", es_limited_report(&line->limits),
        "refused", (json_int_t) line->limits.refused,
        "polls", "last", es_partners_time(line->polled_ms),
        "requests", (json_int_t) line->polls,
        "events", (json_int_t) line->polled);
}


static json_t *
es_next_report(const es_partners_query_t *q, const es_ranked_t *last)
{
    char      text[ES_LIST_TEXT_MAX], position[ES_RANK_LEN + ES_FEED_MAX];
    char      token[ES_PAGE_TOKEN_LEN(ES_RANK_LEN + ES_FEED_MAX)];
    es_str_t  name;

    name = last->line->partner->name;
    memcpy(position, &last->rank, ES_RANK_LEN);
    memcpy(position + ES_RANK_LEN, name.data, name.len);

    es_page_token_print(es_list_text(q, text),
                        (es_str_t) { position, ES_RANK_LEN + name.len },
                        token);

    return json_string(token);
}


/* Collects the partners that match into `ranked`, in order from the position
   on; returns their number. */

static size_t
es_partners_choose(const es_partners_t *view, const es_partners_query_t *q,
    es_ranked_t *ranked, size_t *matching)
{
    size_t    i, n;
    es_str_t  name;

    n = 0;
    *matching = 0;

    for (i = 0; i < view->n; i++) {
        name = view->lines[i].partner->name;

        if (q->search.len != 0
            && memmem(name.data, name.len, q->search.data, q->search.len)
               == NULL)
        {
            continue;
        }

        (*matching)++;
        ranked[n].line = &view->lines[i];
        ranked[n].rank = es_rank(&view->lines[i], q->sort);
        n += es_ranked_after(&ranked[n], q);
    }

    qsort(ranked, n, sizeof(es_ranked_t), es_ranked_order);

    return n;
}


es_rc_t
es_partners_print(json_t *answer, es_buf_t *out)
{
    char     *text;
    es_rc_t   rc;

    text = answer != NULL ? json_dumps(answer, ES_JSON_PRINT) : NULL;
    rc = text != NULL ? es_buf_str(out, es_str(text)) : ES_NOMEM;

    free(text);
    json_decref(answer);

    return rc;
}


es_rc_t
es_partners_page(es_partners_t *view, const es_partners_source_t *source,
    const es_partners_query_t *q, es_buf_t *out)
{
    size_t        i, n, matching;
    json_t       *list, *next;
    es_rc_t       rc;
    es_ranked_t  *ranked;

    rc = es_partners_refresh(view, source);
    if (rc != ES_OK) {
        return rc;
    }

    ranked = calloc(view->n + 1, sizeof(es_ranked_t));
    if (ranked == NULL) {
        return ES_NOMEM;
    }

    n = es_partners_choose(view, q, ranked, &matching);
    list = json_array();

    for (i = 0; i < n && i < q->limit; i++) {
        (void) json_array_append_new(list, es_line_report(ranked[i].line));
    }

    next = n > q->limit && q->limit > 0
           ? es_next_report(q, &ranked[q->limit - 1]) : json_null();
    free(ranked);

    return es_partners_print(
        json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o}",
                  "time", es_partners_time(view->time_ms),
                  "total", (json_int_t) view->n,
                  "matching", (json_int_t) matching,
                  "failing", (json_int_t) view->counts[ES_ATTENTION_FAILING],
                  "lagging", (json_int_t) view->counts[ES_ATTENTION_LAGGING],
                  "limited", (json_int_t) view->counts[ES_ATTENTION_LIMITED],
                  "partners", list, "next", next), out);
}


static bool
es_partner_reads(void *ctx, es_str_t feed)
{
    const es_partner_t  *partner = ctx;

    return es_patterns_match(&partner->feeds, feed);
}


/* Adds the partner's object of the list to the object at the end of `out`. */

static es_rc_t
es_partner_overview(const es_partners_t *view, const es_partner_t *partner,
    es_buf_t *out)
{
    size_t   n;
    es_rc_t  rc;

    out->len--;                                    /* the brace */
    rc = es_buf_str(out, es_lit(",\"overview\":"));

    if (rc == ES_OK) {
        rc = es_partners_print(
            es_line_report(&view->lines[partner - es_registry_partners(
                                            view->registry, &n)]), out);
    }

    return rc == ES_OK ? es_buf_str(out, es_lit("}")) : rc;
}


es_rc_t
es_partners_status(es_partners_t *view, const es_partners_source_t *source,
    es_str_t name, es_buf_t *out)
{
    es_rc_t               rc;
    unsigned              examined;
    const es_partner_t   *partner;
    es_partner_status_t   q = { .partner = name, .polls = source->polls,
                                .reads = es_partner_reads };

    rc = es_partners_refresh(view, source);
    if (rc != ES_OK) {
        return rc;
    }

    partner = es_registry_partner(view->registry, name);
    if (partner == NULL) {
        return ES_NOT_FOUND;
    }

    /* the record is only read */

    q.ctx = (void *) (uintptr_t) partner;
    q.number = partner->number;

    rc = es_partner_status(source->store, &q, out, &examined);

    return rc == ES_OK ? es_partner_overview(view, partner, out) : rc;
}
