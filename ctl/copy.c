/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Opens copies of a store, and names the keys that their secrets need.
 */

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "copy.h"
#include "open/open.h"
#include "progress.h"
#include "registry/secrets.h"


unsigned
ctl_copy_checkpoints(const char *path)
{
    char  file[PATH_MAX];

    (void) snprintf(file, sizeof(file), "%s/checkpoints/data.mdb", path);

    return access(file, F_OK) == 0 ? ES_STORE_CHECKPOINT_READ : 0;
}


int
ctl_copy_make(const ctl_t *ctl, const char *path, bool hash, es_pace_t *pace,
    es_backup_t *backup)
{
    es_rc_t       es;
    es_problem_t  problem;

    pace->progress = ctl_progress;
    ctl_progress_begin("copy", CTL_BYTES, es_backup_store_bytes(ctl->store));

    es = es_backup_copy(ctl->store, path, hash, pace, backup, &problem);

    /* the hashers may go on */

    es_pace_hush(pace);
    ctl_progress_end();

    return es == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "%s", problem.detail);
}


int
ctl_copy_open(const ctl_t *ctl, const char *path, unsigned flags, ctl_t *copy)
{
    memset(copy, 0, sizeof(ctl_t));
    copy->store_path = path;
    copy->key_file = ctl->key_file;
    copy->command = ctl->command;

    return ctl_open(copy, ES_STORE_STAGED | ES_STORE_DELIVERY_READ | flags
                          | ctl_copy_checkpoints(path));
}


int
ctl_copy_keys(const ctl_t *copy, es_backup_t *backup)
{
    es_rc_t  es;

    backup->keys.len = 0;
    es = es_registry_kids(copy->store, &backup->keys);

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "cannot read the registry of the "
                                  "copy: %s", es_reason(es));
}


void
ctl_copy_print_keys(const es_backup_t *backup)
{
    if (backup->keys.len > 0) {
        ctl_say("secrets are encrypted: keep the key file with %.*s "
                "elsewhere, because a backup does not contain it",
                (int) backup->keys.len, backup->keys.data);
    }
}


void
ctl_copy_print(const es_verify_t *totals)
{
    (void) printf("%llu feed%s, %llu event%s, %llu checkpoint%s",
                  (unsigned long long) totals->feeds, ctl_plural(totals->feeds),
                  (unsigned long long) totals->events,
                  ctl_plural(totals->events),
                  (unsigned long long) totals->checkpoints,
                  ctl_plural(totals->checkpoints));
}


json_t *
ctl_copy_json(const char *directory, const es_backup_t *backup,
    const es_verify_t *totals)
{
    char         at[ES_TIME_LEN];
    size_t       len;
    json_t      *keys;
    const char  *key, *end;

    es_time_print(backup->made_ms, at);
    keys = json_array();
    key = backup->keys.data;
    end = key + backup->keys.len;

    for ( /* void */ ; key != NULL && key < end; key += len + 1) {
        for (len = 0; key + len < end && key[len] != ' '; len++) {
            /* void */
        }

        (void) json_array_append_new(keys, json_stringn(key, len));
    }

    return json_pack("{s:s, s:s#, s:I, s:I, s:I, s:o}", "directory", directory,
                     "made", at, (int) sizeof(at),
                     "feeds", (json_int_t) totals->feeds,
                     "events", (json_int_t) totals->events,
                     "checkpoints", (json_int_t) totals->checkpoints,
                     "keys", keys);
}
