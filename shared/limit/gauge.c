/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts in a table of words.  A word is a key (32 bits), a process slot (10)
 * and a count (22); 0 is free.
 *
 * All words of a key lie within a window that begins where the key's hash
 * says.  Every look-up reads the whole window, because words never move and
 * free words may stand anywhere.
 */

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/assert.h"
#include "limit/gauge.h"

#define ES_GAUGE_WINDOW  256
#define ES_GAUGE_SPINS   1000

#define es_gauge_word(key, place)                                             \
    ((uint64_t) (key) << 32 | (uint64_t) (place) << 22)
#define es_gauge_word_key(word)    ((uint32_t) ((word) >> 32))
#define es_gauge_word_place(word)  ((unsigned) ((word) >> 22 & 0x3ff))
#define es_gauge_word_count(word)  ((word) & 0x3fffff)

struct es_gauge_s {
    _Atomic uint64_t  turn;      /* slot + 1 of the process that enters; 0:
                                    none */
    uint64_t          nwords;
    _Atomic int32_t   pids[ES_GAUGE_PLACES];
    _Atomic uint64_t  words[];
};


size_t
es_gauge_size(size_t words)
{
    return sizeof(es_gauge_t) + words * sizeof(uint64_t);
}


void
es_gauge_init(es_gauge_t *gauge, size_t words)
{
    gauge->nwords = words;
}


void
es_gauge_start(es_gauge_t *gauge, unsigned place)
{
    size_t    i;
    uint64_t  word, mine;

    ES_ASSERT(place < ES_GAUGE_PLACES);        /* I10 */

    atomic_store(&gauge->pids[place], (int32_t) getpid());

    for (i = 0; i < gauge->nwords; i++) {
        word = atomic_load(&gauge->words[i]);

        if (word != 0 && es_gauge_word_place(word) == place) {
            atomic_store(&gauge->words[i], 0);
        }
    }

    mine = place + 1;
    (void) atomic_compare_exchange_strong(&gauge->turn, &mine, 0);
}


static size_t
es_gauge_window(const es_gauge_t *gauge)
{
    return gauge->nwords < ES_GAUGE_WINDOW ? gauge->nwords : ES_GAUGE_WINDOW;
}


static size_t
es_gauge_first(const es_gauge_t *gauge, uint32_t key)
{
    return (key * UINT64_C(0x9e3779b97f4a7c15) >> 32) % gauge->nwords;
}


static size_t
es_gauge_next(const es_gauge_t *gauge, size_t i)
{
    return i + 1 < gauge->nwords ? i + 1 : 0;
}


/* Returns the word in which this slot counts the key, or NULL. */

static _Atomic uint64_t *
es_gauge_own(es_gauge_t *gauge, unsigned place, uint32_t key)
{
    size_t    i, n;
    uint64_t  word;

    i = es_gauge_first(gauge, key);

    for (n = es_gauge_window(gauge); n > 0; n--) {
        word = atomic_load(&gauge->words[i]);

        if (es_gauge_word_count(word) > 0
            && word - es_gauge_word_count(word) == es_gauge_word(key, place))
        {
            return &gauge->words[i];
        }

        i = es_gauge_next(gauge, i);
    }

    return NULL;
}


/* Takes a free word for the slot's first count of the key.  ES_NOMEM: there
   is none. */

static es_rc_t
es_gauge_claim(es_gauge_t *gauge, unsigned place, uint32_t key)
{
    size_t    i, n;
    uint64_t  none;

    i = es_gauge_first(gauge, key);

    for (n = es_gauge_window(gauge); n > 0; n--) {
        none = 0;

        if (atomic_compare_exchange_strong(&gauge->words[i], &none,
                                           es_gauge_word(key, place) + 1))
        {
            return ES_OK;
        }

        i = es_gauge_next(gauge, i);
    }

    return ES_NOMEM;
}


static bool
es_gauge_dead(const es_gauge_t *gauge, unsigned place)
{
    pid_t  pid;

    pid = (pid_t) atomic_load(&gauge->pids[place]);

    /* EPERM: the process id now belongs to another user's process. */

    return pid == 0 || kill(pid, 0) != 0;
}


