/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses a pattern to a tree.
 *
 * The parser only finds where an atom ends.  PCRE2 says which characters the
 * atom matches: the atom is compiled alone, and matched against all of ASCII
 * and some other characters, among them all that the pattern names.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "schema/schema_pattern.h"
#include "schema/schema_regex.h"

#define ES_ASCII        128
#define ES_OTHERS_MAX   120
#define ES_STRANGE      248            /* for atoms that match none of these */
#define ES_ATOM_WORK    1000000

typedef struct {
    const char       *p;
    const char       *end;
    es_pattern_t     *pattern;
    es_str_t          others[ES_OTHERS_MAX];     /* characters beyond ASCII */
    size_t            nothers;
    es_regex_room_t   room;
    es_rc_t           rc;
} es_parser_t;


static unsigned es_parse_choice(es_parser_t *t);


/* ---- characters ---- */


static size_t
es_char_len(es_str_t text)
{
    size_t         len;
    unsigned char  c;

    c = (unsigned char) text.data[0];
    len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    return len < text.len ? len : text.len;
}


/* Returns the character's number among `others`, which it may enter.  All that
   find no room share the last one. */

static size_t
es_char_other(es_parser_t *t, es_str_t character)
{
    size_t  i;

    for (i = 0; i < t->nothers; i++) {
        if (es_str_eq(t->others[i], character)) {
            return i;
        }
    }

    if (t->nothers == ES_OTHERS_MAX) {
        return ES_OTHERS_MAX - 1;
    }

    t->others[t->nothers++] = character;

    return i;
}


static void
es_parse_others(es_parser_t *t)
{
    size_t    i;
    es_str_t  rest, character;

    /* letters, digits, spaces and signs of some scripts */

    static const char  *const  known[] = {
        "\u00a0", "\u00e9", "\u00df", "\u0394", "\u03c9", "\u0416", "\u05d0",
        "\u0639", "\u0663", "\u0905", "\u2013", "\u2028", "\u20ac", "\u3042",
        "\u4e2d", "\ud55c", "\ufffd", "\U0001f600"
    };

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        (void) es_char_other(t, es_str(known[i]));
    }

    for (rest = (es_str_t) { t->p, (size_t) (t->end - t->p) }; rest.len > 0;
         rest.data += character.len, rest.len -= character.len)
    {
        character = (es_str_t) { rest.data, es_char_len(rest) };

        if (character.len > 1) {
            (void) es_char_other(t, character);
        }
    }
}


static void
es_symbol_add(es_symbols_t *symbols, size_t i)
{
    symbols->bits[i / 64] |= UINT64_C(1) << (i % 64);
}


static bool
es_symbol_matches(es_parser_t *t, const es_regex_t *regex, es_str_t character)
{
    es_rc_t  rc;
    int64_t  work = ES_ATOM_WORK;

    rc = es_regex_match(regex, character, &t->room, &work);

    if (rc == ES_NOMEM) {
        t->rc = rc;
    }

    return rc == ES_OK;
}


/* Asks PCRE2 which characters the atom matches. */

static void
es_symbols_ask(es_parser_t *t, es_str_t atom, es_symbols_t *symbols)
{
    char         c, text[ES_POSITIONS_MAX + 8], error[128];
    size_t       i;
    es_rc_t      rc;
    es_regex_t  *regex;

    i = (size_t) snprintf(text, sizeof(text), "^%.*s$", (int) atom.len,
                          atom.data);

    rc = es_regex_compile((es_str_t) { text, i }, &regex, error);

    if (rc != ES_OK) {
        t->rc = rc == ES_NOMEM ? rc : t->rc;
        return;
    }

    for (i = 0; i < ES_ASCII; i++) {
        c = (char) i;

        if (es_symbol_matches(t, regex, (es_str_t) { &c, 1 })) {
            es_symbol_add(symbols, i);
        }
    }

    for (i = 0; i < t->nothers; i++) {
        if (es_symbol_matches(t, regex, t->others[i])) {
            es_symbol_add(symbols, ES_ASCII + i);
        }
    }

    es_regex_free(regex);
}


/* ---- nodes ---- */


static unsigned
es_node_new(es_parser_t *t, es_pattern_kind_t kind)
{
    unsigned  node;

    node = (unsigned) ++t->pattern->nnodes;
    t->pattern->nodes[node].kind = kind;

    return node;
}


static uint32_t
es_length_times(uint32_t length, uint32_t n)
{
    uint64_t  product;

    if (length == 0 || n == 0) {
        return 0;
    }

    product = (uint64_t) length * n;

    return length == ES_PATTERN_MANY || n == ES_PATTERN_MANY
           || product > ES_PATTERN_MANY ? ES_PATTERN_MANY : (uint32_t) product;
}


static uint32_t
es_length_plus(uint32_t one, uint32_t two)
{
    return one > ES_PATTERN_MANY - two ? ES_PATTERN_MANY : one + two;
}


