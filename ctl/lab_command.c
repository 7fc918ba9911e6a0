/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The commands of eventsyncctl by which the lab works on its store.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab.h"

#define COMMAND_ARGS       24
#define COMMAND_TICK_MS    50
#define COMMAND_CHANGE_US  INT64_C(5000000)


static void
ctl_lab_drain(FILE *file, es_buf_t *out)
{
    char    piece[4096];
    size_t  n;

    rewind(file);

    while ((n = fread(piece, 1, sizeof(piece), file)) > 0) {
        if (es_buf_append(out, piece, n) != ES_OK) {
            break;
        }
    }

    if (es_buf_append(out, "", 1) == ES_OK) {
        out->len--;
    }
}


/* Runs the program and waits.  Temporary files cannot be full, as pipes can. */

static int
ctl_lab_run(char **argv, FILE *files[3])
{
    int    status;
    pid_t  pid;

    (void) fflush(stdout);
    pid = fork();

    if (pid == 0) {
        if (dup2(fileno(files[0]), STDIN_FILENO) != -1
            && dup2(fileno(files[1]), STDOUT_FILENO) != -1
            && dup2(fileno(files[2]), STDERR_FILENO) != -1)
        {
            (void) execv(argv[0], argv);
        }

        _exit(127);
    }

    if (pid == -1) {
        return -1;
    }

    while (waitpid(pid, &status, 0) == -1) {
        if (errno != EINTR) {
            return -1;
        }
    }

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}


/* The output goes to `out`; what the command complains of becomes the message,
   unless any status is good. */

static int
ctl_lab_collect(char **argv, const char *input, es_buf_t *out, int *status)
{
    int       rc, i;
    FILE     *files[3];
    es_buf_t  error = { 0 };

    for (i = 0; i < 3; i++) {
        files[i] = tmpfile();

        if (files[i] == NULL) {
            while (i-- > 0) {
                (void) fclose(files[i]);
            }

            return ctl_fail(CTL_FAILED, "cannot make a temporary file: %s",
                            strerror(errno));
        }
    }

    (void) fputs(input != NULL ? input : "", files[0]);
    (void) fflush(files[0]);
    rewind(files[0]);

    rc = ctl_lab_run(argv, files);
    ctl_lab_drain(files[1], out);
    ctl_lab_drain(files[2], &error);

    for (i = 0; i < 3; i++) {
        (void) fclose(files[i]);
    }

    if (status != NULL) {
        *status = rc;
        rc = 0;

    } else if (rc != 0) {
        (void) ctl_fail(CTL_FAILED, "\"eventsyncctl %s\" fails: %.300s",
                        argv[2],
                        error.data != NULL ? ctl_printable(error.data) : "");
    }

    es_buf_free(&error);

    return rc == 0 ? CTL_OK : CTL_FAILED;
}


int
ctl_lab_ctl(ctl_lab_t *lab, const char *input, es_buf_t *out, int *status,
    const char *const *args)
{
    int       rc;
    char     *argv[COMMAND_ARGS], store[LAB_PATH + 32];
    size_t    n;
    es_buf_t  unwanted = { 0 };

    (void) snprintf(store, sizeof(store), "--store=%s/store", lab->run);

    argv[0] = lab->exe;
    argv[1] = store;

    for (n = 2; n < COMMAND_ARGS - 1 && *args != NULL; n++) {
        argv[n] = (char *) (uintptr_t) *args++;
    }

    argv[n] = NULL;

    if (out != NULL) {
        out->len = 0;
    }

    rc = ctl_lab_collect(argv, input, out != NULL ? out : &unwanted, status);
    es_buf_free(&unwanted);

    return rc;
}


/* How often the dispatcher has said that the endpoint changed. */

static unsigned
ctl_lab_changes(const ctl_lab_t *lab)
{
    char         path[LAB_PATH + 32];
    FILE        *log;
    unsigned     n;
    es_buf_t     text = { 0 };
    const char  *at;

    (void) snprintf(path, sizeof(path), "%s/dispatcher.log", lab->run);
    log = fopen(path, "re");
    n = 0;

    if (log != NULL) {
        ctl_lab_drain(log, &text);
        (void) fclose(log);
    }

    for (at = text.data; at != NULL; n++) {
        at = strstr(at, ": its record changed");

        if (at == NULL) {
            break;
        }

        at++;
    }

    es_buf_free(&text);

    return n;
}


int
ctl_lab_change(ctl_lab_t *lab, const char *action, const char *option,
    es_buf_t *out)
{
    int       rc;
    int64_t   until_us;
    unsigned  before;

    before = ctl_lab_changes(lab);
    rc = ctl_lab_ctl(lab, NULL, out, NULL,
        LAB_ARGS("endpoint", action, lab->endpoint, "--json", option));
    until_us = es_clock_mono_us() + COMMAND_CHANGE_US;

    while (rc == CTL_OK && ctl_lab_changes(lab) == before
           && es_clock_mono_us() < until_us)
    {
        rc = ctl_lab_pause(COMMAND_TICK_MS);
    }

    return rc;
}
