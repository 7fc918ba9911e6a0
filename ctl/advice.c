/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Says what a command that succeeded cannot do, and what would help.
 */

#include <stdio.h>

#include "advice.h"
#include "catalogue/catalogue.h"
#include "delivery/delivery.h"
#include "destination.h"
#include "log/feed.h"
#include "object.h"
#include "open/child.h"
#include "registry/control_reply.h"
#include "registry/object.h"
#include "registry/patterns.h"

#define ADVICE_TYPES  100          /* types of one read */


/* The command has written, and its messages must not be lost with its store. */

static bool
ctl_advise_open(ctl_t *ctl)
{
    es_problem_t  problem;

    ctl_report(ctl, true);
    es_store_close(ctl->store);
    ctl->store = NULL;

    return es_child_store_open(ctl->store_path, ES_STORE_DELIVERY_READ,
                               &ctl->store, &problem) == ES_OK;
}


/* ---- feeds ---- */

/* How many feeds a pattern matches, and how many of these its partner reads. */

static es_rc_t
ctl_advise_count(ctl_t *ctl, const es_endpoint_t *endpoint, es_str_t pattern,
    unsigned *matched, unsigned *granted)
{
    es_rc_t              rc;
    es_txn_t            *txn;
    es_feed_t            feed = { 0 };
    const es_patterns_t  one = { 1, &pattern };

    *matched = 0;
    *granted = 0;

    rc = es_txn_begin(ctl->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    while ((rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {
        if (es_patterns_match(&one, es_str(feed.name))) {
            (*matched)++;
            *granted += es_patterns_match(&endpoint->partner->feeds,
                                          es_str(feed.name));
        }
    }

    es_txn_end(txn);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static void
ctl_advise_patterns(ctl_t *ctl, const es_endpoint_t *endpoint)
{
    size_t     i;
    unsigned   matched, granted;
    es_str_t   pattern;

    for (i = 0; i < endpoint->feeds.n; i++) {
        pattern = endpoint->feeds.list[i];

        if (ctl_advise_count(ctl, endpoint, pattern, &matched, &granted)
            != ES_OK)
        {
            return;
        }

        if (matched == 0) {
            ctl_note("there is no feed \"%.*s\" yet", (int) pattern.len,
                     pattern.data);

        } else if (granted == 0) {
            ctl_note("partner %s may read no feed that \"%.*s\" matches, so "
                     "nothing of it is sent; \"partner change %s "
                     "--feeds=...\" sets what it may read",
                     endpoint->partner->name.data, (int) pattern.len,
                     pattern.data, endpoint->partner->name.data);
        }
    }
}


void
ctl_advise_feeds(ctl_t *ctl, const json_t *list)
{
    size_t       i;
    json_t      *item;
    es_txn_t    *txn;
    es_feed_t    feed;
    const char  *name;

    if (json_array_size(list) == 0 || es_txn_begin(ctl->store, &txn) != ES_OK) {
        return;
    }

    json_array_foreach(list, i, item) {
        name = json_string_value(item);

        if (strchr(name, '*') == NULL
            && es_feed_get(txn, es_str(name), &feed) == ES_NOT_FOUND)
        {
            ctl_note("there is no feed \"%s\" yet", name);
        }
    }

    es_txn_end(txn);
}


/* ---- event types ---- */

static bool
ctl_advise_matches(const es_type_pattern_t *pattern, const char *type)
{
    return strncmp(type, pattern->name.data, pattern->name.len) == 0
           && (pattern->prefix || type[pattern->name.len] == '\0');
}


/* Collects the names of all types.  NULL: they cannot be read. */

static json_t *
ctl_advise_catalogue(ctl_t *ctl)
{
    char         after[ES_TYPE_NAME_MAX + 1] = "";
    size_t       i;
    json_t      *names, *page, *type;
    es_rc_t      rc;
    es_buf_t     out = { 0 };
    const char  *next;

    names = json_array();

    do {
        out.len = 0;
        rc = es_catalogue_list(ctl->store, es_null_str, es_str(after),
                               ADVICE_TYPES, NULL, &out);
        page = rc == ES_OK ? json_loadb(out.data, out.len, 0, NULL) : NULL;

        json_array_foreach(json_object_get(page, "types"), i, type) {
            (void) json_array_append(names, json_object_get(type, "type"));
        }

        next = json_string_value(json_object_get(page, "next"));

        if (next != NULL) {
            rc = es_catalogue_after(es_null_str, es_str(next), after);
        }

        json_decref(page);

    } while (rc == ES_OK && next != NULL);

    es_buf_free(&out);

    return names;
}


/* A store without a catalogue has events of any type. */

static void
ctl_advise_types(ctl_t *ctl, const es_endpoint_t *endpoint)
{
    size_t                    i;
    json_t                   *names, *name;
    unsigned                  n;
    const es_type_pattern_t  *pattern;

    if (endpoint->filter.ntypes == 0) {
        return;
    }

    names = ctl_advise_catalogue(ctl);

    for (n = 0; json_array_size(names) > 0 && n < endpoint->filter.ntypes; n++)
    {
        pattern = &endpoint->filter.types[n];

        json_array_foreach(names, i, name) {
            if (ctl_advise_matches(pattern, json_string_value(name))) {
                break;
            }
        }

        if (i == json_array_size(names)) {
            ctl_note("the catalogue has no type \"%.*s%s\"",
                     (int) pattern->name.len, pattern->name.data,
                     pattern->prefix ? "*" : "");
        }
    }

    json_decref(names);
}


/* ---- the destination ---- */

/* One refusal.  The options that a dispatcher will need are collected if none
   runs. */

static void
ctl_advise_refusal(const json_t *finding, bool running, es_buf_t *options)
{
    const char  *next, *option;

    next = json_string_value(json_object_get(finding, "next"));
    option = running ? NULL : strstr(next, "--");

    if (option != NULL) {
        (void) es_buf_printf(options, " %s", option);
    } else {
        ctl_note("%s: %s", json_string_value(json_object_get(finding, "text")),
                 next);
    }
}


/* Says everything that forbids the destination.  Each refusal hides the next
   one, and so is taken away. */

static void
ctl_advise_refusals(const ctl_dispatcher_t *dispatcher,
    const es_endpoint_t *endpoint, ctl_destination_t destination,
    es_buf_t *options)
{
    bool                    own;
    json_t                 *list;
    ctl_refusal_t           refusal;
    const struct sockaddr  *addr;

    list = json_array();
    addr = destination.literal.ss_family != 0
           ? (const struct sockaddr *) &destination.literal : NULL;

    do {
        refusal = ctl_destination_refusal(dispatcher, endpoint, &destination,
                                          addr, &own);
        if (refusal != CTL_ALLOWED) {
            ctl_advise_refusal(ctl_destination_finding(list, refusal, own,
                                                       endpoint, &destination,
                                                       addr),
                               own || dispatcher->alive, options);
        }

        destination.plain = destination.plain && refusal != CTL_NO_HTTP;
        destination.port = refusal == CTL_NO_PORT ? 443 : destination.port;

    } while (refusal == CTL_NO_HTTP || refusal == CTL_NO_PORT);

    json_decref(list);
}


/* The record and the dispatcher must both allow what is not usual.  A
   dispatcher that runs where it cannot be seen is taken to allow all. */

static void
ctl_advise_destination(const ctl_dispatcher_t *dispatcher,
    const es_endpoint_t *endpoint, es_buf_t *options)
{
    uint16_t           port;
    es_prefix_t        all[2];
    es_endpoint_t      allowed;
    ctl_dispatcher_t   seen;
    ctl_destination_t  destination;

    if (!ctl_destination_read(endpoint->url.data, &destination)) {
        return;
    }

    seen = *dispatcher;
    seen.known = false;
    ctl_advise_refusals(&seen, endpoint, destination, options);

    if (dispatcher->alive && !dispatcher->known) {
        return;
    }

    port = (uint16_t) destination.port;
    (void) es_prefix_parse("0.0.0.0/0", &all[0]);
    (void) es_prefix_parse("::/0", &all[1]);

    allowed = *endpoint;
    allowed.exceptions.http = true;
    allowed.exceptions.nports = 1;
    allowed.exceptions.ports = &port;
    allowed.exceptions.naddresses = 2;
    allowed.exceptions.addresses = all;

    seen.known = true;
    ctl_advise_refusals(&seen, &allowed, destination, options);
}


/* ---- what is called ---- */

static void
ctl_advise_partner(const es_partner_t *partner)
{
    if (es_partner_ended(partner, es_clock_ms())) {
        ctl_note("the data-use agreement of partner %s has ended: its keys "
                 "are refused, and its endpoints are sent nothing",
                 partner->name.data);

    } else if (partner->disabled) {
        ctl_note("partner %s is disabled: its keys are invalid, and its "
                 "endpoints are sent nothing", partner->name.data);
    }
}


/* `options`: what one needs to send to this endpoint, or NULL. */

static void
ctl_advise_none(const char *options)
{
    ctl_note("no dispatcher runs on this store, and nothing is sent until one "
             "is started%s%s", options ? " with" : "", options ? options : "");
}


void
ctl_advise_dispatcher(ctl_t *ctl)
{
    if (!es_dispatcher_runs(ctl->store)) {
        ctl_advise_none(NULL);
    }
}


/* A stop holds for a revision of the record, and so ends with the change. */

static void
ctl_advise_stopped(ctl_t *ctl, const es_endpoint_t *endpoint)
{
    es_stop_t  stop;

    if (es_delivery_stop(ctl->store, endpoint->number, &stop) != ES_OK
        || stop.revision + 1 != endpoint->revision)
    {
        ctl_note("endpoint \"%s\" was neither paused nor stopped",
                 endpoint->name.data);
    }
}


static void
ctl_advise_record(ctl_t *ctl, const es_endpoint_t *endpoint)
{
    es_buf_t          options = { 0 };
    ctl_dispatcher_t  dispatcher;

    if (ctl_dispatcher_read(ctl, &dispatcher) == ES_OK) {
        ctl_advise_partner(endpoint->partner);
        ctl_advise_patterns(ctl, endpoint);
        ctl_advise_types(ctl, endpoint);
        ctl_advise_destination(&dispatcher, endpoint, &options);

        if (!dispatcher.alive) {
            ctl_advise_none(options.data);
        }
    }

    es_buf_free(&options);
    ctl_dispatcher_free(&dispatcher);
}


void
ctl_advise_endpoint(ctl_t *ctl, const char *name, bool resumed)
{
    es_registry_t        *registry;
    const es_endpoint_t  *endpoint;

    if (ctl->quiet || !ctl_advise_open(ctl)
        || es_registry_load_closed(ctl->store, &registry) != ES_OK)
    {
        return;
    }

    endpoint = es_registry_endpoint(registry, es_str(name));

    if (endpoint != NULL && resumed) {
        ctl_advise_stopped(ctl, endpoint);
    }

    if (endpoint != NULL) {
        ctl_advise_record(ctl, endpoint);
    }

    es_registry_free(registry);
}


void
ctl_advise_request(const es_endpoint_t *endpoint)
{
    if (endpoint->paused) {
        ctl_note("the endpoint is paused, and is sent nothing until \"endpoint "
                 "resume %s\"", endpoint->name.data);
    }

    ctl_advise_partner(endpoint->partner);
}


void
ctl_advise_key(ctl_t *ctl, const char *id)
{
    bool             read, publish;
    es_txn_t        *txn;
    es_feed_t        feed = { 0 };
    es_registry_t   *registry;
    const es_key_t  *key;

    if (es_registry_load_access(ctl->store, &registry) != ES_OK) {
        return;
    }

    key = es_registry_key(registry, id);
    read = publish = false;

    if (key != NULL && es_txn_begin(ctl->store, &txn) == ES_OK) {
        while (es_feed_next(txn, es_str(feed.name), &feed) == ES_OK) {
            read |= es_key_allows(key, ES_SCOPE_READ, es_str(feed.name));
            publish |= es_key_allows(key, ES_SCOPE_PUBLISH, es_str(feed.name));
        }

        es_txn_end(txn);

        if ((key->scopes & ES_SCOPE_READ) && !read) {
            ctl_note("the key can read no feed: \"partner change %s "
                     "--feeds=...\" sets what its partner may read",
                     key->partner->name.data);
        }

        if ((key->scopes & ES_SCOPE_PUBLISH) && !publish) {
            ctl_note("the key can publish to no feed: \"partner change %s "
                     "--publish=...\" sets where its partner may",
                     key->partner->name.data);
        }

        ctl_advise_partner(key->partner);
    }

    es_registry_free(registry);
}


bool
ctl_advise_flag(ctl_t *ctl, es_kind_t kind, const char *name,
    const char *member, bool value, const char *what)
{
    bool      same;
    json_t   *record, *stored;
    es_buf_t  text = { 0 };

    if (es_registry_get(ctl->store, kind, es_str(name), &text) != ES_OK) {
        es_buf_free(&text);
        return false;
    }

    record = json_loadb(text.data, text.len, 0, NULL);
    stored = json_object_get(record, member);
    same = value == (stored != NULL && !json_is_false(stored));

    if (same && what != NULL) {
        ctl_note("%s \"%s\" is %s already", es_kind_name(kind), name, what);
    }

    json_decref(record);
    es_buf_free(&text);

    return same;
}
