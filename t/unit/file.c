/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files and directories that two processes make at once: nobody finds one
 * that does not have its rights yet.  The second process acts at the moment
 * when the first sets the rights.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

static char    top[] = "/tmp/eventsync-file-XXXXXX";
static char    dir[128], file[128], other[128];
static void  (*second)(void);       /* what the second process does */
static bool    norename;            /* the filesystem knows no such rename */


int
fchmod(int fd, mode_t mode)
{
    int   (*next)(int, mode_t);
    void  (*act)(void);

    act = second;
    second = NULL;

    if (act != NULL) {
        act();
    }

    *(void **) &next = dlsym(RTLD_NEXT, "fchmod");

    return next(fd, mode);
}


int
renameat2(int from, const char *fresh, int to, const char *path, unsigned flags)
{
    int  (*next)(int, const char *, int, const char *, unsigned);

    if (norename) {
        errno = EINVAL;
        return -1;
    }

    *(void **) &next = dlsym(RTLD_NEXT, "renameat2");

    return next(from, fresh, to, path, flags);
}


static int
mode(const char *path)
{
    struct stat  st;

    return stat(path, &st) == 0 ? (int) (st.st_mode & 07777) : -1;
}


static bool
make(const char *path)
{
    int      fd;
    es_rc_t  rc;

    rc = es_file_open(path, O_RDWR | O_CREAT, 0, &fd);

    if (rc == ES_OK) {
        (void) close(fd);
    }

    return rc == ES_OK;
}


static void
use_directory(void)
{
    ok(es_file_mkdir(dir, top) == ES_OK && make(other),
       "a second process uses the directory");
    is_int(mode(dir), 02770, "which has its rights");
    is_int(mode(other), 0660, "as has the file that it makes there");
}


static void
use_file(void)
{
    ok(make(file), "a second process opens the file");
    is_int(mode(file), 0660, "which has its rights");
}


static unsigned
entries(const char *of)
{
    char      command[256];
    FILE     *f;
    unsigned  n;

    (void) snprintf(command, sizeof(command), "ls -A '%s' | wc -l", of);

    f = popen(command, "r");
    if (f == NULL || fscanf(f, "%u", &n) != 1) {
        n = 0;
    }

    (void) pclose(f);

    return n;
}


static void
at_once(void)
{
    second = use_directory;
    ok(es_file_mkdir(dir, top) == ES_OK, "the first goes on with it");
    is_int(mode(dir), 02770, "and it keeps its rights");
    is_int(entries(dir), 1, "and what is in it");

    second = use_file;
    ok(make(file), "the first goes on with the file");
    is_int(mode(file), 0660, "and it keeps its rights");

    is_int(entries(top), 1, "no other name is left beside the directory");
    is_int(entries(dir), 2, "nor beside the file");

    (void) unlink(other);
    (void) unlink(file);
    (void) rmdir(dir);
}


int
main(void)
{
    int  fd;

    (void) umask(022);

    if (mkdtemp(top) == NULL || chmod(top, 02770) != 0) {
        return 1;
    }

    (void) snprintf(dir, sizeof(dir), "%s/pages", top);
    (void) snprintf(file, sizeof(file), "%s/pages/data", top);
    (void) snprintf(other, sizeof(other), "%s/pages/other", top);

    at_once();

    norename = true;
    at_once();
    norename = false;

    ok(es_file_open(file, O_RDONLY, 0, &fd) == ES_NOT_FOUND,
       "a file that is missing is not made unasked");
    ok(es_file_open(file, O_RDWR | O_CREAT, 0, &fd) == ES_IO,
       "nor is one in a directory that is missing");
    ok(es_file_mkdir(file, dir) == ES_IO, "nor is a directory");
    (void) snprintf(file, sizeof(file), "%s/pages/", top);
    ok(es_file_mkdir(file, top) == ES_OK && mode(dir) == 02770,
       "a directory is made by a name that ends in a slash");

    (void) rmdir(dir);
    (void) rmdir(top);

    return done();
}