static unsigned
es_node_position(es_parser_t *t, es_symbols_t **symbols)
{
    unsigned            node;
    es_pattern_node_t  *n;

    node = es_node_new(t, ES_PATTERN_POSITION);
    n = &t->pattern->nodes[node];
    n->position = (unsigned) t->pattern->npositions++;
    n->shortest = 1;
    n->longest = 1;
    *symbols = &t->pattern->symbols[n->position];

    return node;
}


/* A position that matches no character: an assertion, or with `longest` above
   0 a back reference. */

static unsigned
es_node_nothing(es_parser_t *t, uint32_t longest)
{
    unsigned       node;
    es_symbols_t  *symbols;

    node = es_node_position(t, &symbols);
    t->pattern->nodes[node].shortest = 0;
    t->pattern->nodes[node].longest = longest;

    return node;
}


static unsigned
es_node_atom(es_parser_t *t, es_str_t atom)
{
    unsigned       node;
    es_symbols_t  *symbols;

    node = es_node_position(t, &symbols);
    es_symbols_ask(t, atom, symbols);

    if (!(symbols->bits[0] | symbols->bits[1] | symbols->bits[2]
          | symbols->bits[3]))
    {
        es_symbol_add(symbols, ES_STRANGE + (unsigned char)
                               atom.data[atom.len - 1] % 8);
    }

    return node;
}


/* ---- the grammar ---- */


/* Returns the end of a class that begins at `p`. */

static const char *
es_class_end(const char *p, const char *end)
{
    for (p++; p < end && *p != ']'; p++) {
        if (*p == '\\') {
            p++;
        }
    }

    return p < end ? p + 1 : end;
}


/* Returns the end of an escape that begins at `p`. */

static const char *
es_escape_end(const char *p, const char *end)
{
    size_t       n;
    const char  *close;

    switch (p[1]) {
    case 'x':
        n = 4;
        break;
    case 'u':
        n = 6;
        break;
    case 'c':
        n = 3;
        break;
    case 'p':
    case 'P':
    case 'k':
        close = p + 2 < end && (p[2] == '{' || p[2] == '<')
                ? memchr(p, p[2] == '{' ? '}' : '>', (size_t) (end - p))
                : NULL;
        n = close ? (size_t) (close + 1 - p) : 3;
        break;
    default:
        n = 1 + es_char_len((es_str_t) { p + 1, (size_t) (end - p - 1) });
    }

    return n < (size_t) (end - p) ? p + n : end;
}


static unsigned
es_parse_escape(es_parser_t *t)
{
    es_str_t  atom;

    atom.data = t->p;
    t->p = es_escape_end(t->p, t->end);
    atom.len = (size_t) (t->p - atom.data);

    switch (atom.data[1]) {

    case 'b':
    case 'B':
        return es_node_nothing(t, 0);

    case 'k': case '1': case '2': case '3': case '4': case '5': case '6':
    case '7': case '8': case '9':
        return es_node_nothing(t, ES_PATTERN_MANY);

    default:
        return es_node_atom(t, atom);
    }
}


static unsigned
es_parse_literal(es_parser_t *t)
{
    unsigned       node;
    es_str_t       character;
    es_symbols_t  *symbols;

    character.data = t->p;
    character.len = es_char_len((es_str_t) { t->p,
                                             (size_t) (t->end - t->p) });
    t->p += character.len;

    node = es_node_position(t, &symbols);
    es_symbol_add(symbols, character.len > 1
                           ? ES_ASCII + es_char_other(t, character)
                           : (unsigned char) character.data[0]);

    return node;
}


static unsigned
es_parse_group(es_parser_t *t)
{
    bool      look;
    unsigned  node, inside;

    look = false;
    t->p++;

    if (t->end - t->p > 2 && t->p[0] == '?') {
        look = t->p[1] == '=' || t->p[1] == '!'
               || (t->p[1] == '<' && (t->p[2] == '=' || t->p[2] == '!'));

        /* "?:", "?=" and "?!"; "?<=" and "?<!"; "?<name>" */

        if (t->p[1] != '<') {
            t->p += 2;
        } else if (look) {
            t->p += 3;
        } else {
            while (t->p < t->end && *t->p++ != '>') { /* void */ }
        }
    }

    inside = es_parse_choice(t);

    if (t->p < t->end) {
        t->p++;
    }

    if (!look) {
        return inside;
    }

    node = es_node_new(t, ES_PATTERN_LOOK);
    t->pattern->nodes[node].child = inside;

    return node;
}


