/* A query, each of its values given to everything that parses one. */

#include "accept.h"
#include "apikey.h"
#include "clock.h"
#include "cursor.h"
#include "fuzz.h"
#include "limit.h"
#include "query.h"

static const es_str_t  offers[] = {
    { "application/json", 16 },
    { "text/event-stream", 17 },
    { "application/x-ndjson", 20 },
};


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
