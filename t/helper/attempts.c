/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * attempts makes endpoints of a partner, with attempts, figures and progress as
 * a dispatcher leaves them.  A dispatcher needs minutes for a hundred thousand.
 *
 *   attempts STORE PARTNER FEED ENDPOINTS ATTEMPTS
 *
 * Each endpoint has as many attempts.  One in ten of them failed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/figures.h"
#include "log/feed.h"
#include "manage/manage.h"
#include "open/open.h"
#include "registry/registry.h"
#include "store/txn.h"

/* The store need not survive a crash: no write waits for the disk. */

int
fdatasync(int fd)
{
    (void) fd;

    return 0;
}


static es_store_t  *store;
static es_feed_t    feed;
static int64_t      now;


static void
check(es_rc_t rc, const char *what)
{
    if (rc != ES_OK) {
        (void) fprintf(stderr, "attempts: %s: %s\n", what, es_reason(rc));
        exit(1);
    }
}


static void
find(const char *name)
{
    es_txn_t  *txn;

    check(es_txn_begin(store, &txn), "log");
    check(es_feed_get(txn, es_str(name), &feed), name);
    es_txn_end(txn);
}


static void
create(const char *partner, const char *name, long i)
{
    char          json[1024], endpoint[ES_ENDPOINT_NAME_MAX];
    char          secret[ES_SECRET_TEXT_MAX];
    es_problem_t  problem = { 0 };

    check(es_endpoint_name(endpoint), "name");
    check(es_secret_create(secret), "secret");
    (void) snprintf(json, sizeof(json), "{\"partner\":\"%s\",\"url\":"
                    "\"https://host-%ld.example/hook\",\"feeds\":[\"%s\"],"
                    "\"secrets\":[\"%s\"]}", partner, i, name, secret);
    check(es_registry_create(store, ES_KIND_ENDPOINT, es_str(endpoint), json,
                             &problem), problem.detail);
}


static void
attempt(es_changeset_t *c, uint32_t endpoint, long i, es_figures_t *figures)
{
    es_attempt_t  a = { .endpoint = endpoint, .feed = feed.number };

    a.sequence = (uint64_t) i + 1;
    a.time_ms = now - i * 1000;
    a.attempt = 1;
    a.latency_us = (uint32_t) (1000 * (i % 300 + 1));
    a.status = i % 10 == 9 ? 503 : 200;
    a.class = i % 10 == 9 ? ES_ATTEMPT_STATUS : ES_ATTEMPT_OK;
    memcpy(a.body, "<b>busy</b>", 11);
    a.body_len = 11;

    check(es_changeset_attempt(c, &a), "attempt");
    check(es_figures_attempt(figures, &a, a.time_ms), "figures");
}


static void
deliver(es_changeset_t *c, uint32_t endpoint, long n)
{
    long           i;
    es_figures_t   figures = { 0 };
    es_progress_t  progress = { .endpoint = endpoint, .feed = feed.number };

    progress.sequence = feed.last;
    (void) snprintf(progress.epoch, sizeof(progress.epoch), "%s", feed.epoch);

    for (i = n - 1; i >= 0; i--) {
        attempt(c, endpoint, i, &figures);
    }

    check(es_changeset_progress(c, &progress), "progress");
    check(es_changeset_figures(c, endpoint, &figures), "figures");
    es_figures_free(&figures);
}


int
main(int argc, char **argv)
{
    long             i, endpoints, n;
    uint64_t         last;
    es_problem_t     problem = { 0 };
    es_changeset_t  *c;

    if (argc != 6) {
        return 2;
    }

    endpoints = strtol(argv[4], NULL, 10);
    n = strtol(argv[5], NULL, 10);
    now = es_clock_ms();

    check(es_store_open(argv[1], ES_STORE_ADMIN | ES_STORE_DELIVER, &store,
                        &problem), problem.detail);
    find(argv[3]);
    check(es_registry_change(store, ES_KIND_PARTNER, es_str(argv[2]),
                             "{\"quotas\":{\"endpoints\":1000000,"
                             "\"bytes\":1073741824}}", &problem),
          problem.detail);

    c = es_changeset_create();

    for (i = 1; i <= endpoints; i++) {
        create(argv[2], argv[3], i);
        check(es_registry_last_number(store, ES_KIND_ENDPOINT, &last),
              "number");
        deliver(c, (uint32_t) last, n);

        if (i % 100 == 0 || i == endpoints) {
            check(es_changeset_heartbeat(c, now), "heartbeat");
            check(es_delivery_commit(store, c), "commit");
            es_changeset_clear(c);
        }
    }

    es_changeset_destroy(c);
    es_store_close(store);

    return 0;
}
