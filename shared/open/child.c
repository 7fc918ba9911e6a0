/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Continues a program in a child process.
 *
 * A process cannot change its id.  When LMDB cannot tell this process from
 * another one with the same id, the program needs a new process.  The parent
 * then only passes signals on and returns the child's status.
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
#define ES_CHILD_AGAIN  120    /* exit status: this process id is taken, too */

/* Signals that the parent passes on to the child. */
static const int  es_child_signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2
};

/* Set once, before there are threads. */
static bool  es_child_forked;

typedef enum {
    ES_CHILD,                  /* this process is the child */
    ES_CHILD_FAILED,           /* fork() failed */
    ES_CHILD_ENDED             /* the child exited with ES_CHILD_AGAIN */
} es_child_t;


/* Ends as the child has ended.  The child has inherited stdio's buffers, so
   the parent must not write them. */

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


/* As process 1 of a namespace, the parent must also reap orphans. */

static bool
es_child_reap(pid_t child, int *status)
{
    pid_t  pid;

    do {
        pid = waitpid(-1, status, WNOHANG);
    } while (pid > 0 && pid != child);

    return pid == child;
}


/* The terminal sends its signals, with SI_KERNEL, to the child as well. */

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

        /* The child ends when its parent is killed. */

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


/* Slots of a dead process stay in the reader table while a process with the
   same id lives, so such a store is closed again. */

static es_rc_t
es_child_try(const char *path, unsigned flags, es_store_t **store,
    es_problem_t *problem)
{
    es_rc_t  rc;

    rc = es_store_open(path, flags, store, problem);

    if (rc == ES_OK && es_store_shadows(*store)) {
        es_store_close(*store);
        *store = NULL;
        rc = es_problem_set(problem, ES_TAKEN, -1, NULL, "a dead process with "
                            "the same process id, %ld, has slots in the "
                            "store \"%s\"", (long) getpid(), path);
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

    /* Without a child, the dead process's slots have to stay. */

    return rc == ES_TAKEN ? es_store_open(path, flags, store, problem) : rc;
}
