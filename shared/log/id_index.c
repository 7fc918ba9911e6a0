/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Memory-mapped hash tables, shared by all writers.
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

#include "base/assert.h"
#include "event/cursor.h"
#include "base/reason.h"
#include "base/file.h"
#include "log/id_index.h"

#define ES_ID_INDEX_MAGIC       UINT64_C(0x3273646973797365)    /* "esysids2" */
#define ES_ID_INDEX_FIRST_BITS  16
#define ES_ID_INDEX_GROWTH_BITS  2    /* each table has four times the slots */
#define ES_ID_INDEX_RETRY     1024    /* inserts between two tries to make a
                                         table */
#define ES_ID_INDEX_SEQ_BITS    40
#define ES_ID_INDEX_BOOT_LEN    40
#define ES_ID_INDEX_BOOT_ID     "/proc/sys/kernel/random/boot_id"

/* The control file: one page, mapped by every writer. */
typedef struct {
    uint64_t  magic;
    uint64_t  identity;
    char      boot[ES_ID_INDEX_BOOT_LEN];
    uint64_t  published;       /* last log transaction that is wholly indexed */
    uint64_t  generation;      /* changes when the tables are cleared */
    uint32_t  ntables;
    uint32_t  pad;
    uint64_t  used;            /* slots in use in the last table */
} es_id_index_control_t;

ES_STORED_SIZE(es_id_index_control_t, 88);
ES_STORED_AT(es_id_index_control_t, published, 56);

struct es_id_index {
    char                   *dir;
    int                     fd;
    es_id_index_control_t  *control;
    uint64_t                generation;
    bool                    stuck;
    unsigned                mapped;
    uint64_t               *tables[ES_ID_INDEX_TABLES_MAX];
};

static bool es_id_index_spoiled(es_rc_t rc);
static es_rc_t es_id_index_map_control(es_id_index_t *ids);
static es_rc_t es_id_index_map_table(es_id_index_t *ids, unsigned i,
    bool create);
static void es_id_index_unmap_tables(es_id_index_t *ids);
static es_rc_t es_id_index_boot(char *boot);


static inline uint64_t
es_id_index_capacity(unsigned table)
{
    return UINT64_C(1) << (ES_ID_INDEX_FIRST_BITS
                           + ES_ID_INDEX_GROWTH_BITS * table);
}


static inline uint64_t
es_id_index_slot(uint64_t hash, uint64_t sequence)
{
    return (hash >> ES_ID_INDEX_SEQ_BITS << ES_ID_INDEX_SEQ_BITS) | sequence;
}


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
               && ids->control->ntables <= ES_ID_INDEX_TABLES_MAX;

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
 * A missing, truncated or foreign table is made anew.  If this process lacks
 * memory or descriptors for a table, other processes can still use it.
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

    es_id_index_unmap_tables(ids);

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
es_id_index_unmap_tables(es_id_index_t *ids)
{
    while (ids->mapped > 0) {
        ids->mapped--;
        (void) munmap(ids->tables[ids->mapped],
                      es_id_index_capacity(ids->mapped) * sizeof(uint64_t));
    }
}


es_rc_t
es_id_index_refresh(es_id_index_t *ids)
{
    es_rc_t  rc;

    if (ids->control->magic != ES_ID_INDEX_MAGIC) {
        return ES_CORRUPT;
    }

    if (ids->generation != ids->control->generation) {
        es_id_index_unmap_tables(ids);
        ids->generation = ids->control->generation;
    }

    while (ids->mapped < ids->control->ntables) {
        rc = es_id_index_map_table(ids, ids->mapped, false);
        if (rc != ES_OK) {
            return rc;
        }

        ids->stuck = false;
    }

    return ES_OK;
}


es_rc_t
es_id_index_clear(es_id_index_t *ids)
{
    char      path[4096];
    unsigned  i;

    es_id_index_unmap_tables(ids);

    for (i = 0; i < ES_ID_INDEX_TABLES_MAX; i++) {
        (void) snprintf(path, sizeof(path), "%s/%u", ids->dir, i);

        if (unlink(path) != 0 && errno != ENOENT) {
            return es_refused(errno, "remove", path);
        }
    }

    ids->control->ntables = 0;
    ids->control->used = 0;
    ids->control->published = 0;
    ids->generation = ++ids->control->generation;

    return ES_OK;
}


static es_rc_t
es_id_index_map_table(es_id_index_t *ids, unsigned i, bool create)
{
    int          fd, err;
    char         path[4096];
    void        *p;
    size_t       size;
    es_rc_t      rc;
    struct stat  sb;

    size = es_id_index_capacity(i) * sizeof(uint64_t);
    (void) snprintf(path, sizeof(path), "%s/%u", ids->dir, i);

    rc = es_file_open(path, O_RDWR | (create ? O_CREAT | O_TRUNC : 0), 0, &fd);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? es_refused(ENOENT, "open", path) : rc;
    }

    /*
     * Allocates the blocks, because a write into a hole of a full disk would
     * raise SIGBUS later.  A table that exists may be a copy with holes.
     */

    if (create) {
        err = posix_fallocate(fd, 0, (off_t) size);
        if (err != 0) {
            rc = es_refused(err, "write", path);
        }

    } else if (fstat(fd, &sb) != 0 || sb.st_size != (off_t) size) {
        rc = ES_CORRUPT;

    } else if (fallocate(fd, 0, 0, (off_t) size) == -1 && errno == ENOSPC) {
        rc = ES_FULL;
    }

    if (rc == ES_OK) {
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            rc = es_refused(errno, "map", path);
        } else {
            ids->tables[i] = p;
            ids->mapped = i + 1;
        }
    }

    err = errno;
    (void) close(fd);

    if (create && rc != ES_OK) {
        (void) unlink(path);
    }

    errno = err;

    return rc;
}


