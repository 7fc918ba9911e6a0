/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "import": publishes the events of a file that "export" or a backfill made.
 *
 * The file is read twice.  The first pass compares it with its last line, the
 * manifest, so nothing is published of a file that is cut short or changed.
 * The log does not store an event twice, so an import that was interrupted is
 * simply run again.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event/digest.h"
#include "input.h"
#include "progress.h"
#include "sink.h"

/* Events and bytes of a commit: so many that an import does not wait for the
   disk most of the time, and so few that publishers beside it wait for tens of
   milliseconds at most. */
#define IMPORT_BATCH     40000
#define IMPORT_BYTES     (16 * 1024 * 1024)
#define IMPORT_MANIFEST  4096      /* bytes that its line may have */
#define IMPORT_LINES     8192      /* that the first pass collects */
#define IMPORT_READ      (1024 * 1024)

static const char  import_manifest[] = "{\"manifest\":";
static const char  import_position[] = "{\"position\":";
static const char  import_error[] = "{\"error\":";

typedef enum { IMPORT_EVENT, IMPORT_NOTHING, IMPORT_MANIFEST_LINE,
               IMPORT_ERROR_LINE } import_line_t;

typedef struct {
    const char   *path;
    ctl_input_t   input;
    uint64_t      line;
    uint64_t      count;           /* what the manifest says */
    uint64_t      bytes;
    bool          chained;         /* the digest is that of the chain */
    uint8_t       from[ES_CHAIN_LEN];
    uint8_t       digest[ES_CHAIN_LEN];
} ctl_import_t;


/* Lines whose digests one thread computes. */
typedef struct {
    const es_str_t   *lines;
    uint8_t         (*digests)[ES_CHAIN_LEN];
    size_t            n;
} ctl_import_part_t;

/* What the first pass finds. */
typedef struct {
    uint64_t     count;
    uint64_t     bytes;
    uint8_t      chain[ES_CHAIN_LEN];
    EVP_MD_CTX  *md;               /* of the lines, where there is no chain */
    size_t       n;                /* lines that are not in the chain yet */
    es_str_t     lines[IMPORT_LINES];
    uint8_t      digests[IMPORT_LINES][ES_CHAIN_LEN];
} ctl_import_sum_t;

/* A thread commits one sink while the other one is filled: reading lines takes
   as long as commits. */
typedef struct {
    ctl_sink_t  *filling;
    ctl_sink_t  *filled;
    pthread_t    thread;
    bool         running;
    int          rc;               /* of the last commit */
} ctl_committer_t;


static int
ctl_import_broken(const ctl_import_t *m, const char *why)
{
    return ctl_fail(CTL_FAILED, "\"%s\" is no whole export: %s; nothing was "
                    "published", m->path, why);
}


static bool
ctl_import_begins(es_str_t line, const char *with)
{
    size_t  len;

    len = strlen(with);

    return line.len >= len && memcmp(line.data, with, len) == 0;
}


static import_line_t
ctl_import_kind(es_str_t line)
{
    return line.len == 0 || ctl_import_begins(line, import_position)
               ? IMPORT_NOTHING
           : ctl_import_begins(line, import_manifest) ? IMPORT_MANIFEST_LINE
           : ctl_import_begins(line, import_error) ? IMPORT_ERROR_LINE
           : IMPORT_EVENT;
}


static bool
ctl_import_hex(const char *hex, uint8_t digest[ES_CHAIN_LEN])
{
    size_t  i;

    if (hex == NULL || strspn(hex, "0123456789abcdef") != 2 * ES_CHAIN_LEN
        || hex[(size_t) 2 * ES_CHAIN_LEN] != '\0')
    {
        return false;
    }

    for (i = 0; i < ES_CHAIN_LEN; i++) {
        (void) sscanf(hex + 2 * i, "%2hhx", &digest[i]);
    }

    return true;
}


static int
ctl_import_manifest(ctl_import_t *m, const char *text, size_t len)
{
    int          rc, complete;
    json_t      *json;
    json_int_t   count, bytes;
    const char  *algorithm, *from = NULL, *digest;

    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

    if (json_unpack(json, "{s:{s:b, s:I, s:I, s:s, s?s, s:s}}", "manifest",
                    "complete", &complete, "count", &count, "bytes", &bytes,
                    "algorithm", &algorithm, "digest_from", &from, "digest",
                    &digest) != 0
        || count < 0 || bytes < 0 || !ctl_import_hex(digest, m->digest))
    {
        rc = ctl_import_broken(m, "its last line is no manifest");

    } else if (!complete) {
        rc = ctl_import_broken(m, "its manifest says that it is incomplete");

    } else {
        m->count = (uint64_t) count;
        m->bytes = (uint64_t) bytes;
        m->chained = strcmp(algorithm, ES_CHAIN_NAME) == 0;

        rc = m->chained ? ctl_import_hex(from, m->from)
                        : strcmp(algorithm, "sha256") == 0;
        rc = rc ? CTL_OK
                : ctl_import_broken(m, "its manifest has no digest that this "
                                    "program knows");
    }

    json_decref(json);

    return rc;
}


