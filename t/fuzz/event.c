/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Events in each mode, which the first byte selects: an accepted event becomes
 * one line of JSON with the members of the log in their positions.
 */

#include "base/json.h"
#include "event/batch.h"
#include "event/cursor.h"
#include "fuzz.h"

static const char  PLACE[] = ",\"sequence\":\"00000000000000000001\","
                             "\"cursor\":\"abc-1\",\"prevcursor\":\"abc-0\"";


static void
check(const es_draft_t *draft)
{
    es_buf_t         text;
    es_json_t        json;
    es_json_value_t  value;

    memset(&text, 0, sizeof(text));

    must(es_buf_str(&text, draft->head) == ES_OK);
    must(es_buf_append(&text, PLACE, sizeof(PLACE) - 1) == ES_OK);
    must(es_buf_str(&text, draft->tail) == ES_OK);

    must(memchr(text.data, '\n', text.len) == NULL);
    must(memchr(text.data, '\r', text.len) == NULL);

    es_json_init(&json, text.data, text.len);
    must(es_json_value(&json, &value) == ES_OK);
    must(value.type == ES_JSON_OBJECT && es_json_end(&json) == ES_OK);

    must(es_str_eq(es_cursor_of((es_str_t) { text.data, text.len }),
                   es_lit("abc-1")));

    must(draft->ident_len <= draft->head.len);
    must(draft->id_off + draft->id_len <= draft->head.len);
    must(draft->type_off + draft->type_len <= draft->head.len);
    must(draft->subject_off + draft->subject_len <= draft->head.len);
    must(draft->id_len > 0 && draft->type_len > 0);

    es_buf_free(&text);
}


/* name LF value LF ... LF LF data */
static es_rc_t
binary(es_batch_t *batch, const char *p, size_t len, es_problem_t *problem)
{
    size_t       n;
    es_str_t     line[2];
    es_attr_t    attrs[32];
    const char  *end, *last;

    last = p + len;

    for (n = 0; n < 32; n++) {
        int  i;

        for (i = 0; i < 2; i++) {
            end = memchr(p, '\n', (size_t) (last - p));

            if (end == NULL || end == p) {
                return es_batch_add_binary(batch, attrs, n,
                                           n ? attrs[0].value : es_null_str,
                                           p, (size_t) (last - p), problem);
            }

            line[i] = (es_str_t) { p, (size_t) (end - p) };
            p = end + 1;
        }

        attrs[n] = (es_attr_t) { line[0], line[1] };
    }

    return es_batch_add_binary(batch, attrs, n, attrs[0].value, p,
                               (size_t) (last - p), problem);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         i, len;
    es_rc_t        rc;
    es_batch_t    *batch;
    const char    *text;
    es_limits_t    limits;
    es_problem_t   problem;

    if (size == 0) {
        return 0;
    }

    text = (const char *) data + 1;
    len = size - 1;

    limits.event_max = 4096;
    limits.count_max = 0;
    memset(&problem, 0, sizeof(problem));

    batch = es_batch_create(es_lit("orders"), &limits);
    must(batch != NULL);

    switch (data[0]) {
    case 'a':
        rc = es_batch_add_array(batch, text, len, &problem);
        break;
    case 'l':
        rc = es_batch_add_ndjson(batch, text, len, &problem);
        break;
    case 'b':
        rc = binary(batch, text, len, &problem);
        break;
    default:
        rc = es_batch_add(batch, text, len, &problem);
        break;
    }

    if (rc == ES_OK) {
        must(es_batch_seal(batch) == ES_OK);

        for (i = 0; i < batch->n; i++) {
            check(&batch->drafts[i]);
        }

    } else {
        must(rc == ES_INVALID || rc == ES_TOO_LARGE);
        must_explain(&problem, rc);
    }

    es_batch_destroy(batch);

    return 0;
}
