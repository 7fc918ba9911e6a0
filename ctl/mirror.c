/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "mirror": copies the events of a feed to the feed of the same name in a
 * staging store, without what a field list leaves out.
 *
 * A copy keeps id and source, so it is stored once, and has the extension
 * attribute "mirrored": the cursor of its original.  So the target itself says
 * how far the copies have come, and a mirror that was killed goes on there.
 */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "ctl.h"
#include "event/cursor.h"
#include "event/digest.h"
#include "fields/fields.h"
#include "progress.h"
#include "read/reader.h"
#include "sink.h"
#include "store/staging.h"
#include "store/wake.h"
#include "tail.h"

#define MIRROR_EVENTS   1000           /* of a commit */
#define MIRROR_BYTES    (4 * 1024 * 1024)
#define MIRROR_POLL_MS  1000           /* a bell may be missed, see wake.h */

/* In a copy as it is stored. */
#define MIRROR_MARKED   ",\"mirrored\":\""

typedef struct {
    ctl_t               to;            /* with the target as its store */
    es_store_t         *from;
    const char         *from_path;
    const char         *feed;
    const char         *start;         /* --from; NULL: after the last copy */
    const es_fields_t  *fields;
    es_pool_t           pool;
    ctl_sink_t          sink;
    char                epoch[ES_EPOCH_MAX + 1];
    uint64_t            position;
    uint64_t            erased;        /* tombstones that were passed over */
    size_t              bytes;         /* of the next commit */
    es_buf_t            line;
} ctl_mirror_t;


static int
ctl_mirror_entry(const json_t *value, size_t i, es_str_t *entry)
{
    const char  *why;

    *entry = es_text(value);

    why = !json_is_string(value) ? "must be a string"
          : es_str_eq(*entry, es_lit("mirrored"))
            ? "must not be the mark of a copy" : es_fields_entry(*entry);

    return why == NULL ? CTL_OK
                       : ctl_fail(CTL_USAGE, "\"--fields\": entry %zu %s",
                                  i + 1, why);
}


static int
ctl_mirror_fields(ctl_mirror_t *m, const char *text)
{
    int                 rc;
    json_t             *list, *value;
    size_t              i;
    es_rc_t             es;
    es_str_t            entries[ES_FIELDS_ENTRIES];
    es_fields_list_t    allow = { .entries = entries };
    es_fields_source_t  source = { .nallow = 1, .allow = &allow };

    list = json_loads(text, 0, NULL);
    allow.n = json_array_size(list);

    if (!json_is_array(list) || allow.n > ES_FIELDS_ENTRIES) {
        json_decref(list);
        return ctl_fail(CTL_USAGE, "\"--fields\" must be a JSON array of at "
                        "most %d entries, such as [\"/id\"]",
                        ES_FIELDS_ENTRIES);
    }

    rc = CTL_OK;

    json_array_foreach(list, i, value) {
        rc = rc == CTL_OK ? ctl_mirror_entry(value, i, &entries[i]) : rc;
    }

    if (rc == CTL_OK) {
        es = es_fields_compile(&source, &m->pool, &m->fields);
        rc = es == ES_OK ? CTL_OK
                         : ctl_fail(CTL_USAGE, "\"--fields\": %s",
                                    es == ES_TOO_LARGE
                                    ? "the list is too intricate"
                                    : es_reason(es));
    }

    json_decref(list);

    return rc;
}


static int
ctl_mirror_staging(const ctl_mirror_t *m)
{
    return es_staging(m->to.store_path)
           ? CTL_OK
           : ctl_fail(CTL_FAILED, "the store \"%s\" is not for trials; "
                      "\"eventsyncctl store mark staging\" says that it is",
                      m->to.store_path);
}


/* A store must not be opened twice, by whatever names. */

static int
ctl_mirror_apart(const ctl_mirror_t *m)
{
    struct stat  a, b;

    return stat(m->from_path, &a) == 0 && stat(m->to.store_path, &b) == 0
           && a.st_dev == b.st_dev && a.st_ino == b.st_ino
           ? ctl_fail(CTL_USAGE, "\"--to\" is the store itself") : CTL_OK;
}


/* The key file is the target's, which may have to know what was erased there.
   Only the first store may continue the program in a child. */

