/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The list of a backup's files.
 *
 * To sha256sum its lines for people are comments, so it can check a backup as
 * well.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "inspect/backup.h"
#include "inspect/backup_stream.h"

#define ES_BACKUP_VERSION  2


static es_rc_t
es_backup_text(const es_backup_t *backup, es_buf_t *out)
{
    char                     at[ES_TIME_LEN];
    es_rc_t                  rc;
    unsigned                 i, j;
    const es_backup_file_t  *file;

    es_time_print(backup->made_ms, at);

    rc = es_buf_printf(out, "# eventsync-backup %u\n# made %.*s\n"
                       "# identity %016" PRIx64 "\n# keys %.*s\n",
                       ES_BACKUP_VERSION, (int) sizeof(at), at,
                       backup->identity, (int) backup->keys.len,
                       backup->keys.len ? backup->keys.data : "");

    for (i = 0; rc == ES_OK && i < backup->nfiles; i++) {
        file = &backup->files[i];

        for (j = 0; rc == ES_OK && j < ES_BACKUP_HASH; j++) {
            rc = es_buf_printf(out, "%02x", file->sha256[j]);
        }

        if (rc == ES_OK) {
            rc = es_buf_printf(out, "  %s\n", file->name);
        }
    }

    return rc == ES_OK ? es_buf_printf(out, "# end\n") : rc;
}


static es_rc_t
es_backup_hashes(const char *dir, es_backup_t *backup, es_problem_t *problem)
{
    es_rc_t            rc;
    unsigned           i;
    es_backup_file_t  *file;

    for (i = 0; i < backup->nfiles; i++) {
        file = &backup->files[i];

        rc = es_hasher_end(file->hasher, file->sha256);
        file->hasher = NULL;

        if (rc != ES_OK) {
            return es_backup_fault(problem, "read", dir, file->name);
        }
    }

    return ES_OK;
}


es_rc_t
es_backup_seal(const char *dir, es_backup_t *backup, es_problem_t *problem)
{
    int       fd;
    bool      ok;
    char      path[4096];
    es_rc_t   rc;
    es_buf_t  text = { 0 };

    rc = es_backup_hashes(dir, backup, problem);
    if (rc != ES_OK) {
        return rc;
    }

    if (es_backup_text(backup, &text) != ES_OK) {
        es_buf_free(&text);
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    (void) snprintf(path, sizeof(path), "%s/" ES_BACKUP_LIST, dir);

    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, ES_BACKUP_MODE);
    ok = fd != -1
         && write(fd, text.data, text.len) == (ssize_t) text.len
         && fsync(fd) == 0;

    rc = ok ? ES_OK : es_backup_fault(problem, "write", dir, ES_BACKUP_LIST);

    if (fd != -1) {
        (void) close(fd);
    }

    es_buf_free(&text);

    return rc == ES_OK ? es_backup_sync(dir, ".", problem) : rc;
}


/* Reads one line of the list.  False: es_backup_seal() never writes this line.
   Only known names pass, so that a list cannot lead to another path. */

static bool
es_backup_line(es_backup_t *backup, const char *line)
{
    size_t             n;
    unsigned           i;
    es_backup_file_t  *file;

    static const char  *const names[ES_BACKUP_FILES] = {
        "checkpoints/data.mdb", "delivery/data.mdb", "registry/data.mdb",
        "log/data.mdb", "format"
    };

    if (backup->nfiles == ES_BACKUP_FILES) {
        return false;
    }

    file = &backup->files[backup->nfiles];

    n = strspn(line, "0123456789abcdef");

    if (n != 2 * (size_t) ES_BACKUP_HASH || strncmp(line + n, "  ", 2) != 0) {
        return false;
    }

    for (i = 0; i < ES_BACKUP_HASH; i++) {
        (void) sscanf(line + 2 * (size_t) i, "%2hhx", &file->sha256[i]);
    }

    line += n;

    for (i = 0; i < ES_BACKUP_FILES; i++) {
        if (strcmp(line + 2, names[i]) == 0) {
            (void) snprintf(file->name, sizeof(file->name), "%s", names[i]);
            backup->nfiles++;
            return true;
        }
    }

    return false;
}


static bool
es_backup_lines(es_backup_t *backup, FILE *f)
{
    bool      ok, whole;
    char     *line, at[64];
    size_t    cap;
    ssize_t   n;
    unsigned  number;

    ok = true;
    cap = 0;
    line = NULL;
    whole = false;

    for (number = 2; ok && !whole && (n = getline(&line, &cap, f)) > 0;
         number++)
    {
        line[n - 1] = line[n - 1] == '\n' ? '\0' : line[n - 1];

        if (number == 2) {
            ok = sscanf(line, "# made %63s", at) == 1
                 && es_time_parse(es_str(at), &backup->made_ms) == ES_OK;

        } else if (number == 3) {
            ok = sscanf(line, "# identity %" SCNx64, &backup->identity) == 1;

        } else if (number == 4) {
            ok = strncmp(line, "# keys ", 7) == 0
                 && es_buf_str(&backup->keys, es_str(line + 7)) == ES_OK;

        } else if (strcmp(line, "# end") == 0) {
            whole = backup->nfiles > 0;

        } else {
            ok = es_backup_line(backup, line);
        }
    }

    free(line);

    return ok && whole;
}


es_rc_t
es_backup_read(const char *dir, es_backup_t *backup, es_problem_t *problem)
{
    bool      ok;
    char      path[4096], first[64];
    FILE     *f;
    unsigned  version;

    memset(backup, 0, sizeof(es_backup_t));
    (void) snprintf(path, sizeof(path), "%s/" ES_BACKUP_LIST, dir);

    f = fopen(path, "re");
    if (f == NULL) {
        return errno == ENOENT || errno == ENOTDIR
               ? es_problem_set(problem, ES_NOT_FOUND, -1, NULL, "\"%s\" is "
                                "not a backup (no file \"backup\" in it)", dir)
               : es_backup_fault(problem, "read", dir, ES_BACKUP_LIST);
    }

    if (fgets(first, sizeof(first), f) == NULL
        || (sscanf(first, "# eventsync-backup %u", &version) != 1
            && sscanf(first, "eventsync-backup %u", &version) != 1))
    {
        (void) fclose(f);
        return es_problem_set(problem, ES_NOT_FOUND, -1, NULL, "\"%s\" is not "
                              "a list of an eventsync backup", path);
    }

    if (version != ES_BACKUP_VERSION) {
        (void) fclose(f);
        return es_problem_set(problem, ES_FORMAT, -1, NULL, "\"%s\" is a "
                              "backup of version %u, but this program reads "
                              "version %u", dir, version, ES_BACKUP_VERSION);
    }

    ok = es_backup_lines(backup, f);
    (void) fclose(f);

    if (!ok) {
        es_buf_free(&backup->keys);
        return es_problem_set(problem, ES_FORMAT, -1, NULL, "\"%s\" is cut "
                              "short or changed: the backup is not whole",
                              path);
    }

    return ES_OK;
}
