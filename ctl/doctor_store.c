/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks of the store: its files and their rights, its disk, its environments,
 * its clock, its retention and its packed history.
 */

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "doctor.h"
#include "erase/erase.h"
#include "inspect/env_figures.h"
#include "log/feed.h"
#include "log/feed_pack.h"
#include "log/store_clock.h"
#include "open/rights.h"
#include "pack/position.h"
#include "read/retention.h"
#include "registry/offboard.h"

#define DOCTOR_FREE_FAIL     (64u << 20)   /* bytes */
#define DOCTOR_FREE_PERCENT  10
#define DOCTOR_MAP_PERCENT   80
#define DOCTOR_LAG           1000          /* commits */
#define DOCTOR_OVERDUE_MS    60000
#define DOCTOR_AHEAD_MS      1000
#define DOCTOR_UNPACKED      100000        /* events */

/* Differences of rights: how many, and the first of them. */
typedef struct {
    unsigned  n;
    char      first[400];
} ctl_doctor_faults_t;


/* ---- rights ---- */

static void
ctl_doctor_fault(void *ctx, const char *name, const char *why)
{
    ctl_doctor_faults_t  *faults = ctx;

    if (faults->n++ == 0) {
        (void) snprintf(faults->first, sizeof(faults->first), "\"%s\" %s", name,
                        why);
    }
}


/* The group of a part is "GROUP-part" if there is such a group.  Otherwise
   "store rights" was told another one, which the directory then has. */

static void
ctl_doctor_group(const char *all, const char *part, gid_t *gid)
{
    char           name[256];
    struct group  *group;

    (void) snprintf(name, sizeof(name), "%s-%s", all, part);
    group = getgrnam(name);

    if (group != NULL) {
        *gid = group->gr_gid;
    }
}


static void
ctl_doctor_groups(es_rights_t *rights)
{
    char           all[200];
    struct group  *group;

    group = getgrgid(rights->group);

    if (group != NULL) {
        (void) snprintf(all, sizeof(all), "%s", group->gr_name);
        ctl_doctor_group(all, "publish", &rights->publish);
        ctl_doctor_group(all, "manage", &rights->manage);
        ctl_doctor_group(all, "ack", &rights->ack);
        ctl_doctor_group(all, "pages", &rights->pages);
        ctl_doctor_group(all, "delivery", &rights->delivery);
    }
}


/* Names of users and groups, or their numbers. */

static void
ctl_doctor_rights_next(json_t *check, const es_rights_t *rights)
{
    char            group[200], user[200];
    struct group   *g;
    struct passwd  *u;

    g = getgrgid(rights->group);
    u = getpwuid(rights->dispatcher);

    if (g != NULL) {
        (void) snprintf(group, sizeof(group), "%s", g->gr_name);
    } else {
        (void) snprintf(group, sizeof(group), "%u", (unsigned) rights->group);
    }

    if (u != NULL) {
        (void) snprintf(user, sizeof(user), "%s", u->pw_name);
    } else {
        (void) snprintf(user, sizeof(user), "%u",
                        (unsigned) rights->dispatcher);
    }

    ctl_finding_next(check, "eventsyncctl store rights --group=%s "
                     "--dispatcher=%s", group, user);
}


