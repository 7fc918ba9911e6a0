/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses and checks values of registry records: durations, URLs, feed
 * patterns.
 */

#ifndef ES_VALUES_H
#define ES_VALUES_H

#include "base/base.h"

/*
 * "0", "250ms", "10s", "1h30m": numbers with the units ms, s, m, h, d; a
 * number alone is seconds.  At most 30 days.  ES_INVALID otherwise.
 */
es_rc_t es_duration_parse(es_str_t text, uint32_t *ms);

/* True for a feed's name, and for the start of one followed by '*'. */
bool es_pattern_ok(es_str_t text);

/* Why a webhook URL is invalid, as the end of a sentence; NULL: it is valid.
   It must be http or https, with a host, without userinfo and fragment. */
const char *es_url_fault(es_str_t url);

#endif /* ES_VALUES_H */
