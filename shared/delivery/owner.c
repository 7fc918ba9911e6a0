/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The dispatcher's lock.
 *
 * flock() makes a process the owner.  A record lock on the same file, of
 * fcntl(), only tells others who the owner is: F_GETLK translates the number
 * of the process into the asker's PID namespace, which a number in a file
 * could not.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"
#include "base/reason.h"
#include "delivery/owner.h"

#define ES_OWNER_PATH_MAX  4096


static es_rc_t
es_owner_stat(const char *store, struct stat *st)
{
    char  path[ES_OWNER_PATH_MAX];

    (void) snprintf(path, sizeof(path), "%s/delivery/data.mdb", store);

    return stat(path, st) == 0 ? ES_OK
           : errno == ENOENT ? ES_NOT_FOUND
           : es_refused(errno, "examine", path);
}


es_rc_t
es_owner_open(const char *store, es_owner_t *owner)
{
    char         path[ES_OWNER_PATH_MAX];
    es_rc_t      rc;
    struct stat  st;

    owner->fd = -1;
    (void) snprintf(path, sizeof(path), "%s/delivery/owner", store);

    rc = es_owner_stat(store, &st);
    if (rc != ES_OK) {
        return rc;
    }

    owner->dev = st.st_dev;
    owner->ino = st.st_ino;

    return es_file_open(path, O_RDWR | O_CREAT, 0, &owner->fd);
}


void
es_owner_close(es_owner_t *owner)
{
    if (owner->fd != -1) {
        (void) close(owner->fd);
        owner->fd = -1;
    }
}


static es_rc_t
es_owner_lock(const es_owner_t *owner, int how)
{
    struct flock  named = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (flock(owner->fd, how) != 0) {
        return errno == EWOULDBLOCK ? ES_EXISTS
               : errno == EINTR ? ES_BUSY
               : es_refused(errno, "lock", "delivery/owner");
    }

    (void) fcntl(owner->fd, F_SETLK, &named);

    return ES_OK;
}


es_rc_t
es_owner_take(const es_owner_t *owner)
{
    return es_owner_lock(owner, LOCK_EX | LOCK_NB);
}


es_rc_t
es_owner_await(const es_owner_t *owner)
{
    return es_owner_lock(owner, LOCK_EX);
}


long
es_owner_pid(const es_owner_t *owner)
{
    struct flock  named = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(owner->fd, F_GETLK, &named) != 0
        || named.l_type == F_UNLCK
        || named.l_pid < 0)
    {
        return 0;
    }

    return named.l_pid;
}


es_owner_store_t
es_owner_store(const char *store, const es_owner_t *owner)
{
    struct stat  st;

    if (es_owner_stat(store, &st) != ES_OK) {
        return ES_OWNER_GONE;
    }

    return st.st_dev == owner->dev && st.st_ino == owner->ino
           ? ES_OWNER_SAME : ES_OWNER_REPLACED;
}