bool
es_gauge_alive(const es_gauge_t *gauge, unsigned place)
{
    return !es_gauge_dead(gauge, place);
}


/* Drops the counts that dead processes held of the key, or of every key in
   its window.  True: there were some. */

static bool
es_gauge_bury(es_gauge_t *gauge, uint32_t key, bool every)
{
    bool      any;
    size_t    i, n;
    uint64_t  word;

    any = false;
    i = es_gauge_first(gauge, key);

    for (n = es_gauge_window(gauge); n > 0; n--) {
        word = atomic_load(&gauge->words[i]);

        if (word != 0
            && (every || es_gauge_word_key(word) == key)
            && es_gauge_dead(gauge, es_gauge_word_place(word))
            && atomic_compare_exchange_strong(&gauge->words[i], &word, 0))
        {
            any = true;
        }

        i = es_gauge_next(gauge, i);
    }

    return any;
}


/*
 * One process at a time enters, for some hundred nanoseconds.  A process that
 * waits longer than any holder needs goes on without the lock: the worst case
 * is that two processes at once pass the last of `max`.
 */

static bool
es_gauge_lock(es_gauge_t *gauge, unsigned place)
{
    unsigned  i;
    uint64_t  holder;

    for (i = 0; i < ES_GAUGE_SPINS; i++) {
        holder = 0;

        if (atomic_compare_exchange_strong(&gauge->turn, &holder, place + 1)) {
            return true;
        }

        if (es_gauge_dead(gauge, (unsigned) holder - 1)
            && atomic_compare_exchange_strong(&gauge->turn, &holder,
                                              place + 1))
        {
            return true;
        }

        (void) sched_yield();
    }

    return false;
}


static es_rc_t
es_gauge_add(es_gauge_t *gauge, unsigned place, uint32_t key, uint64_t max)
{
    es_rc_t            rc;
    _Atomic uint64_t  *own;

    if (es_gauge_count(gauge, key) >= max
        && !(es_gauge_bury(gauge, key, false)
             && es_gauge_count(gauge, key) < max))
    {
        return ES_FULL;
    }

    own = es_gauge_own(gauge, place, key);

    if (own != NULL) {

        if (es_gauge_word_count(*own) == es_gauge_word_count(UINT64_MAX)) {
            return ES_FULL;
        }

        (void) atomic_fetch_add(own, 1);
        return ES_OK;
    }

    rc = es_gauge_claim(gauge, place, key);

    if (rc != ES_OK && es_gauge_bury(gauge, key, true)) {
        rc = es_gauge_claim(gauge, place, key);
    }

    return rc;
}


es_rc_t
es_gauge_enter(es_gauge_t *gauge, unsigned place, uint32_t key, uint64_t max)
{
    bool      locked;
    es_rc_t   rc;
    uint64_t  mine;

    ES_ASSERT(place < ES_GAUGE_PLACES);        /* I10 */

    locked = es_gauge_lock(gauge, place);

    rc = es_gauge_add(gauge, place, key, max);

    if (locked) {
        mine = place + 1;
        (void) atomic_compare_exchange_strong(&gauge->turn, &mine, 0);
    }

    return rc;
}


void
es_gauge_leave(es_gauge_t *gauge, unsigned place, uint32_t key)
{
    _Atomic uint64_t  *own;

    own = es_gauge_own(gauge, place, key);

    if (own == NULL) {
        return;
    }

    /* Only the process of the slot writes the word of a live one. */

    if (es_gauge_word_count(*own) == 1) {
        atomic_store(own, 0);

    } else {
        (void) atomic_fetch_sub(own, 1);
    }
}


uint64_t
es_gauge_count(const es_gauge_t *gauge, uint32_t key)
{
    size_t    i, n;
    uint64_t  word, total;

    total = 0;
    i = es_gauge_first(gauge, key);

    for (n = es_gauge_window(gauge); n > 0; n--) {
        word = atomic_load(&gauge->words[i]);

        if (es_gauge_word_key(word) == key) {
            total += es_gauge_word_count(word);
        }

        i = es_gauge_next(gauge, i);
    }

    return total;
}
