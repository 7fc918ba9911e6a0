/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The file of the last uses of keys.
 */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/reason.h"
#include "registry/used_keys.h"

#define ES_USED_MAGIC  UINT64_C(0x65732d7573656401)    /* "es-used", 1 */
#define ES_USED_SLOT   8                               /* bytes */


/* Makes the head of a new file.  Another process may do the same just now: then
   both write nearly the same time. */

static es_rc_t
es_used_keys_begin(int fd, const char *file)
{
    uint64_t  head[2];

    head[0] = htobe64(ES_USED_MAGIC);
    head[1] = htobe64((uint64_t) es_clock_ms());

    return pwrite(fd, head, sizeof(head), 0) == sizeof(head)
           ? ES_OK : es_refused(errno, "write", file);
}


/* Opens the file, and makes it and its head if it is missing and `write` is
   true. */

static es_rc_t
es_used_keys_file(const char *file, bool write, int *fd)
{
    es_rc_t      rc;
    struct stat  st;

    rc = es_file_open(file, write ? O_RDWR | O_CREAT : O_RDONLY,
                      ES_FILE_SHARED | ES_FILE_GROUP, fd);
    if (rc != ES_OK) {
        return rc;
    }

    if (fstat(*fd, &st) != 0) {
        rc = es_refused(errno, "examine", file);

    } else if (st.st_size == 0) {
        rc = write ? es_used_keys_begin(*fd, file) : ES_NOT_FOUND;
    }

    if (rc != ES_OK) {
        (void) close(*fd);
    }

    return rc;
}


es_rc_t
es_used_keys_open(const char *path, bool write, es_used_keys_t *used)
{
    char      file[4096];
    es_rc_t   rc;
    ssize_t   n;
    uint64_t  head[2];

    (void) snprintf(file, sizeof(file), "%s/used", path);

    rc = es_used_keys_file(file, write, &used->fd);
    if (rc != ES_OK) {
        return rc;
    }

    n = pread(used->fd, head, sizeof(head), 0);

    if (n == -1) {
        rc = es_refused(errno, "read", file);

    } else if (n != sizeof(head) || be64toh(head[0]) != ES_USED_MAGIC) {
        rc = es_refused_text(ES_IO, "\"%s\" is damaged: remove it",
                             es_refused_path(file));
    }

    if (rc != ES_OK) {
        es_used_keys_close(used);
        return rc;
    }

    used->since_ms = (int64_t) be64toh(head[1]);

    return ES_OK;
}


es_rc_t
es_used_keys_make(const char *path)
{
    int      fd;
    char     file[4096];
    es_rc_t  rc;

    (void) snprintf(file, sizeof(file), "%s/used", path);

    rc = es_used_keys_file(file, true, &fd);

    if (rc == ES_OK) {
        (void) close(fd);
    }

    return rc;
}


void
es_used_keys_close(es_used_keys_t *used)
{
    (void) close(used->fd);
}


void
es_used_keys_set(const es_used_keys_t *used, uint32_t number, int64_t now_ms)
{
    ssize_t   n;
    uint64_t  slot;

    slot = htobe64((uint64_t) now_ms);
    n = pwrite(used->fd, &slot, sizeof(slot),
               ((off_t) number + 1) * ES_USED_SLOT);
    (void) n;
}


es_rc_t
es_used_keys_get(const es_used_keys_t *used, uint32_t number, int64_t *ms)
{
    ssize_t   n;
    uint64_t  slot;

    n = pread(used->fd, &slot, sizeof(slot),
              ((off_t) number + 1) * ES_USED_SLOT);

    if (n == -1) {
        return es_refused(errno, "read", "the last uses of keys");
    }

    *ms = n == sizeof(slot) ? (int64_t) be64toh(slot) : 0;

    return ES_OK;
}
