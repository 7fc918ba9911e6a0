/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Judges and counts how fresh events were.
 */

#include "base/fresh.h"


const char *
es_fresh_name(es_fresh_verdict_t verdict)
{
    switch (verdict) {
    case ES_FRESH_KEPT:
        return "kept";
    case ES_FRESH_MISSED:
        return "missed";
    case ES_FRESH_EXCUSED:
        return "excused";
    case ES_FRESH_VERDICTS:
        break;
    }

    return "";
}


es_fresh_verdict_t
es_fresh_judge(int64_t within_ms, int64_t age_ms, int64_t ours_ms)
{
    return age_ms <= within_ms ? ES_FRESH_KEPT
           : ours_ms <= within_ms ? ES_FRESH_EXCUSED : ES_FRESH_MISSED;
}


void
es_fresh_count(es_fresh_t *fresh, es_fresh_verdict_t verdict, int64_t age_ms)
{
    fresh->counts[verdict]++;

    if (verdict != ES_FRESH_EXCUSED && age_ms > 0
        && (uint64_t) age_ms > fresh->worst_ms)
    {
        fresh->worst_ms = (uint64_t) age_ms;
    }
}


void
es_fresh_add(es_fresh_t *fresh, const es_fresh_t *more)
{
    unsigned  i;

    for (i = 0; i < ES_FRESH_VERDICTS; i++) {
        fresh->counts[i] += more->counts[i];
    }

    if (more->worst_ms > fresh->worst_ms) {
        fresh->worst_ms = more->worst_ms;
    }
}
