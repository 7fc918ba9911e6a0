/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "backup": copies a store while everything runs.
 *
 * The copy is made in a directory of its own (stage.h), while a thread checks
 * what is copied.  Only then is it moved to its name.
 */

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "copy.h"
#include "limit/gcra.h"
#include "stage.h"

#define BACKUP_UMASK  077
#define BACKUP_NICE   19           /* with a rate, processors are for others */


/* The check of the store's records, in a thread of its own. */
typedef struct {
    es_store_t   *store;
    es_pace_t     pace;
    es_verify_t   totals;
    es_rc_t       rc;
    char          reason[256];     /* why it could not go on */
} ctl_backup_check_t;


/* Removes what any store makes when it is opened. */

static void
ctl_backup_tidy(const char *path)
{
    char      file[PATH_MAX + 32];
    unsigned  i;

    static const char  *const made[] = {
        "checkpoints/lock.mdb", "delivery/lock.mdb", "registry/lock.mdb",
        "log/lock.mdb"
    };

    for (i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        (void) snprintf(file, sizeof(file), "%s/%s", path, made[i]);
        ctl_stage_remove(file);
    }
}


static void
ctl_backup_fault(void *ctx, const char *text)
{
    (void) ctx;

    if (text != NULL) {
        ctl_say("%s", text);
    }
}


static void *
ctl_backup_check(void *ctx)
{
    ctl_backup_check_t  *check = ctx;

    check->rc = es_verify_records(check->store, &check->pace, ctl_backup_fault,
                                  NULL, &check->totals);

    if (check->rc != ES_OK) {
        (void) snprintf(check->reason, sizeof(check->reason), "%s",
                        es_reason(check->rc));
    }

    return NULL;
}


/* Copies the store.  A thread reads its records meanwhile and compares them
   with their hashes: the pages that both read are in memory once. */

static int
ctl_backup_copy(ctl_t *ctl, const ctl_stage_t *stage, es_pace_t *pace,
    es_backup_t *backup, es_verify_t *totals)
{
    int          rc;
    pthread_t    thread;
    ctl_backup_check_t  check = { .store = ctl->store };

    check.pace.rate = pace->rate;

    if (pthread_create(&thread, NULL, ctl_backup_check, &check) != 0) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    rc = ctl_copy_make(ctl, stage->path, true, pace, backup);

    atomic_store(&check.pace.stop, rc != CTL_OK);
    (void) pthread_join(thread, NULL);
    *totals = check.totals;

    if (rc == CTL_OK && check.rc == ES_CORRUPT) {
        rc = ctl_fail(CTL_FAILED, "the store has %llu fault%s",
                      (unsigned long long) totals->faults,
                      ctl_plural(totals->faults));

    } else if (rc == CTL_OK && check.rc != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "cannot verify the store: %s", check.reason);
    }

    return rc;
}


/* Opens the copy: what does it have, and which keys do its secrets need? */

static int
ctl_backup_look(const ctl_t *ctl, const char *path, es_backup_t *backup,
    es_verify_t *totals)
{
    int    rc;
    ctl_t  copy;

    rc = ctl_copy_open(ctl, path, 0, &copy);

    if (rc == CTL_OK) {
        ctl_feeds_count(&copy, &totals->feeds, &totals->events);
        rc = ctl_copy_keys(&copy, backup);
    }

    es_store_close(copy.store);

    return rc;
}


static int
ctl_backup_make(ctl_t *ctl, const ctl_stage_t *stage, es_pace_t *pace,
    es_backup_t *backup, es_verify_t *totals)
{
    int           rc;
    es_problem_t  problem;

    rc = ctl_backup_copy(ctl, stage, pace, backup, totals);

    if (rc == CTL_OK) {
        rc = ctl_backup_look(ctl, stage->path, backup, totals);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    ctl_backup_tidy(stage->path);

    if (es_backup_seal(stage->path, backup, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return ctl_stage_finish(stage, ES_BACKUP_LIST);
}


static void
ctl_backup_print(ctl_t *ctl, const ctl_stage_t *stage,
    const es_backup_t *backup, const es_verify_t *totals)
{
    json_t  *json;

    json = ctl_copy_json(stage->target, backup, totals);
    (void) json_object_set_new(json, "grew",
                               json_integer((json_int_t) backup->grown));
    ctl_result(ctl, json);

    if (!ctl->json) {
        (void) printf("backup of ");
        ctl_copy_print(totals);
        (void) printf(" in \"%s\"\n", stage->target);
    }

    if (backup->grown > 0) {
        ctl_say("the store grew by %llu bytes while it was copied",
                (unsigned long long) backup->grown);
    }

    ctl_copy_print_keys(backup);
}


static int
ctl_backup_args(ctl_t *ctl, int *argc, char **argv, es_pace_t *pace)
{
    int          rc;
    const char  *rate = NULL;

    const ctl_option_t  options[] = {
        { "rate", &rate },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, argc, argv, options);

    if (rc == CTL_OK && rate != NULL
        && es_size_parse(es_str(rate), &pace->rate) != ES_OK)
    {
        rc = ctl_fail(CTL_USAGE, "\"--rate=%s\" is not a number of bytes a "
                      "second, such as 50m", rate);
    }

    return rc;
}


int
ctl_backup(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    es_pace_t    pace = { 0 };
    ctl_stage_t  stage;
    es_backup_t  backup = { 0 };
    es_verify_t  totals = { 0 };

    rc = ctl_backup_args(ctl, &argc, argv, &pace);

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_DELIVERY_READ
                           | (ctl->store_path
                              ? ctl_copy_checkpoints(ctl->store_path) : 0));
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (pace.rate != 0) {
        (void) !nice(BACKUP_NICE);
    }

    (void) umask(BACKUP_UMASK);

    rc = ctl_stage_open(&stage, argv[0]);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_backup_make(ctl, &stage, &pace, &backup, &totals);

    if (rc == CTL_OK) {
        ctl_backup_print(ctl, &stage, &backup, &totals);
    } else {
        ctl_stage_remove(stage.path);
    }

    es_backup_free(&backup);

    return rc;
}
