/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Verifications: whether an endpoint has agreed to be sent events.  This is the
 * stored record; dispatcher/verification.c checks endpoints and writes it.
 *
 * An endpoint that must agree, and has not, has a record without a method: it
 * is unverified.  An agreement holds for one origin.  An endpoint that need not
 * agree has no record, or that of an earlier agreement.
 */

#ifndef ES_VERIFICATION_H
#define ES_VERIFICATION_H

#include <jansson.h>

#include "delivery/delivery.h"

#define ES_VERIFIED_ORIGIN_MAX  288    /* with NUL, see registry/origin.h */
#define ES_SENDER_MAX           254    /* with NUL: a name of the DNS */

/* Why a test event is not sent. */
#define ES_UNVERIFIED_DETAIL  "the endpoint is unverified: it has not agreed " \
                              "to be sent events"

typedef enum {
    ES_VERIFIED_NOT = 0,
    ES_VERIFIED_HANDSHAKE,     /* WebHook-Allowed-Origin */
    ES_VERIFIED_CHALLENGE,     /* the answer repeated it */
    ES_VERIFIED_OPERATOR,      /* an operator vouches for it */
    ES_VERIFIED_METHODS
} es_verified_by_t;

typedef struct {
    uint32_t  endpoint;
    uint8_t   method;          /* es_verified_by_t */
    uint8_t   class;           /* of the last check, es_attempt_class_t */
    int32_t   status;          /* of its answer; 0: none */
    uint32_t  checks;          /* made for this revision and origin */
    uint64_t  revision;        /* of the registry record then */
    int64_t   time_ms;         /* of the agreement, or of the last check; 0:
                                  none was made */
    int64_t   next_ms;         /* next check; 0: none follows */
    char      origin[ES_VERIFIED_ORIGIN_MAX];
    char      sender[ES_SENDER_MAX];   /* that a handshake allows; "*": any */
    char      reason[ES_REASON_MAX];   /* why the last check failed; or "" */
} es_verification_t;

/* Writes the record in the changeset's commit (delivery.h), or deletes it. */
es_rc_t es_changeset_verification(es_changeset_t *c,
    const es_verification_t *verification);
es_rc_t es_changeset_verification_done(es_changeset_t *c, uint32_t endpoint);

/* ES_NOT_FOUND: the endpoint has no record. */
es_rc_t es_delivery_verification(es_store_t *store, uint32_t endpoint,
    es_verification_t *verification);

/* Walks the records of all endpoints, see delivery.h. */
typedef es_rc_t (*es_verification_fn)(void *ctx,
    const es_verification_t *verification);

es_rc_t es_delivery_each_verification(es_store_t *store,
    es_verification_fn fn, void *ctx);

/* The record as JSON, a new reference; NULL: out of memory. */
json_t *es_verification_report(const es_verification_t *verification);

#endif /* ES_VERIFICATION_H */
