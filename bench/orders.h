/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes events as a shop would publish them, from a seed: an order's id, its
 * customer, and its lines.  The same seed gives the same events.
 *
 * What compression can gain depends on the text.  So ids and amounts are
 * random, names have the spread of real ones, and a few customers have most
 * of the orders: half of them belong to 3 % of the customers.
 */

#ifndef BENCH_ORDERS_H
#define BENCH_ORDERS_H

#include "bench.h"

#define ORDERS_CUSTOMERS  20000
#define ORDERS_START_S    1764500000    /* the time of the first event */
#define ORDERS_EVERY_MS   40            /* between two events, on average */

typedef struct {
    uint64_t  state;
    uint64_t  ms;              /* since the first event */
} orders_t;

/* splitmix64, by Sebastiano Vigna (public domain). */
static inline uint64_t
orders_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t
orders_random(orders_t *o)
{
    o->state += UINT64_C(0x9e3779b97f4a7c15);
    return orders_mix(o->state);
}

static inline unsigned
orders_below(orders_t *o, unsigned n)
{
    return (unsigned) (orders_random(o) % n);
}

/* A number below n, of which the small ones are frequent. */
static inline unsigned
orders_skewed(orders_t *o, unsigned n)
{
    double  u = (double) (orders_random(o) >> 11) / (double) (1ULL << 53);

    return (unsigned) (u * u * u * u * u * (double) n);
}

static inline void
orders_uuid(orders_t *o, char out[37])
{
    uint64_t  a = orders_random(o), b = orders_random(o);

    snprintf(out, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned) (a >> 32),
             (unsigned) (a >> 16 & 0xffff), (unsigned) (a & 0xfff),
             (unsigned) (b >> 48 & 0x3fff) | 0x8000,
             (unsigned long long) (b & UINT64_C(0xffffffffffff)));
}

static inline const char *
orders_first_name(uint64_t customer)
{
    static const char  *names[] = {
        "Anna", "Ben", "Clara", "David", "Elena", "Finn", "Greta", "Hassan",
        "Ines", "Jonas", "Katharina", "Luca", "Mia", "Noah", "Olga", "Paul",
        "Quentin", "Rosa", "Samuel", "Theresa", "Ugo", "Valentina", "Wim",
        "Xenia", "Yusuf", "Zoe", "Aisha", "Bruno", "Chiara", "Dmitri", "Emma",
        "Felix",
    };

    return names[orders_mix(customer) % (sizeof(names) / sizeof(names[0]))];
}

static inline const char *
orders_last_name(uint64_t customer)
{
    static const char  *names[] = {
        "Albrecht", "Bernard", "Costa", "Dubois", "Eriksen", "Fischer",
        "Garcia", "Hoffmann", "Ivanova", "Jansen", "Kowalski", "Lindberg",
        "Moreau", "Nowak", "Okafor", "Petrov", "Quist", "Rossi", "Schneider",
        "Tanaka", "Ueda", "Vogel", "Weber", "Xu", "Yilmaz", "Zimmermann",
        "Andersson", "Bianchi", "Chen", "Diaz", "Esposito", "Ferrari", "Gruber",
        "Haddad", "Iversen", "Johansson", "Keller", "Laurent", "Martinez",
        "Nguyen", "Olsen", "Pereira", "Ramirez", "Silva", "Torres", "Varga",
        "Wagner", "Young",
    };

    return names[orders_mix(customer + ORDERS_CUSTOMERS)
                 % (sizeof(names) / sizeof(names[0]))];
}

static inline void
orders_time(orders_t *o, char out[25])
{
    size_t     len;
    time_t     now;
    struct tm  tm;

    o->ms += 1 + orders_below(o, 2 * ORDERS_EVERY_MS);
    now = (time_t) (ORDERS_START_S + o->ms / 1000);
    gmtime_r(&now, &tm);
    len = strftime(out, 25, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, 25 - len, ".%03uZ", (unsigned) (o->ms % 1000));
}

static inline unsigned
orders_line(orders_t *o, bool first, char *out, size_t size)
{
    unsigned  cents = 99 + orders_below(o, 20000), n = 1 + orders_skewed(o, 8);

    snprintf(out, size, "%s{\"sku\":\"SKU-%05u\",\"quantity\":%u,"
             "\"price\":\"%u.%02u\"}", first ? "" : ",",
             10000 + orders_skewed(o, 40000), n, cents / 100, cents % 100);
    return n * cents;
}

/* Prints the next event; returns its length. */
static inline int
orders_print(orders_t *o, char *out, size_t size)
{
    static const char  *types[] = { "created", "paid", "shipped", "delivered",
                                    "cancelled", "returned" };
    static const char  *currencies[] = { "EUR", "EUR", "EUR", "USD", "GBP",
                                         "CHF" };

    char      id[37], order[37], when[25], first[96], second[96];
    unsigned  customer, total;

    orders_uuid(o, id);
    orders_uuid(o, order);
    orders_time(o, when);
    customer = orders_skewed(o, ORDERS_CUSTOMERS);
    total = orders_line(o, true, first, sizeof(first));
    second[0] = '\0';
    if (orders_below(o, 4) == 0) {
        total += orders_line(o, false, second, sizeof(second));
    }
    return snprintf(out, size, "{\"specversion\":\"1.0\",\"id\":\"%s\","
                    "\"source\":\"/shop\",\"type\":\"order.%s\","
                    "\"time\":\"%s\",\"subject\":\"customer/%u\",\"data\":{"
                    "\"order\":\"%s\",\"name\":\"%s %s\",\"total\":\"%u.%02u\","
                    "\"currency\":\"%s\",\"lines\":[%s%s]}}", id,
                    types[orders_skewed(o, 6)], when, 10000 + customer, order,
                    orders_first_name(customer), orders_last_name(customer),
                    total / 100, total % 100, currencies[orders_below(o, 6)],
                    first, second);
}

#endif /* BENCH_ORDERS_H */
