/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The cursors of a receiver, and their file: one line for each feed.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "held.h"

#define HELD_MODE  0600


ctl_held_t *
ctl_held_find(ctl_helds_t *helds, const char *feed)
{
    size_t  i;

    for (i = 0; i < helds->n; i++) {
        if (strcmp(helds->list[i].feed, feed) == 0) {
            return &helds->list[i];
        }
    }

    return NULL;
}


ctl_held_t *
ctl_held_set(ctl_helds_t *helds, const char *feed, const es_cursor_t *cursor)
{
    ctl_held_t  *held;

    held = ctl_held_find(helds, feed);

    if (held == NULL) {
        held = realloc(helds->list, (helds->n + 1) * sizeof(ctl_held_t));
        if (held == NULL) {
            (void) ctl_fail(CTL_FAILED, "out of memory");
            return NULL;
        }

        helds->list = held;
        held = &helds->list[helds->n++];
        memset(held, 0, sizeof(ctl_held_t));
        (void) snprintf(held->feed, sizeof(held->feed), "%s", feed);
    }

    held->cursor = *cursor;
    held->ngaps = 0;

    return held;
}


int
ctl_held_room(ctl_held_t *held)
{
    size_t      cap;
    ctl_gap_t  *gaps;

    if (held->ngaps < held->gaps_cap) {
        return CTL_OK;
    }

    cap = held->gaps_cap ? 2 * held->gaps_cap : 8;

    gaps = realloc(held->gaps, cap * sizeof(ctl_gap_t));
    if (gaps == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    held->gaps = gaps;
    held->gaps_cap = cap;

    return CTL_OK;
}


/* The caller has called ctl_held_room(). */

static void
ctl_held_add(ctl_held_t *held, uint64_t first, uint64_t last)
{
    if (first <= last) {
        held->gaps[held->ngaps].first = first;
        held->gaps[held->ngaps++].last = last;
    }
}


int
ctl_held_gap(ctl_held_t *held, uint64_t first, uint64_t last)
{
    if (first > last) {
        return CTL_OK;
    }

    if (ctl_held_room(held) != CTL_OK) {
        return CTL_FAILED;
    }

    ctl_held_add(held, first, last);

    return CTL_OK;
}


bool
ctl_held_lacks(const ctl_held_t *held, uint64_t sequence)
{
    size_t  i;

    for (i = 0; i < held->ngaps; i++) {
        if (sequence >= held->gaps[i].first && sequence <= held->gaps[i].last)
        {
            return true;
        }
    }

    return false;
}


bool
ctl_held_fill(ctl_held_t *held, uint64_t first, uint64_t last)
{
    size_t     i;
    ctl_gap_t  gap;

    for (i = 0; i < held->ngaps; i++) {
        gap = held->gaps[i];

        if (last >= gap.first && last <= gap.last) {
            break;
        }
    }

    if (i == held->ngaps) {
        return false;
    }

    held->ngaps--;
    memmove(&held->gaps[i], &held->gaps[i + 1],
            (held->ngaps - i) * sizeof(ctl_gap_t));

    if (first > gap.first) {
        ctl_held_add(held, gap.first, first - 1);
    }

    ctl_held_add(held, last + 1, gap.last);

    return true;
}


/* Parses "feed cursor first-last first-last ...". */

static int
ctl_held_line(ctl_helds_t *helds, char *line)
{
    char         *feed, *word, *end, *rest;
    uint64_t      first, last;
    ctl_held_t   *held;
    es_cursor_t   cursor;

    feed = strtok_r(line, " \n", &rest);
    if (feed == NULL) {
        return CTL_OK;
    }

    word = strtok_r(NULL, " \n", &rest);

    if (!es_feed_name_ok(es_str(feed))
        || es_cursor_parse(es_str(word), &cursor) != ES_OK)
    {
        return CTL_FAILED;
    }

    held = ctl_held_set(helds, feed, &cursor);
    if (held == NULL) {
        return CTL_FAILED;
    }

    while ((word = strtok_r(NULL, " \n", &rest)) != NULL) {
        first = strtoull(word, &end, 10);
        if (*end != '-') {
            return CTL_FAILED;
        }

        last = strtoull(end + 1, &end, 10);
        if (*end != '\0' || first == 0 || first > last
            || last > cursor.sequence)
        {
            return CTL_FAILED;
        }

        if (ctl_held_gap(held, first, last) != CTL_OK) {
            return CTL_FAILED;
        }
    }

    return CTL_OK;
}


int
ctl_held_load(ctl_helds_t *helds)
{
    int      rc;
    char    *line = NULL;
    FILE    *f;
    size_t   cap = 0;

    if (helds->file == NULL) {
        return CTL_OK;
    }

    f = fopen(helds->file, "re");
    if (f == NULL) {
        return errno == ENOENT ? CTL_OK
                               : ctl_fail(CTL_FAILED, "cannot read \"%s\": %s",
                                          helds->file, strerror(errno));
    }

    rc = CTL_OK;

    while (rc == CTL_OK && getline(&line, &cap, f) != -1) {
        rc = ctl_held_line(helds, line);
    }

    if (rc != CTL_OK || ferror(f)) {
        rc = ctl_fail(CTL_FAILED, "\"%s\" is not a list of feeds and cursors",
                      helds->file);
    }

    free(line);
    (void) fclose(f);

    return rc;
}


/* A new name is on disk only when its directory is. */

bool
ctl_held_sync_directory(const char *file)
{
    int    fd;
    bool   ok;
    char  *copy;

    copy = strdup(file);
    if (copy == NULL) {
        return false;
    }

    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok = fd != -1 && fsync(fd) == 0;

    if (fd != -1) {
        (void) close(fd);
    }

    free(copy);

    return ok;
}


static bool
ctl_held_write(const ctl_helds_t *helds, FILE *f)
{
    char               text[ES_CURSOR_MAX];
    size_t             i, j;
    const ctl_held_t  *held;

    for (i = 0; i < helds->n; i++) {
        held = &helds->list[i];

        (void) es_cursor_print(held->cursor.epoch, held->cursor.sequence,
                               text);
        (void) fprintf(f, "%s %s", held->feed, text);

        for (j = 0; j < held->ngaps; j++) {
            (void) fprintf(f, " %" PRIu64 "-%" PRIu64, held->gaps[j].first,
                           held->gaps[j].last);
        }

        (void) fputc('\n', f);
    }

    return fflush(f) == 0 && !ferror(f) && fsync(fileno(f)) == 0;
}


/* Replaces the file, so that a crash leaves the old state or the new one. */

int
ctl_held_save(const ctl_helds_t *helds)
{
    int    fd;
    bool   ok;
    char  *path;
    FILE  *f;

    if (helds->file == NULL) {
        return CTL_OK;
    }

    if (asprintf(&path, "%s.new", helds->file) < 0) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, HELD_MODE);
    f = fd != -1 ? fdopen(fd, "w") : NULL;
    ok = f != NULL && fchmod(fd, HELD_MODE) == 0 && ctl_held_write(helds, f);

    if (f != NULL) {
        ok = fclose(f) == 0 && ok;
    }

    ok = ok && rename(path, helds->file) == 0
         && ctl_held_sync_directory(helds->file);

    free(path);

    return ok ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write \"%s\": %s",
                                  helds->file, strerror(errno));
}


void
ctl_held_free(ctl_helds_t *helds)
{
    size_t  i;

    for (i = 0; i < helds->n; i++) {
        free(helds->list[i].gaps);
    }

    free(helds->list);
}
