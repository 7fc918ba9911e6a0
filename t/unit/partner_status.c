/* SPDX-License-Identifier: BSD-2-Clause */

/* The status of a partner: what a narrowed key costs. */

#include <unistd.h>

#include "delivery/delivery.h"
#include "log/feed.h"
#include "manage/partner_status.h"
#include "open/open.h"
#include "registry/registry.h"
#include "store/plain_secrets.h"
#include "tap.h"

#define HIDDEN  500

static char           dir[] = "/tmp/eventsync-status-XXXXXX";
static es_store_t    *store;
static es_problem_t   problem;


static bool
make(es_kind_t kind, const char *name, const char *json)
{
    return es_registry_create(store, kind, es_str(name), json, &problem)
           == ES_OK;
}


/* The endpoint is sent the feed 2; it has dead letters of the feeds 1, 2 and 3. */

static bool
record(void)
{
    unsigned         i;
    es_rc_t          rc = ES_OK;
    es_dead_t        dead = { .endpoint = 1, .epoch = "k3f9" };
    es_changeset_t  *c;

    c = es_changeset_create();

    for (i = 0; rc == ES_OK && i < 2 * HIDDEN + 3; i++) {
        dead.feed = i < HIDDEN ? 1 : i < HIDDEN + 3 ? 2 : 3;
        dead.sequence = i + 1;
        rc = es_changeset_dead(c, &dead);
    }

    rc = rc == ES_OK ? es_delivery_commit(store, c) : rc;
    es_changeset_destroy(c);

    return rc == ES_OK;
}


static bool
reads(void *ctx, es_str_t feed)
{
    (void) ctx;
    (void) feed;

    return true;
}


static void
status(es_partner_status_t *q, const char *dead, unsigned max)
{
    es_buf_t  out = { 0 };
    unsigned  examined = 0;

    ok(es_partner_status(store, q, &out, &examined) == ES_OK, "a status");
    ok(es_buf_append(&out, "", 1) == ES_OK
       && strstr(out.data, dead) != NULL, "has %s", dead);
    ok(examined < max, "%u records were examined", examined);
    es_buf_free(&out);
}


/* Feeds `a`, `b` and `c` have the numbers 1, 2 and 3. */

static bool
make_store(void)
{
    es_feed_t  feed;

    return mkdtemp(dir) != NULL
           && es_store_create(dir, &problem) == ES_OK
           && es_plain_secrets_begin(dir) == ES_OK
           && es_store_open(dir, ES_STORE_DELIVER | ES_STORE_ADMIN
                                 | ES_STORE_PUBLISH, &store, &problem) == ES_OK
           && es_feed_create(store, es_str("a"), NULL, &feed) == ES_OK
           && es_feed_create(store, es_str("b"), NULL, &feed) == ES_OK
           && es_feed_create(store, es_str("c"), NULL, &feed) == ES_OK
           && make(ES_KIND_PARTNER, "acme", "{\"feeds\":[\"*\"]}")
           && make(ES_KIND_ENDPOINT, "ep_aaaaaaaaaaaaaaaa",
                   "{\"partner\":\"acme\",\"url\":\"https://a.example/\","
                   "\"feeds\":[\"b\"],\"secrets\":"
                   "[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]}")
           && record();
}


int
main(void)
{
    char                 command[64];
    es_str_t             feed = es_lit("b");
    es_partner_status_t  q = { .partner = es_lit("acme"), .reads = reads };

    if (!make_store()) {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    status(&q, "\"dead_letters\":100", 200);

    q.narrow.n = 1;
    q.narrow.lists[0] = (es_patterns_t) { .n = 1, .list = &feed };
    status(&q, "\"dead_letters\":3", 30);

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
