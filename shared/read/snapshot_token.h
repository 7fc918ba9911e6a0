/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How far a snapshot has come, as text for its reader.
 *
 *     <cursor>.<position in base64url>.<check>
 *
 * Nothing is kept between two pages: the text has the moment that the snapshot
 * is of, what es_snapshot_page() gave as `last`, and a check that it is for the
 * same feed and choice of tombstones.  That is against accidents: whoever makes
 * one up finds but what he may read.
 */

#ifndef ES_SNAPSHOT_TOKEN_H
#define ES_SNAPSHOT_TOKEN_H

#include "event/cursor.h"
#include "log/subject.h"

#define ES_SNAPSHOT_CHECK_LEN  16

/* A subject's key but for the feed's number. */
#define ES_SNAPSHOT_POSITION_MAX  (ES_SUBJECT_KEY_MAX - sizeof(uint32_t))

/* Of the text, with NUL. */
#define ES_SNAPSHOT_TOKEN_MAX                                                 \
    (ES_CURSOR_MAX + (ES_SNAPSHOT_POSITION_MAX + 2) / 3 * 4                   \
     + ES_SNAPSHOT_CHECK_LEN + 3)

typedef struct {
    es_cursor_t  at;
    size_t       len;          /* of the position, at least 1 */
    char         position[ES_SNAPSHOT_POSITION_MAX];
} es_snapshot_token_t;

/* ES_INVALID unless the whole text is what es_snapshot_token_print() gives for
   this feed and these tombstones: one text for each place. */
es_rc_t es_snapshot_token_parse(es_str_t text, es_str_t feed, bool tombstones,
    es_snapshot_token_t *place);

/* Returns the length; `out` has ES_SNAPSHOT_TOKEN_MAX bytes and is
   NUL-terminated. */
size_t es_snapshot_token_print(const es_snapshot_token_t *place,
    es_str_t feed, bool tombstones, char *out);

#endif /* ES_SNAPSHOT_TOKEN_H */
