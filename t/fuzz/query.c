/* SPDX-License-Identifier: BSD-2-Clause */

/* A query, with each of its values given to every parser of a value. */

#include "base/accept.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/query.h"
#include "event/cursor.h"
#include "fuzz.h"
#include "keys/apikey.h"
#include "limit/limit.h"

static const es_str_t  offers[] = {
    { "application/json", 16 },
    { "text/event-stream", 17 },
    { "application/x-ndjson", 20 },
};


/* Whatever a weight says, a coding that is refused by its name is not sent,
   and the field is read alike when it is said twice. */

static void
encoding(es_str_t text)
{
    int   chosen, again;
    char  *twice;

    chosen = es_accept_encoding(text, es_encoding_names, ES_ENCODINGS);
    must(chosen >= -1 && chosen < ES_ENCODINGS);
    must(text.len > 0 || chosen == ES_ENCODING_IDENTITY);

    again = es_accept_encoding(text,
                               es_encoding_names + ES_ENCODING_IDENTITY, 1);
    must(again == 0 || again == -1);
    must(chosen != ES_ENCODING_IDENTITY || again == 0);

    twice = malloc(2 * text.len + 1);
    must(twice != NULL);

    if (text.len > 0) {
        memcpy(twice, text.data, text.len);
        memcpy(twice + text.len + 1, text.data, text.len);
    }

    twice[text.len] = ',';

    /* a quote that does not end takes the rest with it */

    if (memchr(twice, '"', text.len) == NULL
        && memchr(twice, '\\', text.len) == NULL)
    {
        again = es_accept_encoding((es_str_t) { twice, 2 * text.len + 1 },
                                   es_encoding_names, ES_ENCODINGS);
        must(text.len == 0 || again == chosen);
    }

    free(twice);
}


static void
parse(es_str_t text)
{
    char          canonical[ES_TIME_LEN];
    int64_t       ms, again;
    es_rate_t     rate;
    es_apikey_t   key;
    es_cursor_t   cursor;
    es_policy_t   policy;

    (void) es_cursor_parse(text, &cursor);
    (void) es_apikey_parse(text, &key);
    (void) es_policy_find(text, &policy);

    if (es_limit_set(ES_POLICY_POLL, text, 0, &rate) == ES_OK) {
        must(rate.burst > 0);
    }

    if (es_time_parse(text, &ms) == ES_OK && ms >= 0) {
        es_time_print(ms, canonical);
        must(es_time_parse((es_str_t) { canonical, ES_TIME_LEN }, &again)
             == ES_OK);
        must(again == ms);
    }

    must(es_accept(text, offers, 3) >= -1);
    must(es_accept(text, offers, 3) < 3);
    must(es_accept(text, offers, 1) <= 0);

    encoding(text);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char      *out, *end;
    es_str_t   rest, name, value;

    rest = (es_str_t) { (const char *) data, size };

    /* of the size at most, to be seen by a sanitizer when it is not */

    while (es_query_next(&rest, &name, &value)) {
        must(name.data + name.len <= value.data);
        must(value.data + value.len == rest.data);

        out = malloc(value.len ? value.len : 1);
        must(out != NULL);

        end = es_query_decode(value, false, out);
        must(end == NULL || end <= out + value.len);
        must(end == NULL || es_query_encoded(value)
             || es_str_eq(value, (es_str_t) { out, (size_t) (end - out) }));

        if (end != NULL) {
            parse((es_str_t) { out, (size_t) (end - out) });
        }

        free(out);
    }

    parse((es_str_t) { (const char *) data, size });

    return 0;
}
