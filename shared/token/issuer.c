/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An external issuer and the file of its keys, which is read again when it has
 * changed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "keys/apikey.h"
#include "token/issuer.h"
#include "token/issuer_keys.h"

struct es_issuer {
    es_issuer_conf_t   conf;
    es_issuer_keys_t  *keys;       /* NULL: the file is missing */
    struct stat        st;         /* of the file that was read last */
    es_rc_t            last;       /* what came of that */
    uint64_t           looked_ms;  /* 0: never */
    uint64_t           changes;    /* of keys */
};


static es_rc_t
es_issuer_open(const char *path, int *fd, struct stat *st,
    es_problem_t *problem)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (*fd == -1 || fstat(*fd, st) == -1) {
        return es_problem_set(problem, ES_IO, -1, NULL,
                              "key file \"%s\" cannot be opened: %s", path,
                              strerror(errno));
    }

    if (!S_ISREG(st->st_mode) || (st->st_mode & S_IWOTH)) {
        return es_problem_set(problem, ES_DENIED, -1, NULL, "key file \"%s\" "
                              "must be a file that not all users can write",
                              path);
    }

    return ES_OK;
}


/* The read asks for one byte more, to notice a file that is too large. */

static es_rc_t
es_issuer_read(es_issuer_t *issuer, int fd, es_problem_t *problem)
{
    char              *data;
    es_rc_t            rc;
    ssize_t            n;
    const char        *path;
    es_issuer_keys_t  *keys;

    path = issuer->conf.path;

    data = malloc(ES_ISSUER_FILE_MAX + 1);
    if (data == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    n = read(fd, data, ES_ISSUER_FILE_MAX + 1);

    if (n < 0) {
        rc = es_problem_set(problem, ES_IO, -1, NULL, "key file \"%s\" cannot "
                            "be read: %s", path, strerror(errno));

    } else if (n > ES_ISSUER_FILE_MAX) {
        rc = es_problem_set(problem, ES_INVALID, -1, NULL, "key file \"%s\" "
                            "is larger than %d bytes", path,
                            ES_ISSUER_FILE_MAX);

    } else {
        rc = es_issuer_keys_parse((es_str_t) { data, (size_t) n }, path,
                                  issuer->conf.alg, &keys, problem);
    }

    free(data);

    if (rc == ES_OK) {
        es_issuer_keys_free(issuer->keys);
        issuer->keys = keys;
        issuer->changes++;
    }

    return rc;
}


/* A file that replaces another by rename has another inode; one that is
   written in place has another change time. */

static bool
es_issuer_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino
           && a->st_size == b->st_size
           && a->st_ctim.tv_sec == b->st_ctim.tv_sec
           && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}


/* A file that is missing or unfit leaves no keys; a damaged one leaves those
   from before.  `news` is false if the outcome is that of the last look. */

static es_rc_t
es_issuer_look(es_issuer_t *issuer, bool *news, es_problem_t *problem)
{
    int          fd;
    es_rc_t      rc;
    struct stat  st;

    rc = es_issuer_open(issuer->conf.path, &fd, &st, problem);

    if (rc == ES_OK && (issuer->last == ES_OK || issuer->last == ES_INVALID)
        && es_issuer_same(&st, &issuer->st))
    {
        *news = false;
        (void) close(fd);
        return issuer->last;
    }

    if (rc == ES_OK) {
        issuer->st = st;
        rc = es_issuer_read(issuer, fd, problem);
        *news = true;

    } else {
        *news = rc != issuer->last;
    }

    if ((rc == ES_IO || rc == ES_DENIED) && issuer->keys != NULL) {
        es_issuer_keys_free(issuer->keys);
        issuer->keys = NULL;
        issuer->changes++;
    }

    if (fd != -1) {
        (void) close(fd);
    }

    issuer->last = rc;

    return rc;
}


es_rc_t
es_issuer_create(const es_issuer_conf_t *conf, es_issuer_t **out,
    es_problem_t *problem)
{
    bool          news;
    es_rc_t       rc;
    es_issuer_t  *issuer;

    issuer = calloc(1, sizeof(es_issuer_t));
    if (issuer == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    issuer->conf = *conf;
    issuer->last = ES_IO;

    rc = es_issuer_look(issuer, &news, problem);

    if (rc != ES_OK) {
        es_issuer_free(issuer);
        return rc;
    }

    *out = issuer;

    return ES_OK;
}


void
es_issuer_free(es_issuer_t *issuer)
{
    if (issuer != NULL) {
        es_issuer_keys_free(issuer->keys);
        free(issuer);
    }
}


const es_issuer_conf_t *
es_issuer_conf(const es_issuer_t *issuer)
{
    return &issuer->conf;
}


es_rc_t
es_issuer_refresh(es_issuer_t *issuer, uint64_t now_ms, es_problem_t *problem)
{
    bool     news;
    es_rc_t  rc;

    if (issuer->looked_ms != 0
        && now_ms - issuer->looked_ms < ES_ISSUER_REREAD_MS)
    {
        return ES_OK;
    }

    issuer->looked_ms = now_ms;

    rc = es_issuer_look(issuer, &news, problem);

    return news ? rc : ES_OK;
}


uint64_t
es_issuer_changes(const es_issuer_t *issuer)
{
    return issuer->changes;
}


bool
es_issuer_ready(const es_issuer_t *issuer)
{
    return issuer->keys != NULL;
}


es_issuer_keys_t *
es_issuer_present(es_issuer_t *issuer)
{
    return issuer->keys;
}


bool
es_issuer_has(const es_issuer_t *issuer, const uint8_t signer[ES_DIGEST_LEN])
{
    size_t  i;

    for (i = 0; issuer->keys != NULL && i < issuer->keys->n; i++) {
        if (memcmp(issuer->keys->keys[i].digest, signer, ES_DIGEST_LEN) == 0) {
            return true;
        }
    }

    return false;
}
