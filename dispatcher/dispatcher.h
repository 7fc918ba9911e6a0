/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The process that tails the log and sends webhooks.
 *
 * The files, roughly in the order of a delivery:
 *
 *     main.c               the process: reads the options, runs the dispatcher
 *     options.c            the command line
 *     privileges.c         changes the user, if root has started the process
 *     log.c                log lines
 *     log_json.c           their JSON form
 *     log_sink.c           writes them, and never waits for their reader
 *     dispatcher.c         start, periodic work and stop of the process
 *     store.c              opens the store, alone or after another dispatcher
 *     service.c            tells the service manager about all of this
 *     sandbox.c            what the process forbids itself before its threads
 *     landlock.c           restricts files, by Landlock
 *     syscalls.c           refuses system calls, by seccomp
 *     saved_state.c        the delivery state that the last run left
 *     refresh.c            reads what changed: registry, feeds, events
 *     loader.c             loads the registry in a thread
 *     target.c             the endpoints, and the feeds that each receives
 *     away.c               positions on feeds no longer sent to an endpoint
 *     loss.c               events that an endpoint will never receive
 *     secret_keys.c        the keys that decrypt the endpoints' secrets
 *     lane.c               a lane: the state of one feed of one endpoint
 *     lane_check.c         follows another epoch of the feed, and retention
 *     encrypt.c            encrypts fields of events, in a thread
 *     ready.c              queues of lanes that may have something to send
 *     select.c             chooses the lane and the event that is sent next
 *     waiting.c            a lane's waiting events, in two orders
 *     next_event.c         takes the next event or batch from the log
 *     ordering.c           keeps the order of each subject's events
 *     tracing.c            the spans of deliveries and attempts
 *     message.c            composes a request: events, signatures, headers
 *     send.c               one attempt: its libcurl handle and its slot
 *     channel.c            libcurl's sockets on the event loop
 *     destination.c        checks the destination at each connection
 *     certificates.c       when the certificates of connections expire
 *     proxy.c              the proxy for all outgoing requests, if any
 *     token.c              requests OAuth access tokens
 *     batch.c              which events a request carries together
 *     bearer.c             gives requests their access token
 *     response.c           reads the response
 *     trickle.c            limits the time that a response body may take
 *     outcome.c            the outcome: success, retry, dead letter, stop
 *     health.c             an endpoint's health: doubt, circuit
 *     window.c             the number of concurrent requests to an endpoint
 *     rate.c               the rate limit of an endpoint
 *     slots.c              shares all concurrent requests among partners
 *     host.c               bounds the requests in flight to each host
 *     failing.c            reports and stops endpoints that keep failing
 *     notice.c             composes operational events
 *     notifier.c           publishes them, in a thread
 *     deprecation.c        announces deprecated event types, in that thread
 *     data_use.c           announces data-use agreements that end, likewise
 *     erasure.c            tells partners of erased events, likewise
 *     retention_warning.c  warns of events that retention will delete soon
 *     stall.c              reports lanes that make no progress
 *     control.c            replay, resend, redrive
 *     skip.c               makes the event that blocks a lane a dead letter
 *     clearing.c           cancel and discard, in slices
 *     cancel.c             removes waiting events
 *     discard.c            removes dead letters
 *     ack.c                takes over what consumers acknowledged by polling
 *     nudge.c              sends one event that says "poll from here"
 *     test_event.c         test events
 *     verification.c       checks whether endpoints agree to be sent events
 *     challenge.c          the two requests of such a check
 *     simulate.c           simulated failures
 *     schedule.c           the time of the next attempt
 *     signing.c            Ed25519 signatures, in threads
 *     figures.c            counts each endpoint's attempts by minute, hour, day
 *     attempt_log.c        logs attempts
 *     exporter.c           sends spans to a collector, in a thread
 *     fresh.c              compares deliveries with the feed's promise
 *     redact.c             hides secrets that a receiver sends back
 *     recorder.c           writes delivery state, committed by a thread
 *     heads.c              signs the heads of the audit
 *     janitor.c            retention and dead readers, in a thread
 *     packing.c            packs the history of feeds, in a thread
 *     thread.c             threads beside the loop
 *     trusted_clock.c      the time by which data expires
 *     table.c              arrays by number
 *     loop.c               the event loop, which calls all of this
 *
 * The files call each other in one direction only, which
 * t/house/dispatcher_cycles.t checks.
 *
 * Everything runs on the loop's thread except es_delivery_commit()
 * (recorder.c), es_registry_load() (loader.c), retention (janitor.c),
 * es_pack_step() (packing.c), es_publish() (notifier.c), Ed25519 signatures
 * (signing.c), encryption (encrypt.c) and requests to a collector
 * (exporter.c).  The loop never waits for the disk or for a receiver.
 */

