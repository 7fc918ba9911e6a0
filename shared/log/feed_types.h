/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which types of events a feed has.
 */

#ifndef ES_FEED_TYPES_H
#define ES_FEED_TYPES_H

#include "log/feed.h"
#include "store/txn.h"

/* The number of a type in the whole store.  ES_NOT_FOUND: no event of the type
   was ever stored. */
es_rc_t es_type_number(es_txn_t *txn, es_str_t type, uint32_t *number);

/* ES_OK: the feed keeps an event of the type.  ES_NOT_FOUND. */
es_rc_t es_feed_type(es_txn_t *txn, uint32_t feed, uint32_t type);

#endif /* ES_FEED_TYPES_H */
