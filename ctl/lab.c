/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "lab": runs the next step that the learner has not passed, says what is
 * wrong, and goes on when it is right.
 *
 * The directory has lab.json, which says what was passed, and "run" with the
 * throw-away parts of the last run of a step.
 */

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

#define LAB_PORT      "18790"
#define LAB_API_PORT  "18791"
#define LAB_FILE      "lab.json"

typedef struct {
    const char  *port;
    const char  *api_port;
    const char  *status;
    const char  *reset;
} ctl_lab_options_t;


static int
ctl_lab_unlink(const char *path, const struct stat *st, int type,
    struct FTW *at)
{
    (void) st;
    (void) type;
    (void) at;

    return remove(path);
}


/* Removes the parts of the last run. */

static int
ctl_lab_clean(const ctl_lab_t *lab)
{
    if (access(lab->run, F_OK) == 0
        && nftw(lab->run, ctl_lab_unlink, 16, FTW_DEPTH | FTW_PHYS) != 0)
    {
        return ctl_fail(CTL_FAILED, "cannot remove \"%s\": %s", lab->run,
                        strerror(errno));
    }

    return CTL_OK;
}


/* The file in which the lab is, or NULL: the directory has none. */

static json_t *
ctl_lab_read(const ctl_lab_t *lab)
{
    char  path[LAB_PATH + 32];

    (void) snprintf(path, sizeof(path), "%s/" LAB_FILE, lab->dir);

    return json_load_file(path, 0, NULL);
}


static int
ctl_lab_store(const ctl_lab_t *lab, const json_t *state)
{
    char  path[LAB_PATH + 32];

    (void) snprintf(path, sizeof(path), "%s/" LAB_FILE, lab->dir);

    return json_dump_file(state, path, JSON_COMPACT) == 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write \"%s\"", path);
}


static bool
ctl_lab_passed(const json_t *state, const char *step)
{
    size_t   i;
    json_t  *name;

    json_array_foreach(json_object_get(state, "passed"), i, name) {
        if (strcmp(json_string_value(name), step) == 0) {
            return true;
        }
    }

    return false;
}


/* Opens a directory that a lab has made, or else makes it. */

static int
ctl_lab_open(ctl_lab_t *lab, const char *name, bool make, json_t **state)
{
    bool         made;
    char        *path;
    const char  *p;

    made = make && mkdir(name, 0700) == 0;
    path = realpath(name, NULL);

    if (path == NULL) {
        return ctl_fail(CTL_FAILED, "cannot open the directory \"%s\": %s",
                        name, strerror(errno));
    }

    lab->dir = path;
    (void) snprintf(lab->run, sizeof(lab->run), "%s/run", path);

    for (p = path; *p != '\0'; p++) {
        if (strchr("'\"\\$;{}", *p) != NULL || (unsigned char) *p < ' ') {
            return ctl_fail(CTL_USAGE, "the directory \"%s\" has a character "
                            "that nginx or the shell would interpret", path);
        }
    }

    if (strlen(path) > LAB_PATH / 2) {
        return ctl_fail(CTL_USAGE, "the path of the directory is too long");
    }

    *state = ctl_lab_read(lab);

    if (*state == NULL && !make) {
        return ctl_fail(CTL_FAILED, "\"%s\" is not of a lab", name);
    }

    if (*state == NULL && !made && rmdir(path) != 0) {
        return ctl_fail(CTL_USAGE, "\"%s\" is neither empty nor of a lab",
                        name);
    }

    if (*state == NULL) {
        (void) mkdir(path, 0700);
        *state = json_pack("{s:[]}", "passed");
        return ctl_lab_store(lab, *state);
    }

    return CTL_OK;
}


/* ---- a step ---- */

static int
ctl_lab_drive(ctl_lab_t *lab, const ctl_lab_step_t *step)
{
    int  rc;

    lab->n = 0;
    lab->paused = false;

    rc = ctl_lab_clean(lab);

    if (rc == CTL_OK && mkdir(lab->run, 0700) != 0) {
        rc = ctl_fail(CTL_FAILED, "cannot make \"%s\": %s", lab->run,
                      strerror(errno));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_begin(lab);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_receiver_start(lab);
    }

    if (rc == CTL_OK) {
        rc = step->run(lab);
    }

    if (rc == CTL_OK && step != &ctl_lab_steps[0]) {
        rc = ctl_lab_still(lab);
    }

    ctl_lab_end(lab);

    return rc;
}


/* Runs one step and stores that it was passed. */

