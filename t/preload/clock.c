/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lets the kernel say that it is synchronised, or not, for programs that
 * LD_PRELOAD this.  The environment variable ES_UNSYNCHRONIZED names a file;
 * while it exists, adjtimex() says that nothing synchronises the clock.
 */

#include <stdlib.h>
#include <sys/timex.h>
#include <unistd.h>

int
adjtimex(struct timex *t)
{
    const char  *name;

    name = getenv("ES_UNSYNCHRONIZED");

    if (name != NULL && access(name, F_OK) == 0) {
        t->status = STA_UNSYNC;
        return TIME_ERROR;
    }

    t->status = STA_PLL;

    return TIME_OK;
}
