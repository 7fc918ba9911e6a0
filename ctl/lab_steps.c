/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The six steps of the lab.  Each sends events, lets something go wrong, and
 * judges what the receiver has done.
 */

#include <stdio.h>

#include "lab.h"

#define STEPS_HOOK    "write the program so that it takes POST /hook, " \
                      "appends a line with the id of the event to the file " \
                      "applied in LAB_DIR, and answers 204"
#define STEPS_FAULT   "let the program catch its errors, and answer 204 to " \
                      "what it has taken"
#define STEPS_KNOWN   "answer 204 to an event that you have already, and not " \
                      "an error"
#define STEPS_DISK    "keep on disk what you have applied, not in memory " \
                      "alone, and compare each event with it"


static int
ctl_lab_simulate(ctl_lab_t *lab, const char *failure)
{
    char  option[64];

    (void) snprintf(option, sizeof(option), "--failure=%s", failure);

    return ctl_lab_change(lab, "simulate", option, NULL);
}


/* The first hint of verify-integration, or NULL. */

static const char *
ctl_lab_hint(const json_t *report)
{
    return json_string_value(json_object_get(
        json_array_get(json_object_get(report, "hints"), 0), "hint"));
}


/* Why the receiver refuses a webhook, as verify-integration finds it. */

static int
ctl_lab_refused(ctl_lab_t *lab, int status)
{
    int          rc;
    json_t      *report, *valid;
    const char  *hint;

    rc = ctl_lab_verify(lab, lab->secret, &report);
    if (rc != CTL_OK) {
        return rc;
    }

    valid = json_array_get(json_object_get(report, "checks"), 0);
    hint = json_is_true(json_object_get(valid, "pass")) ? NULL
                                                        : ctl_lab_hint(report);

    rc = ctl_lab_wrong(lab, hint != NULL ? hint : STEPS_HOOK, "The receiver "
                       "has answered %d to a webhook that your secret signed",
                       status);
    json_decref(report);

    return rc;
}


/* One event that nothing happens to. */

static int
ctl_lab_usual(ctl_lab_t *lab)
{
    int  rc, seen, status;

    rc = ctl_lab_publish(lab, 1, true);

    if (rc == CTL_OK) {
        rc = ctl_lab_applied(lab, "a usual webhook", STEPS_HOOK);
    }

    if (rc != LAB_WRONG || ctl_lab_poll_refused(lab)) {
        return rc;
    }

    seen = ctl_lab_last_answer(lab, &status);

    if (seen != CTL_OK) {
        return seen;
    }

    if (status == 0) {
        return ctl_lab_wrong(lab, STEPS_FAULT, "The receiver gave no answer "
                             "to a usual webhook; it probably crashed or "
                             "hangs: see its output");
    }

    return status >= 400 ? ctl_lab_refused(lab, status) : rc;
}


/* ---- 1 ---- */

/* The first check that fails. */

static int
ctl_lab_unverified(ctl_lab_t *lab, const json_t *report)
{
    size_t       i;
    json_t      *check;
    const char  *hint, *name, *came;

    json_array_foreach(json_object_get(report, "checks"), i, check) {
        if (json_is_true(json_object_get(check, "pass"))) {
            continue;
        }

        hint = ctl_lab_hint(report);

        name = json_string_value(json_object_get(check, "check"));
        came = json_string_value(json_object_get(check, "came"));

        if (strncmp(came, "no answer", 9) == 0) {
            return ctl_lab_wrong(lab, STEPS_FAULT, "The receiver gave no "
                "answer to the request \"%s\" of verify-integration; it "
                "%s: see its output", name,
                strncmp(came, "no answer:", 10) == 0 ? "probably crashed"
                                                     : "probably hangs");
        }

        return ctl_lab_wrong(lab, hint != NULL ? hint : "see docs/receivers.md",
            "The receiver has answered %s to the request \"%s\" of "
            "verify-integration, which expects %s", came, name,
            json_string_value(json_object_get(check, "expected")));
    }

    return CTL_OK;
}


static int
ctl_lab_verifies(ctl_lab_t *lab)
{
    int      rc;
    json_t  *report;

    rc = ctl_lab_verify(lab, lab->secret, &report);

    if (rc == CTL_OK) {
        rc = ctl_lab_unverified(lab, report);
        json_decref(report);
    }

    return rc;
}


static int
ctl_lab_signature(ctl_lab_t *lab)
{
    int  rc;

    rc = ctl_lab_usual(lab);

    return rc == CTL_OK ? ctl_lab_verifies(lab) : rc;
}


/* ---- after each step ---- */

/* Sends an event again that was published, and waits for the attempt. */

static int
ctl_lab_resend(ctl_lab_t *lab, unsigned number)
{
    int       rc;
    char      cursor[48];
    unsigned  before = 0;

    (void) snprintf(cursor, sizeof(cursor), "%s-%u", lab->epoch, number);
    rc = ctl_lab_attempts(lab, number, &before);

    if (rc == CTL_OK) {
        rc = ctl_lab_ctl(lab, NULL, NULL, NULL,
            LAB_ARGS("endpoint", "resend", lab->endpoint, "lab", cursor));
    }

    return rc == CTL_OK ? ctl_lab_attempted(lab, number, before) : rc;
}


