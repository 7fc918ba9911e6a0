/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A partner's own endpoints: what the HTTP API does, and the parts
 * of it that the command line shares.
 *
 * Every function blocks for the registry's lock and disk: call it on a thread
 * that may.  The store is open with ES_STORE_ADMIN and ES_STORE_DELIVERY_READ.
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

/* Lists of feeds: what is narrowed is of feeds that are in all of them. */
typedef struct {
    unsigned       n;
    es_patterns_t  lists[ES_NARROWS_MAX];
} es_narrow_t;

/* Whether all that a feed pattern stands for is in each of the lists. */
bool es_narrow_covers(const es_narrow_t *narrow, es_str_t pattern);

typedef struct {
    es_manage_op_t  op;
    es_str_t        partner;   /* whose endpoints these are */
    es_narrow_t     narrow;    /* those of other feeds are not there */
    es_str_t        endpoint;  /* not of LIST and CREATE */
    es_str_t        body;      /* JSON; may be empty where nothing is needed */
    es_condition_t  condition; /* of CHANGE and REMOVE */
    es_str_t        by;        /* of SKIP, CANCEL and DISCARD: who asks, for the
                                  record; NUL-terminated */
    unsigned        limit;     /* of LIST, ATTEMPTS and DEAD: at most so many;
                                  records of feeds that the key is narrowed
                                  away from count, and are left out */
    unsigned        looks;     /* of LIST: at most so many of whomever are
                                  looked at */

    /* Behind what a list goes on, if not at its beginning. */
    bool                   has_after;
    es_str_t               after;      /* of LIST: a name */
    es_attempt_position_t  attempt_after;
    es_dead_position_t     dead_after;
} es_manage_t;

/* Why an outcome is ES_CONFLICT or ES_DENIED. */
typedef enum {
    ES_REFUSED_OTHER = 0,      /* ES_CONFLICT: something is still in use */
    ES_REFUSED_UNMET,          /* ES_CONFLICT: the condition */
    ES_REFUSED_FEEDS,          /* ES_DENIED: feeds beyond the narrow ones */
    ES_REFUSED_STANDS,         /* ES_CONFLICT: it does not stand on the event */
    ES_REFUSED_COUNT           /* ES_CONFLICT: there are `count` of them */
} es_refusal_t;

/* What comes of it; zeroed. */
typedef struct {
    es_buf_t      out;         /* a JSON object; free it */
    char          name[ES_ENDPOINT_NAME_MAX];
    char          etag[ES_ENDPOINT_ETAG_MAX];  /* of SHOW, CREATE, CHANGE */
    es_refusal_t  refusal;
    uint64_t      count;       /* of REMOVE: events that were not delivered */
    bool          later;       /* the dispatcher has still to do it */
} es_manage_result_t;

/*
 * ES_NOT_FOUND: the partner has no such endpoint, or none of these feeds.
 * ES_INVALID with a problem that says what of the body is wrong, ES_CONFLICT,
 * ES_DENIED, and what the registry says.
 */
es_rc_t es_manage(es_store_t *store, const es_manage_t *manage,
    es_manage_result_t *managed, es_problem_t *problem);

/* A new endpoint's name.  ES_IO: no random bytes. */
es_rc_t es_endpoint_name(char name[ES_ENDPOINT_NAME_MAX]);

/* A new secret of a kind: "v1" or "v1a".  ES_INVALID for another. */
es_rc_t es_endpoint_secret(const char *kind, char secret[ES_SECRET_TEXT_MAX],
    es_problem_t *problem);

/* The JWK Set of its v1a keys, see public_key.h; a new reference. */
es_rc_t es_endpoint_keys(es_store_t *store, es_str_t name, json_t **keys);

/*
 * Gives the endpoint a new secret (`secret`, or a random v1 if that is empty;
 * it receives what it is), and lets those of its kind expire after the overlap.
 * `guard` (NULL: none) may refuse it.  ES_CONFLICT: too many are still in use.
 */
es_rc_t es_endpoint_rotate(es_store_t *store, es_str_t name,
    char secret[ES_SECRET_TEXT_MAX], int64_t overlap_ms,
    const es_edit_t *guard, es_problem_t *problem);

/*
 * Where in a feed a request begins: at a cursor, or (`cursor` NULL) `from`
 * "oldest" or an RFC 3339 time.  Fills feed, epoch and sequence.
 */
es_rc_t es_control_request_start(es_store_t *store, es_str_t feed,
    const char *cursor,
    const char *from, es_control_request_t *request, es_problem_t *problem);

#define ES_TEST_ID_MAX  24             /* "test-", 16 characters, NUL */

/*
 * Makes the request for a test event: `type` (NULL: "eventsync.test") and
 * `data` (NULL: the endpoint's name; borrowed).  `id` is the event's.
 * ES_INVALID: a type that is none, or data of more than some 8000 bytes.
 */
es_rc_t es_control_request_test(es_control_request_t *request,
    const char *endpoint,
    const char *type, json_t *data, char id[ES_TEST_ID_MAX],
    es_problem_t *problem);

#endif /* ES_MANAGE_H */
