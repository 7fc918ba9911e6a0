/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The bell: a file that writers touch, and inotify descriptors that watch it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/reason.h"
#include "store/store.h"
#include "store/wake.h"


es_rc_t
es_wake_open(es_store_t *store, int *out)
{
    int      fd, bell;
    char     path[4096];
    es_rc_t  rc;

    (void) snprintf(path, sizeof(path), "%s/bell", store->path);

    rc = es_store_bell(store->path, O_RDONLY, &bell);
    if (rc != ES_OK) {
        return rc;
    }

    (void) close(bell);

    fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd == -1) {
        return es_refused(errno, "make an inotify instance for", path);
    }

    if (inotify_add_watch(fd, path, IN_MODIFY) == -1) {
        rc = es_refused(errno, "watch", path);
        (void) close(fd);
        return rc;
    }

    *out = fd;
    return ES_OK;
}


void
es_wake_drain(int fd)
{
    char     buf[4096];
    ssize_t  n;

    do {
        n = read(fd, buf, sizeof(buf));
    } while (n > 0 || (n == -1 && errno == EINTR));
}


void
es_wake_ring(es_store_t *store)
{
    ssize_t  n;

    /* A failure to ring is ignored: the commit stands, and readers also
       check the version from a slow timer. */

    if (store->bell != -1) {
        n = pwrite(store->bell, "!", 1, 0);
        (void) n;
    }
}
