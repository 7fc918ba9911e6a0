/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Composes the JSON form of a log line.
 *
 * The members come from receivers, partners and producers, so each has a bound,
 * and the sentence has what is left: whatever comes, the object is complete.
 */

#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "event/attribute.h"

#include "about.h"
#include "log_json.h"

/* A character takes at most so much. */
#define ESD_JSON_UNIT  6

/* All members but the sentence: two names and a kind, a feed and its epoch, an
   id and numbers. */
#define ESD_JSON_MEMBERS  (ESD_LOG_LINE_MAX * 3 / 4)

#define ESD_JSON_HEAD  256

_Static_assert(ESD_JSON_UNIT * (ES_ID_MAX + 3 * ES_FEED_MAX) + 512
               <= ESD_JSON_MEMBERS, "the members always have room");


/* Writes the inside of a string, and at `last` at the latest its end. */

static char *
esd_json_text(char *p, const char *last, const char *text)
{
    size_t          len;
    const char     *end;
    unsigned char   c;

    end = text + strlen(text);

    while (text < end && last - p >= ESD_JSON_UNIT) {
        c = (unsigned char) *text;
        len = es_utf8_len(text, end);

        if (len == 0) {
            memcpy(p, "\\ufffd", 6);
            p += 6;
            text++;

        } else if (c == '"' || c == '\\') {
            *p++ = '\\';
            *p++ = *text++;

        } else if (c < ' ' || c == 0x7f) {
            p += sprintf(p, "\\u%04x", c);
            text++;

        } else if (c == 0xc2 && (unsigned char) text[1] < 0xa0) {

            /* C1, which a terminal may obey */

            p += sprintf(p, "\\u%04x", (unsigned char) text[1]);
            text += 2;

        } else {
            memcpy(p, text, len);
            p += len;
            text += len;
        }
    }

    return p;
}


static char *
esd_json_member(char *p, const char *last, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return p;
    }

    p += sprintf(p, ",\"%s\":\"", name);
    p = esd_json_text(p, last, value);
    *p++ = '"';

    return p;
}


/* `out` has ESD_JSON_MEMBERS bytes. */

static size_t
esd_json_about(char *out, const esd_about_t *about)
{
    char        *p, cursor[ES_EPOCH_MAX + 32];
    const char  *last;

    p = out;
    last = out + ESD_JSON_MEMBERS - 256;

    p = esd_json_member(p, last, "partner", about->partner);
    p = esd_json_member(p, last, "endpoint", about->endpoint);
    p = esd_json_member(p, last, "feed", about->feed);

    if (about->epoch != NULL) {
        (void) snprintf(cursor, sizeof(cursor), "%s-%llu", about->epoch,
                        (unsigned long long) about->sequence);
        p = esd_json_member(p, last, "cursor", cursor);
    }

    p = esd_json_member(p, last, "kind", about->kind);
    p = esd_json_member(p, last, "event_id", about->event_id);
    p = esd_json_member(p, last, "trace_id", about->trace_id);

    if (about->attempt != 0) {
        p += sprintf(p, ",\"attempt\":%u", about->attempt);
    }

    if (about->result != NULL) {
        p = esd_json_member(p, last + 64, "result", about->result);
        p += sprintf(p, ",\"duration_ms\":%.3f",
                     (double) about->latency_us / 1000);
    }

    if (about->status != 0) {
        p += sprintf(p, ",\"status\":%d", about->status);
    }

    return (size_t) (p - out);
}


size_t
esd_log_json(char out[ESD_LOG_LINE_MAX], const char *time, const char *level,
    const char *msg, const esd_about_t *about)
{
    char    *p, members[ESD_JSON_MEMBERS];
    size_t   len;

    len = esd_json_about(members, about);

    p = out + sprintf(out, "{\"time\":\"%.*s\",\"level\":\"%s\",\"msg\":\"",
                      ES_TIME_LEN, time, level);
    p = esd_json_text(p, out + ESD_LOG_LINE_MAX - len - sizeof("\"}\n"), msg);
    *p++ = '"';

    memcpy(p, members, len);
    p += len;
    *p++ = '}';
    *p++ = '\n';

    return (size_t) (p - out);
}
