/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hosts: counts the requests in flight to each, and lets endpoints wait.
 *
 * Look-ups by name happen when a record changes.  An attempt only compares and
 * counts.
 */

#include <netdb.h>
#include <netinet/in.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "registry/origin.h"

#include "dispatcher.h"
#include "host.h"
#include "log.h"
#include "ready.h"
#include "recorder.h"
#include "send.h"
#include "target.h"

#define ESD_HOSTS_SCANNED  16          /* hosts examined in a turn */
#define ESD_HOST_WAKE      8           /* callers of one host woken in a turn */
#define ESD_HOST_SAY_US    60000000    /* between two lines of the log */
#define ESD_HOST_KEPT_US   900000000   /* after its pause */


void
esd_hosts_init(esd_dispatcher_t *d)
{
    TAILQ_INIT(&d->hosts.open);
    TAILQ_INIT(&d->hosts.kept);
}


/* An address has one form, whatever form the URL has: an IPv4 address within
   an IPv6 address is the same host. */

static void
esd_host_address(char host[ES_HOST_MAX])
{
    size_t                len;
    char                 *text;
    struct addrinfo      *addr, hints = { .ai_flags = AI_NUMERICHOST,
                                          .ai_socktype = SOCK_STREAM };
    struct sockaddr_in    in = { .sin_family = AF_INET };
    struct sockaddr_in6  *in6;

    text = host[0] == '[' ? host + 1 : host;
    len = strlen(text);

    if (text != host && len > 0) {
        text[len - 1] = '\0';
    }

    if (getaddrinfo(text, NULL, &hints, &addr) != 0) {
        return;
    }

    in6 = (struct sockaddr_in6 *) (void *) addr->ai_addr;

    if (addr->ai_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        memcpy(&in.sin_addr, &in6->sin6_addr.s6_addr[12], sizeof(in.sin_addr));
        (void) getnameinfo((struct sockaddr *) (void *) &in, sizeof(in), host,
                           ES_HOST_MAX, NULL, 0, NI_NUMERICHOST);

    } else {
        (void) getnameinfo(addr->ai_addr, addr->ai_addrlen, host,
                           ES_HOST_MAX, NULL, 0, NI_NUMERICHOST);
    }

    freeaddrinfo(addr);
}


void
esd_host_name(es_str_t url, char name[ES_ORIGIN_MAX])
{
    es_origin_t  origin;

    name[0] = '\0';

    if (!es_origin_parse(url, &origin)) {
        return;
    }

    esd_host_address(origin.host);
    (void) snprintf(name, ES_ORIGIN_MAX, "%s:%u", origin.host,
                    (unsigned) origin.port);
}


static int
esd_host_order(const void *a, const void *b)
{
    const esd_host_t  *one = a, *other = b;

    return strcmp(one->name, other->name);
}


/* Finds or creates the host of a URL. */

static esd_host_t *
esd_host_get(esd_dispatcher_t *d, es_str_t url)
{
    void        *node;
    esd_host_t  *host, key;

    esd_host_name(url, key.name);

    node = tfind(&key, &d->hosts.tree, esd_host_order);
    if (node != NULL) {
        return *(esd_host_t **) node;
    }

    host = calloc(1, sizeof(esd_host_t));

    if (host != NULL) {
        memcpy(host->name, key.name, sizeof(host->name));
        TAILQ_INIT(&host->waiting);
        node = tsearch(host, &d->hosts.tree, esd_host_order);
    }

    if (host == NULL || node == NULL) {
        esd_out_of_memory();
    }

    return host;
}


/* A host with room and callers that wait is in the list of open ones. */

static void
esd_host_sort(esd_dispatcher_t *d, esd_host_t *host)
{
    bool  open;

    open = host->in_flight < d->options.max_per_host
           && !TAILQ_EMPTY(&host->waiting);

    if (open && !host->open) {
        TAILQ_INSERT_TAIL(&d->hosts.open, host, in_open);

    } else if (!open && host->open) {
        TAILQ_REMOVE(&d->hosts.open, host, in_open);
    }

    host->open = open;
}


void
esd_host_leave(esd_dispatcher_t *d, esd_host_t *host)
{
    ES_ASSERT(host->users > 0);

    if (--host->users == 0) {
        (void) tdelete(host, &d->hosts.tree, esd_host_order);
        free(host);
    }
}


static void
esd_caller_leave(esd_caller_t *caller)
{
    if (caller->waits) {
        caller->waits = false;
        TAILQ_REMOVE(&caller->host->waiting, caller, link);
        esd_host_sort(caller->target->d, caller->host);
    }
}


void
esd_caller_set(esd_target_t *target, esd_caller_t *caller, es_str_t url)
{
    esd_host_t  *host;

    caller->target = target;
    host = url.data != NULL ? esd_host_get(target->d, url) : NULL;

    if (host == caller->host) {
        return;
    }

    if (host != NULL) {
        host->users++;
    }

    if (caller->host != NULL) {
        esd_caller_leave(caller);
        esd_host_leave(target->d, caller->host);
    }

    caller->granted = false;
    caller->host = host;
}


