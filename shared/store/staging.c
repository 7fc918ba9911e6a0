/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The mark of a staging store.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reason.h"
#include "store/staging.h"

#define ES_STAGING_PATH  4096


static const char *
es_staging_file(const char *path, char file[ES_STAGING_PATH])
{
    (void) snprintf(file, ES_STAGING_PATH, "%s/staging", path);

    return file;
}


bool
es_staging(const char *path)
{
    char  file[ES_STAGING_PATH];

    return access(es_staging_file(path, file), F_OK) == 0;
}


es_rc_t
es_staging_set(const char *path, bool staging)
{
    int      fd;
    char     file[ES_STAGING_PATH];
    es_rc_t  rc;

    (void) es_staging_file(path, file);

    if (!staging) {
        return unlink(file) == 0 || errno == ENOENT
               ? ES_OK : es_refused(errno, "remove", file);
    }

    rc = es_file_open(file, O_RDONLY | O_CREAT, ES_FILE_GROUP, &fd);

    if (rc == ES_OK) {
        (void) close(fd);
    }

    return rc;
}
