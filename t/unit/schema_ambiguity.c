/* SPDX-License-Identifier: BSD-2-Clause */

/* Patterns that may take exponentially long are refused; all others are not. */

#include "schema/schema.h"
#include "schema/schema_ambiguity.h"
#include "tap.h"

static const char  *const  exponential[] = {
    "^(a+)+$", "^(a*)*$", "(a+)*b", "(a*)+b", "^(a|a)*$", "^(a|aa)+$",
    "(x+x+)+y", "^(a|ab|b)*$", "^(a|b|ab)*c", "^(a?b?)*$", "([a-z]+)*!",
    "^([a-zA-Z0-9]+\\s?)*$", "^(\\w+\\s?)*$", "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(\\d+)*x", "^(\\d|[0-9])*$", "^(\\w|\\d)+$", "(.*)*$", "^(?:.+)+$",
    "^(.*,)*.*(.*)*$", "^(\\s*\\w+\\s*)*$", "(?:a|b?)*(c|c)*", "^(,?\\d+)*$",
    "^(ab|abab)*$", "^(foo|foobar|bar)*$", "^(?:[a-z]+|[a-f]+)+$",
    "^(a{1,3})*$", "^(a{2,3})+$", "^(\\d{1,20}){1,20}$", "^(a+){20}$",
    "^((ab){1,3})*$", "^([0-9]{2}|[0-9]{3})*$", "^(([0-9]+)|[a-f0-9])*$",
    "^(?=(a+)+b)a", "^(?!(a|aa)*$).", "(?<=x)(y*)*z", "^(?<n>(a|aa)+)$",
    "^(\\u0061|a)*$", "^(\\x61+)+$", "^(\u00e9+)+$", "^(\u4e2d|\u4e2d\u4e2d)*$",
    "^(\\p{L}+)*$", "^(a|[^b])*$", "^(a|.)*$", "^(a+?)+?$", "^((a)|(a))*$",
    "^(|a|aa)*$", "^(((((a+)))))+$", "^([^\"]*|\"[^\"]*\")*$",
    "^((\\.|[a-z])+\\.?)+$", "^(.|\\n|\\n)*$", "(a[])*(b+)+",
    "^(?:(?:a+)?b?)+$", "^(a{0,}){5,}$"
};

static const char  *const  ordinary[] = {
    "", "a", "^$", "^a*$", "a*b*c*", "^[a-z]+$", "^(a|b)*$", "^(a|b)+$",
    "^(ab|cd)*$", "^(?:a|b|c)*d$", "^([ab]|c)*$", "^(foo|bar|baz)+$",

    /* dates, times, numbers, money */
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])"
        "T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d+)?(Z|[+-]\\d{2}:\\d{2})$",
    "^P(?!$)(\\d+Y)?(\\d+M)?(\\d+W)?(\\d+D)?"
        "(T(?=\\d)(\\d+H)?(\\d+M)?(\\d+S)?)?$",
    "^-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?$",
    "^[A-Z]{3}$", "^\\d{1,3}(,\\d{3})*(\\.\\d{2})?$", "^(\\d{3})*$",
    "^\\$?\\d+(\\.\\d{2})?$", "^([A-Z]{3} )?\\d+\\.\\d{2}$",

    /* identifiers */
    "^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}"
        "-[0-9a-f]{12}$",
    "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "^[A-Za-z_][A-Za-z0-9_]*$", "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
    "^[a-z]+(\\.[a-z]+)*$", "^([a-z]+\\.)*[a-z]+$", "^x-", "^\\S+$",
    "^[A-HJ-NPR-Z0-9]{17}$", "^[A-Z]{2}\\d{2}[A-Z0-9]{11,30}$",
    "^97[89]-?\\d{1,5}-?\\d{1,7}-?\\d{1,6}-?\\d$",
    "^(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)"
        "(?:-((?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)"
        "(?:\\.(?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
        "(?:\\+([0-9a-zA-Z-]+(?:\\.[0-9a-zA-Z-]+)*))?$",

    /* addresses */
    "^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$",
    "^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}$",
    "^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9]"
        "(?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
        "(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
    "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$",
    "^(?:(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)(?:\\.(?!$)|$)){4}$",
    "^((25[0-5]|(2[0-4]|1\\d|[1-9]|)\\d)\\.?\\b){4}$",
    "^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$",
    "^([0-9A-Fa-f]{2}[:-]){5}([0-9A-Fa-f]{2})$",
    "^https?://[^\\s/$.?#].[^\\s]*$", "^(https?|ftp)://([^/]+)(/[^/]*)*$",
    "^(/[a-zA-Z0-9_-]+)+$", "^(/[^/~]*(~[01][^/~]*)*)*$",
    "^\\+?[1-9]\\d{1,14}$", "^(\\+\\d{1,2}\\s)?\\(?\\d{3}\\)?[\\s.-]\\d{3}"
        "[\\s.-]\\d{4}$",
    "^#?([a-fA-F0-9]{6}|[a-fA-F0-9]{3})$",

    /* lists, texts, encodings */
    "^\\d+(,\\d+)*$", "^(?:\\d+,)*\\d+$", "^(\\w+)(\\s+\\w+)*$",
    "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "^\"(?:[^\"\\\\]|\\\\.)*\"$", "^([^,\"]*|\"([^\"]|\"\")*\")(,|$)",
    "^(?:(?:^|,)[0-9]+)*$", "^(?:[a-z]+(?:,|$))+$", "<[^>]*>", "^(?:%[0-9A-F]{2}|[a-z])*$",
    "^(?=.*[A-Z])(?=.*[a-z])(?=.*\\d)(?=.*[^\\w\\s]).{8,64}$",
    "^(?:(?!--).)*$", "^[\\s\\S]*$", "^.{1,256}$", "^(?:.{10}){10}$",
    "^[\\p{L} '-]+$", "^(\\p{Lu}\\p{Ll}+ )*$", "^(\u00e4|\u00f6|\u00fc)*$",
    "^([a-z]*[0-9])*$", "^(a{2})*$", "^(\\d{2}:\\d{2};)*$", "(\\w)\\1",
    "^(ab?c?)*$", "^(?:a+b)*$", "^(?:ab+)*$", "^(a+b+)*$", "\\s+$", "x{3}",
    "^(\\d{1,3}\\.){3}\\d{1,3}$", "^(\\d{1,2}){1,2}$", "a{,3}", "^{1}$",
    "^\\{[a-z]+\\}$", "[]", "[^]", "^[a-z\\]\\[]+$", "^(?:\\cA|\\t|\\0)*$"
};


