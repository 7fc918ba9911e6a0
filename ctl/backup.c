/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Backup and restore of a whole store.
 *
 * Both make the copy in a directory of its own (stage.h), verify it as any
 * store, and only then move it to its name.  A backup therefore never has a
 * fault that its store did not have.
 */

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl.h"
#include "inspect/backup.h"
#include "registry/secrets.h"
#include "stage.h"

#define BACKUP_UMASK       077
#define RESTORE_UMASK      007
#define RESTORE_DIR_MODE  0770
#define RESTORE_MODE      0660


/* A store of an old version may have no checkpoints yet. */

static unsigned
ctl_backup_checkpoints(const char *store)
{
    char  file[PATH_MAX];

    (void) snprintf(file, sizeof(file), "%s/checkpoints/data.mdb", store);

    return access(file, F_OK) == 0 ? ES_STORE_CHECKPOINT_READ : 0;
}


/* Verifies the copy as any store and lists the keys that its secrets need. */

static int
ctl_backup_verify(const ctl_t *ctl, const char *path, es_backup_t *backup,
    es_verify_t *totals)
{
    int       rc;
    ctl_t     copy = { 0 };
    es_rc_t   es;

    copy.store_path = path;
    copy.key_file = ctl->key_file;

    rc = ctl_open(&copy, ES_STORE_PUBLISH | ES_STORE_DELIVERY_READ
                         | ctl_backup_checkpoints(path));

    if (rc == CTL_OK) {
        rc = ctl_verify_store(&copy, totals);
    }

    if (rc == CTL_OK) {
        backup->keys.len = 0;
        es = es_registry_kids(copy.store, &backup->keys);

        if (es != ES_OK) {
            rc = ctl_fail(CTL_FAILED, "cannot read the registry of the copy: "
                          "%s", es_reason(es));
        }
    }

    es_store_close(copy.store);

    return rc;
}


/* Removes the files that the verification created and that any store creates
   when it is opened. */

static void
ctl_backup_tidy(const char *path)
{
    char      file[PATH_MAX + 32];
    unsigned  i;

    static const char  *const made[] = {
        "ids", "bell", "checkpoints/lock.mdb", "delivery/lock.mdb",
        "registry/lock.mdb", "log/lock.mdb"
    };

    for (i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        (void) snprintf(file, sizeof(file), "%s/%s", path, made[i]);
        ctl_stage_remove(file);
    }
}


static void
ctl_backup_print_keys(const es_backup_t *backup)
{
    if (backup->keys.len > 0) {
        (void) printf("secrets are encrypted: keep the key file with %.*s "
                      "elsewhere, because a backup does not contain it\n",
                      (int) backup->keys.len, backup->keys.data);
    }
}


static int
ctl_backup_make(ctl_t *ctl, const ctl_stage_t *stage, es_backup_t *backup,
    es_verify_t *totals)
{
    int           rc;
    es_problem_t  problem;

    if (es_backup_copy(ctl->store, stage->path, backup, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    rc = ctl_backup_verify(ctl, stage->path, backup, totals);
    if (rc != CTL_OK) {
        return rc;
    }

    ctl_backup_tidy(stage->path);

    if (es_backup_seal(stage->path, backup, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return ctl_stage_finish(stage, "backup");
}


int
ctl_backup(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    ctl_stage_t  stage;
    es_backup_t  backup = { 0 };
    es_verify_t  totals = { 0 };

    rc = ctl_args(ctl, &argc, argv, NULL);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_open(ctl, ES_STORE_DELIVERY_READ
                       | (ctl->store_path
                          ? ctl_backup_checkpoints(ctl->store_path) : 0));
    if (rc != CTL_OK) {
        return rc;
    }

    (void) umask(BACKUP_UMASK);

    rc = ctl_stage_open(&stage, argv[0]);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_backup_make(ctl, &stage, &backup, &totals);

    if (rc == CTL_OK) {
        (void) printf("backup of %llu feeds, %llu events, %llu checkpoints in "
                      "\"%s\"\n", (unsigned long long) totals.feeds,
                      (unsigned long long) totals.events,
                      (unsigned long long) totals.checkpoints, stage.target);
        ctl_backup_print_keys(&backup);

    } else {
        ctl_stage_remove(stage.path);
    }

    es_buf_free(&backup.keys);

    return rc;
}


static int
ctl_restore_make(const ctl_t *ctl, const char *from, const ctl_stage_t *stage,
    es_backup_t *backup, es_verify_t *totals)
{
    int           rc;
    es_problem_t  problem;

    if (es_backup_unpack(from, backup, stage->path, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    rc = ctl_backup_verify(ctl, stage->path, backup, totals);

    if (rc == CTL_OK) {
        rc = ctl_stage_modes(stage, RESTORE_DIR_MODE, RESTORE_MODE);
    }

    return rc == CTL_OK ? ctl_stage_finish(stage, "format") : rc;
}


/* Events published after the backup are lost, and new events get their cursors.
   A partner that has seen the lost events would miss the new ones. */

static void
ctl_restore_print(const ctl_stage_t *stage, const es_backup_t *backup,
    const es_verify_t *totals)
{
    char  at[ES_TIME_LEN];

    es_time_print(backup->made_ms, at);

    (void) printf("restored %llu feeds, %llu events, %llu checkpoints of "
                  "%.*s in \"%s\"\n", (unsigned long long) totals->feeds,
                  (unsigned long long) totals->events,
                  (unsigned long long) totals->checkpoints, (int) sizeof(at),
                  at, stage->target);
    (void) printf("If events were published after that time, partners may have "
                  "seen events that this store lacks. Give each such feed a "
                  "new epoch before you start anything on the store "
                  "(eventsyncctl --store=%s feed begin-epoch NAME)\n", stage->target);
    ctl_backup_print_keys(backup);
}


int
ctl_restore(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    ctl_stage_t   stage;
    es_backup_t   backup;
    es_verify_t   totals = { 0 };
    es_problem_t  problem;

    rc = ctl_args(ctl, &argc, argv, NULL);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_backup_read(argv[0], &backup, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    (void) umask(RESTORE_UMASK);

    rc = ctl_stage_open(&stage, argv[1]);

    if (rc == CTL_OK) {
        rc = ctl_restore_make(ctl, argv[0], &stage, &backup, &totals);

        if (rc == CTL_OK) {
            ctl_restore_print(&stage, &backup, &totals);
        } else {
            ctl_stage_remove(stage.path);
        }
    }

    es_buf_free(&backup.keys);

    return rc;
}
