/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The operations of the HTTP API on a partner's own endpoints, and the parts
 * of them that the command line shares.
 *
 * Every function blocks for the registry's lock and the disk, so call it on a
 * thread that may block.  The store must be open with ES_STORE_ADMIN and
 * ES_STORE_DELIVERY_READ.
 *
 * es_manage() is in manage.c, and its operations are in manage_*.c.
 * endpoint_secret.c, control_start.c and test_event.c implement the rest.
 */

#ifndef ES_MANAGE_H
#define ES_MANAGE_H

#include <jansson.h>

#include "base/base.h"
#include "base/condition.h"
#include "delivery/delivery.h"
#include "delivery/list_position.h"
#include "keys/signature.h"
#include "registry/control_request.h"
#include "registry/registry.h"

#define ES_ENDPOINT_NAME_MAX  20           /* "ep_", 16 characters, NUL */
#define ES_ENDPOINT_ETAG_MAX  26
#define ES_NARROWS_MAX        4
#define ES_OVERLAP_MS         (24 * 3600 * 1000)
#define ES_OVERLAP_MAX_MS     (30LL * 24 * 3600 * 1000)

typedef enum {
    ES_MANAGE_LIST = 0,
    ES_MANAGE_CREATE,
    ES_MANAGE_SHOW,
    ES_MANAGE_CHANGE,
    ES_MANAGE_REMOVE,
    ES_MANAGE_PAUSE,
    ES_MANAGE_RESUME,
    ES_MANAGE_ROTATE,
    ES_MANAGE_STATUS,
    ES_MANAGE_ATTEMPTS,
    ES_MANAGE_DEAD,
    ES_MANAGE_REPLAY,
    ES_MANAGE_RESEND,
    ES_MANAGE_REDRIVE,
    ES_MANAGE_KEYS,
    ES_MANAGE_TEST,
    ES_MANAGE_SIMULATE,
    ES_MANAGE_SKIP,
    ES_MANAGE_CANCEL,
    ES_MANAGE_DISCARD,
    ES_MANAGE_OPS
} es_manage_op_t;

/* Lists of feeds that a credential is narrowed to: it may see feeds that match
   all of the lists. */
typedef struct {
    unsigned       n;
    es_patterns_t  lists[ES_NARROWS_MAX];
} es_narrow_t;

/* True if each list matches all feeds that the pattern can match. */
bool es_narrow_covers(const es_narrow_t *narrow, es_str_t pattern);

/* True if the credential may see an endpoint with these `feeds`, a JSON array:
   all of them must be covered. */
bool es_narrow_sees(const es_narrow_t *narrow, const json_t *feeds);

typedef struct {
    es_manage_op_t  op;
    es_str_t        partner;   /* that owns the endpoints */
    es_narrow_t     narrow;    /* endpoints of other feeds are invisible */
    es_str_t        endpoint;  /* unused by LIST and CREATE */
    es_str_t        body;      /* JSON; may be empty if all is optional */
    es_condition_t  condition; /* for CHANGE and REMOVE */
    bool            reads;     /* the credential may read the feeds of
                                  `narrow`, too */
    const char     *key;       /* for CREATE: the key's id */
    es_str_t        by;        /* the user: for SKIP, CANCEL and DISCARD, and
                                  for the audit; NUL-terminated */
    es_str_t        from;      /* the client's address, for the audit;
                                  NUL-terminated; with `by` it says who makes
                                  the change; empty: see audit/actor.h */
    unsigned        limit;     /* for LIST, ATTEMPTS and DEAD: how many records
                                  a page examines; those of feeds that the key
                                  may not see are left out */

    /* The position after which a list continues, see es_manage_after(). */
    bool                   has_after;
    size_t                 after_len;
    char                   after[ES_FEED_MAX];     /* for LIST: a name */
    es_attempt_position_t  attempt_after;
    es_dead_position_t     dead_after;
} es_manage_t;