static void
test_exponential(void)
{
    bool      ambiguous;
    unsigned  i;

    for (i = 0; i < sizeof(exponential) / sizeof(exponential[0]); i++) {
        ok(es_regex_ambiguous(es_str(exponential[i]), &ambiguous) == ES_OK
           && ambiguous, "refused: %s", exponential[i]);
    }
}


static void
test_ordinary(void)
{
    bool      ambiguous;
    unsigned  i;

    for (i = 0; i < sizeof(ordinary) / sizeof(ordinary[0]); i++) {
        ok(es_regex_ambiguous(es_str(ordinary[i]), &ambiguous) == ES_OK
           && !ambiguous, "accepted: %s", ordinary[i]);
    }
}


/* A pattern that is as long as may be, with many ways to go. */

static void
test_long(void)
{
    char         text[1100], *p;
    bool         ambiguous;
    unsigned     i, n;
    const char  *words[] = { "word", "w" };

    for (n = 0; n < 2; n++) {
        p = stpcpy(text, "^(");

        for (i = 0; p < text + 1000; i++) {
            p += sprintf(p, "%s%s%u", i ? "|" : "", words[n], i);
        }

        (void) strcpy(p, ")*$");
        ok(es_regex_ambiguous(es_str(text), &ambiguous) == ES_OK
           && ambiguous == (n == 2), "a choice of %u words, repeated", i);
    }

    p = text;

    for (i = 0; i < 240; i++) {
        p = stpcpy(p, "(");
    }

    p = stpcpy(p, "a");

    for (i = 0; i < 240; i++) {
        p = stpcpy(p, i == 100 ? ")+" : ")");
    }

    ok(es_regex_ambiguous(es_str(text), &ambiguous) == ES_OK && !ambiguous,
       "many groups within each other");

    (void) stpcpy(p - 1, ")*");
    ok(es_regex_ambiguous(es_str(text), &ambiguous) == ES_OK && ambiguous,
       "repeated twice");
}


static void
refuses(const char *schema, const char *pointer, const char *keyword,
    const char *name)
{
    es_rc_t        rc;
    es_schema_t   *compiled = NULL;
    es_problem_t   problem = { 0 };

    rc = es_schema_compile_new(es_str(schema), &compiled, &problem);
    ok(rc == ES_INVALID && strcmp(problem.pointer, pointer) == 0
       && strcmp(problem.keyword, keyword) == 0
       && strstr(problem.detail, "exponentially") != NULL,
       "%s: %s: %s", name, problem.pointer, problem.detail);

    rc = es_schema_compile(es_str(schema), &compiled, &problem);
    ok(rc == ES_OK, "%s: one from the catalogue is taken", name);
    es_schema_free(rc == ES_OK ? compiled : NULL);
}


static void
test_schema(void)
{
    refuses("{\"properties\":{\"a\":{\"pattern\":\"^(a+)+$\"}}}",
            "/properties/a/pattern", "pattern", "pattern");
    refuses("{\"patternProperties\":{\"^x-(a|a)*$\":true}}",
            "/patternProperties/^x-(a|a)*$", "patternProperties",
            "patternProperties");
    refuses("{\"patternProperties\":{\"/(~|~)*/\":true}}",
            "/patternProperties/~1(~0|~0)*~1", "patternProperties",
            "a name that is escaped");
    refuses("{\"propertyNames\":{\"pattern\":\"(.*)*$\"}}",
            "/propertyNames/pattern", "pattern", "propertyNames");
    refuses("{\"$defs\":{\"u\":{\"not\":{\"pattern\":\"(a|aa)+$\"}}}}",
            "/$defs/u/not/pattern", "pattern", "where nothing refers to");
}


int
main(void)
{
    test_exponential();
    test_ordinary();
    test_long();
    test_schema();

    return done();
}