#ifndef ESD_DISPATCHER_H
#define ESD_DISPATCHER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/interfaces.h"
#include "delivery/owner.h"
#include "delivery/stall.h"
#include "registry/registry.h"

#include "channel.h"
#include "encrypt.h"
#include "host.h"
#include "loader.h"
#include "loop.h"
#include "notifier.h"
#include "options.h"
#include "packing.h"
#include "proxy.h"
#include "recorder.h"
#include "saved_state.h"
#include "service.h"
#include "signing.h"
#include "slots.h"
#include "thread.h"
#include "trusted_clock.h"
#include "types.h"

struct esd_dispatcher {
    esd_options_t          options;
    esd_clock_t            clock;
    es_store_t            *store;
    es_owner_t             owner;      /* the lock on the store */
    bool                   owned;      /* this process has it */
    esd_service_t          service;
    esd_loop_t             loop;
    esd_channels_t         channels;
    esd_proxy_t            proxy;
    es_interfaces_t        interfaces;
    esd_recorder_t         recorder;
    esd_thread_t           janitor;
    esd_packing_t          packing;
    esd_loader_t           loader;
    esd_encrypt_t          encrypt;
    esd_notifier_t         notifier;
    esd_signings_t         signings;
    esd_exporter_t        *exporter;   /* of spans; NULL: without --otlp */

    es_registry_t         *registry;
    uint64_t               registry_version;   /* that was examined */
    uint64_t               taken;      /* the last request */
    esd_saved_t            saved;      /* until it is taken over */
    int64_t                alive_ms;   /* esd_clock_stamp_ms() of the last
                                          refresh */
    int64_t                booted_ms;  /* wall clock at boot, see schedule.c */
    bool                   refresh;    /* the bell has rung */
    bool                   reload;     /* even without a change */
    bool                   locked;     /* a secret lacks its key */
    int64_t                reload_us;  /* monotonic: no such load before */
    bool                   verify;     /* a check may be due, see
                                          verification.c */
    unsigned               nunverified;    /* endpoints */
    bool                   unjoined;   /* a lane could not start */
    uint64_t               refreshes;
    uint64_t               syncs;
    uint64_t               rounds;     /* of reading the log */

    esd_target_t         **targets;    /* by number */
    size_t                 ntargets;
    esd_source_t         **sources;    /* by number */
    size_t                 nsources;
    esd_away_t           **away;       /* by the endpoint's number */
    size_t                 naway;
    uint64_t               lost;       /* events since the store was created */
    esd_lanes_t            first;      /* ready lanes whose host has room for
                                          them, see host.c */
    esd_lanes_t            ready;
    esd_lanes_t            later;      /* ready lanes of doubted endpoints */
    esd_targets_t          testing;    /* their test events get a turn */
    esd_targets_t          figures;    /* theirs have changed; see figures.c */
    esd_sources_t          fresh;      /* theirs have changed; see fresh.c */
    int                    nlater;     /* their turns since the loop has
                                          polled sockets */
    int                    nready;     /* turns of other lanes since then */
    esd_slots_t            slots;
    esd_hosts_t            hosts;
    esd_sends_t            trickles;   /* see trickle.c; earliest end first */
    ev_timer               trickle;

    unsigned               nsends;     /* all of them, in flight or idle */
    unsigned               in_flight;
    unsigned               doubted;    /* of those, to doubted endpoints */
    size_t                 nwaiting;   /* items of all lanes */
    size_t                 nlingering; /* lanes that wait to fill a batch */
    bool                   halted;     /* the recorder cannot write */
    es_stall_t             stall;      /* why nothing is sent at all */
    bool                   stopping;
    int64_t                stopped_us;     /* monotonic: time of the signal */
    bool                   pid_written;

    int                    wake_fd;
    ev_io                  wake;
    int64_t                refresh_us; /* monotonic: not again before */
    ev_timer               refresh_timer;
    ev_timer               tick;       /* every second */
    ev_timer               tock;       /* ten a second, while items wait */
    ev_timer               ack_timer;  /* while checkpoints are checked, from
                                          target ack_next on */
    size_t                 ack_next;
    uint64_t               ack_version;     /* that was examined */
    uint64_t               ack_registry_version;
    int64_t                ack_since_ms;    /* of the first check; 0: all */
    ev_timer               clearing_timer;  /* runs while there are jobs */
    unsigned               njobs;
    ev_timer               grace;
    ev_prepare             ending;
    ev_signal              signals[4];
};

/* Starts, runs until a signal ends the loop, and stops. */
es_rc_t esd_dispatcher_run(esd_dispatcher_t *d);

#endif /* ESD_DISPATCHER_H */