/* Finds the last line.  The file must be one that can be read twice. */

static int
ctl_import_open(ctl_import_t *m)
{
    int          fd;
    char         tail[IMPORT_MANIFEST];
    size_t       len;
    ssize_t      n;
    const char  *line;
    struct stat  st;

    fd = open(m->path, O_RDONLY | O_CLOEXEC);
    m->input.fd = fd;

    if (fd == -1 || fstat(fd, &st) == -1) {
        return ctl_fail(CTL_FAILED, "cannot read \"%s\": %s", m->path,
                        strerror(errno));
    }

    if (!S_ISREG(st.st_mode)) {
        return ctl_fail(CTL_FAILED, "\"%s\" is no file: an import reads it "
                        "twice", m->path);
    }

    len = st.st_size < IMPORT_MANIFEST ? (size_t) st.st_size : IMPORT_MANIFEST;
    n = pread(fd, tail, len, st.st_size - (off_t) len);

    if (n != (ssize_t) len) {
        return ctl_fail(CTL_FAILED, "cannot read \"%s\": %s", m->path,
                        n == -1 ? strerror(errno) : "it became shorter");
    }

    if (len == 0 || tail[len - 1] != '\n') {
        return ctl_import_broken(m, "it is cut short");
    }

    line = memrchr(tail, '\n', len - 1);
    line = line ? line + 1 : tail;

    return ctl_import_manifest(m, line, (size_t) (tail + len - line));
}


static int
ctl_import_next(ctl_import_t *m, es_str_t *line, bool *end)
{
    es_rc_t  es;

    es = ctl_input_line(&m->input, line);
    *end = es == ES_NOT_FOUND;
    m->line++;
    ctl_progress(m->input.taken);

    return es == ES_OK || *end ? CTL_OK
                               : ctl_fail(CTL_FAILED, "cannot read \"%s\": %s",
                                          m->path, es_reason(es));
}


static void *
ctl_import_digests(void *ctx)
{
    size_t              i;
    ctl_import_part_t  *part = ctx;

    for (i = 0; i < part->n; i++) {
        es_digest_sent(part->lines[i].data, part->lines[i].len,
                       part->digests[i]);
    }

    return NULL;
}


/* Extends the chain by these events.  Two threads compute their digests; only
   the links of the chain follow one another. */

static int
ctl_import_fold(ctl_import_sum_t *sum)
{
    size_t             i, half;
    pthread_t          thread;
    ctl_import_part_t  first, second;

    half = sum->n / 2;
    first = (ctl_import_part_t) { sum->lines, sum->digests, half };
    second = (ctl_import_part_t) { sum->lines + half, sum->digests + half,
                                   sum->n - half };

    if (pthread_create(&thread, NULL, ctl_import_digests, &second) != 0) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    (void) ctl_import_digests(&first);
    (void) pthread_join(thread, NULL);

    for (i = 0; i < sum->n; i++) {
        es_digest_link(sum->chain, sum->digests[i]);
    }

    sum->n = 0;

    return CTL_OK;
}


/* The first pass: reads all lines, and computes the digest of the events. */

static int
ctl_import_sum(ctl_import_t *m, ctl_import_sum_t *sum)
{
    int       rc;
    bool      end;
    es_str_t  line;

    memcpy(sum->chain, m->from, ES_CHAIN_LEN);

    while ((rc = ctl_import_next(m, &line, &end)) == CTL_OK && !end) {

        if (ctl_import_kind(line) == IMPORT_EVENT) {
            sum->count++;
            sum->bytes += line.len + 1;

            if (m->chained) {
                sum->lines[sum->n++] = line;
            } else {
                /* the buffer has the end of the line as well */

                (void) EVP_DigestUpdate(sum->md, line.data, line.len + 1);
            }
        }

        if (sum->n > 0
            && (sum->n == IMPORT_LINES || !ctl_input_buffered(&m->input)))
        {
            rc = ctl_import_fold(sum);
            if (rc != CTL_OK) {
                return rc;
            }
        }
    }

    if (rc == CTL_OK && !m->chained
        && EVP_DigestFinal_ex(sum->md, sum->chain, NULL) != 1)
    {
        rc = ctl_fail(CTL_FAILED, "out of memory");
    }

    return rc;
}