static void
ctl_doctor_rights(ctl_doctor_t *d, const struct stat *st)
{
    json_t               *check;
    es_problem_t          problem = { 0 };
    es_rights_t           rights = { 0 };
    ctl_doctor_faults_t   faults = { 0 };

    if ((st->st_mode & 0007) != 0) {
        check = ctl_check(d, "rights", CTL_CHECK_FAIL, "all users of this "
                          "computer may enter the store (mode %04o)",
                          (unsigned) (st->st_mode & 07777));
        ctl_finding_next(check, "chmod o= %s", d->ctl->store_path);
        return;
    }

    /* "store rights" sets the set-group-id bit and takes the group's right to
       write. */

    if ((st->st_mode & (02000 | 0020)) != 02000) {
        check = ctl_check(d, "rights", CTL_CHECK_WARN, "all processes of the "
                          "store have the same rights: \"store rights\" was "
                          "never run on it");
        ctl_finding_next(check, "eventsyncctl store rights --group=eventsync "
                         "--dispatcher=eventsync");
        return;
    }

    if (!es_store_rights_read(d->ctl->store_path, &rights)) {
        (void) ctl_check(d, "rights", CTL_CHECK_SKIPPED, "the directories "
                         "cannot be examined: %s", strerror(errno));
        return;
    }

    ctl_doctor_groups(&rights);

    if (es_store_rights_check(d->ctl->store_path, &rights, ctl_doctor_fault,
                              &faults, &problem) != ES_OK)
    {
        (void) ctl_check(d, "rights", CTL_CHECK_SKIPPED, "%s", problem.detail);

    } else if (faults.n > 0) {
        check = ctl_check(d, "rights", CTL_CHECK_FAIL, "%s%s", faults.first,
                          faults.n > 1 ? ", and there are others" : "");
        ctl_doctor_rights_next(check, &rights);

    } else {
        (void) ctl_check(d, "rights", CTL_CHECK_OK, "files have the groups and "
                         "modes of \"store rights\"");
    }
}


/* ---- the disk ---- */

/* File systems by the numbers of statfs(2). */
static const struct {
    unsigned long       type;
    const char         *name;
    ctl_check_state_t   state;
    const char         *why;
}  ctl_doctor_filesystems[] = {
    { 0x6969, "NFS", CTL_CHECK_FAIL, "other machines may map it" },
    { 0xff534d42, "CIFS", CTL_CHECK_FAIL, "other machines may map it" },
    { 0xfe534d42, "SMB", CTL_CHECK_FAIL, "other machines may map it" },
    { 0x01021997, "9p", CTL_CHECK_FAIL, "maps of several kernels differ" },
    { 0x00c36400, "Ceph", CTL_CHECK_FAIL, "other machines may map it" },
    { 0x5346414f, "AFS", CTL_CHECK_FAIL, "other machines may map it" },
    { 0x0bd00bd0, "Lustre", CTL_CHECK_FAIL, "other machines may map it" },
    { 0x786f4256, "vboxsf", CTL_CHECK_FAIL, "maps of several kernels differ" },
    { 0x65735546, "FUSE", CTL_CHECK_WARN, "it may be a disk of another "
      "machine" },
    { 0x01021994, "tmpfs", CTL_CHECK_WARN, "a restart of the machine deletes "
      "the store" },
    { 0x858458f6, "ramfs", CTL_CHECK_WARN, "a restart of the machine deletes "
      "the store" },
    { 0x794c7630, "overlayfs", CTL_CHECK_WARN, "the store is removed with its "
      "container" },
    { 0x9123683e, "Btrfs", CTL_CHECK_WARN, "it cannot reserve the pages that a "
      "full disk needs for deletions" },
    { 0x2fc12fc1, "ZFS", CTL_CHECK_WARN, "it cannot reserve the pages that a "
      "full disk needs for deletions" }
};


static void
ctl_doctor_filesystem(ctl_doctor_t *d)
{
    size_t          i;
    json_t         *check;
    struct statfs   fs;

    if (statfs(d->ctl->store_path, &fs) != 0) {
        (void) ctl_check(d, "filesystem", CTL_CHECK_SKIPPED, "it cannot be "
                         "examined: %s", strerror(errno));
        return;
    }

    for (i = 0; i < sizeof(ctl_doctor_filesystems)
                    / sizeof(ctl_doctor_filesystems[0]); i++)
    {
        if (ctl_doctor_filesystems[i].type == (unsigned long) fs.f_type) {
            check = ctl_check(d, "filesystem", ctl_doctor_filesystems[i].state,
                              "the store is on %s: %s",
                              ctl_doctor_filesystems[i].name,
                              ctl_doctor_filesystems[i].why);
            ctl_finding_next(check, "move the store to a local disk with ext4 "
                             "or XFS");
            return;
        }
    }

    (void) ctl_check(d, "filesystem", CTL_CHECK_OK, "the store is on a local "
                     "disk");
}


