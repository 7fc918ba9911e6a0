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
                                                told to write ... */
#define ES_STREAM_DRIP   (1024 * 1024)       /* ... and those with a rate */
#define ES_STREAM_COPY   (16 * 1024 * 1024)  /* bytes of one system call */
#define ES_STREAM_NAP_NS 1000000

struct es_hasher {
    int          fd;
    pthread_t    thread;
    es_pace_t   *pace;
    EVP_MD_CTX  *md;
    char        *piece;
    atomic_bool  whole;        /* nothing more will be written */
    int          err;          /* errno; 0: none */
};

/* A copy with a rate. */
typedef struct {
    int          fd;
    int          pipe;         /* that LMDB writes to */
    es_pace_t   *pace;
    int          err;          /* errno; 0: none */
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
es_hasher_flush(const es_hasher_t *h, off_t *flushed, off_t at)
{
    if (at - *flushed >= (h->pace->rate ? ES_STREAM_DRIP : ES_STREAM_FLUSH)) {
        (void) sync_file_range(h->fd, *flushed, at - *flushed,
                               SYNC_FILE_RANGE_WRITE);
        *flushed = at;
    }
}


/* Hashes the file up to its end until it is whole.  `whole` is read before the
   file, so that the last read finds its last byte. */

static void *
es_hasher_run(void *ctx)
{
    bool          whole;
    off_t         at, flushed;
    ssize_t       n;
    es_hasher_t  *h = ctx;

    const struct timespec  nap = { 0, ES_STREAM_NAP_NS };

    flushed = 0;

    for (at = 0; ; at += n) {
        whole = atomic_load(&h->whole);
        n = pread(h->fd, h->piece, ES_STREAM_PIECE, at);

        if (n > 0) {
            (void) EVP_DigestUpdate(h->md, h->piece, (size_t) n);
            es_hasher_flush(h, &flushed, at + n);
            es_pace_done(h->pace, (uint64_t) n);

        } else if (n == -1 && errno != EINTR) {
            h->err = errno;
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


static void
es_hasher_free(es_hasher_t *h)
{
    EVP_MD_CTX_free(h->md);
    free(h->piece);
    free(h);
}


es_hasher_t *
es_hasher_begin(int fd, es_pace_t *pace)
{
    es_hasher_t  *h;

    h = calloc(1, sizeof(es_hasher_t));
    if (h == NULL) {
        return NULL;
    }

    h->fd = fd;
    h->pace = pace;
    h->md = EVP_MD_CTX_new();
    h->piece = malloc(ES_STREAM_PIECE);

    if (h->md == NULL || h->piece == NULL
        || EVP_DigestInit_ex(h->md, EVP_sha256(), NULL) != 1
        || pthread_create(&h->thread, NULL, es_hasher_run, h) != 0)
    {
        es_hasher_free(h);
        return NULL;
    }

    return h;
}


void
es_hasher_whole(es_hasher_t *h)
{
    atomic_store(&h->whole, true);
}


es_rc_t
es_hasher_end(es_hasher_t *h, uint8_t sha256[ES_BACKUP_HASH])
{
    int      err;
    es_rc_t  rc;

    if (h == NULL) {
        return ES_OK;
    }

    es_hasher_whole(h);
    (void) pthread_join(h->thread, NULL);

    rc = h->err == 0
         && EVP_DigestFinal_ex(h->md, sha256, NULL) == 1 ? ES_OK : ES_IO;
    err = h->err;

    (void) close(h->fd);
    es_hasher_free(h);
    errno = err;

    return rc;
}


/* Writes what comes out of the pipe. */

static void *
es_stream_pump(void *ctx)
{
    char         *piece;
    ssize_t       n;
    es_stream_t  *s = ctx;

    piece = malloc(ES_STREAM_PACED);
    s->err = piece == NULL ? ENOMEM : 0;

    while (s->err == 0
           && (n = read(s->pipe, piece, ES_STREAM_PACED)) != 0)
    {
        if (n == -1) {
            s->err = errno == EINTR ? 0 : errno;
            continue;
        }

        es_pace(s->pace, (uint64_t) n);
        s->err = es_stream_write(s->fd, piece, (size_t) n);
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


es_rc_t
es_stream_env(es_env_t *env, int fd, es_pace_t *pace)
{
    int          ends[2], err;
    es_rc_t      rc;
    pthread_t    pump;
    es_stream_t  s = { .fd = fd, .pace = pace };

    if (pace->rate == 0) {
        return es_env_copy(env, fd);
    }

    if (pipe2(ends, O_CLOEXEC) == -1) {
        return ES_IO;
    }

    s.pipe = ends[0];

    if (pthread_create(&pump, NULL, es_stream_pump, &s) != 0) {
        (void) close(ends[0]);
        (void) close(ends[1]);
        return ES_NOMEM;
    }

    rc = es_env_copy(env, ends[1]);
    err = errno;

    (void) close(ends[1]);
    (void) pthread_join(pump, NULL);

    return s.err ? es_stream_failed(ES_IO, s.err) : es_stream_failed(rc, err);
}


/* For a file system that cannot copy by itself. */

static int
es_stream_read_write(int in, int out)
{
    int       err;
    char     *piece;
    ssize_t   n;

    piece = malloc(ES_STREAM_PIECE);
    err = piece == NULL ? ENOMEM : 0;

    while (err == 0 && (n = read(in, piece, ES_STREAM_PIECE)) != 0) {
        if (n == -1) {
            err = errno == EINTR ? 0 : errno;
        } else {
            err = es_stream_write(out, piece, (size_t) n);
        }
    }

    free(piece);

    return err;
}


es_rc_t
es_stream_file(int in, int out)
{
    int      err;
    ssize_t  n;

    do {
        n = copy_file_range(in, NULL, out, NULL, ES_STREAM_COPY, 0);
    } while (n > 0 || (n == -1 && errno == EINTR));

    if (n == 0) {
        return ES_OK;
    }

    /* Both offsets are behind what was copied. */

    err = errno == ENOSPC || errno == EDQUOT || errno == EIO
          ? errno : es_stream_read_write(in, out);

    return err == 0 ? ES_OK : es_stream_failed(ES_IO, err);
}
