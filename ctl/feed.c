/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feeds: created, changed, and emptied.
 *
 * A feed's limits and events are in the log, but its schema mode and its promise
 * of freshness are a record of the registry, so that some commands write to
 * both.  Those that delete events report the endpoints that had not received
 * them.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "affected.h"
#include "base/clock.h"
#include "checkpoint/checkpoint.h"
#include "ctl.h"
#include "feed.h"
#include "log/feed.h"
#include "log/feed_pack.h"
#include "log/store_clock.h"
#include "object.h"
#include "read/retention.h"
#include "read/retime.h"
#include "registry/values.h"

typedef struct {
    const char  *count;
    const char  *bytes;
    const char  *age;
    const char  *pack;
    const char  *schema;           /* these two are kept in the registry */
    const char  *fresh;
} ctl_feed_text_t;

static int ctl_feed_load(ctl_t *ctl, const char *name, es_feed_t *feed);
static int ctl_feed_settings(ctl_t *ctl, const char *name,
    es_feed_options_t *options);


int
ctl_feed_failed(const char *name, es_rc_t rc)
{
    if (rc == ES_NOT_FOUND) {
        return ctl_fail(CTL_FAILED, "no feed \"%s\"", name);
    }

    if (rc == ES_EXISTS) {
        return ctl_fail(CTL_FAILED, "feed \"%s\" exists already", name);
    }

    if (rc == ES_INVALID) {
        return ctl_fail(CTL_USAGE, "\"%s\" is not a feed's name: 1 to 63 of "
                        "a-z, 0-9, '-' and '_', beginning with a letter or "
                        "digit", name);
    }

    if (rc == ES_HELD) {
        return ctl_fail(CTL_FAILED, "feed \"%s\" is held: its events stay "
                        "until \"feed release %s\"", name, name);
    }

    return ctl_fail(CTL_FAILED, "feed \"%s\": %s", name, es_reason(rc));
}


/* Leaves the member of `options` unchanged where no option is given. */

static int
ctl_feed_options(const ctl_feed_text_t *text, es_feed_options_t *options)
{
    int       rc;
    uint32_t  ms;

    if (text->count != NULL) {
        rc = ctl_number("retain-count", text->count, 0, ES_SEQUENCE_MAX,
                        &options->retain_count);
        if (rc != CTL_OK) {
            return rc;
        }
    }

    if (text->bytes != NULL) {
        rc = ctl_number("retain-bytes", text->bytes, 0, UINT64_C(1) << 50,
                        &options->retain_bytes);
        if (rc != CTL_OK) {
            return rc;
        }
    }

    if (text->age != NULL) {
        if (es_duration_parse(es_str(text->age), &ms) != ES_OK) {
            return ctl_fail(CTL_USAGE, "\"--retain-age=%s\" is not a duration "
                            "of at most 30 days", text->age);
        }

        options->retain_ms = ms;
    }

    return text->pack ? ctl_pack_level(text->pack, &options->pack) : CTL_OK;
}


static int
ctl_feed_args(ctl_t *ctl, int *argc, char **argv, ctl_feed_text_t *text)
{
    const ctl_option_t  options[] = {
        { "retain-count", &text->count },
        { "retain-bytes", &text->bytes },
        { "retain-age", &text->age },
        { "pack", &text->pack },
        { "schema", &text->schema },
        { "fresh-within", &text->fresh },
        { NULL, NULL }
    };

    return ctl_args(ctl, argc, argv, options);
}


static bool
ctl_feed_rules(const ctl_feed_text_t *text)
{
    return text->schema != NULL || text->fresh != NULL;
}


/* Only a rule needs the registry open for writing. */

