/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Notes about commands that succeed and yet do nothing useful: a record that
 * keeps its endpoint from being sent events, a grant of a feed that does not
 * exist, a change of nothing.
 *
 * Each function makes no note where the store cannot be read.
 */

#ifndef CTL_ADVICE_H
#define CTL_ADVICE_H

#include "ctl.h"

/*
 * After a change of an endpoint: what keeps it from being sent events, and with
 * `resumed`, for one that was not paused, whether it was stopped.  This closes
 * the store and opens it again to read.
 */
void ctl_advise_endpoint(ctl_t *ctl, const char *name, bool resumed);

/* Names each item that is no pattern and no feed.  NULL: there is no list. */
void ctl_advise_feeds(ctl_t *ctl, const json_t *list);

/* After a key was created: its scopes that reach no feed of its partner. */
void ctl_advise_key(ctl_t *ctl, const char *id);

/* Before a request to the dispatcher that sends events. */
void ctl_advise_request(const es_endpoint_t *endpoint);

/* Says that no dispatcher runs, if so. */
void ctl_advise_dispatcher(ctl_t *ctl);

/*
 * Before a change of a record whose member is a flag, or is there or not: true
 * if it has the value already, so that nothing changes.  `what` is the end of a
 * note about that, as "paused"; NULL: none.
 */
bool ctl_advise_flag(ctl_t *ctl, es_kind_t kind, const char *name,
    const char *member, bool value, const char *what);

#endif /* CTL_ADVICE_H */
