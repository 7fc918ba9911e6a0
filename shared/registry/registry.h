/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Partners, keys, webhook endpoints, and rules of feeds.
 *
 * Written by operators (eventsyncctl), a few times a day; read by every
 * worker and the dispatcher as one immutable picture in memory, loaded anew
 * when es_registry_version() moves.  Each record is a JSON object in the
 * registry environment, keyed by kind and name; docs/registry.md has its
 * members.  Members that are not known are refused when written (they are
 * mostly misspelt) and passed over when read (a newer version wrote them).
 */

#ifndef ES_REGISTRY_H
#define ES_REGISTRY_H

#include <jansson.h>

#include "base/base.h"
#include "event/filter.h"
#include "keys/apikey.h"
#include "keys/keyring.h"
#include "limit/gcra.h"
#include "limit/limit.h"

#define ES_SCOPE_READ      0x01
#define ES_SCOPE_PUBLISH   0x02
#define ES_SCOPE_MANAGE    0x04
#define ES_SCOPE_ADMIN     0x08

#define ES_PATTERNS_MAX  64

/* Feed names, or prefixes that end in '*'. */
typedef struct {
    size_t     n;
    es_str_t  *list;
} es_patterns_t;

typedef struct {
    es_str_t       name;             /* as a feed's name */
    uint32_t       number;           /* small, dense, never reused: its slot */
    uint64_t       revision;         /* moves with each change */
    bool           disabled;
    es_patterns_t  feeds;            /* what it may read */
    es_patterns_t  publish;          /* what it may publish to */
    bool           limited[ES_POLICIES];    /* false: the location's default */
    es_rate_t      limits[ES_POLICIES];
    es_str_t       operations;       /* feed of its operational events; none:
                                        data is NULL */
} es_partner_t;

typedef struct {
    char                 id[ES_KEYID_LEN + 1];
    uint8_t              digest[ES_DIGEST_LEN];
    const es_partner_t  *partner;
    unsigned             scopes;      /* ES_SCOPE_... */
    es_patterns_t        feeds;       /* narrows; none: all the partner's */
    int64_t              expires_ms;  /* 0: never */
    int64_t              revoked_ms;  /* 0: not */
} es_key_t;

/* What becomes of an event that its schema does not allow. */
typedef enum {
    ES_SCHEMA_OFF = 0,         /* nobody looks */
    ES_SCHEMA_WARN,            /* it is stored, and the producer told */
    ES_SCHEMA_ENFORCE          /* it is refused */
} es_schema_mode_t;

/* What is ruled of a feed by its name, whether it is there or not. */
typedef struct {
    es_schema_mode_t  schema;
} es_feed_rule_t;

typedef enum {
    ES_ORDER_FIFO = 0,
    ES_ORDER_KEY,
    ES_ORDER_NONE
} es_ordering_t;

#define ES_SECRETS_MAX    4
#define ES_SCHEDULE_MAX   32
#define ES_BATCH_MAX      100

/* What an endpoint is tried with, see endpoint_simulate.h. */
typedef enum {
    ES_SIMULATE_NONE = 0,
    ES_SIMULATE_STATUS_CODE,   /* any answer counts as this status */
    ES_SIMULATE_DELAY,         /* the first attempt is made later */
    ES_SIMULATE_RESET,         /* the connection is cut before the answer */
    ES_SIMULATE_TRUNCATE,      /* and in the middle of the body */
    ES_SIMULATE_TLS,           /* its certificate is not accepted */
    ES_SIMULATE_DUPLICATE,     /* what was delivered is sent again */
    ES_SIMULATE_REORDER,       /* after the event behind it */
    ES_SIMULATE_DROP           /* never sent */
} es_failure_t;

typedef struct {
    es_failure_t  failure;
    unsigned      status;
    unsigned      percent;         /* of the attempts */
    uint32_t      delay_ms;
    int64_t       until_ms;        /* wall clock; not after */
} es_simulation_t;

/* Client credentials of OAuth 2.0. */
typedef struct {
    es_str_t  token_url;           /* NUL-terminated; none: data is NULL */
    es_str_t  client_id;
    es_str_t  client_secret;
    es_str_t  scope;
    es_str_t  audience;
} es_oauth_t;

