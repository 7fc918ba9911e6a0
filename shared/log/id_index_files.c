/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The mapped files of the id index.
 *
 * A power loss, a copy or a killed process can leave any file in any state, so
 * every file is checked before it is trusted, and made anew otherwise.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "base/file.h"
#include "log/id_index.h"
#include "log/id_index_impl.h"

#define ES_ID_INDEX_MAGIC     UINT64_C(0x3373646973797365)    /* "esysids3" */
#define ES_ID_INDEX_FILES     12      /* of an earlier build, at most */
#define ES_ID_INDEX_BOOT_ID   "/proc/sys/kernel/random/boot_id"

static bool es_id_index_spoiled(es_rc_t rc);
static es_rc_t es_id_index_map_control(es_id_index_t *ids);
static void es_id_index_unmap(es_id_index_t *ids);
static es_rc_t es_id_index_boot(char *boot);


es_rc_t
es_id_index_open(const char *store, const char *dir, uint64_t identity,
    uint64_t published, es_id_index_t **out, bool *trusted)
{
    char            boot[ES_ID_INDEX_BOOT_LEN];
    es_rc_t         rc;
    es_id_index_t  *ids;

    rc = es_id_index_boot(boot);

    if (rc == ES_OK) {
        rc = es_file_mkdir(dir, store);
    }

    if (rc != ES_OK) {
        return rc;
    }

    ids = calloc(1, sizeof(es_id_index_t));
    if (ids == NULL) {
        return ES_NOMEM;
    }

    ids->fd = -1;
    ids->dir = strdup(dir);
    rc = ids->dir ? es_id_index_map_control(ids) : ES_NOMEM;
    if (ids->control == NULL) {
        es_id_index_close(ids);
        return rc;
    }

    *trusted = ids->control->magic == ES_ID_INDEX_MAGIC
               && ids->control->identity == identity
               && memcmp(ids->control->boot, boot, sizeof(boot)) == 0
               && ids->control->published >= published
               && ids->control->nbuckets <= ids->control->room
               && ids->control->depth <= ES_ID_INDEX_DEPTH_MAX;

    if (*trusted) {
        rc = es_id_index_refresh(ids);
        *trusted = rc == ES_OK;

        if (rc != ES_OK && !es_id_index_spoiled(rc)) {
            es_id_index_close(ids);
            return rc;
        }
    }

    if (!*trusted) {
        ids->control->magic = 0;
        rc = es_id_index_clear(ids);
        ids->control->identity = identity;
        memcpy(ids->control->boot, boot, sizeof(boot));
    }

    if (rc != ES_OK) {
        es_id_index_close(ids);
        return rc;
    }

    *out = ids;
    return ES_OK;
}


/*
 * A missing, truncated or foreign file is made anew.  If this process lacks
 * memory or descriptors for it, other processes can still use it.
 */

static bool
es_id_index_spoiled(es_rc_t rc)
{
    return rc == ES_CORRUPT
           || (rc == ES_IO && (errno == ENOENT || errno == EACCES));
}


static es_rc_t
es_id_index_map_control(es_id_index_t *ids)
{
    int          err;
    char         path[4096];
    void        *control;
    es_rc_t      rc;
    struct stat  sb;

    (void) snprintf(path, sizeof(path), "%s/control", ids->dir);

    rc = es_file_open(path, O_RDWR | O_CREAT, 0, &ids->fd);
    if (rc != ES_OK) {
        return rc;
    }

    if (fstat(ids->fd, &sb) != 0) {
        return es_refused(errno, "open", path);
    }

    if (sb.st_size < (off_t) sizeof(es_id_index_control_t)) {
        err = posix_fallocate(ids->fd, 0, 4096);
        if (err != 0) {
            return es_refused(err, "write", path);
        }
    }

    control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ids->fd, 0);
    if (control == MAP_FAILED) {
        return es_refused(errno, "map", path);
    }

    ids->control = control;

    return ES_OK;
}


/* A power loss empties the page cache, which has the unsynced slots.  Files
   of another boot can therefore not be trusted. */

static es_rc_t
es_id_index_boot(char *boot)
{
    int      fd;
    ssize_t  n;

    memset(boot, 0, ES_ID_INDEX_BOOT_LEN);

    fd = open(ES_ID_INDEX_BOOT_ID, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return es_refused(errno, "open", ES_ID_INDEX_BOOT_ID);
    }

    n = read(fd, boot, ES_ID_INDEX_BOOT_LEN - 1);

    if (n <= 0) {
        (void) es_refused(n == 0 ? EIO : errno, "read", ES_ID_INDEX_BOOT_ID);
    }

    (void) close(fd);

    return n > 0 ? ES_OK : ES_IO;
}


void
es_id_index_close(es_id_index_t *ids)
{
    if (ids == NULL) {
        return;
    }

    es_id_index_unmap(ids);

    if (ids->control != NULL) {
        (void) munmap(ids->control, 4096);
    }

    if (ids->fd != -1) {
        (void) close(ids->fd);
    }

    free(ids->dir);
    free(ids);
}


