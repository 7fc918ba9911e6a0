/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The faults of a drill: how each is caused and mended.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "drill.h"

#define FAULT_DISK_MAX  (2ull << 30)   /* of a file system to fill */
#define FAULT_FILE      "drill-fills-the-disk"

/* The thief of "key-leaked". */
static struct {
    ctl_http_t  http;
    char        id[16];
} ctl_thief;

static int  ctl_fault_fd = -1;         /* of the file that fills the disk */


static void
ctl_fault_set(ctl_drill_partner_t *p, bool *what, bool to)
{
    (void) pthread_mutex_lock(&p->drill->lock);
    *what = to;
    (void) pthread_mutex_unlock(&p->drill->lock);
}


/* ---- webhooks ---- */

static int
ctl_fault_dropped(ctl_drill_t *d)
{
    atomic_store(&d->mode, CTL_DRILL_DROP);

    return CTL_OK;
}


static int
ctl_fault_delayed(ctl_drill_t *d)
{
    atomic_store(&d->mode, CTL_DRILL_DELAY);

    return CTL_OK;
}


static int
ctl_fault_reordered(ctl_drill_t *d)
{
    atomic_store(&d->mode, CTL_DRILL_REORDER);

    return CTL_OK;
}


static int
ctl_fault_refused(ctl_drill_t *d)
{
    atomic_store(&d->mode, CTL_DRILL_REFUSE);

    return CTL_OK;
}


static int
ctl_mend_receiver(ctl_drill_t *d)
{
    atomic_store(&d->mode, CTL_DRILL_TAKE);

    return CTL_OK;
}


static int
ctl_mend_refused(ctl_drill_t *d)
{
    (void) ctl_mend_receiver(d);

    return ctl_drill_run(NULL, "endpoint", "resume", d->endpoint);
}


/* A webhook has come since: the partner may have polled all that it lacked. */

static bool
ctl_mended_webhooks(ctl_drill_t *d)
{
    return atomic_load(&d->webhooks) > d->webhooks_then;
}


/* ---- polls ---- */

static int
ctl_fault_limited(ctl_drill_t *d)
{
    return ctl_drill_run(NULL, "partner", "change", ctl_drill_pull(d)->record,
                         "--limit-poll=1r/h,burst=1");
}


static int
ctl_mend_limited(ctl_drill_t *d)
{
    return ctl_drill_run(NULL, "partner", "change", ctl_drill_pull(d)->record,
                         "--limit-poll=1000r/s,burst=1000");
}


static int
ctl_fault_edge(ctl_drill_t *d)
{
    ctl_fault_set(ctl_drill_pull(d), &ctl_drill_pull(d)->edge_fails, true);

    return CTL_OK;
}


static int
ctl_mend_edge(ctl_drill_t *d)
{
    ctl_fault_set(ctl_drill_pull(d), &ctl_drill_pull(d)->edge_fails, false);

    return CTL_OK;
}


static int
ctl_fault_expired(ctl_drill_t *d)
{
    ctl_fault_set(ctl_drill_pull(d), &ctl_drill_pull(d)->away, true);

    return CTL_OK;
}


/* The partner comes back when the feed no longer has the events after its
   cursor. */

static int
ctl_mend_expired(ctl_drill_t *d)
{
    int            rc;
    char           before[ES_CURSOR_MAX + 16];
    json_t        *json = NULL;
    unsigned long  last;

    last = atomic_load(&d->published);
    rc = ctl_drill_run(&json, "feed", "show", d->feed);

    if (rc == CTL_OK) {
        (void) snprintf(before, sizeof(before), "--before=%s-%lu",
                        json_string_value(json_object_get(json, "epoch")),
                        last > 2 ? last - 2 : 1);
        rc = ctl_drill_run(NULL, "feed", "trim", d->feed, before);
    }

    json_decref(json);
    ctl_fault_set(ctl_drill_pull(d), &ctl_drill_pull(d)->away, false);

    return rc;
}


/* A 410 has told the partner what it has lost. */

static bool
ctl_mended_expired(ctl_drill_t *d)
{
    bool  told;

    (void) pthread_mutex_lock(&d->lock);
    told = ctl_drill_pull(d)->told > 0;
    (void) pthread_mutex_unlock(&d->lock);

    return told;
}


/* ---- the dispatcher ---- */

static const char *
ctl_skip_dispatcher(ctl_drill_t *d)
{
    return d->stop_dispatcher && d->start_dispatcher
           ? NULL : "needs --stop-dispatcher and --start-dispatcher";
}


static int
ctl_fault_stopped(ctl_drill_t *d)
{
    return ctl_drill_shell(d->stop_dispatcher);
}


static int
ctl_mend_stopped(ctl_drill_t *d)
{
    return ctl_drill_shell(d->start_dispatcher);
}


/* ---- the disk ---- */