typedef struct {
    es_str_t             name;            /* "ep_" and 16 base32 characters */
    uint32_t             number;          /* dense, never reused */
    uint64_t             revision;        /* moves with each change */
    int64_t              created_ms;
    const es_partner_t  *partner;
    es_str_t             url;             /* NUL-terminated as well */
    es_patterns_t        feeds;
    es_filter_t          filter;
    es_ordering_t        ordering;
    bool                 paused;
    bool                 from_oldest;     /* start: oldest, else latest */
    unsigned             nsecrets;
    es_str_t             secrets[ES_SECRETS_MAX];
    int64_t              secret_expires_ms[ES_SECRETS_MAX];  /* 0: never */
    bool                 locked;          /* a secret could not be opened: it
                                             is not to be used at all */
    unsigned             in_flight;       /* cap, but in `fifo`; 1..256 */
    uint32_t             connect_timeout_ms;
    uint32_t             timeout_ms;
    unsigned             nschedule;
    uint32_t             schedule_ms[ES_SCHEDULE_MAX];  /* delay before each
                                                           attempt; [0] is 0 */
    uint32_t             disable_after_ms;    /* of only failing; 0: never */
    es_rate_t            rate;            /* of attempts; units 0: no limit */
    es_str_t             ack;             /* consumers whose checkpoints take
                                             away what waits; none: NULL */
    bool                 thin;            /* events without their data */
    unsigned             batch;           /* events in a request at most; 1:
                                             no batches */
    uint32_t             batch_wait_ms;   /* how long one may fill */
    unsigned             nudge;           /* with more events behind than
                                             that, one that says so is sent
                                             instead; 0: never */
    es_simulation_t      simulate;
    es_str_t             headers;         /* of its own, as sent: each line
                                             begins with CR LF; may be none */
    es_oauth_t           oauth;
    es_str_t             client_cert;     /* names of files; may be none */
    es_str_t             client_key;
    es_str_t             ca_file;
} es_endpoint_t;

/* The default schedule of the contract: ten attempts over 75 h 35 m. */
extern const uint32_t es_schedule_default_ms[10];

typedef struct es_registry  es_registry_t;

uint64_t es_registry_version(es_store_t *store);

/*
 * Gives the store the keys that its secrets are encrypted with, and takes
 * them over; those it had before are freed.  Without keys, secrets are stored
 * as they are.  ES_DENIED, and nothing is taken over: the store's secrets are
 * encrypted and `ring` is NULL or has not the key that they were last
 * encrypted with.  Not while another thread uses the store.
 */
es_rc_t es_registry_keys(es_store_t *store, es_keyring_t *ring,
    es_problem_t *problem);

/* Encrypts every secret under the first of the store's keys, in one
   transaction; `changed` is how many were under another or none.  ES_DENIED,
   ES_CORRUPT and others with a problem: nothing was changed. */
es_rc_t es_registry_rekey(es_store_t *store, unsigned *changed,
    es_problem_t *problem);

/* Loads everything in one read; free with es_registry_free().  ES_CORRUPT: a
   record cannot be read; a picture loaded before stays good. */
es_rc_t es_registry_load(es_store_t *store, es_registry_t **registry);

/* The same with no secret opened, for who sends nothing.  Unlike the other two
   it needs no keys, and may run while another thread changes them. */
es_rc_t es_registry_load_closed(es_store_t *store, es_registry_t **registry);

/* The same without endpoints, for who only admits requests: ten thousand
   endpoints take tens of milliseconds to load. */
es_rc_t es_registry_load_access(es_store_t *store, es_registry_t **registry);

/*
 * Brings such a picture, or NULL, up to date.  When partners and keys are as
 * they were it stays where it is, as do all pointers into it, and only its
 * version moves; otherwise another takes its place and it is freed.  Whatever
 * but ES_OK: nothing has changed.
 */
es_rc_t es_registry_refresh_access(es_store_t *store, es_registry_t **registry);

void es_registry_free(es_registry_t *registry);

/* Version of the picture itself, and the number of the last request (see
   control_request.h) that was there then; 0: none. */
uint64_t es_registry_loaded_version(const es_registry_t *registry);
uint64_t es_registry_loaded_requests(const es_registry_t *registry);

/* True when everything that the picture holds is still as it was: then it is
   one of the present, and its version moves.  False: load another. */
bool es_registry_unchanged(es_store_t *store, es_registry_t *registry);

/* Look-ups; NULL when there is none.  Pointers live as long as the picture. */
const es_key_t *es_registry_key(const es_registry_t *registry, const char *id);
const es_partner_t *es_registry_partner(const es_registry_t *registry,
    es_str_t name);
const es_endpoint_t *es_registry_endpoint(const es_registry_t *registry,
    es_str_t name);
