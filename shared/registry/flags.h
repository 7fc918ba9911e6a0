/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feature flags: which partners have something that not all have.
 *
 * A record of the kind "flag" says to how many of the partners, in percent, it
 * is given.  A hash of the flag's name and the partner's decides who they are.
 * So a higher percentage only ever adds partners, and each flag begins with
 * others.  A partner's record may name flags that it has or has not, whatever
 * the percentage is.  A flag without a record is off.
 */

#ifndef ES_FLAGS_H
#define ES_FLAGS_H

#include "base/pool.h"
#include "registry/member.h"
#include "registry/registry.h"
#include "store/store.h"

#define ES_FLAGS_MAX     256           /* records, and names in a partner's */
#define ES_FLAG_ALL      100           /* percent */

typedef struct {
    es_str_t  name;
    unsigned  percent;
} es_flag_t;

typedef struct {
    size_t      n;
    es_flag_t  *list;
} es_flags_t;

/* Reads the members of a flag's record. */
es_rc_t es_flag_decode(json_t *object, es_pool_t *pool, es_flag_t *out,
    es_problem_t *problem);

/* Takes the member `flags` of a partner. */
es_rc_t es_take_flags(es_record_t *r, es_partner_flags_t *out);

/* The percentage of a flag as text, which is the value of its record and of
   "eventsyncctl flag set": "on", "off", or "1%" to "99%". */
bool es_flag_parse(es_str_t text, unsigned *percent);

/* All flags of the store; the texts are of the pool.  ES_CORRUPT: a record
   cannot be read, or there are too many. */
es_rc_t es_flags_load(es_store_t *store, MDB_txn *txn, es_pool_t *pool,
    es_flags_t *out);

/* True if the partner has the flag. */
bool es_flag_on(const es_flags_t *flags, const es_partner_t *partner,
    es_str_t flag);

/* Appends the names of the flags that the partner has to an array. */
es_rc_t es_flags_report(es_store_t *store, const es_partner_t *partner,
    json_t *array);

#endif /* ES_FLAGS_H */
