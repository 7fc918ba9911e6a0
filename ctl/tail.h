/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The two ways in which `tail` reads.
 */

#ifndef CTL_TAIL_H
#define CTL_TAIL_H

#include "http.h"

typedef struct {
    ctl_query_t  query;            /* what was asked for, as it was given */
    bool         follow;
    bool         limited;
    uint64_t     limit;            /* events still to print */
} ctl_tail_args_t;

/* By polling, with long polls to follow. */
int ctl_tail_http(const char *url, const char *key, ctl_tail_args_t *args);

#endif /* CTL_TAIL_H */
