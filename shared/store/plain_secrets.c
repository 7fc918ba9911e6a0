/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The line of the file `format` that allows secrets in plain text.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"
#include "base/reason.h"
#include "store/plain_secrets.h"

#define ES_FORMAT_MAX    4096
#define ES_PLAIN_LINE    "\nsecrets plain\n"


/* Reads the file into `text`, NUL-terminated. */

static es_rc_t
es_plain_read(const char *file, char text[ES_FORMAT_MAX])
{
    int      fd;
    es_rc_t  rc;
    ssize_t  n;

    rc = es_file_open(file, O_RDONLY, 0, &fd);
    if (rc != ES_OK) {
        return rc;
    }

    n = read(fd, text, ES_FORMAT_MAX - 1);
    rc = n == -1 ? es_refused(errno, "read", file) : ES_OK;
    text[n > 0 ? n : 0] = '\0';
    (void) close(fd);

    return rc;
}


static es_rc_t
es_plain_write(int fd, const char *file, const char *text)
{
    size_t   len;
    es_rc_t  rc;
    ssize_t  n;

    len = strlen(text);
    n = write(fd, text, len);

    if (n != (ssize_t) len) {
        rc = es_refused(n == -1 ? errno : ENOSPC, "write", file);

    } else {
        rc = fsync(fd) == 0 ? ES_OK : es_refused(errno, "write", file);
    }

    (void) close(fd);

    return rc;
}


bool
es_plain_secrets(es_store_t *store)
{
    char  file[4096], text[ES_FORMAT_MAX];

    (void) snprintf(file, sizeof(file), "%s/format", store->path);

    if (es_plain_read(file, text) == ES_OK) {
        atomic_store(&store->plain, strstr(text, ES_PLAIN_LINE) != NULL);
    }

    return atomic_load(&store->plain);
}


es_rc_t
es_plain_secrets_begin(const char *path)
{
    int      fd;
    char     file[4096];
    es_rc_t  rc;

    (void) snprintf(file, sizeof(file), "%s/format", path);

    rc = es_file_open(file, O_WRONLY | O_APPEND, 0, &fd);

    return rc == ES_OK ? es_plain_write(fd, file, ES_PLAIN_LINE + 1) : rc;
}


/* Replaces the file, so that a crash leaves the old one or the new one. */

es_rc_t
es_plain_secrets_end(const char *path)
{
    int      fd;
    char     file[4096], fresh[4096], text[ES_FORMAT_MAX];
    char    *line;
    es_rc_t  rc;

    (void) snprintf(file, sizeof(file), "%s/format", path);

    if (snprintf(fresh, sizeof(fresh), "%s/format.new", path)
        >= (int) sizeof(fresh))
    {
        return es_refused(ENAMETOOLONG, "open", path);
    }

    rc = es_plain_read(file, text);
    if (rc != ES_OK) {
        return rc;
    }

    line = strstr(text, ES_PLAIN_LINE);
    if (line == NULL) {
        return ES_OK;
    }

    memmove(line, line + sizeof(ES_PLAIN_LINE) - 2,
            strlen(line + sizeof(ES_PLAIN_LINE) - 2) + 1);

    (void) unlink(fresh);
    rc = es_file_open(fresh, O_WRONLY | O_CREAT, ES_FILE_GROUP, &fd);

    if (rc == ES_OK) {
        rc = es_plain_write(fd, fresh, text);

        if (rc == ES_OK && rename(fresh, file) != 0) {
            rc = es_refused(errno, "write", file);
        }

        if (rc != ES_OK) {
            (void) unlink(fresh);
        }
    }

    return rc;
}
