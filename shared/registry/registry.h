/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The registry: partners, keys, webhook endpoints, and rules of feeds.
 *
 * Operators and partners write it a few times a day.  The dispatcher loads it
 * into memory as one immutable object, and loads it again when
 * es_registry_version() changes.  A worker looks up the keys of its requests
 * (access.h).  Each record is a JSON object in the
 * registry environment under its kind and name; docs/registry.md lists the
 * members.  A write refuses unknown members, which are mostly misspelt.  A
 * read ignores them, because a newer version may have written them.
 *
 * registry.c implements the writes, load.c the loaded registry, object.c the
 * reads of single records, rekey.c the keys of secrets, partner_index.c the
 * walk of a partner's records, and removed_endpoints.c
 * es_registry_removed_name().
 *
 * Functions that take the store block for the disk.  Those that take a loaded
 * registry read memory only, and threads may share it.
 */

#ifndef ES_REGISTRY_H
#define ES_REGISTRY_H

#include <jansson.h>

#include "base/base.h"
#include "base/prefix.h"
#include "event/filter.h"
#include "keys/apikey.h"
#include "keys/keyring.h"
#include "limit/gcra.h"
#include "limit/limit.h"
#include "limit/quota.h"
#include "registry/field_lists.h"
#include "registry/patterns.h"

#define ES_SCOPE_READ      0x01
#define ES_SCOPE_PUBLISH   0x02
#define ES_SCOPE_MANAGE    0x04
#define ES_SCOPE_ADMIN     0x08
#define ES_SCOPE_ACK       0x10   /* to move and remove checkpoints */

/* What the dispatcher may do for this record although its rules for connections
   forbid it, if its options allow it too. */
typedef struct {
    bool          http;              /* plain http:// */
    size_t        naddresses;
    es_prefix_t  *addresses;         /* that are not public */
    size_t        nports;
    uint16_t     *ports;
} es_exceptions_t;

/* Addresses from which keys may be used; n is 0: from all. */
typedef struct {
    size_t        n;
    es_prefix_t  *list;
} es_allow_from_t;

/* A data-use agreement; expires_ms is 0: there is none. */
typedef struct {
    es_str_t       purpose;
    es_patterns_t  feeds;            /* all that the partner may read */
    unsigned       retention_days;   /* how long it may keep them; 0: not said */
    int64_t        expires_ms;       /* access ends then */
} es_data_use_t;

/* What a partner's record says of flags, whatever their percentage is. */
typedef struct {
    es_str_t  name;
    bool      on;
} es_partner_flag_t;

typedef struct {
    size_t              n;
    es_partner_flag_t  *list;
} es_partner_flags_t;

typedef struct {
    es_str_t       name;             /* as a feed's name */
    uint32_t       number;           /* small, dense, never reused; its slot in
                                        the limits' shared memory */
    uint64_t       revision;         /* grows with each change */
    bool           disabled;         /* also: its agreement had ended when the
                                        registry was loaded */
    es_data_use_t  data_use;
    es_partner_flags_t  flags;
    es_patterns_t  feeds;            /* that it may read */
    es_patterns_t  publish;          /* that it may publish to */
    bool           limited[ES_POLICIES];    /* false: the location's default */
    es_rate_t      limits[ES_POLICIES];
    es_str_t       operations;       /* feed of its operational events; data is
                                        NULL: none */
    es_exceptions_t  exceptions;
    es_allow_from_t  allow_from;
    uint64_t       quotas[ES_QUOTAS];
    es_field_lists_t  fields;        /* use es_partner_fields() */
} es_partner_t;

typedef struct {
    char                 id[ES_KEYID_LEN + 1];
    uint32_t             number;      /* never reused; the log names the
                                         publisher by it */
    uint64_t             revision;    /* grows with each change */
    uint8_t              digest[ES_DIGEST_LEN];
    const es_partner_t  *partner;
    unsigned             scopes;      /* ES_SCOPE_... */
    es_patterns_t        feeds;       /* narrows; none: all of the partner's */
    es_patterns_t        consumers;   /* whose checkpoints it moves with
                                         ES_SCOPE_ACK; none: all */
    es_allow_from_t      allow_from;  /* besides that of the partner */
    int64_t              expires_ms;  /* 0: never */
    int64_t              revoked_ms;  /* 0: not revoked */
    bool                 certificate; /* of a client, not an API key */
    bool                 staging;     /* it was made in a store for trials, and
                                         is valid only in one */
    bool                 linked;      /* a dashboard link, or made by one */
    uint8_t              link[ES_DIGEST_LEN];    /* digest of its secret; equal
                                                    to `digest`: it was not
                                                    redeemed yet */
} es_key_t;

