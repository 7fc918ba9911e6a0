/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "partner offboard": deletes all that the store has of a partner.
 *
 * A call must state how many keys, endpoints and feeds it deletes.  The same
 * call completes a run that was interrupted, and its receipt is then that of
 * the whole: the plan that was made at the beginning is in the store until the
 * receipt is written.
 */

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "audit/heads.h"
#include "base/clock.h"
#include "manage/offboard.h"
#include "receipt.h"

#define OFFBOARD_WAIT_MS  10000    /* for a reader of an old state */
#define OFFBOARD_WRITE    (ES_STORE_PUBLISH | ES_STORE_ADMIN                  \
                           | ES_STORE_DELIVER | ES_STORE_CHECKPOINT)
#define OFFBOARD_READ     (ES_STORE_DELIVERY_READ | ES_STORE_CHECKPOINT_READ)

typedef struct {
    const char      *partner;
    const char      *dry;
    const char      *expect;
    const char      *feeds;
    const char      *key;
    const char      *receipt;
    uint64_t         expected;
    es_heads_key_t  *signs;
    json_t          *plan;
    bool             begun;        /* by an earlier run */
} ctl_offboard_t;


static int
ctl_offboard_args(ctl_t *ctl, int *argc, char **argv, ctl_offboard_t *o)
{
    int           rc;
    es_problem_t  problem;

    const ctl_option_t  options[] = {
        { "dry-run", &o->dry },
        { "expect", &o->expect },
        { "private-feeds", &o->feeds },
        { "audit-key", &o->key },
        { "receipt", &o->receipt },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, argc, argv, options);
    o->partner = argv[0];

    if (rc != CTL_OK || o->dry != NULL) {
        return rc;
    }

    if (o->key == NULL || o->receipt == NULL) {
        return ctl_fail(CTL_USAGE, "--expect needs --audit-key and --receipt: "
                        "what is deleted has a signed receipt");
    }

    rc = ctl_number("expect", o->expect, 0, ES_SEQUENCE_MAX, &o->expected);

    /* before anything is deleted */

    if (rc == CTL_OK
        && es_heads_key_load(o->key, &o->signs, &problem) != ES_OK)
    {
        rc = ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return rc;
}


static int
ctl_offboard_plan(ctl_t *ctl, ctl_offboard_t *o)
{
    es_rc_t       es;
    es_problem_t  problem;

    es = es_offboard_resume(ctl->store, es_str(o->partner), &o->plan);

    if (es == ES_OK) {
        o->begun = true;
        ctl_note("an offboarding of this partner was interrupted: this run %s",
                 o->dry ? "would complete it" : "completes it");

    } else if (es == ES_NOT_FOUND) {
        es = es_offboard_plan(ctl->store, es_str(o->partner),
                              o->feeds != NULL, &o->plan, &problem);

        if (es != ES_OK && es != ES_NOT_FOUND) {
            return ctl_fail(CTL_FAILED, "%s", problem.detail);
        }
    }

    if (es == ES_NOT_FOUND) {
        return ctl_fail(CTL_FAILED, "no partner \"%s\"", o->partner);
    }

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "%s", es_reason(es));
}


static void
ctl_offboard_print(const json_t *plan)
{
    size_t   i;
    json_t  *item;

    json_array_foreach(json_object_get(plan, "keys"), i, item) {
        (void) printf("key %s\n", json_string_value(item));
    }

    json_array_foreach(json_object_get(plan, "endpoints"), i, item) {
        (void) printf("endpoint %s: %" JSON_INTEGER_FORMAT " attempts, %"
                      JSON_INTEGER_FORMAT " dead letters, %"
                      JSON_INTEGER_FORMAT " waiting events\n",
                      json_string_value(json_object_get(item, "name")),
                      json_integer_value(json_object_get(item, "attempts")),
                      json_integer_value(json_object_get(item,
                                                         "dead_letters")),
                      json_integer_value(json_object_get(item, "retries")));
    }

    json_array_foreach(json_object_get(plan, "feeds"), i, item) {
        (void) printf("feed %s: %" JSON_INTEGER_FORMAT " events%s\n",
                      json_string_value(json_object_get(item, "name")),
                      json_integer_value(json_object_get(item, "events")),
                      json_is_true(json_object_get(item, "kept"))
                      ? ", kept: it is held" : "");
    }

    (void) printf("%" JSON_INTEGER_FORMAT " checkpoints\n",
                  json_integer_value(json_object_get(plan, "checkpoints")));
}


