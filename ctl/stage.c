/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The temporary directory of backup and restore.
 *
 * A thread waits for signals, because a copy may take minutes and must be
 * removed when it is interrupted.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl.h"
#include "held.h"
#include "open/open.h"
#include "stage.h"

#define STAGE_FDS    16
#define STAGE_TRIES  100
#define STAGE_NAMES  16            /* entries of a store or backup */
#define STAGE_NAME   64

/* The directory is either moved or removed: the thread that decides takes this
   lock and keeps it until the process ends. */
static pthread_mutex_t  ctl_stage_end = PTHREAD_MUTEX_INITIALIZER;

/* Arguments of ctl_stage_mode() and ctl_stage_mirror_one(), to which nftw()
   passes none. */
static struct {
    mode_t              dirs;
    mode_t              files;
    const char         *from;
    const ctl_stage_t  *stage;
} ctl_stage_walk;


static int
ctl_stage_unlink(const char *path, const struct stat *sb, int type,
    struct FTW *ftw)
{
    (void) sb;
    (void) type;
    (void) ftw;

    return remove(path);
}


void
ctl_stage_remove(const char *path)
{
    (void) nftw(path, ctl_stage_unlink, STAGE_FDS, FTW_DEPTH | FTW_PHYS);
}


static void
ctl_stage_signals(sigset_t *set)
{
    (void) sigemptyset(set);
    (void) sigaddset(set, SIGTERM);
    (void) sigaddset(set, SIGINT);
    (void) sigaddset(set, SIGHUP);
}


/* The thread that waits for signals.  The main thread may create files until
   the process ends, so that one removal may not be enough. */

static void *
ctl_stage_watch(void *ctx)
{
    int                 caught, tries;
    sigset_t            set;
    const ctl_stage_t  *stage = ctx;

    ctl_stage_signals(&set);
    (void) sigwait(&set, &caught);
    (void) pthread_mutex_lock(&ctl_stage_end);

    for (tries = 0; tries < STAGE_TRIES && access(stage->path, F_OK) == 0;
         tries++)
    {
        ctl_stage_remove(stage->path);
    }

    ctl_complain(CTL_FAILED, "ended by signal %d: \"%s\" was not created",
                 caught, stage->target);
    _exit(CTL_FAILED);
}


/* SIGKILL leaves the directory; the mark keeps anyone from using it. */

static int
ctl_stage_mark(const ctl_stage_t *stage)
{
    int   fd;
    char  file[PATH_MAX + sizeof(ES_STORE_UNFINISHED)];

    (void) snprintf(file, sizeof(file), "%s/" ES_STORE_UNFINISHED,
                    stage->path);

    fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd == -1) {
        (void) ctl_fail(CTL_FAILED, "cannot create \"%s\": %s", file,
                        strerror(errno));
        (void) rmdir(stage->path);

        return CTL_FAILED;
    }

    (void) close(fd);

    return CTL_OK;
}


/* Creates the directory, and the thread that removes it after a signal.  The
   signals are blocked before, so that none finds the directory unguarded. */