/* Sends the last event again if the endpoint gave it up. */

static int
ctl_lab_redrive(ctl_lab_t *lab)
{
    int       rc;
    bool      dead;
    unsigned  before = 0;
    es_buf_t  out = { 0 };

    rc = ctl_lab_settle(lab);

    if (rc == CTL_OK) {
        rc = ctl_lab_attempts(lab, lab->n, &before);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_ctl(lab, NULL, &out, NULL,
            LAB_ARGS("endpoint", "dead", lab->endpoint, "--json"));
    }

    dead = rc == CTL_OK && out.len > 0;
    es_buf_free(&out);

    if (dead) {
        rc = ctl_lab_ctl(lab, NULL, NULL, NULL,
            LAB_ARGS("endpoint", "redrive", lab->endpoint));
    }

    return rc == CTL_OK && dead ? ctl_lab_attempted(lab, lab->n, before) : rc;
}


/* A learner who starts the receiver by hand is not asked to each time. */

static int
ctl_lab_restart(ctl_lab_t *lab)
{
    int  rc;

    if (lab->command == NULL) {
        return CTL_OK;
    }

    rc = ctl_lab_receiver_stop(lab);

    return rc == CTL_OK ? ctl_lab_receiver_start(lab) : rc;
}


/* The last two events come again, of which one is not the last applied. */

static int
ctl_lab_keeps(ctl_lab_t *lab)
{
    int       rc;
    unsigned  before = 0;

    rc = ctl_lab_simulate(lab, "none");

    if (rc == CTL_OK) {
        rc = ctl_lab_restart(lab);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_attempts(lab, 0, &before);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_resend(lab, lab->n);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_resend(lab, lab->n - 1);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_applied(lab, "after a restart", STEPS_DISK);
    }

    return rc == CTL_OK ? ctl_lab_answers(lab, before, STEPS_KNOWN) : rc;
}


int
ctl_lab_still(ctl_lab_t *lab)
{
    int  rc;

    rc = ctl_lab_keeps(lab);

    return rc == CTL_OK ? ctl_lab_verifies(lab) : rc;
}


/* ---- 2 ---- */

/* Two answers are lost on their way, and three events are sent twice. */

static int
ctl_lab_duplicates(ctl_lab_t *lab)
{
    int  rc;

    rc = ctl_lab_simulate(lab, "reset");

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 2, true);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_simulate(lab, "duplicate");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 3, true);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_applied(lab, "which came by webhook", STEPS_HOOK);
    }

    return rc == CTL_OK ? ctl_lab_answers(lab, 0, STEPS_KNOWN) : rc;
}


/* ---- 3 ---- */

/* An event comes too early, the receiver restarts, and then the event comes
   that precedes it.  The early one comes again only if it was refused. */

static int
ctl_lab_early(ctl_lab_t *lab)
{
    int  rc;

    rc = ctl_lab_simulate(lab, "drop");

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 1, true);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_settle(lab);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_simulate(lab, "none");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 1, true);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_attempted(lab, lab->n, 0);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_restart(lab);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_resend(lab, lab->n - 1);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_redrive(lab);
    }

    return rc == CTL_OK
           ? ctl_lab_applied(lab, "which came too early, before a restart",
                             "answer 204 only to an event that you have "
                             "applied or have on disk, and else 503")
           : rc;
}


static int
ctl_lab_reordering(ctl_lab_t *lab)
{
    int  rc;

    rc = ctl_lab_usual(lab);

    if (rc == CTL_OK) {
        rc = ctl_lab_simulate(lab, "reorder");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 4, true);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_applied(lab, "which came before the event that precedes "
                             "it", "answer 503 to an event that you cannot "
                             "apply yet: it comes again");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_keeps(lab);
    }

    return rc == CTL_OK ? ctl_lab_early(lab) : rc;
}


/* ---- 4 ---- */

static int
ctl_lab_gap(ctl_lab_t *lab)
{
    int  rc;

    rc = ctl_lab_usual(lab);

    if (rc == CTL_OK) {
        rc = ctl_lab_simulate(lab, "drop");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 3, true);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_settle(lab);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_simulate(lab, "none");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 1, true);
    }

    return rc == CTL_OK
           ? ctl_lab_applied(lab, "which no webhook brings", "poll after the "
                             "cursor that you hold when an event has another "
                             "prevcursor, and apply the events of the page")
           : rc;
}


/* ---- 5 ---- */

static int
ctl_lab_old_secret(ctl_lab_t *lab, const char *secret)
{
    int      rc;
    json_t  *report, *valid;

    rc = ctl_lab_verify(lab, secret, &report);
    if (rc != CTL_OK) {
        return rc;
    }

    valid = json_array_get(json_object_get(report, "checks"), 0);

    if (json_is_true(json_object_get(valid, "pass"))) {
        rc = ctl_lab_wrong(lab, "read the secrets again for each webhook, or "
                           "when the file changes, and keep no secret that is "
                           "no longer in it",
                           "The receiver takes a webhook that is signed with "
                           "the old secret, which is no longer in the file");
    }

    json_decref(report);

    return rc;
}


