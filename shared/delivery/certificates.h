/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * When the certificates of an endpoint's connections expire.  This is the
 * stored record; dispatcher/certificates.c writes it.
 *
 * A receiver's is the first to expire of the chain that was verified, with the
 * root.  What is not known is 0: no full handshake has been made for this
 * revision of the endpoint's record, or there is no such certificate.
 */

#ifndef ES_CERTIFICATES_H
#define ES_CERTIFICATES_H

#include <jansson.h>

#include "delivery/delivery.h"

/* Whose certificate. */
typedef enum {
    ES_CERT_RECEIVER = 0,
    ES_CERT_CLIENT,            /* `client_cert`, which the dispatcher shows */
    ES_CERT_TOKEN,             /* the server of `token_url` */
    ES_CERTS
} es_cert_t;

typedef struct {
    uint32_t  endpoint;
    uint64_t  revision;        /* of the registry record then */
    int64_t   expires_ms[ES_CERTS];    /* wall clock */
    int64_t   seen_ms[ES_CERTS];   /* by a full handshake; up to
                                      ES_CERT_SEEN_MS too early */
} es_certificates_t;

#define ES_CERT_SEEN_MS  (300 * 1000)

/* The word for one, which never changes: "receiver", "client" or "token". */
const char *es_cert_name(es_cert_t cert);

/* Writes the record in the changeset's commit (delivery.h), or deletes it. */
es_rc_t es_changeset_certificates(es_changeset_t *c,
    const es_certificates_t *certificates);
es_rc_t es_changeset_certificates_done(es_changeset_t *c, uint32_t endpoint);

/* Reads the record.  ES_NOT_FOUND: there is none for this revision. */
es_rc_t es_delivery_certificates(es_store_t *store, uint32_t endpoint,
    uint64_t revision, es_certificates_t *certificates);

/* Walks the records of all endpoints, see delivery.h.  The revision may be an
   earlier one. */
typedef es_rc_t (*es_certificates_fn)(void *ctx,
    const es_certificates_t *certificates);

es_rc_t es_delivery_each_certificates(es_store_t *store,
    es_certificates_fn fn, void *ctx);

/* A new JSON object, whose members are the names of the known certificates,
   each with the times `expires` and `seen`.  NULL: out of memory. */
json_t *es_certificates_report(const es_certificates_t *certificates);

/* Adds that report as the member `certificates` of an endpoint, if there is a
   record for this revision.  ES_NOMEM, or an error of a read. */
es_rc_t es_certificates_add(es_store_t *store, uint32_t endpoint,
    uint64_t revision, json_t *object);

#endif /* ES_CERTIFICATES_H */