static int
ctl_stage_create(ctl_stage_t *stage)
{
    sigset_t   set;
    pthread_t  thread;

    ctl_stage_signals(&set);
    (void) pthread_sigmask(SIG_BLOCK, &set, NULL);

    if (mkdtemp(stage->path) == NULL) {
        return ctl_fail(CTL_FAILED, "cannot create \"%s\": %s", stage->path,
                        strerror(errno));
    }

    if (ctl_stage_mark(stage) != CTL_OK) {
        return CTL_FAILED;
    }

    if (pthread_create(&thread, NULL, ctl_stage_watch, stage) != 0) {
        ctl_stage_remove(stage->path);
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    (void) pthread_detach(thread);

    return CTL_OK;
}


/* The target must not exist or be empty, because nothing may be overwritten.
   The root of a disk may have a lost+found. */

static int
ctl_stage_vacant(const char *target, bool *there)
{
    DIR                  *dir;
    char                  file[PATH_MAX + 8];
    size_t                n;
    const struct dirent  *entry;

    dir = opendir(target);
    *there = dir != NULL;

    if (dir == NULL) {
        return errno == ENOENT ? CTL_OK
                               : ctl_fail(CTL_FAILED, "cannot read the "
                                          "directory \"%s\": %s", target,
                                          strerror(errno));
    }

    n = 0;

    while ((entry = readdir(dir)) != NULL) {
        n += strcmp(entry->d_name, ".") != 0
             && strcmp(entry->d_name, "..") != 0
             && strcmp(entry->d_name, "lost+found") != 0;
    }

    (void) closedir(dir);

    if (n == 0) {
        return CTL_OK;
    }

    (void) snprintf(file, sizeof(file), "%s/format", target);

    return ctl_fail(CTL_FAILED, "\"%s\" is not empty%s: name a new directory",
                    target, access(file, F_OK) == 0
                            ? " (it has a store or a backup)" : "");
}


static bool
ctl_stage_is_store(const char *dir)
{
    char   file[PATH_MAX + 8], line[16];
    bool   is;
    FILE  *f;

    (void) snprintf(file, sizeof(file), "%s/format", dir);

    f = fopen(file, "re");
    if (f == NULL) {
        return false;
    }

    is = fgets(line, sizeof(line), f) != NULL
         && strncmp(line, "eventsync-", 10) == 0;
    (void) fclose(f);

    return is;
}


/* A directory in a store or backup would be copied, moved or erased with it.
   One whose parents cannot be found fails later, when it is made. */

static int
ctl_stage_outside(const ctl_stage_t *stage)
{
    char   above[PATH_MAX + 4], real[PATH_MAX];
    char  *slash;

    (void) snprintf(above, sizeof(above), "%s%s", stage->target,
                    stage->within ? "/." : "");
    slash = strrchr(above, '/');

    if (slash == NULL) {
        (void) snprintf(above, sizeof(above), ".");
    } else {
        slash[slash == above] = '\0';
    }

    if (realpath(above, real) == NULL) {
        return CTL_OK;
    }

    for ( ; real[0] != '\0'; *strrchr(real, '/') = '\0') {

        if (ctl_stage_is_store(real)) {
            return ctl_fail(CTL_FAILED, "\"%s\" is within a store or a backup, "
                            "\"%s\": name a directory outside",
                            stage->target, real);
        }
    }

    return CTL_OK;
}


int
ctl_stage_open(ctl_stage_t *stage, const char *target)
{
    int     rc;
    size_t  len;

    for (len = strlen(target); len > 1 && target[len - 1] == '/'; len--) {
        /* void */
    }

    if (len == 0 || len + sizeof("/new.XXXXXX") > sizeof(stage->path)) {
        return ctl_fail(CTL_USAGE, "\"%s\" is not the name of a directory",
                        target);
    }

    (void) snprintf(stage->target, sizeof(stage->target), "%.*s", (int) len,
                    target);
    rc = ctl_stage_vacant(stage->target, &stage->within);
    if (rc == CTL_OK) {
        rc = ctl_stage_outside(stage);
    }
    if (rc != CTL_OK) {
        return rc;
    }

    (void) snprintf(stage->path, sizeof(stage->path), "%.*s%s.XXXXXX",
                    (int) len, target, stage->within ? "/new" : "");

    rc = ctl_stage_create(stage);
    if (rc != CTL_OK) {
        return rc;
    }

    if (stat(stage->within ? stage->target : stage->path, &stage->like) == -1)
    {
        return ctl_fail(CTL_FAILED, "cannot stat \"%s\": %s", stage->path,
                        strerror(errno));
    }

    return CTL_OK;
}


static int
ctl_stage_mode(const char *path, const struct stat *sb, int type,
    struct FTW *ftw)
{
    uid_t               uid;
    mode_t              mode;
    const struct stat  *like;

    (void) type;
    (void) ftw;

    like = &ctl_stage_walk.stage->like;

    mode = S_ISDIR(sb->st_mode)
           ? ctl_stage_walk.dirs | (like->st_mode & S_ISGID)
           : ctl_stage_walk.files;

    uid = geteuid() == 0 ? like->st_uid : (uid_t) -1;

    /* The mode is set last, because a change of the group clears S_ISGID. */

    if (lchown(path, uid, like->st_gid) == -1 || chmod(path, mode) == -1) {
        return ctl_fail(-1, "cannot give \"%s\" the group and mode of a "
                        "store: %s", path, strerror(errno));
    }

    return 0;
}


int
ctl_stage_modes(const ctl_stage_t *stage, mode_t dirs, mode_t files)
{
    ctl_stage_walk.dirs = dirs;
    ctl_stage_walk.files = files;
    ctl_stage_walk.stage = stage;

    if (nftw(stage->path, ctl_stage_mode, STAGE_FDS, FTW_PHYS) != 0) {
        return CTL_FAILED;
    }

    return !stage->within
           || ctl_stage_mode(stage->target, &stage->like, FTW_D, NULL) == 0
           ? CTL_OK : CTL_FAILED;
}


/* A file that the other store lacks gets the rights of its directory there. */

static bool
ctl_stage_model(const char *name, struct stat *st)
{
    char  other[2 * PATH_MAX], *end;
    bool  there;

    (void) snprintf(other, sizeof(other), "%s%s", ctl_stage_walk.from, name);

    if (lstat(other, st) == 0) {
        return true;
    }

    end = strrchr(other, '/');
    *end = '\0';
    there = lstat(other, st) == 0;
    st->st_mode = es_file_mode(st->st_mode, strcmp(end + 1, "lock.mdb") == 0
                                            ? ES_FILE_SHARED : 0);

    return there;
}


static int
ctl_stage_mirror_one(const char *path, const struct stat *sb, int type,
    struct FTW *ftw)
{
    struct stat  st;

    (void) sb;
    (void) type;
    (void) ftw;

    if (!ctl_stage_model(path + strlen(ctl_stage_walk.stage->path), &st)
        || lchown(path, st.st_uid, st.st_gid) == -1
        || chmod(path, st.st_mode & 07777) == -1)
    {
        return ctl_fail(-1, "cannot give \"%s\" the owner, group and mode that "
                        "it had: %s", path, strerror(errno));
    }

    return 0;
}


int
ctl_stage_mirror(const ctl_stage_t *stage, const char *from)
{
    ctl_stage_walk.from = from;
    ctl_stage_walk.stage = stage;

    return nftw(stage->path, ctl_stage_mirror_one, STAGE_FDS, FTW_PHYS) == 0
           ? CTL_OK : CTL_FAILED;
}


int
ctl_stage_adopt(const ctl_stage_t *stage)
{
    struct stat  st;

    if (!stage->within) {
        return CTL_OK;
    }

    if (stat(stage->path, &st) == -1
        || chown(stage->target, st.st_uid, st.st_gid) == -1
        || chmod(stage->target, st.st_mode & 07777) == -1)
    {
        return ctl_fail(CTL_FAILED, "cannot give \"%s\" the group and mode of "
                        "a store: %s", stage->target, strerror(errno));
    }

    return CTL_OK;
}


/* Lists the entries of the directory except `last` and the mark.  -1: it has
   too many, or it cannot be read. */

static int
ctl_stage_names(const ctl_stage_t *stage, const char *last,
    char names[STAGE_NAMES][STAGE_NAME])
{
    int                   n;
    DIR                  *dir;
    size_t                len;
    const struct dirent  *entry;

    dir = opendir(stage->path);
    if (dir == NULL) {
        return -1;
    }

    n = 0;

    while (n >= 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0
            || strcmp(entry->d_name, last) == 0
            || strcmp(entry->d_name, ES_STORE_UNFINISHED) == 0)
        {
            continue;
        }

        len = strlen(entry->d_name);

        if (n == STAGE_NAMES - 1 || len >= STAGE_NAME) {
            n = -1;
        } else {
            memcpy(names[n++], entry->d_name, len + 1);
        }
    }

    (void) closedir(dir);

    return n;
}


