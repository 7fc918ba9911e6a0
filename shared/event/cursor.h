/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The only place that parses and prints cursors and epochs.
 *
 * A cursor is "<epoch>-<sequence>".  It says that its holder has all events up
 * to and including that sequence.  An epoch is 1 to 15 characters of [a-z2-7];
 * the sequence is decimal without leading zeros.
 */

#ifndef ES_CURSOR_H
#define ES_CURSOR_H

#include "base/base.h"

#define ES_SEQUENCE_MAX  UINT64_C(0xffffffffff)    /* 40 bits, see id_index.h */

typedef struct {
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
} es_cursor_t;

/* ES_INVALID unless the whole text is one canonical cursor. */
es_rc_t es_cursor_parse(es_str_t text, es_cursor_t *cursor);

/* Prints into `out`, which has ES_CURSOR_MAX bytes, with a NUL.  Returns
   the length. */
size_t es_cursor_print(const char *epoch, uint64_t sequence, char *out);

/* Returns the value of an event's "cursor", without quotes.  The log has
   composed `event`, so the first "cursor" in it is the attribute. */
es_str_t es_cursor_of(es_str_t event);

/* Makes a random epoch: 8 characters of lower-case base32, NUL-terminated. */
es_rc_t es_epoch_create(char *out);

/* True for a well-formed feed name, [a-z0-9][a-z0-9_-]{0,62}. */
bool es_feed_name_ok(es_str_t name);

#endif /* ES_CURSOR_H */