static int
ctl_feed_open(ctl_t *ctl, const ctl_feed_text_t *text)
{
    uint32_t  ms;

    if (text->fresh != NULL
        && (es_duration_parse(es_str(text->fresh), &ms) != ES_OK
            || ms > ES_FRESH_WITHIN_MAX))
    {
        return ctl_fail(CTL_USAGE, "\"--fresh-within=%s\" is not a duration "
                        "of at most 1 day, such as 5s; 0 takes the promise "
                        "back", text->fresh);
    }

    if (text->schema != NULL && strcmp(text->schema, "off") != 0
        && strcmp(text->schema, "warn") != 0
        && strcmp(text->schema, "enforce") != 0)
    {
        return ctl_fail(CTL_USAGE, "\"--schema=%s\" is not off, warn or "
                        "enforce", text->schema);
    }

    return ctl_open(ctl, ES_STORE_PUBLISH
                         | (ctl_feed_rules(text) ? ES_STORE_ADMIN : 0));
}


/* Stores the rule of the feed, which is a record of the registry. */

static int
ctl_feed_rule(ctl_t *ctl, const char *name, const ctl_feed_text_t *text)
{
    es_buf_t  buf = { 0 };
    json_t   *object;
    es_rc_t   es;

    if (!ctl_feed_rules(text)) {
        return CTL_OK;
    }

    es = es_registry_get(ctl->store, ES_KIND_FEED, es_str(name), &buf);
    es_buf_free(&buf);

    object = json_pack("{s:s*, s:s*}", "schema", text->schema,
                       "fresh_within", text->fresh);

    return es == ES_NOT_FOUND
           ? ctl_object_create(ctl, ES_KIND_FEED, name, object)
           : ctl_object_change(ctl, ES_KIND_FEED, name, object);
}


/* Begins a command that deletes events. */

static int
ctl_feed_begin(ctl_t *ctl, int *argc, char **argv, unsigned flags,
    ctl_affected_t *affected)
{
    int  rc;

    rc = ctl_args(ctl, argc, argv, NULL);

    return rc == CTL_OK ? ctl_affected_begin(ctl, flags, argv[0], UINT64_MAX,
                                             affected)
                        : rc;
}


