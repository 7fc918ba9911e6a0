/* SPDX-License-Identifier: BSD-2-Clause */

/* A log line as JSON: whatever the texts are, it is one object. */

#include <jansson.h>

#include "../../dispatcher/log_json.c"
#include "tap.h"

#define ROUNDS  20000
#define TIME    "2026-11-23T12:00:00.123Z"

static uint32_t  seed = 1;


static uint32_t
draw(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;

    return (seed >> 8) % n;
}


/* A text of up to `max` bytes, of any of the bytes that break something. */

static const char *
ugly(char *out, size_t max)
{
    size_t  i, len;

    static const char  *const  parts[] = {
        "\"", "\\", "\n", "\r", "\t", "\x01", "\x1f", "\x7f", "/", "a",
        "\xc2", "\xc2\x9b", "\xc3\xa9", "\xe2\x80\xa8", "\xe2\x80",
        "\xf0\x9f\x98\x80", "\xf0\x9f\x98", "\xff", "\xfe", "\xc0\x80",
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "{", "}", "\",\"level\":\"x"
    };

    len = 0;

    for (i = draw((uint32_t) max + 1); i > 0; i--) {
        const char  *part = parts[draw(sizeof(parts) / sizeof(parts[0]))];

        if (len + strlen(part) > max) {
            break;
        }

        memcpy(out + len, part, strlen(part));
        len += strlen(part);
    }

    out[len] = '\0';

    return out;
}


/* One object that ends with the line; NULL: it is not. */

static json_t *
object(const char *line, size_t len)
{
    if (len == 0 || len > ESD_LOG_LINE_MAX
        || memchr(line, '\n', len) != line + len - 1)
    {
        return NULL;
    }

    return json_loadb(line, len - 1, JSON_REJECT_DUPLICATES, NULL);
}


static void
test_ugly(void)
{
    char         line[ESD_LOG_LINE_MAX], msg[1024], id[ES_ID_MAX + 1];
    char         names[4][ES_FEED_MAX + 1];
    json_t      *root;
    size_t       len, longest;
    unsigned     i, wrong;
    esd_about_t  about;

    wrong = 0;
    longest = 0;

    for (i = 0; i < ROUNDS; i++) {
        memset(&about, 0, sizeof(esd_about_t));
        about.partner = ugly(names[0], ES_FEED_MAX);
        about.endpoint = ugly(names[1], ES_FEED_MAX);
        about.feed = ugly(names[2], ES_FEED_MAX);
        about.kind = ugly(names[3], 9);
        about.event_id = ugly(id, ES_ID_MAX);
        about.epoch = "abcdefghijklmno";
        about.sequence = UINT64_MAX;
        about.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
        about.attempt = UINT32_MAX;
        about.result = "unverified";
        about.status = 999;
        about.latency_us = UINT32_MAX;

        memset(line, 'x', sizeof(line));
        len = esd_log_json(line, TIME, "error", ugly(msg, sizeof(msg) - 1),
                           &about);
        root = object(line, len);
        longest = len > longest ? len : longest;

        wrong += root == NULL
                 || json_object_size(root) < 9
                 || json_integer_value(json_object_get(root, "status")) != 999;
        json_decref(root);
    }

    is_int(wrong, 0, "each line is one object, with all of its numbers");
    ok(longest > ESD_LOG_LINE_MAX - 64, "the longest are cut");
}


static const char *
said(const char *msg, const esd_about_t *about, char *out)
{
    json_t  *root;
    size_t   len;
    char     line[ESD_LOG_LINE_MAX];

    len = esd_log_json(line, TIME, "info", msg, about);
    root = object(line, len);
    (void) snprintf(out, ESD_LOG_LINE_MAX, "%s",
                    root == NULL ? "(no object)"
                    : json_string_value(json_object_get(root, "msg")));
    json_decref(root);

    return out;
}


int
main(void)
{
    char         out[ESD_LOG_LINE_MAX];
    size_t       len;
    esd_about_t  about;

    memset(&about, 0, sizeof(esd_about_t));

    len = esd_log_json(out, TIME, "info", "stopped", &about);
    is_str((es_str_t) { out, len },
           "{\"time\":\"" TIME "\",\"level\":\"info\",\"msg\":\"stopped\"}\n",
           "a line about nothing has three members");

    len = esd_log_json(out, TIME, "warn", "a\x01\x7f\xc2\x9b\xff", &about);
    is_str((es_str_t) { out, len },
           "{\"time\":\"" TIME "\",\"level\":\"warn\","
           "\"msg\":\"a\\u0001\\u007f\\u009b\\ufffd\"}\n",
           "control characters and other bytes are escaped");

    is_str(es_str(said("\"a\\b\" \xc3\xa9 \xf0\x9f\x98\x80", &about, out)),
           "\"a\\b\" \xc3\xa9 \xf0\x9f\x98\x80", "text stays as it is");

    test_ugly();

    return done();
}
