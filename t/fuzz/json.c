/* SPDX-License-Identifier: BSD-2-Clause */

/* The JSON scanner accepts what jansson accepts. */

#include <jansson.h>

#include "base/json.h"
#include "fuzz.h"


static void
walk(es_json_value_t *container)
{
    bool             object, first;
    char             *text;
    es_rc_t           rc;
    es_json_t         json;
    es_json_value_t   name, value;

    object = container->type == ES_JSON_OBJECT;

    es_json_init(&json, container->text.data, container->text.len);
    must(es_json_enter(&json, object ? '{' : '[') == ES_OK);

    for (first = true; ; first = false) {
        rc = object ? es_json_member(&json, first, &name, &value)
                    : es_json_item(&json, first, &value);
        if (rc == ES_NOT_FOUND) {
            break;
        }

        must(rc == ES_OK);
        must(value.text.data >= container->text.data
             && value.text.data + value.text.len
                < container->text.data + container->text.len);

        if (object) {
            text = malloc(name.text.len);
            must(text != NULL);
            must((size_t) (es_json_decode(&name, text) - text)
                 <= name.text.len);
            free(text);
        }
    }

    must(es_json_end(&json) == ES_OK);
}


/* What a string decodes to is UTF-8, and is the same when encoded anew. */
static void
round_trip(es_json_value_t *value)
{
    char             *decoded, *once;
    es_str_t          text;
    es_buf_t          again = { NULL, 0, 0 };
    es_json_t         json;
    es_json_value_t   copy;

    decoded = malloc(value->text.len);
    must(decoded != NULL);
    text = (es_str_t) {
        decoded, (size_t) (es_json_decode(value, decoded) - decoded)
    };
    must(es_utf8_ok(text));

    must(es_buf_str(&again, es_lit("\"")) == ES_OK);
    must(es_json_escape(text, &again) == ES_OK);
    must(es_buf_str(&again, es_lit("\"")) == ES_OK);

    es_json_init(&json, again.data, again.len);
    must(es_json_value(&json, &copy) == ES_OK && es_json_end(&json) == ES_OK);
    once = malloc(copy.text.len);
    must(once != NULL);
    must(es_str_eq(text, (es_str_t) {
        once, (size_t) (es_json_decode(&copy, once) - once)
    }));

    free(decoded);
    free(once);
    es_buf_free(&again);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool              ours;
    json_t           *theirs;
    es_json_t         json;
    json_error_t      error;
    es_json_value_t   value;

    es_json_init(&json, (const char *) data, size);

    ours = es_json_value(&json, &value) == ES_OK
           && es_json_end(&json) == ES_OK;

    must(ours || json.error != NULL);
    must(json.pos >= json.start && json.pos <= json.end);

    theirs = json_loadb((const char *) data, size,
                        JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (ours && theirs == NULL) {
        must(json_error_code(&error) == json_error_numeric_overflow
             || json_error_code(&error) == json_error_null_byte_in_key);
    }

    /* jansson takes a zero byte for the end */

    if (!ours && theirs != NULL && memchr(data, '\0', size) == NULL) {
        must(strstr(json.error, "deep") != NULL);
    }

    json_decref(theirs);

    if (ours && value.type >= ES_JSON_ARRAY) {
        walk(&value);

    } else if (ours && value.type == ES_JSON_STRING) {
        round_trip(&value);
    }

    return 0;
}
