/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Names of the structures that the dispatcher's headers share, and the lists
 * that they are in.
 */

#ifndef ESD_TYPES_H
#define ESD_TYPES_H

#include <sys/queue.h>

typedef struct esd_away          esd_away_t;
typedef struct esd_channel       esd_channel_t;
typedef struct esd_clearing_job  esd_clearing_job_t;
typedef struct esd_dispatcher    esd_dispatcher_t;
typedef struct esd_exporter      esd_exporter_t;
typedef struct esd_host          esd_host_t;
typedef struct esd_lane          esd_lane_t;
typedef struct esd_outcome       esd_outcome_t;
typedef struct esd_send          esd_send_t;
typedef struct esd_source        esd_source_t;
typedef struct esd_target        esd_target_t;
typedef struct esd_test_event    esd_test_event_t;
typedef struct esd_verification  esd_verification_t;

typedef TAILQ_HEAD(esd_lane_list, esd_lane)              esd_lanes_t;
typedef TAILQ_HEAD(esd_send_list, esd_send)              esd_sends_t;
typedef TAILQ_HEAD(esd_source_list, esd_source)          esd_sources_t;
typedef TAILQ_HEAD(esd_target_list, esd_target)          esd_targets_t;
typedef TAILQ_HEAD(esd_test_event_list, esd_test_event)  esd_test_events_t;

/* The same as TAILQ_FOREACH(), in a form that cppcheck understands. */
#define esd_each(item, list, link)                                            \
    for ((item) = TAILQ_FIRST(list);                                          \
         (item) != NULL;                                                      \
         (item) = TAILQ_NEXT((item), link))

#endif /* ESD_TYPES_H */
