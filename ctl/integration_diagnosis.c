/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the hints of "verify-integration".
 *
 * One answer says what the table of hints says of it (delivery/hint.h).  The
 * checks together say more, because each differs from "valid" in one thing.
 * When "valid" itself is refused, some requests with a usual mistake show
 * whether the receiver makes that mistake.
 */

#include <stdio.h>

#include "integration.h"

#define INTEGRATION_BODY  (64 * 1024)      /* searched for words */


/* Requests that only a receiver with this mistake takes. */

static const ctl_check_t  ctl_probes[] = {
    { "probe", CTL_SIGNED_TEXT, CTL_BODY_EVENT, 2, "secret-not-decoded" },
    { "probe", CTL_SIGNED_ENCODED, CTL_BODY_EVENT, 2, "secret-not-decoded" },
    { "probe", CTL_SIGNED, CTL_BODY_SPACED, 2, "rewrites-json" },
    { "probe", CTL_SIGNED, CTL_BODY_SORTED, 2, "rewrites-json" },
    { "probe", CTL_SIGNED, CTL_BODY_SLASHES, 2, "rewrites-json" },
    { NULL, CTL_SIGNED, CTL_BODY_EVENT, 0, NULL }
};


static es_rc_t
ctl_integration_probe(ctl_integration_t *in, const es_hint_t **hint)
{
    es_rc_t             rc;
    ctl_answer_t        answer;
    ctl_trial_t         trial;
    const ctl_check_t  *probe;

    answer = in->answer;
    rc = ES_OK;

    for (probe = ctl_probes; rc == ES_OK && probe->name != NULL; probe++) {
        memset(&trial, 0, sizeof(trial));

        rc = ctl_integration_compose(in, probe, &trial);

        if (rc == ES_OK) {
            ctl_integration_send(in, &trial);
        }

        ctl_integration_release(&trial);

        if (rc == ES_INVALID) {
            rc = ES_OK;
            continue;
        }

        if (rc == ES_OK && trial.status / 100 == 2) {
            *hint = es_hint_named(es_str(probe->cause));
            break;
        }
    }

    in->answer = answer;

    return rc;
}


static const es_hint_t *
ctl_integration_hint(const ctl_integration_t *in, const ctl_trial_t *trial)
{
    es_hint_answer_t  answer = {
        .status = (int32_t) trial->status, .class = trial->class,
        .url = es_str(in->url), .type = es_str(in->answer.type),
        .credential = es_str(in->answer.credential),
        .location = es_str(in->answer.location)
    };

    answer.body = es_str(trial->error);

    if (trial->status != 0) {
        answer.body.data = in->http.body.data;
        answer.body.len = in->http.body.len < INTEGRATION_BODY
                          ? in->http.body.len : INTEGRATION_BODY;
    }

    return es_hint(&answer);
}


/* True for an answer that says nothing of its cause. */

static bool
ctl_integration_vague(const es_hint_t *hint)
{
    size_t  i;

    static const char *const  vague[] = {
        "refused", "failed", "unprocessable", "access", "credential"
    };

    for (i = 0; hint != NULL && i < sizeof(vague) / sizeof(vague[0]); i++) {
        if (strcmp(hint->cause, vague[i]) == 0) {
            return true;
        }
    }

    return hint == NULL;
}


/* True if the next request would not get a connection either. */

static bool
ctl_integration_unconnected(const ctl_trial_t *trial, const es_hint_t *hint)
{
    return trial->class == ES_ATTEMPT_DNS || trial->class == ES_ATTEMPT_CONNECT
           || trial->class == ES_ATTEMPT_TLS
           || (hint != NULL && strcmp(hint->cause, "connect-timeout") == 0);
}


/* The first check decides what the later ones can show. */

static es_rc_t
ctl_integration_valid(ctl_integration_t *in, const ctl_trial_t *trial,
    const es_hint_t **hint)
{
    es_rc_t  rc;

    *hint = ctl_integration_hint(in, trial);
    in->taken = trial->status / 100 == 2;
    rc = ES_OK;

    if (!in->taken && trial->status != 0 && ctl_integration_vague(*hint)) {
        rc = ctl_integration_probe(in, hint);
    }

    in->refused = *hint;
    in->refused_status = trial->status;
    in->unreachable = trial->status == 0
                      && ctl_integration_unconnected(trial, *hint);

    return rc;
}


/* Why a request is refused that differs from "valid" in the check's one
   thing. */

static const es_hint_t *
ctl_integration_alone(ctl_integration_t *in, const ctl_check_t *check,
    const ctl_trial_t *trial)
{
    const es_hint_t  *hint;

    hint = ctl_integration_hint(in, trial);

    if (!in->taken) {
        return trial->status == in->refused_status ? in->refused : hint;
    }

    /* These have causes of their own. */

    switch (trial->status) {

    case 0:
        if (check->body == CTL_BODY_CHALLENGE) {
            break;
        }

        return hint;

    case 413:
    case 415:
    case 429:
    case 502:
    case 503:
    case 504:
        return hint;

    default:
        break;
    }

    /* A line end is lost when JSON is written again, too. */

    in->rewrites |= check->body == CTL_BODY_SPELLING;

    return es_hint_named(in->rewrites && check->body == CTL_BODY_LINE_END
                         ? es_lit("rewrites-json") : es_str(check->cause));
}


/* Why a request is not refused. */

static const es_hint_t *
ctl_integration_taken(ctl_integration_t *in, const ctl_check_t *check,
    const ctl_trial_t *trial)
{
    if (!in->taken && trial->status == in->refused_status) {
        return in->refused;
    }

    if (trial->status / 100 == 5) {
        return es_hint_named(es_lit("uncaught"));
    }

    if (trial->status / 100 != 2) {
        return ctl_integration_hint(in, trial);
    }

    if (check->how == CTL_SIGNED_BY_OTHER) {
        in->verifies_nothing = true;
    }

    return es_hint_named(in->verifies_nothing ? es_lit("verifies-nothing")
                                              : es_str(check->cause));
}


static void
ctl_integration_found(ctl_integration_t *in, const ctl_check_t *check,
    const es_hint_t *hint)
{
    unsigned  i;

    for (i = 0; i < in->nfound; i++) {
        if (in->found[i].hint == hint) {
            in->found[i].more++;
            return;
        }
    }

    if (i < INTEGRATION_HINTS) {
        in->found[i] = (ctl_found_t) { hint, check->name, 0 };
        in->nfound++;
    }
}


es_rc_t
ctl_integration_diagnose(ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial, bool *passes, const es_hint_t **hint)
{
    size_t   n;
    es_rc_t  rc;

    rc = ES_OK;
    *hint = NULL;
    *passes = trial->status / 100 == (long) check->expected;

    if (check->cause == NULL) {
        rc = ctl_integration_valid(in, trial, hint);

    } else if (check->expected == 4 && !in->taken && *passes) {

        /* The receiver refuses everything. */

        *passes = false;
        n = strlen(trial->came);
        (void) snprintf(trial->came + n, sizeof(trial->came) - n,
                        ", but \"valid\" is refused too");

    } else if (!*passes) {
        *hint = check->expected == 2
                ? ctl_integration_alone(in, check, trial)
                : ctl_integration_taken(in, check, trial);
    }

    if (*hint != NULL) {
        ctl_integration_found(in, check, *hint);
    }

    return rc;
}
