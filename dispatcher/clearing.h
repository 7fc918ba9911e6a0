/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cancel and discard: requests that remove many events, at most one of an
 * endpoint at a time.
 */

#ifndef ESD_CLEARING_H
#define ESD_CLEARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "manage/clearing.h"
#include "registry/control_reply.h"
#include "registry/control_request.h"

#include "types.h"

/* An event of a cancel, as it waits. */
typedef struct {
    uint64_t  key;
    uint64_t  sequence;
} esd_clearing_item_t;

/* A cancel or a discard that is under way. */
struct esd_clearing_job {
    es_clearing_progress_t  clear;     /* as it is on disk */
    es_clearing_t           clearing;
    uint64_t                commits;   /* not before so many */
    uint64_t                count;     /* found, or done in this phase */
    es_dead_position_t      place;     /* discard: looked at up to there */
    bool                    begun;     /* cancel: the list was made, */
    bool                    looked;    /* and has what is meant only */
    esd_clearing_item_t    *list;      /* cancel */
    size_t                  n;
    size_t                  at;        /* of the list, that is next */
    size_t                  kept;      /* of those before it, that are meant */
    uint64_t                upto;      /* cancel: events yet to come up to
                                          there are passed over */
};

/* The result of a slice of a job. */
typedef enum {
    ESD_SLICE_AGAIN,           /* there is more */
    ESD_SLICE_COUNTED,         /* job->count events match */
    ESD_SLICE_DONE,            /* job->count events are removed */
    ESD_SLICE_AWAY             /* the endpoint is no longer sent the feed, or
                                  the feed was reset */
} esd_slice_t;

void esd_clearing_init(esd_dispatcher_t *d);
/* Continues the job that the last run began. */
void esd_clearing_load(esd_dispatcher_t *d, esd_target_t *target);
void esd_clearing_begin(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request);
/* Forgets the job of an endpoint that goes away.  Its record stays, and the
   job continues when the endpoint comes back. */
void esd_clearing_drop(esd_dispatcher_t *d, esd_target_t *target);
/* Replies to a request; `detail` is NULL with ES_OK. */
void esd_clearing_reply(esd_dispatcher_t *d,
    const es_control_request_t *request, const char *by, es_rc_t rc,
    uint64_t count, const char *detail);

#endif /* ESD_CLEARING_H */