static int
ctl_mirror_open(ctl_mirror_t *m)
{
    int           rc;
    es_problem_t  problem;

    if (m->from_path == NULL || m->from_path[0] == '\0') {
        return ctl_fail(CTL_USAGE, "no store: use --store=PATH or set "
                        "EVENTSYNC_STORE");
    }

    rc = ctl_mirror_apart(m);

    if (rc == CTL_OK) {
        rc = ctl_mirror_staging(m);
    }

    if (rc == CTL_OK) {
        rc = ctl_open(&m->to, ES_STORE_PUBLISH);
    }

    if (rc == CTL_OK
        && es_store_open(m->from_path, ES_STORE_READ, &m->from, &problem)
           != ES_OK)
    {
        rc = ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return rc;
}


/* The cursor in an event that is a copy.  Other events of the target are those
   of trials.  Attributes come before "prevcursor", and the quotes of a string
   would be escaped. */

static bool
ctl_mirror_marked(const es_event_t *event, es_cursor_t *cursor)
{
    es_str_t     text;
    const char  *end;

    end = event->before.data + event->before.len;
    text.data = memmem(event->before.data, event->before.len, MIRROR_MARKED,
                       sizeof(MIRROR_MARKED) - 1);
    if (text.data == NULL) {
        return false;
    }

    text.data += sizeof(MIRROR_MARKED) - 1;
    end = memchr(text.data, '"', (size_t) (end - text.data));
    text.len = end ? (size_t) (end - text.data) : 0;

    return es_cursor_parse(text, cursor) == ES_OK;
}


/* Looks for the last copy.  ES_NOT_FOUND: the target has none. */

static es_rc_t
ctl_mirror_last(ctl_mirror_t *m, es_txn_t *txn, es_cursor_t *cursor)
{
    es_rc_t     es;
    uint64_t    i;
    es_feed_t   feed;
    es_event_t  event;

    es = es_feed_get(txn, es_str(m->feed), &feed);
    if (es != ES_OK) {
        (void) ctl_fail(CTL_FAILED, "feed \"%s\" of the store \"%s\": %s",
                        m->feed, m->to.store_path, es_reason(es));
        return ES_STOP;
    }

    for (i = feed.last; i >= feed.oldest && i > 0; i--) {
        es = es_event_get(txn, &feed, i, &event);

        if (es != ES_OK || ctl_mirror_marked(&event, cursor)) {
            return es;
        }
    }

    return ES_NOT_FOUND;
}


/* Writes the cursor of the last copy to `after`, which keeps what it has if
   there is no copy. */

static int
ctl_mirror_resume(ctl_mirror_t *m, char after[ES_CURSOR_MAX])
{
    es_rc_t      es;
    es_txn_t    *txn;
    es_cursor_t  cursor;

    es = es_txn_begin(m->to.store, &txn);

    if (es == ES_OK) {
        es = ctl_mirror_last(m, txn, &cursor);
        es_txn_end(txn);
    }

    switch (es) {
    case ES_OK:
        (void) es_cursor_print(cursor.epoch, cursor.sequence, after);
        return CTL_OK;
    case ES_NOT_FOUND:
        return CTL_OK;
    case ES_STOP:
        return CTL_FAILED;
    default:
        return ctl_fail(CTL_FAILED, "the store \"%s\": %s", m->to.store_path,
                        es_reason(es));
    }
}


/* Adds an event to the next commit. */

static int
ctl_mirror_add(ctl_mirror_t *m, const es_event_t *event)
{
    size_t   joint;
    es_rc_t  es;

    m->position = event->sequence;

    if (es_digest_erased(event->json.data, event->json.len)) {
        m->erased++;
        return CTL_OK;
    }

    m->line.len = 0;
    es = es_buf_printf(&m->line, "{\"mirrored\":\"%.*s\"",
                       (int) event->cursor.len, event->cursor.data);
    joint = m->line.len;

    if (es == ES_OK) {
        es = es_fields_event(m->fields, NULL, event->json, &m->line);
    }

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "event %.*s: %s", (int) event->cursor.len,
                        event->cursor.data, es_reason(es));
    }

    m->line.data[joint] = ',';         /* which was the event's '{' */
    m->sink.line++;
    m->bytes += m->line.len;

    return ctl_sink_add(&m->sink, CTL_TAIL,
                        (es_str_t) { m->line.data, m->line.len });
}


static int
ctl_mirror_start(ctl_mirror_t *m, es_txn_t *txn, const es_feed_t *feed)
{
    int   rc;
    char  after[ES_CURSOR_MAX] = "oldest";

    rc = m->start ? CTL_OK : ctl_mirror_resume(m, after);

    return rc == CTL_OK ? ctl_feed_position(txn, feed, "from",
                                            m->start ? m->start : after,
                                            &m->position)
                        : rc;
}


/* Collects the events of one commit; *more: the feed has others. */

static int
ctl_mirror_read(ctl_mirror_t *m, es_txn_t *txn, es_feed_t *feed, bool *more)
{
    int                rc;
    es_rc_t            es;
    uint64_t           scanned;
    es_event_t         event;
    const es_filter_t  all = { 0 };

    rc = CTL_OK;
    m->bytes = 0;
    *more = true;

    while (rc == CTL_OK && m->sink.count < MIRROR_EVENTS
           && m->bytes < MIRROR_BYTES)
    {
        es = es_event_next(txn, feed, m->position, &all, &event, &scanned);

        if (es == ES_NOT_FOUND) {
            m->position = scanned;
            *more = scanned < feed->last;
            break;
        }

        rc = es == ES_OK ? ctl_mirror_add(m, &event)
                         : ctl_fail(CTL_FAILED, "feed \"%s\": %s", m->feed,
                                    es_reason(es));
    }

    return rc;
}


