/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Describes the store for its operator.
 */

#include <jansson.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/base.h"
#include "base/clock.h"
#include "inspect/env_figures.h"
#include "inspect/partners_view.h"
#include "log/store_clock.h"
#include "read/encoded_pages.h"
#include "store/store.h"
#include "store/txn.h"


static json_t *
es_clock_report(es_store_t *store)
{
    bool                 synchronized;
    es_rc_t              rc;
    es_txn_t            *txn;
    es_clock_verdict_t   verdict;

    if (es_txn_begin(store, &txn) != ES_OK) {
        return json_null();
    }

    rc = es_clock_peek(txn, &verdict, NULL);
    es_txn_end(txn);

    if (rc != ES_OK) {
        return json_null();
    }

    return json_pack("{s:o, s:o}",
                     "off", verdict.outcome == ES_CLOCK_AHEAD
                            || verdict.outcome == ES_CLOCK_BEHIND
                            ? json_real((double) verdict.off_ms / 1000)
                            : json_integer(0),
                     "synchronized", es_clock_synchronized(&synchronized)
                     == ES_OK ? json_boolean(synchronized) : json_null());
}


static json_t *
es_disk_report(es_store_t *store)
{
    struct statvfs  fs;

    if (statvfs(store->path, &fs) != 0) {
        return json_null();
    }

    return json_pack("{s:I, s:I}",
                     "free", (json_int_t) fs.f_bavail
                             * (json_int_t) fs.f_frsize,
                     "size", (json_int_t) fs.f_blocks
                             * (json_int_t) fs.f_frsize);
}


static es_rc_t
es_envs_report(const es_partners_source_t *source, json_t *list)
{
    size_t             i, n;
    es_rc_t            rc;
    es_env_figures_t   envs[ES_FIGURES_ENVS];

    rc = es_env_figures(source->store,
                        source->pages ? es_encoded_env(source->pages) : NULL,
                        envs, &n);

    for (i = 0; rc == ES_OK && i < n; i++) {
        (void) json_array_append_new(
            list, json_pack("{s:s%, s:I, s:I, s:I, s:I}",
                            "name", envs[i].name.data, envs[i].name.len,
                            "map", (json_int_t) envs[i].map,
                            "used", (json_int_t) envs[i].used,
                            "readers", (json_int_t) envs[i].readers,
                            "readers_max", (json_int_t) envs[i].readers_max));
    }

    return rc;
}


static json_t *
es_feeds_report(const es_partners_t *view)
{
    size_t                 i;
    json_t                *list;
    const es_feed_line_t  *feed;

    list = json_array();

    for (i = 0; i < view->nfeeds && i < ES_PARTNERS_FEEDS; i++) {
        feed = &view->feeds[i];

        (void) json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:s, s:s, s:o, s:o, s:o}",
                            "name", feed->name,
                            "events", (json_int_t) feed->events,
                            "bytes", (json_int_t) feed->bytes,
                            "oldest", feed->oldest, "latest", feed->latest,
                            "time", es_partners_time(feed->last_ms),
                            "overdue_since",
                            es_partners_time(feed->overdue_ms),
                            "held_since",
                            es_partners_time(feed->held_ms)));
    }

    return json_pack("{s:I, s:I, s:I, s:I, s:o}",
                     "total", (json_int_t) view->nfeeds,
                     "events", (json_int_t) view->events,
                     "bytes", (json_int_t) view->bytes,
                     "overdue", (json_int_t) view->overdue,
                     "listed", list);
}


es_rc_t
es_partners_store(es_partners_t *view, const es_partners_source_t *source,
    es_buf_t *out)
{
    json_t   *envs;
    es_rc_t   rc;

    rc = es_partners_refresh(view, source);
    if (rc != ES_OK) {
        return rc;
    }

    envs = json_array();

    rc = es_envs_report(source, envs);
    if (rc != ES_OK) {
        json_decref(envs);
        return rc;
    }

    return es_partners_print(
        json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o}",
                  "time", es_partners_time(view->time_ms),
                  "dispatcher", es_partners_time(view->seen_ms),
                  "clock", es_clock_report(source->store),
                  "disk", es_disk_report(source->store),
                  "map_limit", (json_int_t) es_map_limit(source->store),
                  "environments", envs,
                  "feeds", es_feeds_report(view)), out);
}