void
es_id_index_find(const es_id_index_t *ids, uint64_t hash,
    es_id_index_iter_t *iter)
{
    iter->hash = hash;
    iter->table = (int) ids->mapped - 1;
    iter->slot = iter->table >= 0
                 ? hash & (es_id_index_capacity((unsigned) iter->table) - 1)
                 : 0;
}


bool
es_id_index_next(const es_id_index_t *ids, es_id_index_iter_t *iter,
    uint64_t *sequence)
{
    uint64_t         mask, slot;
    const uint64_t  *table;

    while (iter->table >= 0) {
        table = ids->tables[iter->table];
        mask = es_id_index_capacity((unsigned) iter->table) - 1;

        for ( ;; ) {
            slot = table[iter->slot];
            if (slot == 0) {
                break;
            }

            iter->slot = (iter->slot + 1) & mask;

            if (slot >> ES_ID_INDEX_SEQ_BITS
                == iter->hash >> ES_ID_INDEX_SEQ_BITS)
            {
                *sequence = slot & ES_SEQUENCE_MAX;
                return true;
            }
        }

        iter->table--;
        if (iter->table >= 0) {
            iter->slot = iter->hash
                         & (es_id_index_capacity((unsigned) iter->table) - 1);
        }
    }

    return false;
}


void
es_id_index_prefetch(const es_id_index_t *ids, uint64_t hash)
{
    unsigned  i;

    for (i = 0; i < ids->mapped; i++) {
        __builtin_prefetch(&ids->tables[i]
                               [hash & (es_id_index_capacity(i) - 1)]);
    }
}


/* Adds a table.  While one slot in eight of the last table is free, a full
   disk is asked again only now and then. */

static es_rc_t
es_id_index_grow(es_id_index_t *ids, uint64_t capacity)
{
    es_rc_t   rc;
    uint64_t  used;

    used = ids->control->used;

    if (ids->stuck
        && used < capacity - capacity / 8
        && used % ES_ID_INDEX_RETRY != 0)
    {
        return ES_OK;
    }

    if (ids->mapped == ES_ID_INDEX_TABLES_MAX) {
        return ES_FULL;
    }

    rc = es_id_index_map_table(ids, ids->mapped, true);
    ids->stuck = rc == ES_FULL;

    if (rc != ES_OK) {
        return ids->stuck && used < capacity - capacity / 8 ? ES_OK : rc;
    }

    ids->control->used = 0;
    ids->control->ntables = ids->mapped;

    return ES_OK;
}


es_rc_t
es_id_index_insert(es_id_index_t *ids, uint64_t hash, uint64_t sequence)
{
    es_rc_t    rc;
    uint64_t   capacity, i, *table;

    capacity = ids->mapped ? es_id_index_capacity(ids->mapped - 1) : 0;

    /* At most half full: a look-up without a hit reads two or three slots. */

    if (ids->control->used >= capacity / 2) {
        rc = es_id_index_grow(ids, capacity);
        if (rc != ES_OK) {
            return rc;
        }

        capacity = es_id_index_capacity(ids->mapped - 1);
    }

    table = ids->tables[ids->mapped - 1];

    for (i = hash & (capacity - 1); table[i] != 0; i = (i + 1) & (capacity - 1))
    {
        if (table[i] == es_id_index_slot(hash, sequence)) {
            return ES_OK;
        }
    }

    table[i] = es_id_index_slot(hash, sequence);
    ids->control->used++;

    return ES_OK;
}


void
es_id_index_forget(es_id_index_t *ids, uint64_t hash, uint64_t sequence)
{
    unsigned  i;
    uint64_t  mask, slot, *table;

    for (i = 0; i < ids->mapped; i++) {
        table = ids->tables[i];
        mask = es_id_index_capacity(i) - 1;

        for (slot = hash & mask; table[slot] != 0; slot = (slot + 1) & mask) {
            if (table[slot] == es_id_index_slot(hash, sequence)) {
                table[slot] = es_id_index_slot(0, sequence);
            }
        }
    }
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


bool
es_id_index_stuck(const es_id_index_t *ids, uint64_t n)
{
    return ids->stuck
           && ids->mapped > 0
           && n < es_id_index_capacity(ids->mapped - 1) / 2;
}


void
es_id_index_empty(es_id_index_t *ids)
{
    unsigned  i;

    ids->control->magic = 0;
    ids->stuck = false;

    for (i = 0; i < ids->mapped; i++) {
        memset(ids->tables[i], 0, es_id_index_capacity(i) * sizeof(uint64_t));
    }

    ids->control->used = 0;
    ids->control->published = 0;
}
