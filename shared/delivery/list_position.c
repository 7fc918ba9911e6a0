/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Prints and parses positions in lists of attempts and dead letters.
 */

#include <inttypes.h>
#include <stdio.h>

#include "delivery/delivery.h"
#include "delivery/list_position.h"

#define ES_ATTEMPT_PLACE_LEN  48
#define ES_DEAD_PLACE_LEN     56


/* Reads `digits` hexadecimal digits off the front; the caller has checked the
   length. */

static bool
es_hex_take(es_str_t *text, size_t digits, uint64_t *out)
{
    char    c;
    size_t  i;

    *out = 0;

    for (i = 0; i < digits; i++) {
        c = text->data[i];

        if (c >= '0' && c <= '9') {
            *out = *out << 4 | (uint64_t) (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            *out = *out << 4 | (uint64_t) (c - 'a' + 10);

        } else {
            return false;
        }
    }

    text->data += digits;
    text->len -= digits;

    return true;
}


void
es_attempt_position_print(const es_attempt_position_t *position,
    char text[ES_LIST_POSITION_MAX])
{
    (void) snprintf(text, ES_LIST_POSITION_MAX, "%016" PRIx64 "%08" PRIx32
                    "%016" PRIx64 "%08" PRIx32, (uint64_t) position->time_ms,
                    position->feed, position->sequence, position->attempt);
}


void
es_dead_position_print(const es_dead_position_t *position,
    char text[ES_LIST_POSITION_MAX])
{
    uint64_t  epoch[2];

    memcpy(epoch, position->epoch, sizeof(epoch));
    (void) snprintf(text, ES_LIST_POSITION_MAX, "%08" PRIx32 "%016" PRIx64
                    "%016" PRIx64 "%016" PRIx64, position->feed, epoch[0],
                    epoch[1], position->sequence);
}


es_rc_t
es_attempt_position_parse(es_str_t text, es_attempt_position_t *position)
{
    uint64_t  time_ms, feed, attempt;

    if (text.len != ES_ATTEMPT_PLACE_LEN
        || !es_hex_take(&text, 16, &time_ms)
        || !es_hex_take(&text, 8, &feed)
        || !es_hex_take(&text, 16, &position->sequence)
        || !es_hex_take(&text, 8, &attempt))
    {
        return ES_INVALID;
    }

    position->time_ms = (int64_t) time_ms;
    position->feed = (uint32_t) feed;
    position->attempt = (uint32_t) attempt;

    return ES_OK;
}


es_rc_t
es_dead_position_parse(es_str_t text, es_dead_position_t *position)
{
    uint64_t  feed, epoch[2];

    if (text.len != ES_DEAD_PLACE_LEN
        || !es_hex_take(&text, 8, &feed)
        || !es_hex_take(&text, 16, &epoch[0])
        || !es_hex_take(&text, 16, &epoch[1])
        || !es_hex_take(&text, 16, &position->sequence))
    {
        return ES_INVALID;
    }

    position->feed = (uint32_t) feed;
    memcpy(position->epoch, epoch, sizeof(position->epoch));
    position->epoch[ES_EPOCH_MAX] = '\0';

    return ES_OK;
}
