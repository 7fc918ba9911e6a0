/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Content negotiation by weight and exactness.
 *
 * Both fields have the same list grammar, so one loop weighs the items of
 * either, and a match function says how exactly an item names an offer.
 */

#include <strings.h>

#include "base/accept.h"

/* How exactly a range names a type.  A more exact range overrides the
   others. */
enum {
    ES_RANGE_NONE = 0,
    ES_RANGE_ALL,              /* any type, any subtype */
    ES_RANGE_TYPE,             /* any subtype */
    ES_RANGE_EXACT             /* and more for each parameter */
};

#define ES_WEIGHT_MAX  1000

typedef struct {
    es_str_t  range;           /* type/subtype, or a coding */
    es_str_t  parameters;      /* with the weight and what follows */
    int       weight;          /* in thousandths */
} es_accept_item_t;


static es_str_t
es_trim(es_str_t text)
{
    while (text.len > 0 && (*text.data == ' ' || *text.data == '\t')) {
        text.data++;
        text.len--;
    }

    while (text.len > 0
           && (text.data[text.len - 1] == ' '
               || text.data[text.len - 1] == '\t'))
    {
        text.len--;
    }

    return text;
}


/* Takes the item before the next `mark` outside a quoted string. */
static es_str_t
es_take(es_str_t *text, char mark)
{
    bool      quoted;
    size_t    i;
    es_str_t  item;

    quoted = false;

    for (i = 0; i < text->len && (quoted || text->data[i] != mark); i++) {

        if (text->data[i] == '"') {
            quoted = !quoted;

        } else if (quoted && text->data[i] == '\\' && i + 1 < text->len) {
            i++;
        }
    }

    item = (es_str_t) { text->data, i };

    if (i < text->len) {
        i++;
    }

    text->data += i;
    text->len -= i;

    return es_trim(item);
}


/* A weight has at most three digits after the point.  -1: malformed. */
static int
es_weight(es_str_t text)
{
    int     weight, unit;
    size_t  i;

    if (text.len == 0 || text.len > 5
        || (text.data[0] != '0' && text.data[0] != '1')
        || (text.len > 1 && text.data[1] != '.'))
    {
        return -1;
    }

    weight = (text.data[0] - '0') * ES_WEIGHT_MAX;
    unit = ES_WEIGHT_MAX / 10;

    for (i = 2; i < text.len; i++, unit /= 10) {

        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }

        weight += (text.data[i] - '0') * unit;
    }

    return weight <= ES_WEIGHT_MAX ? weight : -1;
}


static bool
es_accept_item(es_str_t text, es_accept_item_t *item)
{
    es_str_t  parameter;

    item->range = es_take(&text, ';');
    item->parameters = text;
    item->weight = ES_WEIGHT_MAX;

    while (text.len > 0) {
        parameter = es_take(&text, ';');

        if (parameter.len >= 2
            && (parameter.data[0] == 'q' || parameter.data[0] == 'Q')
            && parameter.data[1] == '=')
        {
            parameter.data += 2;
            parameter.len -= 2;

            item->weight = es_weight(parameter);
            break;
        }
    }

    return item->weight >= 0;
}


/* Splits "name=value"; a value in quotes loses them. */
static es_str_t
es_accept_name(es_str_t text, es_str_t *value)
{
    es_str_t  name;

    name = es_take(&text, '=');

    if (text.len >= 2 && text.data[0] == '"'
        && text.data[text.len - 1] == '"')
    {
        text.data++;
        text.len -= 2;
    }

    *value = text;

    return name;
}


static bool
es_accept_same(es_str_t a, es_str_t b)
{
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}


/* Counts the parameters of an offer that the range names with the same value.
   -1: it names one with another value. */
static int
es_parameters_match(es_str_t range, es_str_t offer)
{
    int       n;
    es_str_t  rest, name, value, other;

    n = 0;

    while (offer.len > 0) {
        name = es_accept_name(es_take(&offer, ';'), &value);
        rest = range;

        while (rest.len > 0) {
            if (!es_accept_same(es_accept_name(es_take(&rest, ';'), &other),
                                name))
            {
                continue;
            }

            if (!es_accept_same(other, value)) {
                return -1;
            }

            n++;
        }
    }

    return n;
}