static const char *
ctl_skip_disk(ctl_drill_t *d)
{
    struct statvfs  vfs;

    if (statvfs(d->ctl->store_path, &vfs) != 0) {
        return "the file system of the store cannot be read";
    }

    return (uint64_t) vfs.f_blocks * vfs.f_frsize > FAULT_DISK_MAX
           ? "the file system of the store is larger than 2 GB: put the store "
             "on one of its own, such as a loop mount" : NULL;
}


static void
ctl_fault_fill(int fd)
{
    off_t           end, step;
    struct statvfs  vfs;

    if (fstatvfs(fd, &vfs) != 0) {
        return;
    }

    end = 0;

    for (step = (off_t) (vfs.f_bfree * vfs.f_frsize); step >= 4096; ) {
        if (posix_fallocate(fd, end, step) == 0) {
            end += step;
        } else {
            step /= 2;
        }
    }
}


static int
ctl_fault_full(ctl_drill_t *d)
{
    char  path[4096];

    (void) snprintf(path, sizeof(path), "%s/" FAULT_FILE, d->ctl->store_path);
    ctl_fault_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (ctl_fault_fd == -1) {
        return ctl_fail(CTL_FAILED, "cannot make \"%s\": %s", path,
                        strerror(errno));
    }

    ctl_fault_fill(ctl_fault_fd);

    return CTL_OK;
}


static int
ctl_mend_full(ctl_drill_t *d)
{
    char  path[4096];

    if (ctl_fault_fd == -1) {
        return CTL_OK;
    }

    (void) close(ctl_fault_fd);
    ctl_fault_fd = -1;
    (void) snprintf(path, sizeof(path), "%s/" FAULT_FILE, d->ctl->store_path);

    return unlink(path) == 0 ? CTL_OK
                             : ctl_fail(CTL_FAILED, "cannot remove \"%s\": %s",
                                        path, strerror(errno));
}


/* ---- a key ---- */

/* A thief polls with the key of the partner. */

static int
ctl_fault_leaked(ctl_drill_t *d)
{
    return ctl_http_open(&ctl_thief.http, "url", d->url,
                         ctl_drill_pull(d)->key);
}


static int
ctl_mend_leaked(ctl_drill_t *d)
{
    int  rc;

    rc = ctl_drill_rekey(ctl_drill_pull(d), ctl_thief.id,
                         sizeof(ctl_thief.id));

    return rc == CTL_OK
           ? ctl_drill_run(NULL, "key", "revoke", ctl_thief.id) : rc;
}


/* The thief is refused. */

static bool
ctl_mended_leaked(ctl_drill_t *d)
{
    bool         refused;
    ctl_query_t  query = { .feed = d->feed, .from = "latest" };

    refused = ctl_http_poll(&ctl_thief.http, &query) == CTL_OK
              && ctl_thief.http.status == 401;

    if (refused) {
        ctl_http_close(&ctl_thief.http);
    }

    return refused;
}


const ctl_drill_fault_t  ctl_drill_faults[] = {
    { "webhooks-dropped", "the receiver answers 204 and forgets the events",
      "the partner polls what it lacks", NULL, ctl_fault_dropped,
      ctl_mend_receiver, ctl_mended_webhooks },
    { "webhooks-delayed", "the receiver takes two seconds for each webhook",
      "none", NULL, ctl_fault_delayed, ctl_mend_receiver,
      ctl_mended_webhooks },
    { "webhooks-reordered", "the receiver takes every other webhook later",
      "none", NULL, ctl_fault_reordered, ctl_mend_receiver,
      ctl_mended_webhooks },
    { "webhooks-refused", "the receiver answers 503",
      "endpoint resume", NULL, ctl_fault_refused,
      ctl_mend_refused, ctl_mended_webhooks },
    { "polls-limited", "the quota of polls is used up: 429",
      "partner change, with another limit", NULL, ctl_fault_limited,
      ctl_mend_limited, NULL },
    { "polls-unavailable", "an edge before the server answers 503",
      "the partner waits and polls again", NULL, ctl_fault_edge, ctl_mend_edge,
      NULL },
    { "cursors-expired", "a partner is away, and its cursor expires: 410",
      "the partner goes on at oldest", NULL, ctl_fault_expired,
      ctl_mend_expired, ctl_mended_expired },
    { "dispatcher-stopped", "the dispatcher does not run",
      "--start-dispatcher", ctl_skip_dispatcher, ctl_fault_stopped,
      ctl_mend_stopped, ctl_mended_webhooks },
    { "disk-full", "the file system of the store is full",
      "room is made on it", ctl_skip_disk, ctl_fault_full, ctl_mend_full,
      ctl_mended_webhooks },
    { "key-leaked", "somebody else polls with a partner's key",
      "key create, key revoke", NULL, ctl_fault_leaked,
      ctl_mend_leaked, ctl_mended_leaked },
    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