/* What happens to an event that does not match its schema. */
typedef enum {
    ES_SCHEMA_OFF = 0,         /* events are not validated */
    ES_SCHEMA_WARN,            /* it is stored, and the producer is warned */
    ES_SCHEMA_ENFORCE          /* it is refused */
} es_schema_mode_t;

#define ES_FRESH_WITHIN_MAX  (24 * 3600 * 1000)   /* ms */

/* The rule of a feed.  It belongs to the name, so the feed need not exist. */
typedef struct {
    es_schema_mode_t  schema;
    uint32_t          fresh_within_ms;     /* promised from commit to delivery
                                              and poll; 0: nothing is */
} es_feed_rule_t;

typedef enum {
    ES_ORDER_FIFO = 0,
    ES_ORDER_KEY,
    ES_ORDER_NONE
} es_ordering_t;

/* What the body of a request is.  From ES_BODY_BINARY on it is the data of one
   event, in the Content-Type of that data (event/binary_mode.h). */
typedef enum {
    ES_BODY_WHOLE = 0,         /* the event */
    ES_BODY_THIN,              /* the event without its data */
    ES_BODY_BINARY,            /* the attributes are header fields */
    ES_BODY_DATA               /* the attributes are not sent */
} es_body_t;

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
    uint64_t             revision;        /* grows with each change */
    int64_t              created_ms;
    const es_partner_t  *partner;
    es_str_t             url;             /* NUL-terminated as well */
    es_patterns_t        feeds;
    es_filter_t          filter;
    es_ordering_t        ordering;
    bool                 paused;
    bool                 by_key;          /* a partner's key made it, or gave
                                             its URL another origin */
    bool                 from_oldest;     /* start: oldest, else latest */
    unsigned             nsecrets;
    es_str_t             secrets[ES_SECRETS_MAX];
    int64_t              secret_expires_ms[ES_SECRETS_MAX];  /* 0: never */
    es_rc_t              locked;          /* not ES_OK: a secret could not be
                                             opened, or is plain without leave
                                             (es_secrets_reason()), and nothing
                                             may be sent */
    unsigned             in_flight;       /* cap, but in `fifo`; 1..256 */
    uint32_t             connect_timeout_ms;
    uint32_t             timeout_ms;
    unsigned             nschedule;
    uint32_t             schedule_ms[ES_SCHEDULE_MAX];  /* delay before each
                                                           attempt; [0] is 0 */
    uint32_t             disable_after_ms;    /* of only failing; 0: never */
    es_rate_t            rate;            /* of attempts; units 0: no limit */
    es_str_t             ack;             /* consumers whose checkpoints also
                                             acknowledge here; NULL: none */
    es_body_t            body;
    bool                 cloudevents;     /* the content type is that of
                                             CloudEvents, not of any JSON */
    unsigned             batch;           /* most events of a request; 1: no
                                             batches */
    uint32_t             batch_wait_ms;   /* how long a batch may fill */
    unsigned             nudge;           /* with more events behind, a nudge
                                             is sent instead; 0: never */
    es_simulation_t      simulate;
    es_str_t             headers;         /* extra header fields as sent: each
                                             line begins with CR LF */
    es_oauth_t           oauth;
    es_str_t             client_cert;     /* names of files; may be none */
    es_str_t             client_key;
    es_str_t             ca_file;
    es_exceptions_t      exceptions;      /* besides those of the partner */
    es_str_t             flag;            /* that the partner must have; none:
                                             data is NULL */
    bool                 gated;           /* it had not, when the registry was
                                             loaded */
    es_field_lists_t     fields;          /* use es_endpoint_fields() */
} es_endpoint_t;

/* The default schedule of the contract: ten attempts over 75 h 35 m. */
extern const uint32_t es_schedule_default_ms[10];

typedef struct es_registry  es_registry_t;

/* Changes with each write to the registry.  Reads memory only. */
uint64_t es_registry_version(es_store_t *store);

/*
 * Gives the store handle the keyring for its secrets.  The handle then owns
 * the keyring and frees the one before.  Without a keyring, secrets are stored
 * in plain text.  ES_DENIED: `ring` lacks the key that encrypted last, or is
 * NULL though secrets are encrypted or the store does not allow plain ones
 * (store/plain_secrets.h); the caller keeps `ring`.  No other thread may use
 * the store meanwhile.
 */
es_rc_t es_registry_keys(es_store_t *store, es_keyring_t *ring,
    es_problem_t *problem);