/* The file has two secrets, of which the new one signs. */

static int
ctl_lab_one_of(ctl_lab_t *lab, const char *first, const char *second,
    const char *missing)
{
    int   rc;
    char  both[2 * sizeof(lab->secret) + 2];

    (void) snprintf(both, sizeof(both), "%s\n%s\n", first, second);

    rc = ctl_lab_write(lab, "secrets", both);

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 1, true);
    }

    return rc == CTL_OK
           ? ctl_lab_applied(lab, missing, "try each secret of the file "
                             "secrets in LAB_DIR, and read the file again for "
                             "each webhook")
           : rc;
}


/* Both secrets sign, then only the new one does. */

static int
ctl_lab_change_over(ctl_lab_t *lab, const char *next)
{
    int   rc;
    char  option[LAB_PATH + 32];

    (void) snprintf(option, sizeof(option), "--secret=@%s/next", lab->run);

    rc = ctl_lab_write(lab, "next", next);

    if (rc == CTL_OK) {
        rc = ctl_lab_change(lab, "change", option, NULL);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_one_of(lab, lab->secret, next, "which is signed with the "
                            "second secret of the file");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_one_of(lab, next, lab->secret, "which is signed with the "
                            "first secret of the file");
    }

    return rc == CTL_OK ? ctl_lab_write(lab, "secrets", next) : rc;
}


static int
ctl_lab_rotate(ctl_lab_t *lab)
{
    int          rc;
    char         next[sizeof(lab->secret)];
    json_t      *answer;
    es_buf_t     out = { 0 };
    const char  *secret;

    rc = ctl_lab_usual(lab);

    if (rc == CTL_OK) {
        rc = ctl_lab_change(lab, "rotate", "--overlap=1h", &out);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    answer = json_loads(out.data, 0, NULL);
    secret = json_string_value(json_object_get(answer, "secret"));
    (void) snprintf(next, sizeof(next), "%s", secret != NULL ? secret : "");
    json_decref(answer);
    es_buf_free(&out);

    rc = ctl_lab_publish(lab, 1, true);

    if (rc == CTL_OK) {
        rc = ctl_lab_applied(lab, "which has two signatures", "split "
                             "webhook-signature at blanks, and take the "
                             "webhook if any of its signatures is right");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_change_over(lab, next);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_old_secret(lab, lab->secret);
        memcpy(lab->secret, next, sizeof(next));
    }

    return rc;
}


/* ---- 6 ---- */

/* Events are published while the receiver is down; `lost` of them are deleted
   before it comes back. */

static int
ctl_lab_down(ctl_lab_t *lab, unsigned n, unsigned lost, const char *missing,
    const char *change)
{
    int   rc;
    char  option[64];

    rc = ctl_lab_receiver_stop(lab);

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, lost, false);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, n - lost, true);
    }

    if (rc == CTL_OK && lost > 0) {
        (void) snprintf(option, sizeof(option), "--before=%s-%u", lab->epoch,
                        lab->n - (n - lost) + 1);
        rc = ctl_lab_ctl(lab, NULL, NULL, NULL,
            LAB_ARGS("feed", "trim", "lab", option));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_receiver_start(lab);
    }

    return rc == CTL_OK ? ctl_lab_applied(lab, missing, change) : rc;
}


static int
ctl_lab_outage(ctl_lab_t *lab)
{
    int  rc;

    rc = ctl_lab_usual(lab);

    /* only a poll brings what was published meanwhile */

    if (rc == CTL_OK) {
        rc = ctl_lab_change(lab, "pause", NULL, NULL);
        lab->paused = true;
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_down(lab, 4, 0, "which was published while the receiver "
                          "was down", "store the cursor that you hold, and "
                          "poll after it at the start");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_down(lab, 6, 3, "though the feed still has it: the poll "
                          "after the old cursor is answered with 410", "after "
                          "410 hold the member oldest of the answer, and poll "
                          "on");
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_change(lab, "resume", NULL, NULL);
        lab->paused = false;
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_publish(lab, 1, true);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_applied(lab, "a webhook after the outage", STEPS_FAULT);
    }

    /* a later step must not undo an earlier one */

    if (rc == CTL_OK) {
        rc = ctl_lab_reordering(lab);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_gap(lab);
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_verifies(lab);
    }

    return rc == CTL_OK ? ctl_lab_rotate(lab) : rc;
}


const ctl_lab_step_t  ctl_lab_steps[LAB_STEPS] = {
    { "signature", "verify a signature", ctl_lab_signature },
    { "duplicates", "survive retries and duplicates", ctl_lab_duplicates },
    { "reordering", "handle reordering", ctl_lab_reordering },
    { "gap", "heal a gap by polling", ctl_lab_gap },
    { "rotate", "rotate a secret", ctl_lab_rotate },
    { "outage", "recover from an outage", ctl_lab_outage }
};