static void
esd_host_say(esd_dispatcher_t *d, esd_host_t *host)
{
    int64_t  now_us;

    now_us = es_clock_mono_us();

    if (host->said_us == 0 || now_us - host->said_us >= ESD_HOST_SAY_US) {
        host->said_us = now_us;
        esd_log_line(ESD_LOG_INFO, "endpoints wait for \"%s\": as many "
                     "requests are in flight as --max-per-host=%u allows",
                     host->name, d->options.max_per_host);
    }
}


/* An endpoint that has been first, and found no slot or token then, stays
   first. */

static void
esd_caller_wait(esd_dispatcher_t *d, esd_caller_t *caller)
{
    esd_host_t  *host;

    host = caller->host;

    if (caller->waits) {
        return;
    }

    caller->waits = true;

    if (caller->granted) {
        TAILQ_INSERT_HEAD(&host->waiting, caller, link);

    } else {
        TAILQ_INSERT_TAIL(&host->waiting, caller, link);
        d->recorder.tally.host_waits++;
        d->recorder.tallied = true;
        esd_host_say(d, host);
    }

    esd_host_sort(d, host);
}


/* An endpoint waits behind those that already wait: otherwise one that has
   requests in flight would send another each time that one ends. */

bool
esd_host_room(esd_dispatcher_t *d, esd_caller_t *caller)
{
    if (caller->host->in_flight < d->options.max_per_host
        && (caller->granted || TAILQ_EMPTY(&caller->host->waiting)))
    {
        return true;
    }

    esd_caller_wait(d, caller);

    return false;
}


/* The lanes of woken endpoints have their turn before all others: a lane whose
   request has just ended would otherwise take the place again. */

static void
esd_host_wake(esd_dispatcher_t *d, esd_host_t *host)
{
    unsigned       i, n;
    esd_caller_t  *caller;

    n = d->options.max_per_host - host->in_flight;
    n = n < ESD_HOST_WAKE ? n : ESD_HOST_WAKE;

    for (i = 0; i < n && (caller = TAILQ_FIRST(&host->waiting)) != NULL; i++) {
        esd_caller_leave(caller);
        caller->granted = true;
        esd_ready_first(d, caller->target);
        esd_ready_tests(d, caller->target);
    }
}


/* Examines some of the hosts each time, in turn.  Those woken before have their
   turn first: they would find no room, and lose their place in the queue. */

bool
esd_hosts_wake(esd_dispatcher_t *d)
{
    unsigned     i;
    esd_host_t  *host, *last;

    if (!TAILQ_EMPTY(&d->first)) {
        return false;
    }

    last = TAILQ_LAST(&d->hosts.open, esd_host_list);

    for (i = 0; i < ESD_HOSTS_SCANNED && last != NULL; i++) {
        host = TAILQ_FIRST(&d->hosts.open);
        TAILQ_REMOVE(&d->hosts.open, host, in_open);
        TAILQ_INSERT_TAIL(&d->hosts.open, host, in_open);
        esd_host_wake(d, host);

        if (host == last) {
            break;
        }
    }

    return last != NULL;
}


void
esd_host_take(esd_send_t *send, esd_caller_t *caller)
{
    send->host = caller->host;
    send->host->users++;
    send->host->in_flight++;
    caller->granted = false;
    esd_host_sort(send->d, send->host);
}


void
esd_host_release(esd_send_t *send)
{
    esd_host_t  *host;

    host = send->host;
    send->host = NULL;

    ES_ASSERT(host->in_flight > 0);

    host->in_flight--;
    esd_host_sort(send->d, host);
    esd_host_leave(send->d, host);
}


void
esd_host_keep(esd_dispatcher_t *d, esd_host_t *host)
{
    if (!host->kept) {
        host->kept = true;
        host->users++;
        TAILQ_INSERT_TAIL(&d->hosts.kept, host, in_kept);
    }
}


static void
esd_host_unkeep(esd_dispatcher_t *d, esd_host_t *host)
{
    host->kept = false;
    TAILQ_REMOVE(&d->hosts.kept, host, in_kept);
    esd_host_leave(d, host);
}


/* A host is forgotten some time after a check of it may begin again. */

void
esd_hosts_tick(esd_dispatcher_t *d)
{
    int64_t      now_us;
    esd_host_t  *host, *next;

    now_us = es_clock_mono_us();

    for (host = TAILQ_FIRST(&d->hosts.kept); host != NULL; host = next) {
        next = TAILQ_NEXT(host, in_kept);

        if (now_us - host->check_us > ESD_HOST_KEPT_US) {
            host->failed_checks = 0;
            esd_host_unkeep(d, host);
        }
    }
}


void
esd_hosts_done(esd_dispatcher_t *d)
{
    esd_host_t  *host;

    while ((host = TAILQ_FIRST(&d->hosts.kept)) != NULL) {
        esd_host_unkeep(d, host);
    }
}
