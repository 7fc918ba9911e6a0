/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The page token of a snapshot: how far its reader has come, as text.
 *
 *     <cursor>.<position in base64url>.<check>
 *
 * The server keeps nothing between two pages.  The token has the snapshot's
 * moment, the `last` of es_snapshot_page(), and a check that it belongs to the
 * same feed and choice of tombstones.  The check prevents accidents only: a
 * client that invents a token finds nothing that it may not read.
 */

#ifndef ES_SNAPSHOT_TOKEN_H
#define ES_SNAPSHOT_TOKEN_H

#include "event/cursor.h"
#include "log/subject.h"

#define ES_SNAPSHOT_CHECK_LEN  16

/* bytes of a subject's key without the feed's number */
#define ES_SNAPSHOT_POSITION_MAX  (ES_SUBJECT_KEY_MAX - sizeof(uint32_t))

/* bytes of the text with its NUL */
#define ES_SNAPSHOT_TOKEN_MAX                                                 \
    (ES_CURSOR_MAX + (ES_SNAPSHOT_POSITION_MAX + 2) / 3 * 4                   \
     + ES_SNAPSHOT_CHECK_LEN + 3)

typedef struct {
    es_cursor_t  at;
    size_t       len;          /* of the position, at least 1 */
    char         position[ES_SNAPSHOT_POSITION_MAX];
} es_snapshot_token_t;

/* ES_INVALID unless the whole text is what es_snapshot_token_print() gives
   for this feed and these tombstones, so that each position has one text. */
es_rc_t es_snapshot_token_parse(es_str_t text, es_str_t feed, bool tombstones,
    es_snapshot_token_t *place);

/* Prints into `out`, which has ES_SNAPSHOT_TOKEN_MAX bytes, with a NUL.
   Returns the length. */
size_t es_snapshot_token_print(const es_snapshot_token_t *place,
    es_str_t feed, bool tombstones, char *out);

#endif /* ES_SNAPSHOT_TOKEN_H */