static void
ctl_doctor_space(ctl_doctor_t *d)
{
    json_t              *check;
    uint64_t             left, size;
    struct statvfs       fs;
    ctl_check_state_t    state;

    if (statvfs(d->ctl->store_path, &fs) != 0) {
        return;
    }

    left = (uint64_t) fs.f_bavail * fs.f_frsize;
    size = (uint64_t) fs.f_blocks * fs.f_frsize;

    if (fs.f_flag & ST_RDONLY) {
        check = ctl_check(d, "space", CTL_CHECK_FAIL, "the disk is mounted "
                          "read-only");
        ctl_finding_next(check, "dmesg");
        return;
    }

    state = left < DOCTOR_FREE_FAIL ? CTL_CHECK_FAIL
            : left / (size / 100 + 1) < DOCTOR_FREE_PERCENT ? CTL_CHECK_WARN
            : CTL_CHECK_OK;

    check = ctl_check(d, "space", state, "the disk has %" PRIu64 " MB free of %"
                      PRIu64 " MB", left >> 20, size >> 20);

    if (state != CTL_CHECK_OK) {
        ctl_finding_next(check, "make room on the disk, or: eventsyncctl feed "
                         "trim FEED --before=CURSOR");
    }
}


void
ctl_doctor_files(ctl_doctor_t *d)
{
    struct stat  st;

    if (stat(d->ctl->store_path, &st) != 0) {
        return;
    }

    ctl_doctor_rights(d, &st);
    ctl_doctor_filesystem(d);
    ctl_doctor_space(d);
}


/* ---- the environments ---- */

static void
ctl_doctor_map(ctl_doctor_t *d, const es_env_figures_t *env)
{
    json_t    *check;
    uint64_t   limit;

    limit = es_map_limit(d->ctl->store);

    if (env->used / 100 >= limit / 100 * DOCTOR_MAP_PERCENT / 100) {
        check = ctl_check(d, "map", CTL_CHECK_WARN, "%.*s/ uses %" PRIu64
                          " MB of the %" PRIu64 " MB of map_max",
                          (int) env->name.len, env->name.data, env->used >> 20,
                          limit >> 20);
        ctl_finding_next(check, "raise map_max in %s/format",
                         d->ctl->store_path);
    }
}


/* A slot of this process is among those in use. */

static void
ctl_doctor_readers(ctl_doctor_t *d, const es_env_figures_t *env)
{
    json_t  *check;

    if (env->readers * 100 > env->readers_max * DOCTOR_MAP_PERCENT) {
        check = ctl_check(d, "readers", CTL_CHECK_FAIL, "%.*s/ has %" PRIu64
                          " of %" PRIu64 " reader slots in use",
                          (int) env->name.len, env->name.data, env->readers,
                          env->readers_max);
        ctl_finding_next(check, "end the program that holds them: fuser %s/"
                         "%.*s/lock.mdb", d->ctl->store_path,
                         (int) env->name.len, env->name.data);

    } else if (env->readers_lag > DOCTOR_LAG) {
        check = ctl_check(d, "readers", CTL_CHECK_WARN, "process %" PRIu64
                          " reads %.*s/ as it was %" PRIu64 " commits ago, and "
                          "keeps their pages", env->slowest,
                          (int) env->name.len, env->name.data,
                          env->readers_lag);
        ctl_finding_next(check, "let the process go on, or end it: ps -p %"
                         PRIu64, env->slowest);
    }
}


