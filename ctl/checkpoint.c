/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checkpoints: the cursors that consumers of a partner have stored.
 *
 * The commands read and write them with shared/checkpoint/, as the HTTP
 * interface does, and so with the same refusals.
 */

#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/checkpoint.h"
#include "ctl.h"

typedef struct {
    const char  *feed;             /* NULL: all of them */
    const char  *partner;          /* NULL: all of them */
} ctl_listing_t;


static int
ctl_checkpoint_failed(const es_checkpoint_job_t *job)
{
    es_rc_t       rc = job->rc;
    es_problem_t  consumers = {
        .quota = es_quota_rules[ES_QUOTA_CONSUMERS].name
    };

    if (rc == ES_NOT_FOUND && job->found.number == 0) {
        return ctl_fail(CTL_FAILED, "no feed \"%.*s\"", (int) job->feed.len,
                        job->feed.data);
    }

    if (rc == ES_NOT_FOUND) {
        return ctl_fail(CTL_FAILED, "no checkpoint \"%.*s\"",
                        (int) job->consumer.len, job->consumer.data);
    }

    if (rc == ES_INVALID) {
        return ctl_fail(CTL_USAGE, "\"%.*s\" is not a consumer's name: 1 to "
                        "63 of a-z, 0-9, '-' and '_', beginning with a letter "
                        "or digit", (int) job->consumer.len,
                        job->consumer.data);
    }

    if (rc == ES_CONFLICT && job->conflict == ES_CHECKPOINT_MANY) {
        return ctl_fail(CTL_FAILED, "the partner has %llu checkpoint%s already%s",
                        (unsigned long long) job->max, ctl_plural(job->max),
                        ctl_quota_hint(&consumers));
    }

    if (rc == ES_CONFLICT) {
        return ctl_fail(CTL_FAILED, "the checkpoint is at \"%s\" already; use "
                        "--rewind to move it back", job->current);
    }

    if (rc == ES_AHEAD) {
        return ctl_fail(CTL_FAILED, "the feed has no such event yet");
    }

    if (rc == ES_EXPIRED) {
        return ctl_fail(CTL_FAILED, "the feed no longer keeps the events after "
                        "this cursor");
    }

    if (rc == ES_RESET) {
        return ctl_fail(CTL_FAILED, "the cursor is of another epoch");
    }

    return ctl_fail(CTL_FAILED, "checkpoint: %s", es_reason(rc));
}


/* Finds the partner's number and quota of consumers.  CTL_FAILED with a
   message: there is no such partner. */

static int
ctl_checkpoint_partner(ctl_t *ctl, const char *name, uint32_t *number,
    uint64_t *max)
{
    es_rc_t              rc;
    es_registry_t       *registry;
    const es_partner_t  *partner;

    rc = es_registry_load_access(ctl->store, &registry);
    if (rc != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                        es_reason(rc));
    }

    partner = es_registry_partner(registry, es_str(name));
    *number = partner ? partner->number : 0;
    *max = partner ? partner->quotas[ES_QUOTA_CONSUMERS] : 0;
    es_registry_free(registry);

    return partner ? CTL_OK : ctl_fail(CTL_FAILED, "no partner \"%s\"", name);
}


static void
ctl_checkpoint_print(const char *partner, json_t *checkpoint, bool as_json)
{
    json_t      *lag;
    const char  *feed, *consumer, *cursor, *status;

    if (as_json) {
        (void) ctl_print_named("partner", partner, checkpoint);
        return;
    }

    if (json_unpack(checkpoint, "{s:s, s:s, s:s, s:s, s:{s:o}}", "feed", &feed,
                    "consumer", &consumer, "cursor", &cursor, "status",
                    &status, "lag", "events", &lag) != 0)
    {
        return;
    }

    (void) printf("%-24s %-24s %-24s %s %s", partner, feed, consumer, cursor,
                  status);

    if (json_is_integer(lag)) {
        (void) printf(" behind=%lld", (long long) json_integer_value(lag));
    }

    (void) putchar('\n');
}


/* Prints the checkpoints of one partner on one feed. */

static int
ctl_checkpoint_each(ctl_t *ctl, const char *feed, const char *partner,
    uint32_t number)
{
    size_t                i;
    json_t               *answer, *checkpoint;
    es_checkpoint_job_t   job = { 0 }, *jobs = &job;

    job.op = ES_CHECKPOINT_LIST;
    job.feed = es_str(feed);
    job.partner = number;

    es_checkpoints(ctl->store, &jobs, 1);

    if (job.rc != ES_OK) {
        es_buf_free(&job.out);
        return ctl_checkpoint_failed(&job);
    }

    answer = json_loadb(job.out.data, job.out.len, 0, NULL);

    json_array_foreach(json_object_get(answer, "checkpoints"), i, checkpoint) {
        ctl_checkpoint_print(partner, checkpoint, ctl->json);
    }

    json_decref(answer);
    es_buf_free(&job.out);

    return CTL_OK;
}


