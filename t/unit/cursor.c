/* SPDX-License-Identifier: BSD-2-Clause */

/* Cursors, epochs and feed names: the valid forms and the refused ones. */

#include "event/cursor.h"
#include "tap.h"


static void
good(const char *text, const char *epoch, uint64_t sequence)
{
    char         out[ES_CURSOR_MAX];
    es_cursor_t  cursor;

    if (!ok(es_cursor_parse(es_str(text), &cursor) == ES_OK,
            "'%s' is a cursor", text))
    {
        return;
    }

    is_str(es_str(cursor.epoch), epoch, "its epoch");
    ok(cursor.sequence == sequence, "its sequence");
    is_int((int64_t) es_cursor_print(cursor.epoch, cursor.sequence, out),
           (int64_t) strlen(text), "its length");
    is_str(es_str(out), text, "it is printed as it was");
}


static void
bad(const char *text)
{
    es_cursor_t  cursor;

    ok(es_cursor_parse(es_str(text), &cursor) == ES_INVALID, "'%s' is none",
       text);
}


int
main(void)
{
    char         epoch[ES_EPOCH_MAX + 1], other[ES_EPOCH_MAX + 1];
    char         name[65];
    es_cursor_t  cursor;

    good("k3f7-10437", "k3f7", 10437);
    good("a-0", "a", 0);
    good("abcdefghijklmno-1", "abcdefghijklmno", 1);
    good("a234567-1099511627775", "a234567", ES_SEQUENCE_MAX);

    bad("");
    bad("a");
    bad("a-");
    bad("-1");
    bad("-");
    bad("a-01");
    bad("a-00");
    bad("a--1");
    bad("a-+1");
    bad("a- 1");
    bad("a-1 ");
    bad(" a-1");
    bad("A-1");
    bad("a1-1");
    bad("a9-1");
    bad("a-1x");
    bad("a-1-1");
    bad("abcdefghijklmnop-1");
    bad("a-1099511627776");
    bad("a-9999999999999");
    bad("a-18446744073709551617");
    bad("a-0x1");
    ok(es_cursor_parse((es_str_t) { "a-1\0", 4 }, &cursor) == ES_INVALID,
       "a NUL is no digit");
    ok(es_cursor_parse(es_null_str, &cursor) == ES_INVALID, "nothing is none");

    is_int(es_epoch_create(epoch), ES_OK, "an epoch is made");
    is_int(es_epoch_create(other), ES_OK, "and another");
    ok(strlen(epoch) == 8 && strcmp(epoch, other) != 0,
       "of 8 characters, and not the same");

    ok(es_feed_name_ok(es_lit("orders-acme")), "a feed's name");
    ok(es_feed_name_ok(es_lit("0_-")), "digits, '_' and '-'");
    ok(!es_feed_name_ok(es_lit("")), "is not empty");
    ok(!es_feed_name_ok(es_lit("-a")), "begins with a letter or digit");
    ok(!es_feed_name_ok(es_lit("_a")), "not with '_'");
    ok(!es_feed_name_ok(es_lit("Orders")), "is in lower case");
    ok(!es_feed_name_ok(es_lit("a.b")), "has no '.'");
    ok(!es_feed_name_ok(es_lit("a/b")), "has no '/'");

    memset(name, 'a', sizeof(name));
    ok(es_feed_name_ok((es_str_t) { name, 63 }), "has up to 63 bytes");
    ok(!es_feed_name_ok((es_str_t) { name, 64 }), "and not 64");

    is_int((int64_t) es_cursor_of(es_lit("{\"id\":\"1\"}")).len, 0,
           "an event without a cursor");
    is_int((int64_t) es_cursor_of(es_lit("{\"cursor\":\"a-1")).len, 0,
           "one that is cut");
    is_str(es_cursor_of(es_lit("{\"subject\":\"\\\"cursor\\\":\\\"x\\\"\","
                               "\"cursor\":\"a-1\",\"prevcursor\":\"a-0\","
                               "\"data\":{\"cursor\":\"y\"}}")), "a-1",
           "an event's cursor is the attribute");

    return done();
}