/* Encrypts every secret under the first key of the store's keyring, in one
   transaction.  `changed` is the number of secrets that were under another key
   or in plain text.  The store allows no plain ones afterwards.  A failure sets
   a problem and changes nothing, or all secrets if only the last step fails. */
es_rc_t es_registry_rekey(es_store_t *store, unsigned *changed,
    es_problem_t *problem);

/* Loads all records in one read transaction; free with es_registry_free().
   ES_CORRUPT: a record cannot be read. */
es_rc_t es_registry_load(es_store_t *store, es_registry_t **registry);

/* The same without opening secrets, for a process that sends nothing.  It
   needs no keyring, and another thread may change the store's keyring
   meanwhile. */
es_rc_t es_registry_load_closed(es_store_t *store, es_registry_t **registry);

/* The same without endpoints, for those who need all partners: ten thousand
   endpoints take tens of milliseconds to load. */
es_rc_t es_registry_load_access(es_store_t *store, es_registry_t **registry);

void es_registry_free(es_registry_t *registry);

/* True: an agreement has ended since the registry was loaded, so that it must
   be loaded again.  Reads memory only. */
bool es_registry_ended(const es_registry_t *registry, int64_t now_ms);

/* The version of the loaded registry, and the number of the last control
   request at that time (control_request.h); 0: none. */
uint64_t es_registry_loaded_version(const es_registry_t *registry);
uint64_t es_registry_loaded_requests(const es_registry_t *registry);

/* True: partners, keys and endpoints are still the same, and the object now
   has the present version.  False: the caller must load another. */
bool es_registry_unchanged(es_store_t *store, es_registry_t *registry);

/* Look-ups.  NULL: no such record.  Arrays are by name.  Pointers are valid as
   long as the loaded registry. */
const es_key_t *es_registry_key(const es_registry_t *registry, const char *id);
const es_partner_t *es_registry_partner(const es_registry_t *registry,
    es_str_t name);
const es_endpoint_t *es_registry_endpoint(const es_registry_t *registry,
    es_str_t name);
const es_endpoint_t *es_registry_endpoints(const es_registry_t *registry,
    size_t *n);
const es_partner_t *es_registry_partners(const es_registry_t *registry,
    size_t *n);
const es_key_t *es_registry_all_keys(const es_registry_t *registry,
    size_t *n);

/* True if the key has the scope for the feed: by its own scopes and feeds, and
   by its partner's `publish` (ES_SCOPE_PUBLISH) or `feeds` (other scopes). */
bool es_key_allows(const es_key_t *key, unsigned scope, es_str_t feed);

/* True if the key is not bound to other consumers.  It does not say that the
   key has ES_SCOPE_ACK. */
bool es_key_moves(const es_key_t *key, es_str_t consumer);

/* True if the key may be used from the address: by its own list and by its
   partner's.  `bytes` are in network order, four for AF_INET.  With any other
   family than AF_INET and AF_INET6 the address is unknown: it is in no list. */
bool es_key_from(const es_key_t *key, int family, const uint8_t *bytes);

/* True if the partner has an agreement that has ended. */
bool es_partner_ended(const es_partner_t *partner, int64_t now_ms);

/* True if the key is not expired and not revoked, and is no link that waits to
   be redeemed. */
bool es_key_current(const es_key_t *key, int64_t now_ms);

/* The same, and its partner is not disabled and has no agreement that ended. */
bool es_key_valid(const es_key_t *key, int64_t now_ms);

/* What the partner may see of a feed's events, and what the endpoint is sent of
   them.  NULL: everything.  A list that cannot be read refuses each event. */
const es_fields_t *es_partner_fields(const es_partner_t *partner,
    es_str_t feed);
const es_fields_t *es_endpoint_fields(const es_endpoint_t *endpoint,
    es_str_t feed);

/* True if nothing is sent to the endpoint because of its partner: that is
   disabled, or lacks the endpoint's flag. */
bool es_endpoint_disabled(const es_endpoint_t *endpoint);

/* True if the endpoint is sent the feed's events: its `feeds` match, and its
   partner may read the feed and es_endpoint_disabled() is false.  Ignores
   `paused`. */
bool es_endpoint_allows(const es_endpoint_t *endpoint, es_str_t feed);

/* The same, but also true if the partner is disabled: the endpoint keeps its
   position on the feed. */
bool es_endpoint_lists(const es_endpoint_t *endpoint, es_str_t feed);

