/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "erasures", which lists them, and how a restore repeats them.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "erasures.h"
#include "erase/erase.h"
#include "event/cursor.h"
#include "log/erased.h"
#include "open/open.h"

#define CTL_ERASURES_WAIT_MS  1000

typedef struct {
    const ctl_t  *copy;
    uint64_t      known;           /* erasures that the copy has */
    uint64_t      last;            /* number of the last one */
    es_rc_t       rc;
} ctl_erasures_t;


static uint64_t
ctl_erasures_known(es_store_t *store, es_rc_t *rc)
{
    uint64_t  erased, finished;

    erased = 0;
    *rc = es_erase_state(store, &erased, &finished);

    return erased;
}


/* ---- the list ---- */


static es_rc_t
ctl_erasures_line(void *ctx, uint64_t number, const es_erasure_t *erasure)
{
    char       cursor[ES_CURSOR_MAX], time[ES_TIME_LEN];
    char       hash[2 * ES_ERASED_HASH + 1];
    json_t    *json;
    unsigned   i;

    (void) ctx;

    (void) es_cursor_print(erasure->epoch, erasure->sequence, cursor);
    es_time_print(erasure->time_ms, time);

    for (i = 0; i < ES_ERASED_HASH; i++) {
        (void) snprintf(hash + 2 * i, 3, "%02x", erasure->hash[i]);
    }

    json = json_pack("{s:I, s:I, s:s, s:s%}", "number", (json_int_t) number,
                     "feed", (json_int_t) erasure->feed, "cursor", cursor,
                     "time", time, (size_t) ES_TIME_LEN);

    if (json != NULL && erasure->kid[0] != '\0') {
        (void) json_object_set_new(json, "key",
                                   json_stringn(erasure->kid, ES_KID_LEN));
        (void) json_object_set_new(json, "hash", json_string(hash));
    }

    if (json != NULL && erasure->dropped) {
        (void) json_object_set_new(json, "digest", json_string("dropped"));
    }

    ctl_print(json);
    json_decref(json);

    return ES_OK;
}


int
ctl_erasures(ctl_t *ctl, int argc, char **argv)
{
    int       rc;
    char      identity[17];
    es_rc_t   es;
    json_t   *json;
    uint64_t  known;

    rc = ctl_begin_list(ctl, &argc, argv);
    if (rc != CTL_OK) {
        return rc;
    }

    known = ctl_erasures_known(ctl->store, &es);

    if (es == ES_OK) {
        (void) snprintf(identity, sizeof(identity), "%016" PRIx64,
                        es_store_identity(ctl->store));
        json = json_pack("{s:s, s:I}", "store", identity, "erasures",
                         (json_int_t) known);
        ctl_print(json);
        json_decref(json);

        es = es_erase_each(ctl->store, 0, ctl_erasures_line, NULL);
    }

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "%s", es_reason(es));
}


/* ---- repeating ---- */


static es_rc_t
ctl_erasures_again(void *ctx, uint64_t number, const es_erasure_t *erasure)
{
    ctl_erasures_t  *e = ctx;

    if (number <= e->known) {
        return ES_OK;
    }

    if (number != e->last + 1) {
        return ES_INVALID;
    }

    e->last = number;

    return es_erase_again(e->copy->store, erasure);
}


/* False: the line is no erasure. */

static bool
ctl_erasures_parse(json_t *json, uint64_t *number, es_erasure_t *erasure)
{
    char         byte[3] = "", *end;
    int64_t      time_ms;
    json_int_t   n, feed;
    unsigned     i;
    es_cursor_t  at;
    const char  *cursor, *time, *kid = NULL, *hash = NULL, *digest = NULL;

    memset(erasure, 0, sizeof(*erasure));

    if (json_unpack(json, "{s:I, s:I, s:s, s:s, s?s, s?s, s?s}", "number", &n,
                    "feed", &feed, "cursor", &cursor, "time", &time, "key",
                    &kid, "hash", &hash, "digest", &digest) != 0
        || n <= 0 || feed <= 0 || feed > UINT32_MAX
        || es_cursor_parse(es_str(cursor), &at) != ES_OK
        || es_time_parse(es_str(time), &time_ms) != ES_OK
        || (kid == NULL) != (hash == NULL)
        || (digest != NULL && strcmp(digest, "dropped") != 0)
        || (kid != NULL && (strlen(kid) != ES_KID_LEN
                            || strlen(hash) != 2 * ES_ERASED_HASH)))
    {
        return false;
    }

    *number = (uint64_t) n;
    erasure->time_ms = time_ms;
    erasure->feed = (uint32_t) feed;
    erasure->sequence = at.sequence;
    erasure->dropped = digest != NULL;
    memcpy(erasure->epoch, at.epoch, sizeof(erasure->epoch));

    if (kid == NULL) {
        return true;
    }

    memcpy(erasure->kid, kid, ES_KID_LEN);

    for (i = 0; i < ES_ERASED_HASH; i++) {
        memcpy(byte, hash + 2 * i, 2);
        erasure->hash[i] = (uint8_t) strtoul(byte, &end, 16);

        if (end != byte + 2) {
            return false;
        }
    }

    return true;
}


