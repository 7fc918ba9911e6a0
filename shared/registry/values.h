/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Values that operators write: durations, URLs, feed patterns.
 */

#ifndef ES_VALUES_H
#define ES_VALUES_H

#include "base/base.h"

/*
 * "0", "250ms", "10s", "1h30m": numbers with the units ms, s, m, h, d; a
 * number alone is seconds.  At most 30 days.  ES_INVALID otherwise.
 */
es_rc_t es_duration_parse(es_str_t text, uint32_t *ms);

/* A feed's name, or the start of one and '*'. */
bool es_pattern_ok(es_str_t text);

/* Why a webhook URL is not right; NULL if it is: http or https, a host, no
   userinfo, no fragment. */
const char *es_url_fault(es_str_t url);

#endif /* ES_VALUES_H */