static int
ctl_import_check(ctl_import_t *m)
{
    int                rc;
    ctl_import_sum_t  *sum;

    sum = calloc(1, sizeof(ctl_import_sum_t));
    if (sum == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    sum->md = EVP_MD_CTX_new();
    ctl_progress_begin("check", CTL_BYTES, ctl_input_size(&m->input));

    rc = sum->md != NULL
         && EVP_DigestInit_ex(sum->md, EVP_sha256(), NULL) == 1
         ? ctl_import_sum(m, sum) : ctl_fail(CTL_FAILED, "out of memory");

    if (rc == CTL_OK
        && (sum->count != m->count || sum->bytes != m->bytes))
    {
        rc = ctl_import_broken(m, "it has more or fewer events than its "
                               "manifest");

    } else if (rc == CTL_OK
               && memcmp(sum->chain, m->digest, ES_CHAIN_LEN) != 0)
    {
        rc = ctl_import_broken(m, "an event was changed");
    }

    EVP_MD_CTX_free(sum->md);
    free(sum);

    return rc;
}


static void *
ctl_import_thread(void *ctx)
{
    ctl_committer_t  *c = ctx;

    c->rc = ctl_sink_commit(c->filled, CTL_NDJSON);

    return NULL;
}


/* Waits for the commit that a thread makes. */

static int
ctl_import_wait(ctl_committer_t *c)
{
    if (c->running) {
        (void) pthread_join(c->thread, NULL);
        c->running = false;
    }

    return c->rc;
}


/* Has the filled sink committed while the other one is filled. */

static int
ctl_import_commit(ctl_committer_t *c)
{
    int          rc;
    uint64_t     before;
    ctl_sink_t  *sink;

    rc = ctl_import_wait(c);
    if (rc != CTL_OK) {
        return rc;
    }

    sink = c->filling;
    before = sink->before + sink->count;
    c->filling = c->filled;
    c->filled = sink;

    if (pthread_create(&c->thread, NULL, ctl_import_thread, c) != 0) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    c->running = true;
    c->filling->before = before;

    return CTL_OK;
}


static int
ctl_import_lines(ctl_import_t *m, ctl_committer_t *c)
{
    int       rc;
    bool      end;
    size_t    bytes;
    es_str_t  line;

    bytes = 0;

    while ((rc = ctl_import_next(m, &line, &end)) == CTL_OK && !end) {

        if (ctl_import_kind(line) != IMPORT_EVENT) {
            continue;
        }

        bytes += line.len;
        c->filling->line = m->line;
        rc = ctl_sink_add(c->filling, CTL_TAIL, line);

        if (rc == CTL_OK
            && (bytes >= IMPORT_BYTES
                || ctl_sink_full(c->filling, IMPORT_BATCH)))
        {
            bytes = 0;
            rc = ctl_import_commit(c);
        }

        if (rc != CTL_OK) {
            return rc;
        }
    }

    return rc == CTL_OK ? ctl_import_commit(c) : rc;
}


/* The second pass. */

static int
ctl_import_publish(ctl_import_t *m, ctl_committer_t *c)
{
    int  rc, last;

    if (lseek(m->input.fd, 0, SEEK_SET) == -1) {
        return ctl_fail(CTL_FAILED, "cannot read \"%s\": %s", m->path,
                        strerror(errno));
    }

    ctl_input_rewind(&m->input);
    m->line = 0;
    ctl_progress_begin("import", CTL_BYTES, ctl_input_size(&m->input));

    rc = ctl_import_lines(m, c);
    last = ctl_import_wait(c);

    return rc == CTL_OK ? last : rc;
}


static void
ctl_import_print(ctl_t *ctl, uint64_t new, uint64_t duplicates)
{
    ctl_progress_end();

    if (!ctl->json) {
        (void) printf("imported %" PRIu64 " event%s; %" PRIu64 " %s there "
                      "already\n", new, ctl_plural(new), duplicates,
                      duplicates == 1 ? "was" : "were");
    }

    ctl_result(ctl, json_pack("{s:I, s:I}", "imported", (json_int_t) new,
                              "duplicates", (json_int_t) duplicates));
}


static int
ctl_import_run(ctl_t *ctl, ctl_import_t *m, const char *feed)
{
    int              rc;
    uint64_t         new, duplicates;
    ctl_sink_t       sinks[2] = { { .ctl = ctl, .feed = feed,
                                    .batch_max = IMPORT_BATCH },
                                  { .ctl = ctl, .feed = feed,
                                    .batch_max = IMPORT_BATCH } };
    ctl_committer_t  c = { .filling = &sinks[0], .filled = &sinks[1] };

    rc = ctl_import_publish(m, &c);

    new = sinks[0].stored + sinks[1].stored;
    duplicates = sinks[0].duplicates + sinks[1].duplicates;

    if (rc == CTL_OK || new + duplicates > 0) {
        ctl_import_print(ctl, new, duplicates);
    }

    ctl_sink_free(&sinks[0]);
    ctl_sink_free(&sinks[1]);

    return rc;
}


int
ctl_import(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    ctl_import_t  m = { .input = { .fd = -1, .block = IMPORT_READ } };

    rc = ctl_args(ctl, &argc, argv, NULL);

    if (rc == CTL_OK) {
        m.path = argv[1];
        rc = ctl_open(ctl, ES_STORE_PUBLISH);
    }

    if (rc == CTL_OK) {
        rc = ctl_import_open(&m);
    }

    if (rc == CTL_OK) {
        rc = ctl_import_check(&m);
    }

    if (rc == CTL_OK) {
        rc = ctl_import_run(ctl, &m, argv[0]);
    }

    if (m.input.fd != -1) {
        (void) close(m.input.fd);
    }

    ctl_input_free(&m.input);

    return rc;
}
