/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The one place where cursors and epochs are parsed and printed.
 *
 * A cursor is "<epoch>-<sequence>": I have everything up to and including
 * that sequence.  An epoch is 1..15 characters of [a-z2-7].  The sequence is
 * decimal without leading zeros.
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

/* Returns the length; `out` has ES_CURSOR_MAX bytes and is NUL-terminated. */
size_t es_cursor_print(const char *epoch, uint64_t sequence, char *out);

/* The value of an event's "cursor", without quotes.  `event` is text that the
   log composed: its first "cursor" is the attribute. */
es_str_t es_cursor_of(es_str_t event);

/* A new random epoch: 8 lowercase base32 characters, NUL-terminated. */
es_rc_t es_epoch_create(char *out);

/* True for a well-formed feed name, [a-z0-9][a-z0-9_-]{0,62}. */
bool es_feed_name_ok(es_str_t name);

#endif /* ES_CURSOR_H */