static void
ctl_doctor_envs(ctl_doctor_t *d)
{
    size_t             i, n;
    unsigned           before;
    es_rc_t            rc;
    es_env_figures_t   envs[ES_FIGURES_ENVS];

    rc = es_env_figures(d->ctl->store, NULL, envs, &n);

    if (rc != ES_OK) {
        (void) ctl_check(d, "map", CTL_CHECK_SKIPPED, "%s", es_reason(rc));
        return;
    }

    before = d->counts[CTL_CHECK_WARN] + d->counts[CTL_CHECK_FAIL];

    for (i = 0; i < n; i++) {
        ctl_doctor_map(d, &envs[i]);
    }

    if (before == d->counts[CTL_CHECK_WARN] + d->counts[CTL_CHECK_FAIL]) {
        (void) ctl_check(d, "map", CTL_CHECK_OK, "all environments are below "
                         "%d %% of map_max", DOCTOR_MAP_PERCENT);
    }

    before = d->counts[CTL_CHECK_WARN] + d->counts[CTL_CHECK_FAIL];

    for (i = 0; i < n; i++) {
        ctl_doctor_readers(d, &envs[i]);
    }

    if (before == d->counts[CTL_CHECK_WARN] + d->counts[CTL_CHECK_FAIL]) {
        (void) ctl_check(d, "readers", CTL_CHECK_OK, "no reader keeps old "
                         "pages");
    }
}


/* ---- the log ---- */

static void
ctl_doctor_clock(ctl_doctor_t *d, es_txn_t *txn)
{
    char                 span[ES_CLOCK_SPAN_LEN];
    json_t              *check;
    es_clock_verdict_t   verdict;

    if (es_clock_peek(txn, &verdict, NULL) != ES_OK) {
        return;
    }

    if (verdict.outcome == ES_CLOCK_AHEAD
        || verdict.outcome == ES_CLOCK_BEHIND)
    {
        es_clock_span(verdict.off_ms, span);
        check = ctl_check(d, "log-clock", CTL_CHECK_FAIL, "this computer's "
                          "clock is %s %s the store's time", span,
                          verdict.off_ms > 0 ? "ahead of" : "behind");
        ctl_finding_next(check, "set the clock by NTP: timedatectl");
        return;
    }

    (void) ctl_check(d, "log-clock", CTL_CHECK_OK, "the clock agrees with the "
                     "store's time");
}


/* Events of the future, and limits that no process applies. */

static void
ctl_doctor_feed(ctl_doctor_t *d, es_txn_t *txn, const es_feed_t *feed,
    int64_t now_ms)
{
    char      time[ES_TIME_LEN + 1];
    json_t   *check;
    int64_t   since_ms;

    if (feed->last_ms > now_ms + DOCTOR_AHEAD_MS) {
        check = ctl_check(d, "feed-time", CTL_CHECK_WARN, "the last event of "
                          "feed %s is dated in the future, %s", feed->name,
                          ctl_finding_time(feed->last_ms, time));
        ctl_finding_next(check, "eventsyncctl feed retime %s", feed->name);
    }

    if (feed->held) {
        (void) ctl_check(d, "hold", CTL_CHECK_OK, "feed %s is held since "
                         "%s: %s; it keeps %" PRIu64 " bytes of events, and "
                         "all that come", feed->name,
                         ctl_finding_time(feed->hold.since_ms, time),
                         feed->hold.reason, feed->bytes);
    }

    if (es_feed_limited(feed)
        && es_feed_overdue(txn, feed, now_ms, &since_ms) == ES_OK
        && since_ms != 0 && now_ms - since_ms > DOCTOR_OVERDUE_MS)
    {
        check = ctl_check(d, "retention", CTL_CHECK_WARN, "no process applies "
                          "the limits of feed %s since %s", feed->name,
                          ctl_finding_time(since_ms, time));
        ctl_finding_next(check, "systemctl start eventsync-dispatcher");
    }
}


/* History that the dispatcher should have packed. */

