/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cancel and discard: requests that remove many events, at most one of an
 * endpoint at a time.  shared/manage/clearing.h has the form of the requests.
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

/* A waiting event of a cancel. */
typedef struct {
    uint64_t  key;
    uint64_t  sequence;
} esd_clearing_item_t;

/* A cancel or a discard in progress. */
struct esd_clearing_job {
    es_clearing_progress_t  clear;     /* as it is on disk */
    es_clearing_t           clearing;
    uint64_t                commits;   /* starts after so many commits */
    uint64_t                count;     /* found, or done in this phase */
    es_dead_position_t      position;  /* discard: examined up to here */
    bool                    begun;     /* cancel: the list is complete, */
    bool                    matched;   /* and has only matching events */
    esd_clearing_item_t    *list;      /* cancel */
    size_t                  n;
    size_t                  at;        /* next index of the list */
    size_t                  kept;      /* matching ones before it */
    uint64_t                upto;      /* cancel: events of the log up to
                                          here are skipped */
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
/* Frees the job of a removed endpoint.  The record of the job stays, and it
   continues when the endpoint is created again. */
void esd_clearing_drop(esd_dispatcher_t *d, esd_target_t *target);
/* Replies to a request; `detail` is NULL with ES_OK. */
void esd_clearing_reply(esd_dispatcher_t *d,
    const es_control_request_t *request, const char *by, es_rc_t rc,
    uint64_t count, const char *detail);

#endif /* ESD_CLEARING_H */