static void
es_id_index_unmap(es_id_index_t *ids)
{
    if (ids->buckets != NULL) {
        (void) munmap(ids->buckets, (size_t) ids->room * ES_ID_INDEX_PAGE);
        ids->buckets = NULL;
        ids->room = 0;
    }

    if (ids->directory != NULL) {
        (void) munmap(ids->directory, sizeof(uint32_t) << ids->depth);
        ids->directory = NULL;
        ids->depth = 0;
    }
}


/*
 * Maps one of the files.  The blocks are allocated, because a write into a hole
 * of a full disk would raise SIGBUS later.  A file that exists may be a copy
 * with holes.  With `grow` the file gets the size first.
 */

static es_rc_t
es_id_index_map(es_id_index_t *ids, unsigned file, size_t size, bool grow,
    void **map, size_t old)
{
    int          fd, err;
    char         path[4096];
    void        *p;
    es_rc_t      rc;
    struct stat  sb;

    (void) snprintf(path, sizeof(path), "%s/%u", ids->dir, file);

    rc = es_file_open(path, O_RDWR | (grow ? O_CREAT : 0), 0, &fd);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? es_refused(ENOENT, "open", path) : rc;
    }

    if (grow) {
        err = posix_fallocate(fd, 0, (off_t) size);
        if (err != 0) {
            rc = es_refused(err, "write", path);
        }

    } else if (fstat(fd, &sb) != 0 || sb.st_size < (off_t) size) {
        rc = ES_CORRUPT;

    } else if (fallocate(fd, 0, 0, (off_t) size) == -1 && errno == ENOSPC) {
        rc = ES_FULL;
    }

    if (rc == ES_OK) {
        p = *map != NULL
            ? mremap(*map, old, size, MREMAP_MAYMOVE)
            : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (p == MAP_FAILED) {
            rc = es_refused(errno, "map", path);
        } else {
            *map = p;
        }
    }

    err = errno;
    (void) close(fd);
    errno = err;

    return rc;
}


es_rc_t
es_id_index_map_buckets(es_id_index_t *ids, uint32_t room, bool grow)
{
    void    *map;
    es_rc_t  rc;

    map = ids->buckets;
    rc = es_id_index_map(ids, 0, (size_t) room * ES_ID_INDEX_PAGE, grow, &map,
                         (size_t) ids->room * ES_ID_INDEX_PAGE);
    if (rc == ES_OK) {
        ids->buckets = map;
        ids->room = room;
    }

    return rc;
}


es_rc_t
es_id_index_map_directory(es_id_index_t *ids, uint32_t depth, bool grow)
{
    void    *map;
    es_rc_t  rc;

    map = ids->directory;
    rc = es_id_index_map(ids, 1, sizeof(uint32_t) << depth, grow, &map,
                         sizeof(uint32_t) << ids->depth);
    if (rc == ES_OK) {
        ids->directory = map;
        ids->depth = depth;
    }

    return rc;
}


es_rc_t
es_id_index_refresh(es_id_index_t *ids)
{
    es_rc_t                       rc;
    const es_id_index_control_t  *control;

    control = ids->control;

    if (control->magic != ES_ID_INDEX_MAGIC || control->busy != 0) {
        return ES_CORRUPT;
    }

    if (ids->generation != control->generation) {
        es_id_index_unmap(ids);
        ids->generation = control->generation;
    }

    if (control->room == 0) {
        return ES_OK;
    }

    rc = ES_OK;

    if (ids->room != control->room) {
        rc = es_id_index_map_buckets(ids, control->room, false);
        ids->stuck = ids->stuck && rc != ES_OK;
    }

    if (rc == ES_OK
        && (ids->directory == NULL || ids->depth != control->depth))
    {
        rc = es_id_index_map_directory(ids, control->depth, false);
    }

    return rc;
}


es_rc_t
es_id_index_clear(es_id_index_t *ids)
{
    char      path[4096];
    unsigned  i;

    es_id_index_unmap(ids);

    for (i = 0; i < ES_ID_INDEX_FILES; i++) {
        (void) snprintf(path, sizeof(path), "%s/%u", ids->dir, i);

        if (unlink(path) != 0 && errno != ENOENT) {
            return es_refused(errno, "remove", path);
        }
    }

    ids->control->nbuckets = 0;
    ids->control->room = 0;
    ids->control->depth = 0;
    ids->control->busy = 0;
    ids->control->used = 0;
    ids->control->published = 0;
    ids->generation = ++ids->control->generation;

    return ES_OK;
}


void
es_id_index_mark(es_id_index_t *ids, uint64_t published)
{
    ids->control->published = published;
}


void
es_id_index_trust(es_id_index_t *ids)
{
    ids->control->magic = ES_ID_INDEX_MAGIC;
}


void
es_id_index_empty(es_id_index_t *ids)
{
    ids->control->magic = 0;
    ids->control->nbuckets = 0;
    ids->control->busy = 0;
    ids->control->used = 0;
    ids->control->published = 0;
    ids->stuck = false;
}