static void
ctl_doctor_packed(ctl_doctor_t *d, es_txn_t *txn, const es_feed_t *feed)
{
    json_t    *check;
    unsigned   level;
    uint64_t   after, end;

    end = es_pack_end(feed);

    if (es_feed_pack_get(txn, feed->number, &level) != ES_OK
        || level == ES_PACK_OFF
        || es_pack_position(txn, feed, &after) != ES_OK
        || end < after + DOCTOR_UNPACKED)
    {
        return;
    }

    check = ctl_check(d, "packing", CTL_CHECK_WARN, "%" PRIu64 " events of "
                      "feed %s wait to be packed", end - after, feed->name);
    ctl_finding_next(check, "eventsyncctl feed pack %s", feed->name);
}


/* The index is filled from the log when it is missing, which takes about a
   second for each million events. */

static void
ctl_doctor_ids(ctl_doctor_t *d, uint64_t events)
{
    char         path[4096];
    json_t      *check;
    struct stat  st;

    (void) snprintf(path, sizeof(path), "%s/ids/control", d->ctl->store_path);

    if (events == 0 || stat(path, &st) == 0 || errno != ENOENT) {
        (void) ctl_check(d, "id-index", CTL_CHECK_OK, "the index of ids is "
                         "there");
        return;
    }

    check = ctl_check(d, "id-index", CTL_CHECK_WARN, "the index of ids is "
                      "missing, so the next publish waits until it is filled "
                      "for %" PRIu64 " events", events);
    ctl_finding_next(check, "let a producer publish one event at a quiet time");
}


static void
ctl_doctor_offboard(ctl_doctor_t *d)
{
    char     partner[ES_FEED_MAX + 1];
    json_t  *check;

    if (es_registry_offboard_first(d->ctl->store, partner) == ES_OK) {
        check = ctl_check(d, "offboard", CTL_CHECK_WARN, "the offboarding of "
                          "the partner %s was interrupted, or is running",
                          partner);
        ctl_finding_next(check, "run the same command again: eventsyncctl "
                         "partner offboard %s", partner);
    }
}


/* A run of "erase" that was interrupted leaves bytes in the files. */

static void
ctl_doctor_erasure(ctl_doctor_t *d)
{
    es_rc_t    rc;
    json_t    *check;
    uint64_t   erased, finished;

    rc = es_erase_state(d->ctl->store, &erased, &finished);

    if (rc == ES_OK && erased != finished) {
        check = ctl_check(d, "erasure", CTL_CHECK_WARN, "an erasure has begun "
                          "and is not complete: the files may have bytes of %"
                          PRIu64 " erased events", erased - finished);
        ctl_finding_next(check, "unless it is running: the same eventsyncctl "
                         "erase again, with --expect for the events that are "
                         "left");

    } else if (rc == ES_OK && erased > 0) {
        (void) ctl_check(d, "erasure", CTL_CHECK_OK, "no byte of %" PRIu64
                         " erased events is in the log", erased);
    }
}


void
ctl_doctor_store(ctl_doctor_t *d)
{
    es_rc_t     rc;
    int64_t     now_ms;
    uint64_t    events;
    es_txn_t   *txn;
    es_feed_t   feed = { 0 };

    ctl_doctor_envs(d);
    ctl_doctor_erasure(d);
    ctl_doctor_offboard(d);

    rc = es_txn_begin(d->ctl->store, &txn);
    if (rc != ES_OK) {
        (void) ctl_check(d, "log", CTL_CHECK_FAIL, "%s", es_reason(rc));
        return;
    }

    events = 0;
    now_ms = es_clock_ms();
    ctl_doctor_clock(d, txn);

    while ((rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {
        events += feed.last + 1 - feed.oldest;
        ctl_doctor_feed(d, txn, &feed, now_ms);
        ctl_doctor_packed(d, txn, &feed);
    }

    es_txn_end(txn);

    if (rc != ES_NOT_FOUND) {
        ctl_finding_next(ctl_check(d, "log", CTL_CHECK_FAIL, "the feeds cannot "
                                   "be read: %s", es_reason(rc)),
                         "eventsyncctl verify");
    }

    ctl_doctor_ids(d, events);
}