static int
ctl_mirror_slice(ctl_mirror_t *m, bool first, bool *more)
{
    int        rc;
    es_rc_t    es;
    es_txn_t  *txn;
    es_feed_t  feed;

    es = es_txn_begin(m->from, &txn);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    rc = CTL_OK;
    es = es_feed_get(txn, es_str(m->feed), &feed);

    if (es != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "feed \"%s\": %s", m->feed, es_reason(es));

    } else if (first) {
        rc = ctl_mirror_start(m, txn, &feed);

        if (rc == CTL_OK) {
            ctl_progress_begin("mirror", CTL_EVENTS, feed.last - m->position);
        }

    } else if (!es_feed_has(&feed, m->epoch, m->position)) {
        rc = ctl_fail(CTL_FAILED, "feed \"%s\" was reset", m->feed);

    } else if (m->position + 1 < feed.oldest) {
        rc = ctl_fail(CTL_FAILED, "events of feed \"%s\" expired before they "
                      "were copied", m->feed);
    }

    if (rc == CTL_OK) {
        memcpy(m->epoch, feed.epoch, sizeof(m->epoch));
        rc = ctl_mirror_read(m, txn, &feed, more);
    }

    es_txn_end(txn);

    /* the mark may have been taken away meanwhile */

    if (rc == CTL_OK && m->sink.count > 0) {
        rc = ctl_mirror_staging(m);
    }

    if (rc == CTL_OK) {
        rc = ctl_sink_commit(&m->sink, CTL_NDJSON);
        ctl_progress(m->sink.before + m->erased);
    }

    return rc;
}


static int
ctl_mirror_run(ctl_mirror_t *m, bool follow)
{
    int            rc, fd;
    bool           more;
    struct pollfd  pfd = { .events = POLLIN };

    fd = -1;

    if (follow && es_wake_open(m->from, &fd) != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot watch the store");
    }

    rc = ctl_mirror_slice(m, true, &more);

    while (rc == CTL_OK && (more || follow)) {
        if (!more) {
            pfd.fd = fd;
            (void) poll(&pfd, 1, MIRROR_POLL_MS);
            es_wake_drain(fd);
        }

        rc = ctl_mirror_slice(m, false, &more);
    }

    if (fd != -1) {
        (void) close(fd);
    }

    ctl_progress_end();

    return rc;
}


static void
ctl_mirror_print(ctl_t *ctl, const ctl_mirror_t *m)
{
    const ctl_sink_t  *sink = &m->sink;

    if (!ctl->json) {
        (void) printf("copied %" PRIu64 " event%s; %" PRIu64 " %s there "
                      "already, %" PRIu64 " %s erased\n", sink->stored,
                      ctl_plural(sink->stored), sink->duplicates,
                      sink->duplicates == 1 ? "was" : "were", m->erased,
                      m->erased == 1 ? "was" : "were");
    }

    ctl_result(ctl, json_pack("{s:I, s:I, s:I}", "copied",
                              (json_int_t) sink->stored, "duplicates",
                              (json_int_t) sink->duplicates, "erased",
                              (json_int_t) m->erased));
}


static void
ctl_mirror_close(ctl_mirror_t *m)
{
    ctl_sink_free(&m->sink);
    es_buf_free(&m->line);
    es_pool_free(&m->pool);

    if (m->from != NULL) {
        es_store_close(m->from);
    }

    if (m->to.store != NULL) {
        es_store_close(m->to.store);
    }
}


int
ctl_mirror(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    const char    *fields = NULL, *follow = NULL, *to = NULL;
    ctl_mirror_t   m = { .from = NULL };

    const ctl_option_t  options[] = {
        { "to", &to },
        { "fields", &fields },
        { "from", &m.start },
        { "follow", &follow },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    m.feed = argv[0];
    m.from_path = ctl->store_path;
    m.to = *ctl;
    m.to.store_path = to;
    m.sink.ctl = &m.to;
    m.sink.feed = m.feed;

    rc = ctl_mirror_fields(&m, fields);

    if (rc == CTL_OK) {
        rc = ctl_mirror_open(&m);
    }

    if (rc == CTL_OK) {
        rc = ctl_mirror_run(&m, follow != NULL);

        if (rc == CTL_OK) {
            ctl_mirror_print(ctl, &m);
        }
    }

    ctl_mirror_close(&m);

    return rc;
}