static int
ctl_lab_step(ctl_lab_t *lab, json_t *state, unsigned n)
{
    int                    rc;
    const ctl_lab_step_t  *step = &ctl_lab_steps[n];

    if (!lab->ctl->json) {
        (void) printf("step %u of %u, %s: %s\n", n + 1, LAB_STEPS, step->name,
                      step->about);
        (void) fflush(stdout);
    }

    rc = ctl_lab_drive(lab, step);

    if (rc == LAB_WRONG) {
        if (!lab->ctl->json) {
            (void) printf("wrong: %s. Change: %s%s\n", lab->wrong, lab->change,
                          lab->change[strlen(lab->change) - 1] == '.' ? ""
                                                                      : ".");
            (void) fflush(stdout);
        }

        ctl_result(lab->ctl, json_pack("{s:s, s:b, s:s, s:s, s:O}", "step",
                   step->name, "pass", 0, "wrong", lab->wrong, "change",
                   lab->change, "passed", json_object_get(state, "passed")));

        return ctl_fail(CTL_FAILED, "the step \"%s\" is not passed",
                        step->name);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (!ctl_lab_passed(state, step->name)) {
        (void) json_array_append_new(json_object_get(state, "passed"),
                                     json_string(step->name));
    }

    if (!lab->ctl->json) {
        (void) printf("passed\n");
    }

    ctl_result(lab->ctl, json_pack("{s:s, s:b, s:O}", "step", step->name,
               "pass", 1, "passed", json_object_get(state, "passed")));

    rc = ctl_lab_store(lab, state);

    return rc == CTL_OK ? ctl_lab_clean(lab) : rc;
}


/* Goes on from the first step that was not passed. */

static int
ctl_lab_go_on(ctl_lab_t *lab, json_t *state)
{
    int       rc;
    unsigned  i;

    rc = CTL_OK;

    for (i = 0; rc == CTL_OK && i < LAB_STEPS; i++) {
        if (!ctl_lab_passed(state, ctl_lab_steps[i].name)) {
            rc = ctl_lab_step(lab, state, i);
        }
    }

    if (rc == CTL_OK && !lab->ctl->json) {
        (void) printf("all %u steps are passed\n", LAB_STEPS);
    }

    return rc;
}


static int
ctl_lab_status(ctl_lab_t *lab, const json_t *state)
{
    unsigned  i;

    for (i = 0; !lab->ctl->json && i < LAB_STEPS; i++) {
        (void) printf("%-7s %-10s %s\n",
                      ctl_lab_passed(state, ctl_lab_steps[i].name) ? "passed"
                                                                   : "-",
                      ctl_lab_steps[i].name, ctl_lab_steps[i].about);
    }

    ctl_result(lab->ctl, json_deep_copy(state));

    return CTL_OK;
}


static int
ctl_lab_reset(ctl_lab_t *lab)
{
    int   rc;
    char  path[LAB_PATH + 32];

    rc = ctl_lab_clean(lab);
    (void) snprintf(path, sizeof(path), "%s/" LAB_FILE, lab->dir);

    if (rc == CTL_OK && unlink(path) != 0) {
        rc = ctl_fail(CTL_FAILED, "cannot remove \"%s\": %s", path,
                      strerror(errno));
    }

    /* files of the learner may be there */

    (void) rmdir(lab->dir);

    return rc;
}


static int
ctl_lab_do(ctl_lab_t *lab, const ctl_lab_options_t *o, const char *name,
    json_t *state)
{
    char      number[12];
    unsigned  i;

    if (o->reset != NULL) {
        return ctl_lab_reset(lab);
    }

    if (o->status != NULL) {
        return ctl_lab_status(lab, state);
    }

    ctl_lab_signals();

    if (name == NULL) {
        return ctl_lab_go_on(lab, state);
    }

    for (i = 0; i < LAB_STEPS; i++) {
        (void) snprintf(number, sizeof(number), "%u", i + 1);

        if (strcmp(name, ctl_lab_steps[i].name) == 0
            || strcmp(name, number) == 0)
        {
            return ctl_lab_step(lab, state, i);
        }
    }

    return ctl_fail(CTL_USAGE, "there is no step \"%s\": they are 1 signature, "
                    "2 duplicates, 3 reordering, 4 gap, 5 rotate and 6 outage",
                    name);
}


/* The commands that the lab runs are those of the same file. */

static int
ctl_lab_self(ctl_lab_t *lab)
{
    ssize_t  n;

    n = readlink("/proc/self/exe", lab->exe, sizeof(lab->exe) - 1);

    if (n <= 0) {
        return ctl_fail(CTL_FAILED, "cannot read /proc/self/exe: %s",
                        strerror(errno));
    }

    lab->exe[n] = '\0';

    /* the lab's store has no key file */

    (void) unsetenv("EVENTSYNC_KEY_FILE");

    return CTL_OK;
}


int
ctl_lab(ctl_t *ctl, int argc, char **argv)
{
    int                 rc;
    json_t             *state = NULL;
    uint64_t            port, api_port;
    ctl_lab_t           lab = { .ctl = ctl };
    ctl_lab_options_t   o = { .port = LAB_PORT, .api_port = LAB_API_PORT };

    const ctl_option_t  options[] = {
        { "run", &lab.command },
        { "port", &o.port },
        { "api-port", &o.api_port },
        { "nginx", &lab.nginx },
        { "module", &lab.module },
        { "status", &o.status },
        { "reset", &o.reset },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK) {
        rc = ctl_number("port", o.port, 1, 65535, &port);
    }

    if (rc == CTL_OK) {
        rc = ctl_number("api-port", o.api_port, 1, 65535, &api_port);
    }

    if (rc == CTL_OK) {
        lab.port = (uint16_t) port;
        lab.api_port = (uint16_t) api_port;
        rc = ctl_lab_self(&lab);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_open(&lab, argv[0], !o.status && !o.reset, &state);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_do(&lab, &o, argc > 1 ? argv[1] : NULL, state);
    }

    json_decref(state);
    free((char *) (uintptr_t) lab.dir);

    return rc;
}
