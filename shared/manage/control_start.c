/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The event at which a replay, a skip or a cancel begins.
 *
 * A request names a cursor, "oldest" or a time; the dispatcher takes a
 * sequence.
 */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "manage/manage.h"
#include "read/reader.h"
#include "registry/control_request.h"
#include "store/txn.h"


static es_rc_t
es_control_start_cursor(const es_feed_t *feed, const char *text,
    es_control_request_t *request, es_problem_t *problem)
{
    es_rc_t      rc;
    es_cursor_t  cursor;

    if (es_cursor_parse(es_str(text), &cursor) != ES_OK) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "\"%.64s\" is not a cursor", text);
    }

    rc = es_feed_check(feed, &cursor);

    if (rc != ES_OK) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "cursor \"%s\" of feed \"%s\": %s", text,
                              feed->name, es_reason(rc));
    }

    request->sequence = cursor.sequence;

    return ES_OK;
}


static es_rc_t
es_control_start_from(es_txn_t *txn, const es_feed_t *feed, const char *from,
    es_control_request_t *request, es_problem_t *problem)
{
    int64_t  ms;

    if (strcmp(from, "oldest") == 0) {
        request->sequence = feed->oldest - 1;
        return ES_OK;
    }

    if (es_time_parse(es_str(from), &ms) != ES_OK) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "\"%.64s\" is "
                              "neither \"oldest\" nor an RFC 3339 time", from);
    }

    return es_feed_seek_time(txn, feed, ms, &request->sequence);
}


es_rc_t
es_control_request_start(es_store_t *store, es_str_t name, const char *cursor,
    const char *from, es_control_request_t *request, es_problem_t *problem)
{
    es_rc_t    rc;
    es_txn_t  *txn;
    es_feed_t  feed;

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_feed_get(txn, name, &feed);

    if (rc == ES_OK) {
        request->feed = feed.number;
        memcpy(request->epoch, feed.epoch, sizeof(request->epoch));

        rc = from ? es_control_start_from(txn, &feed, from, request, problem)
                  : es_control_start_cursor(&feed, cursor, request, problem);

    } else if (rc == ES_NOT_FOUND) {
        rc = es_problem_set(problem, ES_INVALID, -1, NULL, "there is no feed "
                            "\"%.*s\"", (int) name.len, name.data);
    }

    es_txn_end(txn);

    return rc;
}
