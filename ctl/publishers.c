/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "feed publishers": who published the events of a feed.
 *
 * The log has numbers, which outlive the records, so a partner or key that was
 * removed is printed by its number.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "ctl.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "read/publishers.h"

typedef struct {
    ctl_t    *ctl;
    json_t   *names[2];            /* of partners and of keys, by number */
} ctl_publishers_t;

static const es_kind_t  ctl_publisher_kinds[] = {
    ES_KIND_PARTNER, ES_KIND_KEY
};


static es_rc_t
ctl_publishers_name(void *ctx, es_str_t name, es_str_t text)
{
    char     number[24];
    bool     set;
    json_t  *names = ctx, *record;

    record = json_loadb(text.data, text.len, 0, NULL);
    (void) snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
                    json_integer_value(json_object_get(record, "number")));
    set = json_object_set_new(names, number,
                              json_stringn(name.data, name.len)) == 0;
    json_decref(record);

    return set ? ES_OK : ES_NOMEM;
}


/* A partner's name or a key's id, or "#" and the number of a removed one. */

static const char *
ctl_publishers_of(const ctl_publishers_t *p, unsigned kind, uint32_t number,
    char out[16])
{
    const char  *name;

    (void) snprintf(out, 16, "#%" PRIu32, number);
    name = json_string_value(json_object_get(p->names[kind], out + 1));

    return name ? name : out;
}


static void
ctl_publishers_print(const ctl_publishers_t *p, const es_feed_t *feed,
    const es_published_t *published)
{
    char         first[ES_CURSOR_MAX], last[ES_CURSOR_MAX];
    char         time[ES_TIME_LEN], numbers[2][16];
    json_t      *json;
    const char  *partner, *key;

    (void) es_feed_cursor(feed, published->first, first);
    (void) es_feed_cursor(feed, published->last, last);
    es_time_print(published->time_ms, time);

    if (published->publisher.partner == 0) {
        partner = "-";
        key = published->publisher.key == ES_PUBLISHER_DISPATCHER
              ? "dispatcher" : "operator";

    } else {
        partner = ctl_publishers_of(p, 0, published->publisher.partner,
                                    numbers[0]);
        key = published->publisher.key == 0
              ? "issuer"
              : ctl_publishers_of(p, 1, published->publisher.key, numbers[1]);
    }

    if (!p->ctl->json) {
        (void) printf("%s %s %.*s %s %s\n", first, last, ES_TIME_LEN, time,
                      partner, key);
        return;
    }

    json = json_pack("{s:s, s:s, s:s%, s:s, s:s, s:I, s:I}", "first", first,
                     "last", last, "time", time, ES_TIME_LEN,
                     "partner", partner, "key", key,
                     "partner_number",
                     (json_int_t) published->publisher.partner,
                     "key_number", (json_int_t) published->publisher.key);
    ctl_print(json);
    json_decref(json);
}


/* A transaction for each of the calls. */

static es_rc_t
ctl_publishers_next(const ctl_publishers_t *p, const char *name,
    uint64_t after, es_feed_t *feed, es_published_t *published)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    rc = es_txn_begin(p->ctl->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_feed_get(txn, es_str(name), feed);

    if (rc == ES_OK) {
        after = after + 1 < feed->oldest ? feed->oldest - 1 : after;
        rc = es_published_next(txn, feed, after, published);

    } else if (rc == ES_NOT_FOUND) {
        rc = ES_INVALID;
    }

    es_txn_end(txn);

    return rc;
}


static es_rc_t
ctl_publishers_list(const ctl_publishers_t *p, const char *name)
{
    bool            any;
    es_rc_t         rc;
    uint64_t        after;
    es_feed_t       feed;
    es_published_t  next, all = { 0 };

    for (any = false, after = 0;
         (rc = ctl_publishers_next(p, name, after, &feed, &next)) == ES_OK;
         after = next.last)
    {
        if (any && all.publisher.partner == next.publisher.partner
            && all.publisher.key == next.publisher.key)
        {
            all.last = next.last;
            continue;
        }

        if (any) {
            ctl_publishers_print(p, &feed, &all);
        }

        all = next;
        any = true;
    }

    if (rc == ES_NOT_FOUND && any) {
        ctl_publishers_print(p, &feed, &all);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


int
ctl_feed_publishers(ctl_t *ctl, int argc, char **argv)
{
    int                rc;
    es_rc_t            es;
    unsigned           i;
    ctl_publishers_t   p = { .ctl = ctl };

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_READ);
    if (rc != CTL_OK) {
        return rc;
    }

    for (i = 0, es = ES_OK; es == ES_OK && i < 2; i++) {
        p.names[i] = json_object();
        es = es_registry_each(ctl->store, ctl_publisher_kinds[i], es_null_str,
                              ctl_publishers_name, p.names[i]);
    }

    if (es == ES_OK) {
        es = ctl_publishers_list(&p, argv[0]);
    }

    json_decref(p.names[0]);
    json_decref(p.names[1]);

    if (es == ES_INVALID) {
        return ctl_fail(CTL_FAILED, "no feed \"%s\"", argv[0]);
    }

    return es == ES_OK ? CTL_OK
           : ctl_fail(CTL_FAILED, "feed \"%s\": %s", argv[0], es_reason(es));
}
