/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Arguments of "tail" that its two ways of reading share: from the store
 * (tail.c), and by HTTP (tail_http.c).  "export" and "mirror" read a feed as
 * "tail" does.
 */

#ifndef CTL_TAIL_H
#define CTL_TAIL_H

#include "http.h"
#include "read/reader.h"

typedef struct {
    ctl_query_t  query;            /* the options as they were given */
    bool         follow;
    bool         limited;
    uint64_t     limit;            /* events still to print */
} ctl_tail_args_t;

/* Returns the events of a page as lines, page->bytes + 1 bytes if there are
   any, which the caller frees.  NULL: out of memory. */
char *ctl_page_lines(const es_page_t *page);

/* The sequence that "oldest", "latest", a cursor or a time stands for: reading
   begins after it.  CTL_USAGE or CTL_FAILED with a message. */
int ctl_feed_position(es_txn_t *txn, const es_feed_t *feed, const char *option,
    const char *text, uint64_t *sequence);

/* Reads by polling; follows with long polls. */
int ctl_tail_http(const char *url, const char *key, ctl_tail_args_t *args);

#endif /* CTL_TAIL_H */
