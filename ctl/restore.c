/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "restore": makes a store of a backup.
 *
 * The store is made in a directory of its own (stage.h) and verified as any
 * store before it gets its name.  What was published after the backup is lost,
 * and new events get its sequences.  So each feed begins a new epoch, unless
 * the operator says that nothing was published.
 */

#include <stdio.h>
#include <unistd.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "copy.h"
#include "erasures.h"
#include "log/feed.h"
#include "log/feed_hold.h"
#include "open/open.h"
#include "progress.h"
#include "rights.h"
#include "stage.h"

#define RESTORE_UMASK      007
#define RESTORE_DIR_MODE  0770
#define RESTORE_MODE      0660

typedef struct {
    const char   *from;
    const char   *erasures;
    bool          keep;            /* the epochs */
    bool          give;            /* the files to groups */
    es_rights_t   rights;
    es_backup_t   backup;
    es_verify_t   totals;
    ctl_stage_t   stage;
} ctl_restore_t;


static int
ctl_restore_args(ctl_t *ctl, int *argc, char **argv, ctl_restore_t *r)
{
    int           rc;
    size_t        i;
    const char   *keep = NULL;
    ctl_rights_t  text = { 0 };

    ctl_option_t  options[CTL_RIGHTS_OPTIONS + 3] = {
        [CTL_RIGHTS_OPTIONS] = { "keep-epochs", &keep },
        [CTL_RIGHTS_OPTIONS + 1] = { "erasures", &r->erasures }
    };

    ctl_rights_options(options, &text);

    rc = ctl_args(ctl, argc, argv, options);

    for (i = 0; i < CTL_RIGHTS_OPTIONS; i++) {
        r->give |= *options[i].value != NULL;
    }

    r->from = argv[0];
    r->keep = keep != NULL;

    return rc == CTL_OK && r->give ? ctl_rights_parse(&text, &r->rights) : rc;
}


/* Everything that can be known before anything is copied. */

static int
ctl_restore_read(const ctl_t *ctl, ctl_restore_t *r)
{
    uint64_t      identity;
    es_problem_t  problem;

    if (es_backup_read(r->from, &r->backup, &problem) != ES_OK
        || es_store_read_identity(r->from, &identity, &problem) != ES_OK)
    {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    if (ctl->store_path != NULL && ctl->store_path[0] != '\0'
        && es_store_read_identity(ctl->store_path, &identity, &problem) == ES_OK
        && identity != r->backup.identity)
    {
        return ctl_fail(CTL_FAILED, "\"%s\" is a backup of another store than "
                        "\"%s\": to restore it all the same, give --store=",
                        r->from, ctl->store_path);
    }

    return CTL_OK;
}


static int
ctl_restore_epochs(const ctl_t *copy)
{
    es_rc_t    es;
    es_txn_t  *txn;
    es_feed_t  feed = { 0 };

    for ( ;; ) {
        es = es_txn_begin(copy->store, &txn);

        if (es == ES_OK) {
            es = es_feed_next(txn, es_str(feed.name), &feed);
            es_txn_end(txn);
        }

        if (es == ES_NOT_FOUND) {
            return CTL_OK;
        }

        if (es == ES_OK) {
            es = es_feed_begin_epoch(copy->store, es_str(feed.name), NULL,
                                     NULL);
        }

        if (es != ES_OK) {
            return ctl_fail(CTL_FAILED, "feed \"%s\": %s", feed.name,
                            es_reason(es));
        }
    }
}


static int
ctl_restore_audit(const ctl_t *copy, const ctl_restore_t *r)
{
    char               made[ES_TIME_LEN];
    es_rc_t            es;
    es_audit_change_t  change = { .action = "restore", .kind = "store" };

    es_time_print(r->backup.made_ms, made);
    change.after = json_pack("{s:s%, s:b}", "backup", made, sizeof(made),
                             "keep_epochs", r->keep);

    es = es_audit_record(copy->store, ES_AUDIT_LOG, &change);
    json_decref(change.after);

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "cannot write to the audit: %s",
                                  es_reason(es));
}


/* Holds that were set after the backup was made.  The feed's events are in the
   copy alone once it takes the place of the store. */

