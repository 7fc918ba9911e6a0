/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The command of "verify-poller --run": the poller, as a process group of its
 * own, whose output goes to standard error.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "poller.h"

#define RUN_KEY  "esk_verifypoller_anykeyisgoodhere"


/* Runs in the child, which has one thread. */

static void
ctl_run_child(const ctl_poller_t *p)
{
    sigset_t  none;

    (void) setpgid(0, 0);
    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);

    if (dup2(STDERR_FILENO, STDOUT_FILENO) != -1) {
        (void) execl("/bin/sh", "sh", "-c", p->run, (char *) NULL);
    }

    _exit(127);
}


int
ctl_poller_start(ctl_poller_t *p)
{
    pid_t  pid;

    (void) fflush(stdout);

    if (setenv("EVENTSYNC_URL", p->url, 1) != 0
        || setenv("EVENTSYNC_FEED", p->feed.name, 1) != 0
        || setenv("EVENTSYNC_KEY", RUN_KEY, 0) != 0)
    {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    pid = fork();

    if (pid == 0) {
        ctl_run_child(p);
    }

    if (pid == -1) {
        return ctl_fail(CTL_FAILED, "cannot run \"%s\": %s", p->run,
                        strerror(errno));
    }

    (void) setpgid(pid, pid);
    p->child = pid;

    return CTL_OK;
}


void
ctl_poller_stop(ctl_poller_t *p)
{
    if (p->child != 0) {
        (void) kill(-p->child, SIGKILL);

        while (waitpid(p->child, NULL, 0) == -1 && errno == EINTR) {
            /* void */
        }

        p->child = 0;
    }
}


bool
ctl_poller_ended(ctl_poller_t *p, char how[64])
{
    int  status;

    if (p->child == 0 || waitpid(p->child, &status, WNOHANG) != p->child) {
        return false;
    }

    /* what it has started must not go on asking */

    (void) kill(-p->child, SIGKILL);
    p->child = 0;

    if (WIFSIGNALED(status)) {
        (void) snprintf(how, 64, "the command was killed by signal %d",
                        WTERMSIG(status));
    } else {
        (void) snprintf(how, 64, "the command ended with status %d",
                        WEXITSTATUS(status));
    }

    return true;
}
