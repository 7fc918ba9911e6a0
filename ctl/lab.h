/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "lab": six steps to a receiver that survives everything.
 *
 * Each run of a step has a store, an endpoint and a key of its own, and a real
 * nginx and dispatcher on the loopback.  lab.c has the command and the progress
 * of the learner, lab_steps.c drives and judges, lab_judge.c compares what the
 * receiver has applied, and lab_parts.c has the processes.  Everything is done
 * by commands of eventsyncctl (lab_command.c), as an operator does it.
 */

#ifndef CTL_LAB_H
#define CTL_LAB_H

#include <sys/types.h>

#include "ctl.h"

#define LAB_STEPS     6U
#define LAB_PATH      1024
#define LAB_EVENTS    48
#define LAB_WRONG     3            /* beside CTL_OK and CTL_FAILED: the receiver
                                      does something wrong */

typedef struct {
    char         id[24];
    bool         due;              /* the receiver must apply it */
} ctl_lab_event_t;

typedef struct {
    ctl_t           *ctl;
    const char      *dir;          /* that the learner has named, absolute */
    char             run[LAB_PATH];        /* of this run of a step */
    char             exe[LAB_PATH];        /* eventsyncctl */
    const char      *nginx;
    const char      *module;       /* NULL: beside eventsyncctl, or installed */
    const char      *command;      /* the receiver; NULL: it is started by
                                      hand */
    uint16_t         port;         /* of the receiver */
    uint16_t         api_port;     /* of nginx */
    pid_t            nginx_pid;    /* 0: it does not run */
    pid_t            dispatcher_pid;
    pid_t            receiver_pid;
    char             epoch[16];    /* of the feed */
    char             key[128];
    char             endpoint[64];
    char             secret[128];
    bool             paused;       /* the endpoint is: webhooks wait */
    ctl_lab_event_t  events[LAB_EVENTS];
    unsigned         n;
    char             wrong[512];   /* a sentence */
    char             change[512];  /* what to change */
} ctl_lab_t;

typedef struct {
    const char  *name;
    const char  *about;
    int        (*run)(ctl_lab_t *lab);
} ctl_lab_step_t;

extern const ctl_lab_step_t  ctl_lab_steps[LAB_STEPS];

/* What each step after the first ends with: the receiver must still know, also
   after a restart, what it has applied, and verify signatures. */
int ctl_lab_still(ctl_lab_t *lab);

/* Says what is wrong and what to change; its value is LAB_WRONG. */
int ctl_lab_wrong(ctl_lab_t *lab, const char *change, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- lab_parts.c: all return CTL_OK, or CTL_FAILED with a message ---- */

/* Makes the store with its feed, partner, key and endpoint, and starts nginx
   and the dispatcher. */
int ctl_lab_begin(ctl_lab_t *lab);

/* Stops all processes. */
void ctl_lab_end(ctl_lab_t *lab);

/* Starts the receiver, or asks the learner to, and waits for its port.
   LAB_WRONG: it has ended. */
int ctl_lab_receiver_start(ctl_lab_t *lab);

/* Kills the receiver, or asks the learner to. */
int ctl_lab_receiver_stop(ctl_lab_t *lab);

/* Writes a file of the run with mode 0600. */
int ctl_lab_write(ctl_lab_t *lab, const char *name, const char *text);

/* Waits a moment.  CTL_FAILED with a message: the learner has interrupted the
   lab. */
int ctl_lab_pause(unsigned ms);

/* Interrupts by SIGINT and SIGTERM from now on. */
void ctl_lab_signals(void);

/* ---- lab_command.c ---- */

/* Arguments of a command; the first NULL ends them. */
#define LAB_ARGS(...)  ((const char *const []) { __VA_ARGS__, NULL })

/* Runs eventsyncctl on the store with these arguments.  `out` receives its
   output, NUL-terminated, and *status the exit status; NULL: it must be 0. */
int ctl_lab_ctl(ctl_lab_t *lab, const char *input, es_buf_t *out, int *status,
    const char *const *args);

/* Runs "eventsyncctl endpoint ACTION", with an option or NULL, and waits until
   the dispatcher knows of it. */
int ctl_lab_change(ctl_lab_t *lab, const char *action, const char *option,
    es_buf_t *out);

/* ---- lab_judge.c ---- */

/* Publishes so many events.  Those that are not `due` must not come. */
int ctl_lab_publish(ctl_lab_t *lab, unsigned n, bool due);

/* Waits until the dispatcher has no event left to send. */
int ctl_lab_settle(ctl_lab_t *lab);

/* Waits until the receiver has applied all events that are due, or has had time
   for it, and compares.  `missing` says which event one is that it lacks. */
int ctl_lab_applied(ctl_lab_t *lab, const char *missing, const char *change);

/* How many attempts are recorded of the event with this number; 0: of all. */
int ctl_lab_attempts(ctl_lab_t *lab, unsigned number, unsigned *n);

/* Waits until there are more of them than `before`. */
int ctl_lab_attempted(ctl_lab_t *lab, unsigned number, unsigned before);

/* LAB_WRONG if an attempt after the first `from` got another answer than 2xx,
   or none, unless its failure was simulated. */
int ctl_lab_answers(ctl_lab_t *lab, unsigned from, const char *change);

/* The status of the last attempt's answer; 0: it got none;
   -1: no attempt is recorded. */
int ctl_lab_last_answer(ctl_lab_t *lab, int *status);

/* True if nginx has refused the last poll, for another reason than a cursor that
   is too old. */
bool ctl_lab_poll_refused(const ctl_lab_t *lab);

/* Says that the receiver does not listen; its value is LAB_WRONG. */
int ctl_lab_silent(ctl_lab_t *lab);

/* Runs verify-integration with the secret; `report` is its result. */
int ctl_lab_verify(ctl_lab_t *lab, const char *secret, json_t **report);

#endif /* CTL_LAB_H */