static int
ctl_erasures_bad(const char *file, unsigned line)
{
    return ctl_fail(CTL_FAILED, "\"%s\": line %u is not a line of \"erasures\"",
                    file, line);
}


/* The first line says of which store the list is and how long it is. */

static int
ctl_erasures_head(const char *file, json_t *json, uint64_t identity,
    json_int_t *count)
{
    char         text[17];
    const char  *store;

    if (json == NULL
        || json_unpack(json, "{s:s, s:I}", "store", &store, "erasures", count)
           != 0)
    {
        return ctl_erasures_bad(file, 1);
    }

    (void) snprintf(text, sizeof(text), "%016" PRIx64, identity);

    return strcmp(store, text) == 0
           ? CTL_OK
           : ctl_fail(CTL_FAILED, "\"%s\" has the erasures of another store",
                      file);
}


static int
ctl_erasures_read(ctl_erasures_t *e, const char *file, FILE *f,
    uint64_t identity)
{
    int            rc;
    bool           good;
    char          *text = NULL;
    size_t         size = 0;
    json_t        *json;
    uint64_t       number = 0;
    unsigned       line;
    json_int_t     count = 0;
    es_erasure_t   erasure;

    rc = CTL_OK;

    for (line = 1; rc == CTL_OK && getline(&text, &size, f) > 0; line++) {
        json = json_loads(text, 0, NULL);

        if (line == 1) {
            rc = ctl_erasures_head(file, json, identity, &count);
            json_decref(json);
            continue;
        }

        good = json != NULL && ctl_erasures_parse(json, &number, &erasure);
        json_decref(json);

        if (!good) {
            rc = ctl_erasures_bad(file, line);
            break;
        }

        e->rc = ctl_erasures_again(e, number, &erasure);

        if (e->rc != ES_OK) {
            rc = e->rc == ES_INVALID
                 ? ctl_erasures_bad(file, line)
                 : ctl_fail(CTL_FAILED, "cannot repeat an erasure: %s",
                            es_reason(e->rc));
        }
    }

    free(text);

    if (rc == CTL_OK && (line == 1 || e->last != (uint64_t) count)) {
        rc = ctl_fail(CTL_FAILED, "\"%s\" is cut short, or older than the "
                      "backup", file);
    }

    return rc;
}


static int
ctl_erasures_file(ctl_erasures_t *e, const char *file, uint64_t identity)
{
    int    rc;
    FILE  *f;

    f = fopen(file, "re");
    if (f == NULL) {
        return ctl_fail(CTL_FAILED, "cannot read \"%s\"", file);
    }

    rc = ctl_erasures_read(e, file, f, identity);
    (void) fclose(f);

    return rc;
}


/* The store that was backed up knows what it has erased since. */

static int
ctl_erasures_store(const ctl_t *ctl, ctl_erasures_t *e, uint64_t identity)
{
    es_rc_t        rc;
    uint64_t       other;
    es_store_t    *store;
    es_problem_t   problem;

    rc = ctl->store_path == NULL || ctl->store_path[0] == '\0'
         || es_store_read_identity(ctl->store_path, &other, &problem) != ES_OK
         || other != identity
         ? ES_NOT_FOUND
         : es_store_open(ctl->store_path, 0, &store, &problem);

    if (rc != ES_OK) {
        return ctl_fail(CTL_FAILED, "nobody knows what was erased after the "
                        "backup: give the store that was backed up (--store), "
                        "the list of \"erasures\" (--erasures=FILE), or "
                        "--erasures=none");
    }

    rc = es_erase_each(store, e->known, ctl_erasures_again, e);
    es_store_close(store);

    return rc == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "cannot repeat an erasure: %s",
                                  es_reason(rc));
}


int
ctl_erasures_repeat(const ctl_t *ctl, const ctl_t *copy, const char *file,
    uint64_t identity)
{
    int             rc;
    es_rc_t         es;
    es_scrub_t      scrub;
    ctl_erasures_t  e = { .copy = copy };

    if (file != NULL && strcmp(file, "none") == 0) {
        return CTL_OK;
    }

    e.known = ctl_erasures_known(copy->store, &es);
    e.last = e.known;

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    rc = file != NULL ? ctl_erasures_file(&e, file, identity)
                      : ctl_erasures_store(ctl, &e, identity);

    if (rc != CTL_OK || e.last == e.known) {
        return rc;
    }

    es = es_erase_finish(copy->store, CTL_ERASURES_WAIT_MS, &scrub);

    if (es == ES_OK) {
        ctl_say("%" PRIu64 " events were erased after the backup, and are "
                "erased again", e.last - e.known);
    }

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "cannot overwrite what was "
                                  "erased: %s", es_reason(es));
}
