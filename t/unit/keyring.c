/* SPDX-License-Identifier: BSD-2-Clause */

/* Encrypted secrets: only the right key opens one, and only for its own use. */

#include <sys/stat.h>
#include <unistd.h>

#include "keys/keyring.h"
#include "tap.h"

static es_keyring_t *
ring_of(const char *text)
{
    int            fd;
    size_t         len = strlen(text);
    char           path[] = "/tmp/eventsync-keyring-XXXXXX";
    es_problem_t   problem;
    es_keyring_t  *ring = NULL;

    fd = mkstemp(path);

    if (fd == -1 || write(fd, text, len) != (ssize_t) len
        || es_keyring_load(path, &ring, &problem) != ES_OK)
    {
        printf("Bail out! no keyring\n");
        exit(1);
    }

    (void) close(fd);
    (void) unlink(path);

    return ring;
}


static void
opens(const es_keyring_t *ring, const char *bound, const char *sealed,
    es_rc_t expected, const char *name)
{
    es_buf_t  out = { 0 };

    ok(es_unseal(ring, es_str(bound), es_str(sealed), &out) == expected
       && (expected == ES_OK || out.len == 0), "%s", name);
    es_buf_free(&out);
}


static void
test_seal(es_keyring_t *one, es_keyring_t *two, es_buf_t *sealed)
{
    const char  *text;
    es_buf_t     again = { 0 }, plain = { 0 };

    ok(es_keyring_has(two, es_str(es_keyring_current(one))),
       "a key has the same id in raw and in base64");
    ok(!es_keyring_has(one, es_str(es_keyring_current(two))),
       "another key has another");

    (void) es_seal(one, es_lit("endpoint/a"), es_lit("secret"),
                   es_lit("public"), sealed);
    (void) es_seal(one, es_lit("endpoint/a"), es_lit("secret"),
                   es_lit("public"), &again);
    (void) es_buf_append(sealed, "", 1);
    text = sealed->data;

    ok(es_sealed(es_str(text)), "is sealed");
    ok(again.len + 1 != sealed->len || memcmp(again.data, text, again.len) != 0,
       "differently each time");
    is_str(es_sealed_public(es_str(text)), "public", "the public part");
    is_str(es_sealed_kid(es_str(text)), es_keyring_current(one), "the key");
    ok(strstr(text, "secret") == NULL, "the text is not to be seen");

    ok(es_unseal(two, es_lit("endpoint/a"), es_str(text), &plain) == ES_OK,
       "a keyring with more keys opens it");
    is_str((es_str_t) { plain.data, plain.len }, "secret", "to what it was");

    opens(one, "endpoint/b", text, ES_CORRUPT, "not as a secret of another");

    es_buf_free(&again);
    es_buf_free(&plain);
}


static void
test_changed(es_keyring_t *one, const char *text)
{
    char      *copy;
    size_t     i, changed;
    es_buf_t   plain = { 0 };

    copy = strdup(text);
    changed = 0;

    /* Each character that stands for bits; the last of a group with padding
       may stand for none. */

    for (i = 7 + ES_KID_LEN + 1; text[i] != '\0'; i++) {
        plain.len = 0;
        copy[i] = text[i] == 'A' ? 'Q' : 'A';
        changed += es_unseal(one, es_lit("endpoint/a"), es_str(copy), &plain)
                   != ES_OK;
        copy[i] = text[i];
    }

    ok(changed == i - 7 - ES_KID_LEN - 1, "not if any character is changed");

    copy[7] = copy[7] == 'a' ? 'b' : 'a';
    opens(one, "endpoint/a", copy, ES_NOT_FOUND, "nor by a key that is not "
          "there");

    for (i = 0; i < strlen(text); i++) {
        memcpy(copy, text, i);
        copy[i] = '\0';
        changed -= es_unseal(one, es_lit("endpoint/a"), es_str(copy), &plain)
                   == ES_OK;
    }

    ok(changed == strlen(text) - 7 - ES_KID_LEN - 1, "nor if it is cut");

    opens(one, "endpoint/a", "sealed:::::::", ES_CORRUPT, "nor nothing");
    opens(one, "endpoint/a", "whsec_x", ES_CORRUPT, "nor what is plain");
    ok(es_sealed_public(es_lit("sealed:a")).len == 0
       && es_sealed_kid(es_lit("plain")).len == 0, "which have no parts");

    free(copy);
    es_buf_free(&plain);
}


static void
test_large(es_keyring_t *one, es_keyring_t *two)
{
    size_t    i;
    es_buf_t  sealed = { 0 }, plain = { 0 }, large = { 0 };

    for (i = 0; i < 1000; i++) {
        (void) es_buf_str(&large, es_lit("-----KEY-----"));
    }

    (void) es_seal(two, es_lit("x"), (es_str_t) { large.data, large.len },
                   es_null_str, &sealed);
    ok(es_unseal(two, es_lit("x"), (es_str_t) { sealed.data, sealed.len },
                 &plain) == ES_OK
       && plain.len == large.len
       && memcmp(plain.data, large.data, large.len) == 0, "a large one");
    ok(es_unseal(one, es_lit("x"), (es_str_t) { sealed.data, sealed.len },
                 &plain) == ES_NOT_FOUND, "under the first key of the two");

    es_buf_free(&sealed);
    es_buf_free(&plain);
    es_buf_free(&large);
}


int
main(void)
{
    es_buf_t       sealed = { 0 };
    es_keyring_t  *one, *two;

    one = ring_of("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    two = ring_of("# new, old\r\n"
                  "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\r\n\n"
                  "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=");

    test_seal(one, two, &sealed);
    test_changed(one, sealed.data);
    test_large(one, two);

    es_buf_free(&sealed);
    es_keyring_free(one);
    es_keyring_free(two);

    return done();
}