static int
ctl_checkpoint_feeds(ctl_t *ctl, const ctl_listing_t *listing,
    const char *partner)
{
    int         rc;
    es_rc_t     es;
    uint32_t    number;
    uint64_t    max;
    es_txn_t   *txn;
    es_feed_t   feed;

    rc = ctl_checkpoint_partner(ctl, partner, &number, &max);

    if (rc != CTL_OK || listing->feed != NULL) {
        return rc == CTL_OK ? ctl_checkpoint_each(ctl, listing->feed,
                                                  partner, number) : rc;
    }

    feed.name[0] = '\0';

    while (rc == CTL_OK) {
        es = es_txn_begin(ctl->store, &txn);
        if (es != ES_OK) {
            return ctl_fail(CTL_FAILED, "%s", es_reason(es));
        }

        es = es_feed_next(txn, es_str(feed.name), &feed);
        es_txn_end(txn);

        if (es != ES_OK) {
            break;
        }

        rc = ctl_checkpoint_each(ctl, feed.name, partner, number);
    }

    return rc;
}


int
ctl_checkpoint_list(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    char           name[64] = "", next[64];
    ctl_listing_t  listing = { 0 };

    const ctl_option_t  options[] = {
        { "feed", &listing.feed },
        { "partner", &listing.partner },
        { NULL, NULL }
    };

    rc = ctl_begin(ctl, &argc, argv, options, ES_STORE_CHECKPOINT);

    if (rc != CTL_OK || listing.partner != NULL) {
        return rc == CTL_OK ? ctl_checkpoint_feeds(ctl, &listing,
                                                   listing.partner) : rc;
    }

    while (rc == CTL_OK
           && es_registry_next(ctl->store, ES_KIND_PARTNER, es_str(name), next)
              == ES_OK)
    {
        memcpy(name, next, sizeof(name));
        rc = ctl_checkpoint_feeds(ctl, &listing, name);
    }

    return rc;
}


/* The document of a command that stored or removed a checkpoint. */

static void
ctl_checkpoint_result(ctl_t *ctl, char **argv, const es_checkpoint_job_t *job)
{
    ctl_result(ctl, job->op == ES_CHECKPOINT_REMOVE
                    ? json_pack("{s:s, s:s, s:s, s:b}", "partner", argv[0],
                                "feed", argv[1], "consumer", argv[2],
                                "removed", true)
                    : json_pack("{s:s, s:s, s:s, s:s}", "partner", argv[0],
                                "feed", argv[1], "consumer", argv[2],
                                "cursor", argv[3]));
}


/* The first arguments are PARTNER FEED CONSUMER. */

static int
ctl_checkpoint_do(ctl_t *ctl, char **argv, es_checkpoint_job_t *job)
{
    int  rc;

    rc = ctl_open(ctl, ES_STORE_CHECKPOINT);

    if (rc == CTL_OK) {
        rc = ctl_checkpoint_partner(ctl, argv[0], &job->partner, &job->max);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    job->feed = es_str(argv[1]);
    job->consumer = es_str(argv[2]);
    job->operated = es_str(argv[0]);

    es_checkpoints(ctl->store, &job, 1);

    rc = job->rc == ES_OK ? CTL_OK : ctl_checkpoint_failed(job);

    if (rc == CTL_OK && job->op == ES_CHECKPOINT_GET) {
        ctl_print_text((es_str_t) { job->out.data, job->out.len });

    } else if (rc == CTL_OK) {
        ctl_checkpoint_result(ctl, argv, job);
    }

    es_buf_free(&job->out);

    return rc;
}


int
ctl_checkpoint_set(ctl_t *ctl, int argc, char **argv)
{
    int                  rc;
    const char          *rewind = NULL;
    es_checkpoint_job_t  job = { 0 };

    const ctl_option_t  options[] = {
        { "rewind", &rewind },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_cursor_parse(es_str(argv[3]), &job.cursor) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"%s\" is not a cursor", argv[3]);
    }

    job.op = ES_CHECKPOINT_PUT;
    job.rewind = rewind != NULL;

    return ctl_checkpoint_do(ctl, argv, &job);
}


static int
ctl_checkpoint_named(ctl_t *ctl, int argc, char **argv, es_checkpoint_op_t op)
{
    int                  rc;
    es_checkpoint_job_t  job = { .op = op };

    rc = ctl_args(ctl, &argc, argv, NULL);

    return rc == CTL_OK ? ctl_checkpoint_do(ctl, argv, &job) : rc;
}


int
ctl_checkpoint_show(ctl_t *ctl, int argc, char **argv)
{
    return ctl_checkpoint_named(ctl, argc, argv, ES_CHECKPOINT_GET);
}


int
ctl_checkpoint_remove(ctl_t *ctl, int argc, char **argv)
{
    return ctl_checkpoint_named(ctl, argc, argv, ES_CHECKPOINT_REMOVE);
}
