/* SPDX-License-Identifier: BSD-2-Clause */

/* API keys: creating, parsing and comparing their text. */

#include "keys/apikey.h"
#include "tap.h"


int
main(void)
{
    int          i, found;
    char         text[ES_APIKEY_LEN + 1], other[ES_APIKEY_LEN + 1];
    char         c;
    es_apikey_t  key, again, second;

    is_int(es_apikey_create(false, text, &key), ES_OK, "a key is made");
    is_int((int64_t) strlen(text), ES_APIKEY_LEN, "of the right length");
    ok(strncmp(text, "esk_", 4) == 0 && text[14] == '_', "of the right form");
    ok(strncmp(text + 4, key.id, ES_KEYID_LEN) == 0, "with its id in it");

    is_int(es_apikey_parse(es_str(text), &again), ES_OK, "it is parsed");
    is_str(es_str(again.id), key.id, "to the same id");
    ok(es_apikey_equal(key.digest, again.digest), "and the same digest");

    (void) es_apikey_create(false, other, &second);
    ok(strcmp(text, other) != 0, "another is different");
    ok(!es_apikey_equal(key.digest, second.digest), "in its digest too");

    found = 0;

    for (i = 0; i < ES_APIKEY_LEN; i++) {
        c = text[i];
        text[i] = c == 'a' ? 'b' : 'a';
        found += es_apikey_parse(es_str(text), &again) == ES_INVALID;
        text[i] = c;
    }

    is_int(found, ES_APIKEY_LEN, "any one wrong character is found");

    found = 0;

    for (i = 0; i < ES_APIKEY_LEN; i++) {
        found += es_apikey_parse((es_str_t) { text, (size_t) i }, &again)
                 == ES_INVALID;
    }

    is_int(found, ES_APIKEY_LEN, "any truncation is found");
    is_int(es_apikey_parse(es_null_str, &again), ES_INVALID, "nothing is none");

    text[5] = 'A';
    is_int(es_apikey_parse(es_str(text), &again), ES_INVALID,
           "upper case is none");

    is_int(es_apikey_parse(es_lit("esk_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                  "aaaaasqcthm"), &again), ES_INVALID,
           "a wrong checksum is found");

    return done();
}
