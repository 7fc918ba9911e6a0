/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks of the machine (its clock, limits of memory), of the dispatcher's
 * process, and of the key file.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/private.h"
#include "doctor.h"
#include "inspect/env_figures.h"
#include "keys/keyring.h"
#include "log/store_clock.h"
#include "store/plain_secrets.h"

#define DOCTOR_MEMORY        (256u << 20)  /* bytes */
#define DOCTOR_FILES         4352          /* of 2048 connections:
                                              docs/dispatcher.md */
#define DOCTOR_RIGHTS_GROUP  "eventsync-keys"


/* ---- the machine ---- */

static void
ctl_doctor_ntp(ctl_doctor_t *d)
{
    bool     synchronized;
    json_t  *check;

    if (es_clock_synchronized(&synchronized) != ES_OK) {
        (void) ctl_check(d, "clock", CTL_CHECK_SKIPPED, "the kernel does not "
                         "say whether its clock is synchronised");

    } else if (!synchronized) {
        check = ctl_check(d, "clock", CTL_CHECK_WARN, "the kernel says that "
                          "nothing synchronises its clock");
        ctl_finding_next(check, "timedatectl set-ntp true");

    } else {
        (void) ctl_check(d, "clock", CTL_CHECK_OK, "the kernel says that its "
                         "clock is synchronised");
    }
}


/* The first number of a file; UINT64_MAX: it has none, such as "max". */

static uint64_t
ctl_doctor_file_number(const char *path)
{
    FILE                *file;
    unsigned long long   n;

    file = fopen(path, "re");
    if (file == NULL) {
        return UINT64_MAX;
    }

    if (fscanf(file, "%llu", &n) != 1) {
        n = UINT64_MAX;
    }

    (void) fclose(file);

    return n;
}


/* The limit of memory of a process's control group, version 2. */

static uint64_t
ctl_doctor_cgroup(pid_t pid)
{
    char    path[4352], line[4096];
    FILE   *file;

    (void) snprintf(path, sizeof(path), "/proc/%d/cgroup", (int) pid);

    file = fopen(path, "re");
    if (file == NULL) {
        return UINT64_MAX;
    }

    path[0] = '\0';

    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = '\0';
            (void) snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max",
                            line + 3);
        }
    }

    (void) fclose(file);

    return ctl_doctor_file_number(path);
}


/* A row of /proc/PID/limits; UINT64_MAX: unlimited or unknown. */

static uint64_t
ctl_doctor_limit(pid_t pid, const char *name)
{
    char       path[64], line[256];
    FILE      *file;
    uint64_t   n;

    (void) snprintf(path, sizeof(path), "/proc/%d/limits", (int) pid);

    file = fopen(path, "re");
    if (file == NULL) {
        return UINT64_MAX;
    }

    n = UINT64_MAX;

    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0
            && line[strlen(name) + strspn(line + strlen(name), " ")] != 'u')
        {
            n = strtoull(line + strlen(name), NULL, 10);
        }
    }

    (void) fclose(file);

    return n;
}


void
ctl_doctor_machine(ctl_doctor_t *d)
{
    ctl_doctor_ntp(d);
}


/* Limits of the dispatcher, or without one of this process. */

static void
ctl_doctor_limits(ctl_doctor_t *d)
{
    pid_t        pid;
    json_t      *check;
    unsigned     before;
    uint64_t     files, space, memory;
    const char  *who;

    pid = d->dispatcher.pid != 0 ? d->dispatcher.pid : getpid();
    who = d->dispatcher.pid != 0 ? "the dispatcher" : "this shell";
    before = d->counts[CTL_CHECK_WARN] + d->counts[CTL_CHECK_FAIL];

    space = ctl_doctor_limit(pid, "Max address space");
    files = ctl_doctor_limit(pid, "Max open files");
    memory = ctl_doctor_cgroup(pid);

    if (space != UINT64_MAX) {
        check = ctl_check(d, "limits", CTL_CHECK_WARN, "the address space of "
                          "%s is limited to %" PRIu64 " MB, and a store that "
                          "grows needs more", who, space >> 20);
        ctl_finding_next(check, "ulimit -v unlimited, or LimitAS=infinity in "
                         "the unit");
    }

    if (d->dispatcher.pid != 0 && files < DOCTOR_FILES) {
        check = ctl_check(d, "limits", CTL_CHECK_WARN, "the dispatcher may "
                          "have %" PRIu64 " open files, so it has fewer "
                          "connections than --max-connections", files);
        ctl_finding_next(check, "set LimitNOFILE=%d for eventsync-dispatcher",
                         DOCTOR_FILES);
    }

    if (memory < DOCTOR_MEMORY) {
        check = ctl_check(d, "limits", CTL_CHECK_WARN, "the control group of "
                          "%s has %" PRIu64 " MB of memory", who,
                          memory >> 20);
        ctl_finding_next(check, "raise MemoryMax of the unit");
    }

    if (before == d->counts[CTL_CHECK_WARN] + d->counts[CTL_CHECK_FAIL]) {
        (void) ctl_check(d, "limits", CTL_CHECK_OK, "the limits of %s suffice",
                         who);
    }
}


