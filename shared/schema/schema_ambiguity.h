/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds patterns that may take exponentially many steps.
 *
 * A backtracking matcher needs them when a repetition can match the same text
 * in more than one way, as in (a+)+ and (a|aa)*: each way doubles the work of
 * the rest.  The check is that of Weber and Seidl (1991) for exponential
 * ambiguity, on Glushkov's automaton of the pattern.
 */

#ifndef ES_SCHEMA_AMBIGUITY_H
#define ES_SCHEMA_AMBIGUITY_H

#include "base/base.h"

/*
 * True in `ambiguous` if the pattern, which PCRE2 has compiled, is
 * exponentially ambiguous.  Assertions and back references are taken as text
 * that never matches, and the effort is bounded, so some are not found.
 * ES_NOMEM.
 */
es_rc_t es_regex_ambiguous(es_str_t pattern, bool *ambiguous);

#endif /* ES_SCHEMA_AMBIGUITY_H */
