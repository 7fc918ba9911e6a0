/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The process: reads the options and runs the dispatcher.
 */

#include <signal.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/private.h"
#include "open/child.h"

#include "dispatcher.h"
#include "log.h"
#include "options.h"
#include "privileges.h"
#include "service.h"

/* How long the end waits for the reader of the log, for each piece of it. */
#define ESD_LOG_WAIT_MS  1000


int
main(int argc, char **argv)
{
    es_rc_t            rc;
    esd_dispatcher_t  *d;

    d = calloc(1, sizeof(esd_dispatcher_t));
    if (d == NULL) {
        return 1;
    }

    esd_options_parse(argc, argv, &d->options);

    (void) signal(SIGPIPE, SIG_IGN);

    /* until the loop takes it: what it would load again is not loaded yet */

    (void) signal(SIGHUP, SIG_IGN);

    /* before any file is opened; the kernel lets a process that changes its
       user leave core dumps again */

    if (!esd_privileges_drop(d->options.user)) {
        free(d);
        return 1;
    }

    /* It reads secrets of endpoints, with or without a key file. */

    if (!es_process_private()) {
        esd_log_line(ESD_LOG_ERROR, "cannot switch core dumps off");
        free(d);
        return 1;
    }

    es_json_private();
    esd_service_init(&d->service);
    es_child_of_first();

    rc = esd_dispatcher_run(d);
    free(d);
    esd_log_flush(ESD_LOG_WAIT_MS);

    return rc == ES_OK ? 0 : 1;
}