int
ctl_feed_create(ctl_t *ctl, int argc, char **argv)
{
    int                rc;
    es_rc_t            es;
    ctl_feed_text_t    text = { 0 };
    es_feed_options_t  options = { .pack = ES_PACK_LEVEL };

    rc = ctl_feed_args(ctl, &argc, argv, &text);

    if (rc == CTL_OK) {
        rc = ctl_feed_options(&text, &options);
    }

    if (rc == CTL_OK) {
        rc = ctl_feed_open(ctl, &text);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    es = es_feed_create(ctl->store, es_str(argv[0]), &options, NULL);

    rc = es == ES_OK ? ctl_feed_rule(ctl, argv[0], &text)
                     : ctl_feed_failed(argv[0], es);

    return ctl_feed_result(ctl, argv[0], rc);
}


int
ctl_feed_change(ctl_t *ctl, int argc, char **argv)
{
    int                rc;
    es_rc_t            es;
    ctl_feed_text_t    text = { 0 };
    es_feed_options_t  options;

    rc = ctl_feed_args(ctl, &argc, argv, &text);

    if (rc == CTL_OK) {
        rc = ctl_feed_open(ctl, &text);
    }

    if (rc == CTL_OK) {
        rc = ctl_feed_settings(ctl, argv[0], &options);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_feed_options(&text, &options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (text.count == NULL && text.bytes == NULL && text.age == NULL
        && text.pack == NULL && !ctl_feed_rules(&text))
    {
        ctl_note("no option was given: the feed stays as it is");
    }

    es = es_feed_change(ctl->store, es_str(argv[0]), &options);

    rc = es == ES_OK ? ctl_feed_rule(ctl, argv[0], &text)
                     : ctl_feed_failed(argv[0], es);

    return ctl_feed_result(ctl, argv[0], rc);
}


static int
ctl_feed_load(ctl_t *ctl, const char *name, es_feed_t *feed)
{
    es_rc_t    es;
    es_txn_t  *txn;

    es = es_txn_begin(ctl->store, &txn);

    if (es == ES_OK) {
        es = es_feed_get(txn, es_str(name), feed);
        es_txn_end(txn);
    }

    return es == ES_OK ? CTL_OK : ctl_feed_failed(name, es);
}


/* The feed's settings as they are. */

static int
ctl_feed_settings(ctl_t *ctl, const char *name, es_feed_options_t *options)
{
    es_rc_t    es;
    es_txn_t  *txn;
    es_feed_t  feed;

    es = es_txn_begin(ctl->store, &txn);

    if (es == ES_OK) {
        es = es_feed_get(txn, es_str(name), &feed);

        if (es == ES_OK) {
            options->retain_count = feed.retain_count;
            options->retain_bytes = feed.retain_bytes;
            options->retain_ms = feed.retain_ms;
            es = es_feed_pack_get(txn, feed.number, &options->pack);
        }

        es_txn_end(txn);
    }

    return es == ES_OK ? CTL_OK : ctl_feed_failed(name, es);
}


/* The member exists only while no process applies the limits. */

static void
ctl_feed_overdue(es_txn_t *txn, const es_feed_t *feed, json_t *json)
{
    char                since[ES_TIME_LEN];
    int64_t             since_ms;
    es_clock_verdict_t  clock;

    if (es_feed_limited(feed)
        && es_clock_peek(txn, &clock, NULL) == ES_OK
        && es_feed_overdue(txn, feed, clock.time_ms, &since_ms) == ES_OK
        && since_ms != 0)
    {
        es_time_print(since_ms, since);
        (void) json_object_set_new(json, "retention_overdue_since",
                                   json_stringn(since, ES_TIME_LEN));
    }
}


static json_t *
ctl_feed_json(ctl_t *ctl, es_txn_t *txn, const es_feed_t *feed)
{
    char      oldest[ES_CURSOR_MAX], latest[ES_CURSOR_MAX];
    char      created[ES_TIME_LEN];
    json_t   *json, *rule;
    unsigned  pack;
    uint32_t  ms;
    es_buf_t  buf = { 0 };

    (void) es_feed_cursor(feed, feed->oldest - 1, oldest);
    (void) es_feed_cursor(feed, feed->last, latest);
    es_time_print(feed->created_ms, created);

    json = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "name", feed->name, "epoch", feed->epoch,
                     "oldest", oldest, "latest", latest,
                     "events", (json_int_t) (feed->last + 1 - feed->oldest),
                     "bytes", (json_int_t) feed->bytes,
                     "page_size", (json_int_t) feed->page_size,
                     "retain_count", (json_int_t) feed->retain_count,
                     "retain_bytes", (json_int_t) feed->retain_bytes,
                     "retain_ms", (json_int_t) feed->retain_ms,
                     "created", json_stringn(created, ES_TIME_LEN));

    if (es_feed_pack_get(txn, feed->number, &pack) == ES_OK) {
        (void) json_object_set_new(json, "pack_level", json_integer(pack));
    }

    (void) json_object_set_new(json, "schema", json_string("off"));
    (void) json_object_set_new(json, "fresh_within_ms", json_integer(0));

    if (es_registry_get(ctl->store, ES_KIND_FEED, es_str(feed->name), &buf)
        == ES_OK)
    {
        rule = json_loadb(buf.data, buf.len, 0, NULL);
        if (json_object_get(rule, "schema") != NULL) {
            (void) json_object_set(json, "schema",
                                   json_object_get(rule, "schema"));
        }

        if (es_duration_parse(es_str(json_string_value(
                                  json_object_get(rule, "fresh_within"))), &ms)
            == ES_OK)
        {
            (void) json_object_set_new(json, "fresh_within_ms",
                                       json_integer(ms));
        }

        json_decref(rule);
    }

    es_buf_free(&buf);
    ctl_feed_overdue(txn, feed, json);

    if (feed->held) {
        es_time_print(feed->hold.since_ms, created);
        (void) json_object_set_new(json, "held",
                                   json_pack("{s:s%, s:s}", "since", created,
                                             (size_t) ES_TIME_LEN, "reason",
                                             feed->hold.reason));
    }

    return json;
}


int
ctl_feed_result(ctl_t *ctl, const char *name, int rc)
{
    es_rc_t    es;
    es_txn_t  *txn;
    es_feed_t  feed;

    if (rc != CTL_OK || !ctl->json) {
        return rc;
    }

    es = es_txn_begin(ctl->store, &txn);
    if (es != ES_OK) {
        return ctl_feed_failed(name, es);
    }

    es = es_feed_get(txn, es_str(name), &feed);

    if (es == ES_OK) {
        ctl_result(ctl, ctl_feed_json(ctl, txn, &feed));
    }

    es_txn_end(txn);

    return es == ES_OK ? CTL_OK : ctl_feed_failed(name, es);
}


static void
ctl_feed_print(ctl_t *ctl, es_txn_t *txn, const es_feed_t *feed)
{
    json_t  *json;

    json = ctl_feed_json(ctl, txn, feed);
    ctl_print(json);
    json_decref(json);
}


int
ctl_feed_show(ctl_t *ctl, int argc, char **argv)
{
    int        rc;
    es_rc_t    es;
    es_txn_t  *txn;
    es_feed_t  feed;

    rc = ctl_begin(ctl, &argc, argv, NULL, 0);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_txn_begin(ctl->store, &txn);

    if (es == ES_OK) {
        es = es_feed_get(txn, es_str(argv[0]), &feed);

        if (es == ES_OK) {
            ctl_feed_print(ctl, txn, &feed);
        }

        es_txn_end(txn);
    }

    return es == ES_OK ? CTL_OK : ctl_feed_failed(argv[0], es);
}


int
ctl_feed_list(ctl_t *ctl, int argc, char **argv)
{
    int        rc;
    char       latest[ES_CURSOR_MAX];
    es_rc_t    es;
    es_txn_t  *txn;
    es_feed_t  feed = { 0 };

    rc = ctl_begin_list(ctl, &argc, argv);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_txn_begin(ctl->store, &txn);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    while ((es = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {

        if (ctl->json) {
            ctl_feed_print(ctl, txn, &feed);
            continue;
        }

        (void) es_feed_cursor(&feed, feed.last, latest);
        (void) printf("%-32s %12" PRIu64 " events %14" PRIu64 " bytes  %s%s\n",
                      feed.name, feed.last + 1 - feed.oldest, feed.bytes,
                      latest, feed.held ? "  held" : "");
    }

    es_txn_end(txn);

    return es == ES_NOT_FOUND ? CTL_OK
                              : ctl_fail(CTL_FAILED, "%s", es_reason(es));
}


int
ctl_feed_remove(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    ctl_affected_t  affected;

    rc = ctl_feed_begin(ctl, &argc, argv, ES_STORE_PUBLISH | ES_STORE_ADMIN
                                          | ES_STORE_CHECKPOINT, &affected);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_feed_remove(ctl->store, es_str(argv[0]));

    /* Checkpoints that a failure leaves are removed with the next feed. */

    if (es == ES_OK) {
        (void) es_checkpoint_prune(ctl->store);
        ctl_affected_lost(&affected);
    }

    ctl_affected_end(&affected);

    if (es != ES_OK) {
        return ctl_feed_failed(argv[0], es);
    }

    /* A new feed of this name must not inherit the schema mode. */

    es = es_registry_remove(ctl->store, ES_KIND_FEED, es_str(argv[0]), NULL);

    if (es != ES_OK && es != ES_NOT_FOUND) {
        return ctl_feed_failed(argv[0], es);
    }

    ctl_result_removed(ctl, argv[0]);

    return CTL_OK;
}


int
ctl_feed_begin_epoch(ctl_t *ctl, int argc, char **argv)
{
    int        rc;
    es_rc_t    es;
    es_feed_t  feed;

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_PUBLISH);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_feed_begin_epoch(ctl->store, es_str(argv[0]), NULL, &feed);

    if (es == ES_OK && !ctl->json) {
        (void) printf("%s\n", feed.epoch);
    }

    rc = es == ES_OK ? CTL_OK : ctl_feed_failed(argv[0], es);

    return ctl_feed_result(ctl, argv[0], rc);
}


int
ctl_feed_reset(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    es_feed_t       feed;
    ctl_affected_t  affected;

    rc = ctl_feed_begin(ctl, &argc, argv, ES_STORE_PUBLISH, &affected);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_feed_reset(ctl->store, es_str(argv[0]), &feed);

    if (es == ES_OK) {
        if (!ctl->json) {
            (void) printf("%s\n", feed.epoch);
        }

        ctl_affected_lost(&affected);
    }

    ctl_affected_end(&affected);

    rc = es == ES_OK ? CTL_OK : ctl_feed_failed(argv[0], es);

    return ctl_feed_result(ctl, argv[0], rc);
}


int
ctl_feed_trim(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    es_feed_t       feed;
    es_cursor_t     cursor;
    const char     *before = NULL;
    ctl_affected_t  affected;

    const ctl_option_t  options[] = {
        { "before", &before },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (before == NULL || es_cursor_parse(es_str(before), &cursor) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"--before\" needs a cursor");
    }

    rc = ctl_open(ctl, ES_STORE_PUBLISH | ES_STORE_DELIVERY_READ);
    if (rc == CTL_OK) {
        rc = ctl_feed_load(ctl, argv[0], &feed);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (!es_feed_has(&feed, cursor.epoch, cursor.sequence)) {
        return ctl_fail(CTL_FAILED, "cursor \"%s\" is not of the feed's epoch "
                        "\"%s\"", before, feed.epoch);
    }

    if (cursor.sequence > feed.last + 1) {
        return ctl_fail(CTL_FAILED, "cursor \"%s\" is ahead of the feed",
                        before);
    }

    if (cursor.sequence <= feed.oldest) {
        ctl_note("the feed has no event before \"%s\"", before);
    }

    rc = ctl_affected_begin(ctl, ES_STORE_PUBLISH, argv[0], cursor.sequence,
                            &affected);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_feed_trim(ctl->store, es_str(argv[0]), cursor.sequence);

    if (es == ES_OK) {
        ctl_affected_lost(&affected);
    }

    ctl_affected_end(&affected);

    rc = es == ES_OK ? CTL_OK : ctl_feed_failed(argv[0], es);

    return ctl_feed_result(ctl, argv[0], rc);
}


int
ctl_feed_retime(ctl_t *ctl, int argc, char **argv)
{
    int                 rc;
    char                span[ES_CLOCK_SPAN_LEN];
    es_rc_t             es;
    uint64_t            count;
    es_clock_verdict_t  clock;

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_PUBLISH);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_clock_observe(ctl->store, &clock);

    if (es == ES_OK && !clock.settled && clock.off_ms == 0) {
        return ctl_fail(CTL_FAILED, "the time has been in doubt since the "
                        "machine started: try again in ten minutes");
    }

    if (es == ES_OK && !clock.settled) {
        es_clock_span(clock.off_ms, span);

        return ctl_fail(CTL_FAILED, "the clock of this process is %s %s the "
                        "store's time: try again when this has lasted for ten "
                        "minutes", span, clock.off_ms > 0 ? "ahead of"
                                                          : "behind");
    }

    if (es == ES_OK) {
        es = es_feed_retime(ctl->store, es_str(argv[0]), clock.time_ms,
                            &count);
    }

    if (es != ES_OK) {
        return ctl_feed_failed(argv[0], es);
    }

    if (!ctl->json) {
        (void) printf("%" PRIu64 " event%s\n", count, ctl_plural(count));
    }

    ctl_result(ctl, json_pack("{s:s, s:I}", "name", argv[0], "retimed",
                              (json_int_t) count));

    return CTL_OK;
}
