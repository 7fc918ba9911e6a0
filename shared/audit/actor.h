/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who makes a change, and from where, for the entries of audit.h.
 *
 * Without more, the user of the process does: "uid 998 (eventsync), login
 * alice" from "host/pts/3".  The login name is that of the session, which
 * sudo and su do not change; it is left out if there is none.  A program that
 * acts by itself gives its name to the store handle.  A thread that acts for a
 * client of HTTP says so while it does.
 */

#ifndef ES_ACTOR_H
#define ES_ACTOR_H

#include "base/base.h"

typedef struct {
    char  who[160];            /* "key k3b7…", NUL-terminated */
    char  from[160];           /* "192.0.2.7", NUL-terminated */
} es_actor_t;

/* The calling thread acts for `actor` from now on; NULL: not any more.
   `actor` must live until then. */
void es_actor_set(const es_actor_t *actor);

/* The changes of this handle are those of a program, such as "dispatcher", and
   of no person.  `name` is not copied.  Call it before other threads use the
   handle. */
void es_actor_program(es_store_t *store, const char *name);

/* Says who acts in this thread. */
void es_actor_get(const es_store_t *store, es_actor_t *actor);

#endif /* ES_ACTOR_H */
