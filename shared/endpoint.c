/*
 * endpoint.c - names, secrets and places that the registry does not make up
 * itself.
 */

#include <jansson.h>
#include <stdlib.h>

#include "clock.h"
#include "manage.h"
#include "random.h"
#include "reader.h"

#define ES_ENDPOINT_RANDOM  16


es_rc_t
es_endpoint_name(char name[ES_ENDPOINT_NAME_MAX])
{
    memcpy(name, "ep_", 3);
    name[3 + ES_ENDPOINT_RANDOM] = '\0';

    return es_random_base32(name + 3, ES_ENDPOINT_RANDOM);
}


/* What an old secret becomes: it expires, unless it did or will sooner. */

static json_t *
es_rotate_old(json_t *old, int64_t now_ms, int64_t until_ms)
{
    char         expires[ES_TIME_LEN + 1] = "";
    int64_t      ms;
    const char  *secret, *text;

    secret = json_string_value(old);

    if (json_is_object(old)) {
        secret = json_string_value(json_object_get(old, "secret"));
        text = json_string_value(json_object_get(old, "expires"));

        if (es_time_parse(es_str(text), &ms) == ES_OK) {
            if (ms <= now_ms) {
                return NULL;
            }

            until_ms = ms < until_ms ? ms : until_ms;
        }
    }

    es_time_print(until_ms, expires);

    return json_pack("{s:s, s:s}", "secret", secret, "expires", expires);
}


static json_t *
es_rotate_secrets(const json_t *old, const char *secret, int64_t overlap_ms)
{
    size_t    i;
    json_t   *list, *entry;
    int64_t   now_ms;

    now_ms = es_clock_ms();
    list = json_pack("[s]", secret);

    for (i = 0; overlap_ms > 0 && i < json_array_size(old); i++) {
        entry = es_rotate_old(json_array_get(old, i), now_ms,
                              now_ms + overlap_ms);
        if (entry != NULL) {
            (void) json_array_append_new(list, entry);
        }
    }

    return list;
}


static es_rc_t
es_rotate_write(es_store_t *store, es_str_t name, json_t *list,
    es_problem_t *problem)
{
    char     *text;
    json_t   *change;
    es_rc_t   rc;

    change = json_pack("{s:O}", "secrets", list);
    text = change ? json_dumps(change, JSON_COMPACT) : NULL;

    rc = text ? es_registry_change(store, ES_KIND_ENDPOINT, name, text,
                                   problem) : ES_NOMEM;
    json_decref(change);
    free(text);

    return rc;
}


es_rc_t
es_endpoint_rotate(es_store_t *store, es_str_t name,
    char secret[ES_SECRET_TEXT_MAX], int64_t overlap_ms,
    es_problem_t *problem)
{
    json_t    *object, *list;
    es_rc_t    rc;
    es_buf_t   text = { 0 };

    if (secret[0] == '\0') {
        rc = es_secret_create(secret);
        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_registry_get(store, ES_KIND_ENDPOINT, name, &text);
    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL, "there is no endpoint "
                              "\"%.*s\"", (int) name.len, name.data);
    }

    object = json_loadb(text.data, text.len, 0, NULL);
    list = es_rotate_secrets(json_object_get(object, "secrets"), secret,
                             overlap_ms);

    if (json_array_size(list) > ES_SECRETS_MAX) {
        rc = es_problem_set(problem, ES_CONFLICT, -1, NULL, "%d secrets of "
                            "\"%.*s\" are still in use: wait until one "
                            "expires, or rotate with a smaller overlap",
                            ES_SECRETS_MAX, (int) name.len, name.data);
    } else {
        rc = es_rotate_write(store, name, list, problem);
    }

    json_decref(object);
    json_decref(list);
    es_buf_free(&text);

    return rc;
}


static es_rc_t
es_place_cursor(const es_feed_t *feed, const char *text,
    es_request_t *request, es_problem_t *problem)
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
                              feed->name, es_strerror(rc));
    }

    request->sequence = cursor.sequence;

    return ES_OK;
}


static es_rc_t
es_place_from(es_txn_t *txn, const es_feed_t *feed, const char *from,
    es_request_t *request, es_problem_t *problem)
{
    int64_t  ms;

    if (strcmp(from, "oldest") == 0) {
        request->sequence = feed->oldest - 1;
        return ES_OK;
    }

    if (es_time_parse(es_str(from), &ms) != ES_OK) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "\"%.64s\" is "
                              "not oldest or an RFC 3339 time", from);
    }

    return es_feed_seek_time(txn, feed, ms, &request->sequence);
}


es_rc_t
es_request_place(es_store_t *store, es_str_t name, const char *cursor,
    const char *from, es_request_t *request, es_problem_t *problem)
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

        rc = from ? es_place_from(txn, &feed, from, request, problem)
                  : es_place_cursor(&feed, cursor, request, problem);

    } else if (rc == ES_NOT_FOUND) {
        rc = es_problem_set(problem, ES_INVALID, -1, NULL, "there is no feed "
                            "\"%.*s\"", (int) name.len, name.data);
    }

    es_txn_end(txn);

    return rc;
}
