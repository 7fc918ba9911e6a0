/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads a file with secret keys, and refuses one that others can read.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "keys/keyfile.h"

#define ES_KEY_FILE_MODE  0640


/* The read asks for one byte more, to notice a file that is too large. */

static es_rc_t
es_key_file_text(int fd, const char *what, const char *path, void *data,
    size_t size, size_t *len, es_problem_t *problem)
{
    ssize_t  n;

    n = read(fd, data, size);

    if (n <= 0 || (size_t) n == size) {
        return es_problem_set(problem, n < 0 ? ES_IO : ES_INVALID, -1, NULL,
                              "%s \"%s\" %s", what, path,
                              n < 0 ? "cannot be read"
                                    : n == 0 ? "is empty" : "is too large");
    }

    *len = (size_t) n;

    return ES_OK;
}


es_rc_t
es_key_file_read(const char *what, const char *path, void *data, size_t size,
    size_t *len, es_problem_t *problem)
{
    int          fd;
    es_rc_t      rc;
    struct stat  st;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd == -1 || fstat(fd, &st) == -1) {
        rc = es_problem_set(problem, ES_IO, -1, NULL,
                            "%s \"%s\" cannot be opened: %s", what, path,
                            strerror(errno));

    } else if (!S_ISREG(st.st_mode)
               || (st.st_mode & 07777 & ~ES_KEY_FILE_MODE))
    {
        rc = es_problem_set(problem, ES_DENIED, -1, NULL, "%s \"%s\" "
                            "must be a file of mode 0600 or 0640, not "
                            "%04o", what, path, (unsigned) st.st_mode & 07777);

    } else {
        rc = es_key_file_text(fd, what, path, data, size, len, problem);
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}
