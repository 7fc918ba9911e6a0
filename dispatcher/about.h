/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a log line is about, see log.h.  The texts belong to the subject.
 */

#ifndef ESD_ABOUT_H
#define ESD_ABOUT_H

#include <stdint.h>

#include "delivery/away_feeds.h"
#include "log/feed.h"

#include "lane.h"
#include "log.h"
#include "target.h"

static inline esd_about_t
esd_about_target(const esd_target_t *target)
{
    return (esd_about_t) {
        .partner = target->partner,
        .endpoint = target->name
    };
}

/* A feed of an endpoint. */
static inline esd_about_t
esd_about_lane(const esd_lane_t *lane)
{
    esd_about_t  about;

    about = esd_about_target(lane->target);
    about.feed = lane->source->feed.name;

    return about;
}

/* An event of it. */
static inline esd_about_t
esd_about_event(const esd_lane_t *lane, uint64_t sequence)
{
    esd_about_t  about;

    about = esd_about_lane(lane);
    about.epoch = es_feed_epoch_of(&lane->source->feed, sequence);
    about.sequence = sequence;

    return about;
}

/* A position of an endpoint that may be gone. */
static inline esd_about_t
esd_about_away(const es_away_t *away)
{
    return (esd_about_t) {
        .endpoint = away->name,
        .feed = away->feed_name
    };
}

#endif /* ESD_ABOUT_H */
