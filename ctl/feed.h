/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the commands about feeds share.
 */

#ifndef CTL_FEED_H
#define CTL_FEED_H

#include "ctl.h"
#include "log/feed.h"

/* Says why a function of feeds failed.  Returns CTL_FAILED or CTL_USAGE. */
int ctl_feed_failed(const char *name, es_rc_t rc);

/* The feed as it is now is the document of a command that changed it.  Returns
   `rc` unless the feed cannot be read. */
int ctl_feed_result(ctl_t *ctl, const char *name, int rc);

#endif /* CTL_FEED_H */