const es_endpoint_t *es_registry_endpoints(const es_registry_t *registry,
    size_t *n);

bool es_patterns_match(const es_patterns_t *patterns, es_str_t feed);

/* True when the key has the scope on the feed: the key's scopes and feeds, and
   the partner's (`publish` for ES_SCOPE_PUBLISH, `feeds` for the others). */
bool es_key_allows(const es_key_t *key, unsigned scope, es_str_t feed);

/* True when it is not expired, not revoked, and its partner is not disabled. */
bool es_key_valid(const es_key_t *key, int64_t now_ms);

/* True when the endpoint is sent the feed's events: it asks for the feed, and
   its partner may read it and is not disabled.  (`paused` is not judged.) */
bool es_endpoint_allows(const es_endpoint_t *endpoint, es_str_t feed);

/* The same, whether the partner is disabled or not: the endpoint has a place on
   the feed. */
bool es_endpoint_lists(const es_endpoint_t *endpoint, es_str_t feed);

/*
 * Writing: one durable transaction each; needs ES_STORE_ADMIN.  `json` is the
 * whole object as documented in docs/registry.md; what is missing takes its
 * default; `number`, `revision` and `created` are given by the library.  On
 * change, members in `json` replace those stored, null removes.  `revision`
 * begins at 1 and moves with each change, an empty one too.
 *
 * ES_DENIED: the store is not open with ES_STORE_ADMIN.  ES_INVALID with a
 * problem whose pointer names the member.  ES_EXISTS, ES_NOT_FOUND.
 * ES_CONFLICT: a partner that still has keys or endpoints is not removed.
 */
typedef enum {
    ES_KIND_PARTNER, ES_KIND_KEY, ES_KIND_ENDPOINT, ES_KIND_FEED
} es_kind_t;

es_rc_t es_registry_create(es_store_t *store, es_kind_t kind, es_str_t name,
    const char *json, es_problem_t *problem);
es_rc_t es_registry_change(es_store_t *store, es_kind_t kind, es_str_t name,
    const char *json, es_problem_t *problem);
es_rc_t es_registry_remove(es_store_t *store, es_kind_t kind, es_str_t name,
    es_problem_t *problem);

/*
 * Checks the stored record before it is changed or removed, and may set members
 * of the change (NULL: the record is removed).  It runs in the transaction that
 * writes, so that a concurrent change is neither lost nor applied to a record
 * that was not checked.  It may be called more than once, each time with the
 * record that is stored then.  A result other than ES_OK is the outcome, and
 * nothing is written.
 */
typedef es_rc_t (*es_edit_fn)(void *ctx, json_t *stored, json_t *change,
    es_problem_t *problem);

typedef struct {
    es_edit_fn  fn;
    void       *ctx;
} es_edit_t;

/* As es_registry_change() with the members of `change`, or without any (NULL)
   as es_registry_remove(), if `edit` (NULL: none) allows it. */
es_rc_t es_registry_edit(es_store_t *store, es_kind_t kind, es_str_t name,
    json_t *change, const es_edit_t *edit, es_problem_t *problem);

/*
 * The name of an endpoint that was removed, by its number; NUL-terminated.
 * ES_NOT_FOUND: nobody knows.  An endpoint that is created under such a name by
 * the same partner has the old number again.
 */
es_rc_t es_registry_removed_name(es_store_t *store, uint32_t number,
    char name[ES_FEED_MAX + 1]);

/* The stored object's text, appended to `out`.  ES_NOT_FOUND. */
es_rc_t es_registry_get(es_store_t *store, es_kind_t kind, es_str_t name,
    es_buf_t *out);

/* What is ruled of a feed, read from the registry as it is now: some
   microseconds.  Without a record it is the default. */
es_rc_t es_registry_rule(es_store_t *store, es_str_t feed,
    es_feed_rule_t *rule);

/* Calls back for each record behind a name (empty: each) in the order of
   names, in one read, until that returns anything but ES_OK, which is then
   returned.  The texts are those in the map. */
typedef es_rc_t (*es_object_fn)(void *ctx, es_str_t name, es_str_t text);

es_rc_t es_registry_each(es_store_t *store, es_kind_t kind, es_str_t after,
    es_object_fn fn, void *ctx);

/* Names in order: start with an empty `name`; ES_NOT_FOUND after the last.
   `next` is NUL-terminated, at most 63 bytes. */
es_rc_t es_registry_next(es_store_t *store, es_kind_t kind, es_str_t name,
    char next[64]);

#endif /* ES_REGISTRY_H */
