/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Replaces files in one step.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace.h"


/* Makes an empty file beside `path`.  -1: errno says why. */

static int
ctl_replace_fresh(const char *path, char **temp)
{
    int  fd, error;

    if (asprintf(temp, "%s.XXXXXX", path) < 0) {
        *temp = NULL;
        errno = ENOMEM;
        return -1;
    }

    fd = mkstemp(*temp);

    if (fd == -1) {
        error = errno;
        free(*temp);
        *temp = NULL;
        errno = error;
    }

    return fd;
}


/* Removes the file, and keeps errno. */

static void
ctl_replace_drop(char *temp)
{
    int  error;

    error = errno;
    (void) unlink(temp);
    free(temp);
    errno = error;
}


bool
ctl_replace(const char *path, const es_buf_t *text)
{
    int      fd, error;
    char    *temp;
    ssize_t  n;

    fd = ctl_replace_fresh(path, &temp);
    if (fd == -1) {
        return false;
    }

    n = write(fd, text->data, text->len);
    error = n == (ssize_t) text->len && fchmod(fd, 0644) == 0 ? 0
            : n >= 0 && n < (ssize_t) text->len ? ENOSPC : errno;

    if (close(fd) != 0 && error == 0) {
        error = errno;
    }

    if (error != 0 || rename(temp, path) != 0) {
        errno = error != 0 ? error : errno;
        ctl_replace_drop(temp);
        return false;
    }

    free(temp);

    return true;
}


bool
ctl_replace_try(const char *path)
{
    int    fd;
    char  *temp;

    fd = ctl_replace_fresh(path, &temp);
    if (fd == -1) {
        return false;
    }

    (void) close(fd);
    ctl_replace_drop(temp);

    return true;
}
