/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Remembers for each thread whether it is an event loop.
 */

#include "base/event_loop.h"

static _Thread_local bool  es_is_event_loop;


void
es_event_loop_set(bool is)
{
    es_is_event_loop = is;
}


bool
es_event_loop(void)
{
    return es_is_event_loop;
}