/*
 * Writes: one durable transaction each; they need ES_STORE_ADMIN.  `json` is
 * an object as in docs/registry.md.  A missing member has its default.  The
 * library sets `number`, `revision`, `created`, `made_by`, `url_by` and `staging`.  A change replaces the
 * members in `json`; null removes a member.  `revision` begins at 1 and grows
 * with each change, even an empty one.  `problem` may be NULL.
 *
 * ES_DENIED: the store is not open with ES_STORE_ADMIN.  ES_INVALID with a
 * problem whose pointer names the member.  ES_EXISTS, ES_NOT_FOUND.
 * ES_CONFLICT: the partner still has keys or endpoints and cannot be removed.
 * ES_QUOTA: the partner has as much as it may; the problem names the quota.
 */
typedef enum {
    ES_KIND_PARTNER, ES_KIND_KEY, ES_KIND_ENDPOINT, ES_KIND_FEED,
    ES_KIND_FLAG               /* flags.h */
} es_kind_t;

es_rc_t es_registry_create(es_store_t *store, es_kind_t kind, es_str_t name,
    const char *json, es_problem_t *problem);
/* Creates an endpoint for the key with the id `made_by`, which the record
   remembers.  ES_DENIED with the pointer "/made_by": the key is not valid any
   more.  `problem` is not NULL. */
es_rc_t es_registry_create_endpoint(es_store_t *store, es_str_t name,
    const char *json, const char *made_by, es_problem_t *problem);

es_rc_t es_registry_change(es_store_t *store, es_kind_t kind, es_str_t name,
    const char *json, es_problem_t *problem);
es_rc_t es_registry_remove(es_store_t *store, es_kind_t kind, es_str_t name,
    es_problem_t *problem);

/*
 * Checks the stored record before it is changed or removed, and may set
 * members of the change (NULL: the record is removed).  It runs in the
 * transaction that writes, so that a concurrent change is neither lost nor
 * applied to a record that was not checked.  It may be called more than once,
 * each time with the record that is stored then.  A result other than ES_OK is
 * the outcome, and nothing is written.
 */
typedef es_rc_t (*es_edit_fn)(void *ctx, json_t *stored, json_t *change,
    es_problem_t *problem);

typedef struct {
    es_edit_fn   fn;
    void        *ctx;
    const char  *key;          /* id of the key that changes, which the record
                                  remembers as `url_by` if it gives `url`
                                  another origin; NULL: an operator does */
} es_edit_t;

/* As es_registry_change() with the members of `change`, or without any (NULL)
   as es_registry_remove(), if `edit` (NULL: none) allows it. */
es_rc_t es_registry_edit(es_store_t *store, es_kind_t kind, es_str_t name,
    json_t *change, const es_edit_t *edit, es_problem_t *problem);

/* The last number given to a partner, key or endpoint; 0: none was given. */
es_rc_t es_registry_last_number(es_store_t *store, es_kind_t kind,
    uint64_t *number);

/*
 * The name of a removed endpoint by its number; NUL-terminated.  ES_NOT_FOUND:
 * it is not remembered.  An endpoint that the same partner creates again under
 * the name has the old number.
 */
es_rc_t es_registry_removed_name(es_store_t *store, uint32_t number,
    char name[ES_FEED_MAX + 1]);

/* Appends the text of the stored object.  ES_NOT_FOUND. */
es_rc_t es_registry_get(es_store_t *store, es_kind_t kind, es_str_t name,
    es_buf_t *out);

/* The rule of a feed as it is stored now.  A feed without a record has the
   default.  A memory read once the rule is known, until the registry changes.
   */
es_rc_t es_registry_rule(es_store_t *store, es_str_t feed,
    es_feed_rule_t *rule);

/* The rule in the text of a feed's record.  ES_CORRUPT, or ES_INVALID. */
es_rc_t es_registry_rule_read(es_str_t text, es_feed_rule_t *rule);

/* Walks the records after a name (empty: all) in the order of names, in one
   read transaction.  The texts point into the map.  A result of `fn` other
   than ES_OK ends the walk and is returned. */
typedef es_rc_t (*es_object_fn)(void *ctx, es_str_t name, es_str_t text);

es_rc_t es_registry_each(es_store_t *store, es_kind_t kind, es_str_t after,
    es_object_fn fn, void *ctx);

/* The same for the keys or endpoints of one partner, by the index
   partner_index.h.  It reads no record of another. */
es_rc_t es_registry_each_of(es_store_t *store, es_kind_t kind,
    es_str_t partner, es_str_t after, es_object_fn fn, void *ctx);

/* The first name after `name` (empty: the first of all), with its NUL.
   ES_NOT_FOUND: no further name. */
es_rc_t es_registry_next(es_store_t *store, es_kind_t kind, es_str_t name,
    char next[64]);

#endif /* ES_REGISTRY_H */