/* What was done, and where the chains of the audit are that say so. */

static int
ctl_offboard_receipt(ctl_t *ctl, ctl_offboard_t *o)
{
    int          rc;
    char         store[17], time[ES_TIME_LEN];
    json_t      *receipt;
    es_rc_t      es;
    es_buf_t     line = { 0 };
    es_heads_t   heads;

    (void) snprintf(store, sizeof(store), "%016" PRIx64,
                    es_store_identity(ctl->store));
    es_time_print(es_clock_ms(), time);

    es = es_heads_read(ctl->store, &heads);

    if (es == ES_OK) {
        es = es_heads_sign(o->signs, &heads, &line);
    }

    if (es == ES_OK) {
        es = es_buf_append(&line, "", 1);
    }

    receipt = json_pack("{s:s, s:s, s:s%, s:O, s:o*}", "receipt", "offboard",
                        "store", store, "completed", time,
                        (size_t) ES_TIME_LEN, "deleted", o->plan, "heads",
                        es == ES_OK ? json_loads(line.data, 0, NULL) : NULL);

    rc = es == ES_OK && receipt != NULL
         ? ctl_receipt_write(o->signs, o->receipt, receipt)
         : ctl_fail(CTL_FAILED, "cannot make the receipt: %s", es_reason(es));

    es_buf_free(&line);

    if (rc == CTL_OK) {
        ctl_result(ctl, receipt);
    } else {
        json_decref(receipt);
    }

    return rc;
}


static int
ctl_offboard_run(ctl_t *ctl, ctl_offboard_t *o)
{
    int           rc;
    es_rc_t       es;
    uint64_t      n;
    es_scrub_t    scrub;
    es_problem_t  problem;

    n = es_offboard_records(o->plan);

    /* a run that was interrupted may have written it */

    if (!o->begun && access(o->receipt, F_OK) == 0) {
        return ctl_fail(CTL_FAILED, "the receipt \"%s\" exists already: "
                        "nothing was deleted", o->receipt);
    }

    if (n != o->expected) {
        return ctl_fail(CTL_FAILED, "the partner has %" PRIu64 " keys, "
                        "endpoints and feeds to delete, and not %" PRIu64
                        ": nothing was deleted", n, o->expected);
    }

    es = o->begun ? ES_OK : es_offboard_begin(ctl->store, o->plan, &problem);

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "nothing was deleted: %s",
                        problem.detail);
    }

    es = es_offboard_clean(ctl->store, o->plan, OFFBOARD_WAIT_MS, &scrub,
                           &problem);

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "the partner is removed, but not all that "
                        "the store has of it: %s; run the same command again",
                        problem.detail);
    }

    rc = ctl_offboard_receipt(ctl, o);

    if (rc == CTL_OK && es_offboard_end(ctl->store, o->plan) != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "the offboarding is complete, but the store "
                      "still has its plan");
    }

    return rc;
}


int
ctl_offboard(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    ctl_offboard_t  o = { 0 };

    rc = ctl_offboard_args(ctl, &argc, argv, &o);

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, o.dry ? OFFBOARD_READ : OFFBOARD_WRITE);
    }

    if (rc == CTL_OK) {
        rc = ctl_offboard_plan(ctl, &o);
    }

    if (rc == CTL_OK && o.dry == NULL) {
        rc = ctl_offboard_run(ctl, &o);

    } else if (rc == CTL_OK) {
        ctl_result(ctl, json_incref(o.plan));
    }

    if (rc == CTL_OK && !ctl->json) {
        ctl_offboard_print(o.plan);
        (void) printf("%" PRIu64 " keys, endpoints and feeds %s\n",
                      es_offboard_records(o.plan),
                      o.dry ? "would be deleted" : "deleted");
    }

    json_decref(o.plan);
    es_heads_key_free(o.signs);

    return rc;
}