/* Why an outcome is ES_CONFLICT or ES_DENIED. */
typedef enum {
    ES_REFUSED_OTHER = 0,      /* ES_CONFLICT: something is still in use */
    ES_REFUSED_UNMET,          /* ES_CONFLICT: the condition is not met */
    ES_REFUSED_FEEDS,          /* ES_DENIED: a feed that the key may not see */
    ES_REFUSED_READ,           /* ES_DENIED: the change needs `reads` */
    ES_REFUSED_KEY,            /* ES_DENIED: the key is not valid any more */
    ES_REFUSED_STANDS,         /* ES_CONFLICT: the event does not block the
                                  endpoint */
    ES_REFUSED_COUNT,          /* ES_CONFLICT: `expect` is not `count` */
    ES_REFUSED_WAITING,        /* ES_CONFLICT: too many requests wait for the
                                  dispatcher */
    ES_REFUSED_UNVERIFIED      /* ES_CONFLICT: the endpoint has not agreed to
                                  be sent anything */
} es_refusal_t;

/* The result; the caller zeroes it before. */
typedef struct {
    es_buf_t      out;         /* a JSON object; the caller frees it */
    char          name[ES_ENDPOINT_NAME_MAX];
    char          etag[ES_ENDPOINT_ETAG_MAX];  /* of SHOW, CREATE, CHANGE */
    es_refusal_t  refusal;
    uint64_t      count;       /* of REMOVE: undelivered events */
    unsigned      examined;    /* of LIST, ATTEMPTS and DEAD: records */
    bool          later;       /* the dispatcher will do it later */
} es_manage_result_t;

/*
 * Does one operation.  ES_NOT_FOUND: the partner has no such endpoint, or the
 * key may not see it.  ES_INVALID with a problem whose pointer leads into the
 * body.  ES_CONFLICT, ES_DENIED: see `refusal`.  Other results are those of
 * registry.h.
 */
es_rc_t es_manage(es_store_t *store, const es_manage_t *manage,
    es_manage_result_t *managed, es_problem_t *problem);

/* Sets the position from the `next` of a page of the same list: of the same
   operation, partner and endpoint, which are set already.  ES_INVALID: it is
   none.  It computes only. */
es_rc_t es_manage_after(es_manage_t *manage, es_str_t token);

/* Makes a random name for a new endpoint.  ES_IO: no random bytes. */
es_rc_t es_endpoint_name(char name[ES_ENDPOINT_NAME_MAX]);

/* Makes a random secret of the kind "v1" or "v1a".  ES_INVALID: another kind.
   */
es_rc_t es_endpoint_secret(const char *kind, char secret[ES_SECRET_TEXT_MAX],
    es_problem_t *problem);

/* The JWK Set (RFC 7517) of the endpoint's v1a keys, see public_key.h; a new
   reference. */
es_rc_t es_endpoint_keys(es_store_t *store, es_str_t name, json_t **keys);

/*
 * Adds `secret` to the endpoint, and lets the older secrets of its kind expire
 * after the overlap.  If `secret` is empty it receives a random v1 secret.
 * `guard` (NULL: none) may refuse the change.  ES_CONFLICT: the endpoint
 * already has ES_SECRETS_MAX secrets in use.
 */
es_rc_t es_endpoint_rotate(es_store_t *store, es_str_t name,
    char secret[ES_SECRET_TEXT_MAX], int64_t overlap_ms,
    const es_edit_t *guard, es_problem_t *problem);

/*
 * Sets where in a feed a request begins: after a cursor, or (`cursor` NULL)
 * from "oldest" or an RFC 3339 time.  Sets feed, epoch and sequence.
 * ES_INVALID with a problem.
 */
es_rc_t es_control_request_start(es_store_t *store, es_str_t feed,
    const char *cursor,
    const char *from, es_control_request_t *request, es_problem_t *problem);

#define ES_TEST_ID_MAX  24             /* "test-", 16 characters, NUL */

/*
 * Makes the request for a test event with `type` (NULL: "eventsync.test") and
 * `data` (NULL: the endpoint's name; borrowed).  `id` receives the event's id.
 * ES_INVALID: the type is malformed, or the data exceeds some 8000 bytes.
 */
es_rc_t es_control_request_test(es_control_request_t *request,
    const char *endpoint,
    const char *type, json_t *data, char id[ES_TEST_ID_MAX],
    es_problem_t *problem);

#endif /* ES_MANAGE_H */