static es_rc_t
ctl_restore_hold(const ctl_t *copy, es_store_t *store)
{
    es_rc_t     rc;
    es_txn_t   *txn;
    es_feed_t   feed = { 0 };

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    while ((rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {
        if (!feed.held) {
            continue;
        }

        rc = es_feed_hold(copy->store, es_str(feed.name),
                          es_str(feed.hold.reason), NULL);

        if (rc == ES_OK) {
            ctl_say("feed \"%s\" is held, as in the store that was backed up",
                    feed.name);

        } else if (rc != ES_NOT_FOUND) {
            break;
        }
    }

    es_txn_end(txn);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static int
ctl_restore_holds(const ctl_t *ctl, const ctl_t *copy, const ctl_restore_t *r)
{
    es_rc_t        rc;
    uint64_t       identity;
    es_store_t    *store;
    es_problem_t   problem;

    if (ctl->store_path == NULL || ctl->store_path[0] == '\0'
        || es_store_read_identity(ctl->store_path, &identity, &problem)
           != ES_OK
        || identity != r->backup.identity
        || es_store_open(ctl->store_path, 0, &store, &problem) != ES_OK)
    {
        ctl_note("the store that was backed up is not given: hold the feeds "
                 "again that were held after the backup");
        return CTL_OK;
    }

    rc = ctl_restore_hold(copy, store);
    es_store_close(store);

    return rc == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "cannot hold the feeds that are "
                                  "held: %s", es_reason(rc));
}


static int
ctl_restore_verify(const ctl_t *ctl, ctl_restore_t *r)
{
    int    rc;
    ctl_t  copy;

    rc = ctl_copy_open(ctl, r->stage.path, ES_STORE_PUBLISH, &copy);

    if (rc == CTL_OK) {
        rc = ctl_verify_store(&copy, &r->totals);
    }

    if (rc == CTL_OK) {
        rc = ctl_restore_audit(&copy, r);
    }

    if (rc == CTL_OK) {
        rc = ctl_erasures_repeat(ctl, &copy, r->erasures, r->backup.identity);
    }

    if (rc == CTL_OK) {
        rc = ctl_restore_holds(ctl, &copy, r);
    }

    if (rc == CTL_OK && !r->keep) {
        rc = ctl_restore_epochs(&copy);
    }

    if (rc == CTL_OK) {
        rc = ctl_copy_keys(&copy, &r->backup);
    }

    es_store_close(copy.store);

    return rc;
}


static int
ctl_restore_make(const ctl_t *ctl, ctl_restore_t *r)
{
    int           rc;
    es_rc_t       es;
    es_pace_t     pace = { .progress = ctl_progress };
    es_problem_t  problem = { 0 };

    ctl_progress_begin("copy", CTL_BYTES,
                       es_backup_bytes(r->from, &r->backup));
    es = es_backup_unpack(r->from, &r->backup, r->stage.path, &pace, &problem);
    ctl_progress_end();

    rc = es == ES_OK ? ctl_restore_verify(ctl, r)
                     : ctl_fail(CTL_FAILED, "%s", problem.detail);
    if (rc != CTL_OK) {
        return rc;
    }

    if (!r->give) {
        rc = ctl_stage_modes(&r->stage, RESTORE_DIR_MODE, RESTORE_MODE);

    } else if (es_store_rights(r->stage.path, &r->rights, &problem) == ES_OK) {
        rc = ctl_stage_adopt(&r->stage);

    } else {
        rc = ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return rc == CTL_OK ? ctl_stage_finish(&r->stage, "format") : rc;
}


static void
ctl_restore_print(ctl_t *ctl, const ctl_restore_t *r)
{
    char     at[ES_TIME_LEN];
    json_t  *json;

    es_time_print(r->backup.made_ms, at);

    json = ctl_copy_json(r->stage.target, &r->backup, &r->totals);
    (void) json_object_set_new(json, "new_epochs", json_boolean(!r->keep));
    ctl_result(ctl, json);

    if (!ctl->json) {
        (void) printf("restored ");
        ctl_copy_print(&r->totals);
        (void) printf(" of %.*s in \"%s\"\n", (int) sizeof(at), at,
                      r->stage.target);
    }

    if (!r->keep) {
        ctl_say("each feed begins a new epoch: cursors of events that the "
                "store has stay valid");
    }

    if (!r->give) {
        ctl_say("give the files to their groups before you start anything: "
                "eventsyncctl --store=%s store rights", r->stage.target);
    }

    ctl_copy_print_keys(&r->backup);
}


int
ctl_restore(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    ctl_restore_t  r = { 0 };

    rc = ctl_restore_args(ctl, &argc, argv, &r);

    if (rc == CTL_OK) {
        rc = ctl_restore_read(ctl, &r);
    }

    if (rc == CTL_OK) {
        (void) umask(RESTORE_UMASK);
        rc = ctl_stage_open(&r.stage, argv[1]);

        if (rc == CTL_OK) {
            rc = ctl_restore_make(ctl, &r);

            if (rc == CTL_OK) {
                ctl_restore_print(ctl, &r);
            } else {
                ctl_stage_remove(r.stage.path);
            }
        }
    }

    es_backup_free(&r.backup);

    return rc;
}
