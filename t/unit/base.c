/* SPDX-License-Identifier: BSD-2-Clause */

/* Buffers, problem texts, and the words of result codes. */

#include "tap.h"


static void
test_buf(void)
{
    char      big[1000];
    es_buf_t  buf = { NULL, 0, 0 };

    memset(big, 'x', sizeof(big));

    is_int(es_buf_append(&buf, NULL, 0), ES_OK, "nothing can be appended");
    is_int((int64_t) buf.len, 0, "and changes nothing");
    is_int(es_buf_append(&buf, big, sizeof(big)), ES_OK, "bytes are appended");
    is_int(es_buf_printf(&buf, "%s-%d", "a", 42), ES_OK, "text is formatted");
    is_int((int64_t) buf.len, 1004, "without its NUL in the length");
    ok(memcmp(buf.data + 1000, "a-42", 4) == 0, "after what was there");
    is_int(es_buf_reserve(&buf, SIZE_MAX - 10), ES_NOMEM,
           "an impossible size is refused");
    is_int((int64_t) buf.len, 1004, "and leaves the buffer as it was");

    es_buf_free(&buf);
    ok(buf.data == NULL && buf.len == 0 && buf.cap == 0,
       "a freed buffer is empty");
    is_int(es_buf_str(&buf, es_lit("again")), ES_OK, "and usable");
    is_str((es_str_t) { buf.data, buf.len }, "again", "from its start");
    es_buf_free(&buf);
}


static void
test_problem(void)
{
    int           i;
    char          text[600];
    es_problem_t  p;

    is_int(es_problem_set(NULL, ES_IO, -1, NULL, "x"), ES_IO,
           "a problem that nobody wants is passed over");

    is_int(es_problem_set(&p, ES_INVALID, 3, "/id", "bad %s", "id"),
           ES_INVALID, "a problem gives its outcome back");
    is_str(es_str(p.pointer), "/id", "with its pointer");
    is_str(es_str(p.detail), "bad id", "and its sentence");
    is_int(p.index, 3, "and its index");

    for (i = 0; i < 600; i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    text[599] = '\0';

    (void) es_problem_set(&p, ES_INVALID, -1, NULL, "x%s", text);
    is_int((int64_t) strlen(p.detail), 255, "a long sentence is cut");
    (void) es_problem_set(&p, ES_INVALID, -1, NULL, "%s", text);
    is_int((int64_t) strlen(p.detail), 254, "but not inside a character");
    is_str(es_str(p.pointer), "", "no pointer is an empty one");

    (void) es_problem_set(&p, ES_INVALID, -1, "/a\n", "a\r\n\x1b\x7f\tb");
    is_str(es_str(p.detail), "a?????b", "a sentence is on one line");
    is_str(es_str(p.pointer), "/a\n", "a pointer names what is there");
}


static void
test_pointer(void)
{
    char  p[12];

    p[0] = '\0';
    es_pointer_add(p, sizeof(p), es_lit("a~b/c"));
    is_str(es_str(p), "/a~0b~1c", "a name is escaped in a pointer");
    es_pointer_add(p, sizeof(p), es_lit("defg"));
    ok(strlen(p) < sizeof(p), "a pointer is cut where it is full");
}


int
main(void)
{
    int  rc;

    test_buf();
    test_problem();
    test_pointer();

    for (rc = ES_OK; rc <= ES_NOMEM; rc++) {
        ok(strcmp(es_strerror((es_rc_t) rc), "unknown outcome") != 0,
           "outcome %d has words", rc);
    }

    is_str(es_str(es_strerror((es_rc_t) 999)), "unknown outcome",
           "an unknown outcome has some too");

    return done();
}
