/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Switches core dumps off by both of their switches: a limit of 0 does not
 * stop a dump that the kernel pipes to a program, and a process that is not
 * dumpable can become so again when it changes its user.
 */

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/private.h"


bool
es_process_private(void)
{
    const char     *wanted;
    struct rlimit   none = { 0, 0 };

    wanted = getenv("EVENTSYNC_CORE_DUMPS");

    if (wanted != NULL && strcmp(wanted, "1") == 0) {
        return true;
    }

    return setrlimit(RLIMIT_CORE, &none) == 0
           && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}


static void
es_json_wipe(void *p)
{
    if (p != NULL) {
        explicit_bzero(p, malloc_usable_size(p));
        free(p);
    }
}


void
es_json_private(void)
{
    json_set_alloc_funcs(malloc, es_json_wipe);
}
