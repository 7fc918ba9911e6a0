/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A parent that does nothing but wait.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "open/child.h"
#include "store/txn.h"

#define ES_CHILD_TRIES  1024   /* more than a reader table has slots */
#define ES_CHILD_AGAIN  120    /* exit status: this number is taken, too */

/* What the parent passes on. */
static const int  es_child_signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2
};

/* Set once, before there are threads. */
static bool  es_child_forked;

typedef enum {
    ES_CHILD,                  /* this is the child */
    ES_CHILD_FAILED,           /* there is none */
    ES_CHILD_ENDED             /* with ES_CHILD_AGAIN */
} es_child_t;


/* As the child has ended.  Nothing of stdio is written: the child had all of
   it. */

static void
es_child_end(int status)
{
    int       sig;
    sigset_t  set;

    if (WIFEXITED(status)) {
        _exit(WEXITSTATUS(status));
    }

    sig = WTERMSIG(status);

    if (getpid() != 1) {
        (void) signal(sig, SIG_DFL);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, sig);
        (void) sigprocmask(SIG_UNBLOCK, &set, NULL);
        (void) raise(sig);
    }

    _exit(128 + sig);
}


/* Orphans of a namespace are ended with the rest. */

static bool
es_child_reap(pid_t child, int *status)
{
    pid_t  pid;

    do {
        pid = waitpid(-1, status, WNOHANG);
    } while (pid > 0 && pid != child);

    return pid == child;
}


/* What a terminal sends, by the kernel, the child has got itself. */

static int
es_child_wait(pid_t child, const sigset_t *set)
{
    int        sig, status;
    siginfo_t  info;

    while (!es_child_reap(child, &status)) {
        sig = sigwaitinfo(set, &info);

        if (sig > 0 && sig != SIGCHLD && info.si_code != SI_KERNEL) {
            (void) kill(child, sig);
        }
    }

    return status;
}


static es_child_t
es_child_fork(void)
{
    int       status;
    pid_t     child, parent;
    size_t    i;
    sigset_t  set, old;

    (void) fflush(stdout);

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGCHLD);

    for (i = 0; i < sizeof(es_child_signals) / sizeof(int); i++) {
        (void) sigaddset(&set, es_child_signals[i]);
    }

    (void) signal(SIGCHLD, SIG_DFL);
    (void) sigprocmask(SIG_BLOCK, &set, &old);

    parent = getpid();
    child = fork();

    if (child == 0) {
        es_child_forked = true;

        /* It does not outlive a parent that is killed. */

        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);

        if (getppid() != parent) {
            _exit(128 + SIGTERM);
        }
    }

    if (child > 0) {
        status = es_child_wait(child, &set);

        if (!WIFEXITED(status) || WEXITSTATUS(status) != ES_CHILD_AGAIN) {
            es_child_end(status);
        }
    }

    (void) sigprocmask(SIG_SETMASK, &old, NULL);

    return child == 0 ? ES_CHILD : child > 0 ? ES_CHILD_ENDED
                                             : ES_CHILD_FAILED;
}


bool
es_child_is(void)
{
    return es_child_forked;
}


void
es_child_of_first(void)
{
    if (getpid() == 1) {
        (void) es_child_fork();
    }
}


/* Slots of a dead process would stay for as long as this one lives. */

static es_rc_t
es_child_try(const char *path, unsigned flags, es_store_t **store,
    es_problem_t *problem)
{
    es_rc_t  rc;

    rc = es_store_open(path, flags, store, problem);

    if (rc == ES_OK && es_store_shadows(*store)) {
        es_store_close(*store);
        *store = NULL;
        rc = es_problem_set(problem, ES_TAKEN, -1, NULL, "a dead process had "
                            "the number %ld of this one in the store \"%s\"",
                            (long) getpid(), path);
    }

    return rc;
}


es_rc_t
es_child_store_open(const char *path, unsigned flags, es_store_t **store,
    es_problem_t *problem)
{
    int         tries;
    es_rc_t     rc;
    es_child_t  is;

    rc = es_child_try(path, flags, store, problem);

    for (tries = 0; rc == ES_TAKEN && tries < ES_CHILD_TRIES; tries++) {
        is = es_child_fork();

        if (is == ES_CHILD_FAILED) {
            break;
        }

        if (is == ES_CHILD) {
            rc = es_child_try(path, flags, store, problem);

            if (rc == ES_TAKEN) {
                _exit(ES_CHILD_AGAIN);
            }

            return rc;
        }
    }

    /* Where there can be no other process, a dead one's slots must be borne. */

    return rc == ES_TAKEN ? es_store_open(path, flags, store, problem) : rc;
}