static int
es_range_matches(const es_accept_item_t *item, es_str_t offer)
{
    int          n;
    size_t       type;
    es_str_t     range, name;
    const char  *slash;

    range = item->range;
    name = es_take(&offer, ';');

    if (range.len == 3 && memcmp(range.data, "*/*", 3) == 0) {
        return ES_RANGE_ALL;
    }

    if (es_accept_same(range, name)) {
        n = es_parameters_match(item->parameters, offer);

        return n >= 0 ? ES_RANGE_EXACT + n : ES_RANGE_NONE;
    }

    slash = memchr(name.data, '/', name.len);
    type = slash ? (size_t) (slash - name.data) + 1 : 0;

    if (type > 0 && range.len == type + 1 && range.data[type] == '*'
        && strncasecmp(range.data, name.data, type) == 0)
    {
        return ES_RANGE_TYPE;
    }

    return ES_RANGE_NONE;
}


typedef int (*es_accept_match)(const es_accept_item_t *item, es_str_t offer);

typedef struct {
    int   weight[ES_ACCEPT_OFFERS_MAX];
    int   exact[ES_ACCEPT_OFFERS_MAX];     /* how exactly a range names it */
    bool  empty;
} es_accept_t;


static void
es_accept_weigh(es_str_t value, const es_str_t *offers, int n,
    es_accept_match matches, es_accept_t *accept)
{
    int               i, match;
    es_str_t          text;
    es_accept_item_t  item;

    memset(accept, 0, sizeof(es_accept_t));
    accept->empty = true;

    while (value.len > 0) {
        text = es_take(&value, ',');

        if (text.len == 0) {
            continue;
        }

        accept->empty = false;

        if (!es_accept_item(text, &item)) {
            continue;
        }

        for (i = 0; i < n; i++) {
            match = matches(&item, offers[i]);

            if (match > accept->exact[i]
                || (match != ES_RANGE_NONE && match == accept->exact[i]
                    && item.weight > accept->weight[i]))
            {
                accept->exact[i] = match;
                accept->weight[i] = item.weight;
            }
        }
    }
}


static int
es_accept_best(const es_accept_t *accept, int n)
{
    int  i, best;

    best = -1;

    for (i = 0; i < n; i++) {

        if (accept->weight[i] > 0
            && (best < 0 || accept->weight[i] > accept->weight[best]
                || (accept->weight[i] == accept->weight[best]
                    && accept->exact[i] > accept->exact[best])))
        {
            best = i;
        }
    }

    return best;
}


int
es_accept(es_str_t value, const es_str_t *offers, int n)
{
    es_accept_t  accept;

    es_accept_weigh(value, offers, n, es_range_matches, &accept);

    if (accept.empty) {
        return n > 0 ? 0 : -1;
    }

    return es_accept_best(&accept, n);
}


/* "x-gzip" is another name of gzip (RFC 9110, section 8.4.1.3). */
static int
es_coding_matches(const es_accept_item_t *item, es_str_t offer)
{
    es_str_t  range;

    range = item->range;

    if (range.len == 1 && range.data[0] == '*') {
        return ES_RANGE_ALL;
    }

    if (range.len == 6 && strncasecmp(range.data, "x-gzip", 6) == 0) {
        range.data += 2;
        range.len -= 2;
    }

    return es_accept_same(range, offer) ? ES_RANGE_EXACT : ES_RANGE_NONE;
}


int
es_accept_encoding(es_str_t value, const es_str_t *offers, int n)
{
    int          best, identity;
    es_accept_t  accept;

    identity = n - 1;

    es_accept_weigh(value, offers, n, es_coding_matches, &accept);

    best = es_accept_best(&accept, n);

    if (best >= 0) {
        return best;
    }

    return accept.exact[identity] == ES_RANGE_NONE ? identity : -1;
}