/* ---- the dispatcher ---- */

/* True: the program of the process was replaced since it started. */

static bool
ctl_doctor_replaced(pid_t pid)
{
    char     path[64], exe[4096];
    ssize_t  n;

    (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
    n = readlink(path, exe, sizeof(exe) - 1);

    if (n <= 0) {
        return false;
    }

    exe[n] = '\0';

    return strstr(exe, " (deleted)") != NULL;
}


void
ctl_doctor_dispatcher(ctl_doctor_t *d)
{
    char               time[ES_TIME_LEN + 1];
    json_t            *check;
    ctl_dispatcher_t  *dispatcher;

    dispatcher = &d->dispatcher;

    if (ctl_dispatcher_read(d->ctl, dispatcher) != ES_OK) {
        (void) ctl_check(d, "dispatcher", CTL_CHECK_SKIPPED, "its state cannot "
                         "be read");
        return;
    }

    if (dispatcher->heartbeat_ms == 0) {
        check = ctl_check(d, "dispatcher", CTL_CHECK_WARN, "no dispatcher has "
                          "ever run on this store, so no webhook is sent");
        ctl_finding_next(check, "systemctl start eventsync-dispatcher");

    } else if (!dispatcher->alive) {
        check = ctl_check(d, "dispatcher", CTL_CHECK_FAIL, "%s since %s",
                          dispatcher->pid != 0
                          ? "the dispatcher runs, but has not written its state"
                          : "no dispatcher runs",
                          ctl_finding_time(dispatcher->heartbeat_ms, time));
        ctl_finding_next(check, dispatcher->pid != 0
                         ? "journalctl -u eventsync-dispatcher"
                         : "systemctl start eventsync-dispatcher");

    } else if (dispatcher->pid != 0 && ctl_doctor_replaced(dispatcher->pid)) {
        check = ctl_check(d, "dispatcher", CTL_CHECK_WARN, "process %d runs a "
                          "program that was replaced since",
                          (int) dispatcher->pid);
        ctl_finding_next(check, "systemctl restart eventsync-dispatcher");

    } else if (dispatcher->pid == 0) {
        (void) ctl_check(d, "dispatcher", CTL_CHECK_OK, "a dispatcher runs, in "
                         "another PID namespace");

    } else {
        (void) ctl_check(d, "dispatcher", CTL_CHECK_OK, "process %d runs",
                         (int) dispatcher->pid);
    }

    ctl_doctor_limits(d);
}


/* ---- the key file ---- */

/* Gives the store the keys.  False: a check has failed. */

static bool
ctl_doctor_ring(ctl_doctor_t *d, const char *path)
{
    json_t        *check;
    es_problem_t   problem = { 0 };
    es_keyring_t  *ring;

    (void) es_process_private();

    if (es_keyring_load(path, &ring, &problem) != ES_OK) {
        check = ctl_check(d, "key-file", CTL_CHECK_FAIL, "%s", problem.detail);
        ctl_finding_next(check, problem.rc == ES_DENIED
                         ? "chgrp %s%s; chmod 640 %s"
                         : "restore %s%s from its copy%s",
                         problem.rc == ES_DENIED ? DOCTOR_RIGHTS_GROUP " " : "",
                         path, problem.rc == ES_DENIED ? path : "");
        return false;
    }

    if (es_registry_keys(d->ctl->store, ring, &problem) != ES_OK) {
        es_keyring_free(ring);
        check = ctl_check(d, "key-file", CTL_CHECK_FAIL, "\"%s\" is not the "
                          "right key file: %s", path, problem.detail);
        ctl_finding_next(check, "put the key that encrypted into %s", path);
        return false;
    }

    return true;
}


/* The file of the option, or the one that the dispatcher has. */

void
ctl_doctor_keys(ctl_doctor_t *d)
{
    bool         plain;
    json_t      *check;
    es_rc_t      rc;
    const char  *path;

    path = d->ctl->key_file != NULL && d->ctl->key_file[0] != '\0'
           ? d->ctl->key_file : d->dispatcher.key_file;
    plain = es_plain_secrets(d->ctl->store);

    if (path != NULL) {
        d->keys = ctl_doctor_ring(d, path);

        if (d->keys) {
            (void) ctl_check(d, "key-file", CTL_CHECK_OK, "\"%s\" has the key "
                             "of the secrets", path);
        }

    } else if (plain) {
        check = ctl_check(d, "key-file", CTL_CHECK_WARN, "the store may have "
                          "secrets in plain text");
        ctl_finding_next(check, "see The key of the secrets in "
                         "docs/operations.md: eventsyncctl store rekey");
        d->keys = true;

    } else {
        (void) ctl_check(d, "key-file", CTL_CHECK_SKIPPED, "name it with "
                         "--key-file=PATH");
    }

    rc = d->keys ? es_registry_load(d->ctl->store, &d->registry)
                 : es_registry_load_closed(d->ctl->store, &d->registry);

    if (rc != ES_OK) {
        d->registry = NULL;
        check = ctl_check(d, "registry", CTL_CHECK_FAIL, "the registry cannot "
                          "be read: %s", es_reason(rc));
        ctl_finding_next(check, "eventsyncctl verify");
    }
}