/* Moves the entries into the target.  When one cannot be moved, those that were
   moved are removed. */

static bool
ctl_stage_move(const ctl_stage_t *stage, const char *last)
{
    int   i, n;
    char  from[PATH_MAX + STAGE_NAME], to[PATH_MAX + STAGE_NAME];
    char  names[STAGE_NAMES][STAGE_NAME], *name;

    n = ctl_stage_names(stage, last, names);
    if (n == -1) {
        return false;
    }

    (void) snprintf(names[n++], STAGE_NAME, "%s", last);

    for (i = 0; i < n; i++) {
        name = names[i];
        (void) snprintf(from, sizeof(from), "%s/%.*s", stage->path,
                        STAGE_NAME - 1, name);
        (void) snprintf(to, sizeof(to), "%s/%.*s", stage->target,
                        STAGE_NAME - 1, name);

        if (rename(from, to) == -1) {
            break;
        }
    }

    if (i == n) {
        return true;
    }

    while (i-- > 0) {
        name = names[i];
        (void) snprintf(to, sizeof(to), "%s/%.*s", stage->target,
                        STAGE_NAME - 1, name);
        ctl_stage_remove(to);
    }

    return false;
}


int
ctl_stage_finish(const ctl_stage_t *stage, const char *last)
{
    bool  moved;
    char  mark[PATH_MAX + sizeof(ES_STORE_UNFINISHED)];

    (void) pthread_mutex_lock(&ctl_stage_end);

    (void) snprintf(mark, sizeof(mark), "%s/" ES_STORE_UNFINISHED,
                    stage->path);

    if (stage->within) {
        moved = ctl_stage_move(stage, last) && unlink(mark) == 0
                && rmdir(stage->path) == 0;
    } else {
        moved = unlink(mark) == 0 && rename(stage->path, stage->target) == 0;
    }

    if (!moved || !ctl_held_sync_directory(stage->within ? stage->path
                                                         : stage->target))
    {
        return ctl_fail(CTL_FAILED, "cannot move \"%s\" to \"%s\": %s",
                        stage->path, stage->target, strerror(errno));
    }

    return CTL_OK;
}
