/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Copies and hashes at once.
 *
 * LMDB writes the copy of an environment to a file by itself.  A thread follows
 * it and hashes what has arrived, so a second core does that work.  With a
 * rate, LMDB writes to a pipe instead, and another thread writes the file as
 * slowly as the rate says.
 */

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "inspect/backup_stream.h"

#define ES_STREAM_PIECE  (1024 * 1024)
#define ES_STREAM_PACED  (64 * 1024)         /* a piece with a rate */
#define ES_STREAM_FLUSH  (8 * 1024 * 1024)   /* bytes from which the disk is
                                                told to write */
#define ES_STREAM_NAP_NS 1000000

typedef struct {
    int          fd;           /* of the copy */
    int          pipe;         /* that LMDB writes to; -1: writes to `fd` */
    es_pace_t   *pace;
    EVP_MD_CTX  *md;
    char        *piece;
    atomic_bool  whole;        /* nothing more will be written */
    int          hash_err;     /* errno of either thread; 0: none */
    int          write_err;
} es_stream_t;


static int
es_stream_write(int fd, const char *data, size_t len)
{
    size_t   done;
    ssize_t  n;

    for (done = 0; done < len; done += (size_t) n) {
        n = write(fd, data + done, len - done);

        if (n == -1 && errno == EINTR) {
            n = 0;
        }

        if (n == -1) {
            return errno;
        }
    }

    return 0;
}


/* The disk is told to write early.  A large sync at the end would take longer,
   and would delay the commits of publishers. */

static void
es_stream_flush(int fd, off_t *flushed, off_t at)
{
    if (at - *flushed >= ES_STREAM_FLUSH) {
        (void) sync_file_range(fd, *flushed, at - *flushed,
                               SYNC_FILE_RANGE_WRITE);
        *flushed = at;
    }
}


/* Hashes the file up to its end until it is whole.  `whole` is read before the
   file, so that the last read finds its last byte. */

static void *
es_stream_hash(void *ctx)
{
    bool          whole;
    off_t         at, flushed;
    ssize_t       n;
    es_stream_t  *s = ctx;

    const struct timespec  nap = { 0, ES_STREAM_NAP_NS };

    flushed = 0;

    for (at = 0; ; at += n) {
        whole = atomic_load(&s->whole);
        n = pread(s->fd, s->piece, ES_STREAM_PIECE, at);

        if (n > 0) {
            (void) EVP_DigestUpdate(s->md, s->piece, (size_t) n);
            es_stream_flush(s->fd, &flushed, at + n);
            es_pace_done(s->pace, (uint64_t) n);

        } else if (n == -1 && errno != EINTR) {
            s->hash_err = errno;
            break;

        } else if (n == 0 && whole) {
            break;

        } else {
            n = 0;
            (void) nanosleep(&nap, NULL);
        }
    }

    return NULL;
}


/* Writes what comes out of the pipe. */

static void *
es_stream_pump(void *ctx)
{
    char         *piece;
    ssize_t       n;
    es_stream_t  *s = ctx;

    piece = malloc(ES_STREAM_PACED);
    s->write_err = piece == NULL ? ENOMEM : 0;

    while (s->write_err == 0
           && (n = read(s->pipe, piece, ES_STREAM_PACED)) != 0)
    {
        if (n == -1) {
            s->write_err = errno == EINTR ? 0 : errno;
            continue;
        }

        es_pace(s->pace, (uint64_t) n);
        s->write_err = es_stream_write(s->fd, piece, (size_t) n);
    }

    /* after a failure LMDB gets EPIPE and ends the copy */

    (void) close(s->pipe);
    free(piece);

    return NULL;
}


static es_rc_t
es_stream_failed(es_rc_t rc, int err)
{
    errno = err;

    return err == ENOSPC || err == EDQUOT ? ES_FULL : rc;
}


static es_rc_t
es_stream_paced(es_env_t *env, es_stream_t *s)
{
    int        ends[2], err;
    es_rc_t    rc;
    pthread_t  pump;

    if (pipe2(ends, O_CLOEXEC) == -1) {
        return ES_IO;
    }

    s->pipe = ends[0];

    if (pthread_create(&pump, NULL, es_stream_pump, s) != 0) {
        (void) close(ends[0]);
        (void) close(ends[1]);
        return ES_NOMEM;
    }

    rc = es_env_copy(env, ends[1]);
    err = errno;

    (void) close(ends[1]);
    (void) pthread_join(pump, NULL);

    return s->write_err ? es_stream_failed(ES_IO, s->write_err)
                        : es_stream_failed(rc, err);
}


static es_rc_t
es_stream_run(es_env_t *env, es_stream_t *s, uint8_t sha256[ES_BACKUP_HASH])
{
    int        err;
    es_rc_t    rc;
    pthread_t  hash;

    if (s->md == NULL || s->piece == NULL
        || EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) != 1
        || pthread_create(&hash, NULL, es_stream_hash, s) != 0)
    {
        return ES_NOMEM;
    }

    rc = s->pace->rate ? es_stream_paced(env, s) : es_env_copy(env, s->fd);
    err = errno;

    atomic_store(&s->whole, true);
    (void) pthread_join(hash, NULL);

    if (rc == ES_OK && s->hash_err) {
        return es_stream_failed(ES_IO, s->hash_err);
    }

    if (rc == ES_OK && EVP_DigestFinal_ex(s->md, sha256, NULL) != 1) {
        rc = ES_NOMEM;
    }

    errno = err;

    return rc;
}


es_rc_t
es_stream_env(es_env_t *env, int fd, es_pace_t *pace,
    uint8_t sha256[ES_BACKUP_HASH])
{
    int          err;
    es_rc_t      rc;
    es_stream_t  s = { .fd = fd, .pipe = -1, .pace = pace };

    s.md = EVP_MD_CTX_new();
    s.piece = malloc(ES_STREAM_PIECE);

    rc = es_stream_run(env, &s, sha256);
    err = errno;

    EVP_MD_CTX_free(s.md);
    free(s.piece);
    errno = err;

    return rc;
}


es_rc_t
es_stream_file(int in, int out, es_pace_t *pace,
    uint8_t sha256[ES_BACKUP_HASH])
{
    int          err;
    char        *piece;
    ssize_t      n;
    EVP_MD_CTX  *md;

    err = 0;
    n = -1;
    md = EVP_MD_CTX_new();
    piece = malloc(ES_STREAM_PIECE);

    if (md == NULL || piece == NULL
        || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
    {
        err = ENOMEM;
    }

    while (err == 0 && (n = read(in, piece, ES_STREAM_PIECE)) != 0) {
        if (n == -1) {
            err = errno == EINTR ? 0 : errno;
            continue;
        }

        (void) EVP_DigestUpdate(md, piece, (size_t) n);
        err = es_stream_write(out, piece, (size_t) n);
        es_pace_done(pace, (uint64_t) n);
    }

    if (err == 0 && EVP_DigestFinal_ex(md, sha256, NULL) != 1) {
        err = ENOMEM;
    }

    EVP_MD_CTX_free(md);
    free(piece);
    errno = err;

    return err == 0 ? ES_OK : es_stream_failed(ES_IO, err);
}
