/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The receiver's log, written and read again.
 *
 * A line is synced before its event is answered, so that a torn last line
 * belongs to an event that will be sent again.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl.h"
#include "journal.h"


static int
ctl_journal_fault(ctl_journal_t *journal, const char *what)
{
    journal->broken = true;

    return ctl_fail(CTL_FAILED, "cannot %s \"%s\": %s", what, journal->file,
                    strerror(errno));
}


/* Repeats what the receiver did when it processed the event. */

static int
ctl_journal_apply(ctl_helds_t *helds, const char *how, const char *feed,
    const es_cursor_t *cursor, const es_cursor_t *prev)
{
    ctl_held_t   *held;
    es_cursor_t   start;

    held = ctl_held_find(helds, feed);

    if (held != NULL
        && strcmp(held->cursor.epoch, prev->epoch) == 0
        && held->cursor.sequence == prev->sequence)
    {
        memcpy(held->cursor.epoch, cursor->epoch,
               sizeof(held->cursor.epoch));
    }

    if (held == NULL || strcmp(held->cursor.epoch, cursor->epoch) != 0) {
        start = *cursor;
        start.sequence = 0;

        held = ctl_held_set(helds, feed, &start);
        if (held == NULL) {
            return CTL_FAILED;
        }
    }

    if (ctl_held_room(held) != CTL_OK) {
        return CTL_FAILED;
    }

    if (strcmp(how, "late") == 0) {
        (void) ctl_held_fill(held, prev->sequence + 1, cursor->sequence);
        return CTL_OK;
    }

    if (strcmp(how, "webhook") == 0) {
        (void) ctl_held_gap(held, held->cursor.sequence + 1, prev->sequence);
    }

    held->cursor = *cursor;

    return CTL_OK;
}


static int
ctl_journal_line(ctl_helds_t *helds, const char *text, size_t len)
{
    int           rc;
    json_t       *line;
    const char   *how, *feed, *at, *after;
    es_cursor_t   cursor, prev;

    line = json_loadb(text, len, 0, NULL);
    rc = CTL_FAILED;

    if (json_unpack(line, "{s:s, s:s, s:s, s:s}", "how", &how, "feed", &feed,
                    "cursor", &at, "prevcursor", &after) == 0
        && (strcmp(how, "webhook") == 0 || strcmp(how, "late") == 0
            || strcmp(how, "polled") == 0)
        && es_feed_name_ok(es_str(feed))
        && es_cursor_parse(es_str(at), &cursor) == ES_OK
        && es_cursor_parse(es_str(after), &prev) == ES_OK)
    {
        rc = ctl_journal_apply(helds, how, feed, &cursor, &prev);
    }

    json_decref(line);

    return rc;
}


static int
ctl_journal_read(ctl_journal_t *journal, ctl_helds_t *helds, FILE *f)
{
    char      *line;
    off_t      whole;
    size_t     size;
    ssize_t    n;
    uint64_t   number;

    line = NULL;
    size = 0;
    whole = 0;

    for (number = 1; (n = getline(&line, &size, f)) > 0; number++) {
        if (line[n - 1] != '\n') {
            break;
        }

        if (ctl_journal_line(helds, line, (size_t) n) != CTL_OK) {
            free(line);
            return ctl_fail(CTL_FAILED, "\"%s\": line %" PRIu64 " is not an "
                            "event of a log that listen wrote",
                            journal->file, number);
        }

        whole += n;
    }

    free(line);

    /* A torn line was never synced, so its event was never acknowledged. */

    if (ferror(f) || ftruncate(journal->fd, whole) != 0
        || fsync(journal->fd) != 0)
    {
        return ctl_journal_fault(journal, "read");
    }

    return CTL_OK;
}


int
ctl_journal_open(ctl_journal_t *journal, ctl_helds_t *helds)
{
    int    rc, fd;
    FILE  *f;

    if (journal->file == NULL) {
        return CTL_OK;
    }

    fd = open(journal->file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd == -1) {
        return ctl_journal_fault(journal, "open");
    }

    journal->fd = fd;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return ctl_journal_fault(journal, "lock");
    }

    f = fopen(journal->file, "re");
    if (f == NULL) {
        return ctl_journal_fault(journal, "read");
    }

    rc = ctl_journal_read(journal, helds, f);
    (void) fclose(f);

    if (rc == CTL_OK && !ctl_held_sync_directory(journal->file)) {
        return ctl_journal_fault(journal, "sync");
    }

    return rc;
}


int
ctl_journal_add(ctl_journal_t *journal, const char *how,
    const ctl_event_t *event)
{
    char     at[ES_TIME_LEN], cursor[ES_CURSOR_MAX], prev[ES_CURSOR_MAX];
    es_rc_t  rc;

    if (journal->file == NULL) {
        return CTL_OK;
    }

    es_time_print(es_clock_ms(), at);
    (void) es_cursor_print(event->cursor.epoch, event->cursor.sequence,
                           cursor);
    (void) es_cursor_print(event->prev.epoch, event->prev.sequence, prev);

    /* Type and subject are still escaped as in their JSON. */

    rc = es_buf_printf(&journal->pending, "{\"time\":\"%.*s\",\"how\":\"%s\","
                       "\"feed\":\"%s\",\"cursor\":\"%s\",\"prevcursor\":"
                       "\"%s\",\"type\":\"%.*s\",\"subject\":\"%.*s\"}\n",
                       (int) sizeof(at), at, how, event->feed, cursor, prev,
                       (int) event->type.len, event->type.data,
                       (int) event->subject.len, event->subject.data);

    return rc == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


int
ctl_journal_sync(ctl_journal_t *journal)
{
    size_t   done;
    ssize_t  n;

    if (journal->file == NULL) {
        return CTL_OK;
    }

    if (journal->broken) {
        return ctl_fail(CTL_FAILED, "\"%s\": an earlier write failed",
                        journal->file);
    }

    for (done = 0; done < journal->pending.len; done += (size_t) n) {
        n = write(journal->fd, journal->pending.data + done,
                  journal->pending.len - done);

        if (n == -1) {
            return ctl_journal_fault(journal, "write");
        }
    }

    journal->pending.len = 0;

    return fdatasync(journal->fd) == 0 ? CTL_OK
                                       : ctl_journal_fault(journal, "sync");
}


void
ctl_journal_close(ctl_journal_t *journal)
{
    if (journal->fd > 0) {
        (void) close(journal->fd);
    }

    es_buf_free(&journal->pending);
}
