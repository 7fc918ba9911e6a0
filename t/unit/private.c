/* SPDX-License-Identifier: BSD-2-Clause */

/* A process with secrets leaves no core dump, unless its user asks for it. */

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/private.h"

#include "tap.h"


static bool
dumps(void)
{
    struct rlimit  limit = { 0, 0 };

    (void) getrlimit(RLIMIT_CORE, &limit);

    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 && limit.rlim_max > 0;
}


int
main(void)
{
    struct rlimit  limit;

    (void) unsetenv("EVENTSYNC_CORE_DUMPS");
    (void) getrlimit(RLIMIT_CORE, &limit);

    if (!dumps()) {
        (void) printf("1..0 # skip this process cannot dump core\n");
        return 0;
    }

    (void) setenv("EVENTSYNC_CORE_DUMPS", "1", 1);
    ok(es_process_private(), "with core dumps");
    ok(dumps(), "... nothing changes");

    (void) setenv("EVENTSYNC_CORE_DUMPS", "0", 1);
    ok(es_process_private(), "without");
    ok(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0, "... it cannot be dumped");
    (void) getrlimit(RLIMIT_CORE, &limit);
    ok(limit.rlim_cur == 0 && limit.rlim_max == 0, "... nor leave a file");

    return done();
}