static unsigned
es_parse_atom(es_parser_t *t)
{
    es_str_t  atom;

    switch (*t->p) {

    case '(':
        return es_parse_group(t);

    case '\\':
        return es_parse_escape(t);

    case '[':
        atom.data = t->p;
        t->p = es_class_end(t->p, t->end);
        atom.len = (size_t) (t->p - atom.data);
        return es_node_atom(t, atom);

    case '.':
        t->p++;
        return es_node_atom(t, es_lit("."));

    case '^':
    case '$':
        t->p++;
        return es_node_nothing(t, 0);

    default:
        return es_parse_literal(t);
    }
}


/* Reads "{n}", "{n,}" or "{n,m}".  False: it is text. */

static bool
es_parse_counts(es_parser_t *t, uint32_t *min, uint32_t *max)
{
    uint32_t     n[2] = { 0, ES_PATTERN_MANY };
    unsigned     i;
    const char  *p, *digits;

    p = t->p;

    for (i = 0; i < 2; i++) {
        digits = p + 1;

        for (p++; p < t->end && *p >= '0' && *p <= '9'; p++) {
            n[i] = (p == digits ? 0 : n[i] * 10) + (uint32_t) (*p - '0');
        }

        if (p == t->end || (i == 0 && p == digits)) {
            return false;
        }

        if (*p == '}') {
            *min = n[0];
            *max = i == 0 ? n[0] : n[1];
            t->p = p + 1;
            return true;
        }

        if (*p != ',') {
            return false;
        }
    }

    return false;
}


static bool
es_parse_quantifier(es_parser_t *t, uint32_t *min, uint32_t *max)
{
    if (t->p == t->end) {
        return false;
    }

    *min = *t->p == '+';
    *max = *t->p == '?' ? 1 : ES_PATTERN_MANY;

    if (*t->p == '*' || *t->p == '+' || *t->p == '?') {
        t->p++;

    } else if (*t->p != '{' || !es_parse_counts(t, min, max)) {
        return false;
    }

    if (t->p < t->end && *t->p == '?') {
        t->p++;
    }

    return true;
}


static unsigned
es_parse_item(es_parser_t *t)
{
    uint32_t            min, max;
    unsigned            child, node;
    es_pattern_node_t  *n;

    child = es_parse_atom(t);

    if (!es_parse_quantifier(t, &min, &max)) {
        return child;
    }

    node = es_node_new(t, ES_PATTERN_REPEAT);
    n = &t->pattern->nodes[node];
    n->child = child;
    n->min = min;
    n->max = max;
    n->shortest = es_length_times(t->pattern->nodes[child].shortest, min);
    n->longest = es_length_times(t->pattern->nodes[child].longest, max);

    return node;
}


static unsigned
es_parse_sequence(es_parser_t *t)
{
    unsigned            node, item, *link;
    es_pattern_node_t  *nodes;

    nodes = t->pattern->nodes;
    node = es_node_new(t, ES_PATTERN_SEQUENCE);
    link = &nodes[node].child;

    while (t->p < t->end && *t->p != '|' && *t->p != ')') {
        item = es_parse_item(t);
        *link = item;
        link = &nodes[item].next;

        nodes[node].shortest = es_length_plus(nodes[node].shortest,
                                              nodes[item].shortest);
        nodes[node].longest = es_length_plus(nodes[node].longest,
                                             nodes[item].longest);
    }

    return node;
}


static unsigned
es_parse_choice(es_parser_t *t)
{
    unsigned            node, item, *link;
    es_pattern_node_t  *nodes;

    nodes = t->pattern->nodes;
    node = es_node_new(t, ES_PATTERN_CHOICE);
    nodes[node].shortest = ES_PATTERN_MANY;
    link = &nodes[node].child;

    for ( ;; ) {
        item = es_parse_sequence(t);
        *link = item;
        link = &nodes[item].next;

        if (nodes[item].shortest < nodes[node].shortest) {
            nodes[node].shortest = nodes[item].shortest;
        }

        if (nodes[item].longest > nodes[node].longest) {
            nodes[node].longest = nodes[item].longest;
        }

        if (t->p == t->end || *t->p != '|') {
            return node;
        }

        t->p++;
    }
}


es_rc_t
es_pattern_parse(es_str_t text, es_pattern_t *pattern)
{
    es_parser_t  t = { .p = text.data, .pattern = pattern };

    t.end = text.data + text.len;
    memset(pattern, 0, sizeof(es_pattern_t));

    /* An item of one byte makes at most five nodes: "|" two, and "x?" two. */

    pattern->nodes = calloc(text.len * 5 + 8, sizeof(es_pattern_node_t));
    pattern->symbols = calloc(text.len + 1, sizeof(es_symbols_t));

    if (pattern->nodes == NULL || pattern->symbols == NULL) {
        return ES_NOMEM;
    }

    es_parse_others(&t);
    pattern->root = es_parse_choice(&t);
    es_regex_room_free(&t.room);

    return t.rc;
}


void
es_pattern_free(es_pattern_t *pattern)
{
    free(pattern->nodes);
    free(pattern->symbols);
}
