/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The names by which a client certificate (X.509, RFC 5280) is registered, in
 * place of the text of an API key:
 *
 *     fingerprint    SHA-256 of the certificate itself, in DER
 *     subject        its issuer and subject
 *     URI            one of its subject alternative names of this type, with
 *                    or without its issuer
 *
 * Each name has a digest and an id as a key has.  The id is the start of the
 * digest, so that the record of a certificate is found as that of a key is.
 * Issuers and subjects are texts as of RFC 2253, with UTF-8 as it is, like
 * nginx's $ssl_client_s_dn.  No function checks whether a certificate is
 * valid.
 */

#ifndef ES_PEER_CERT_H
#define ES_PEER_CERT_H

#include <openssl/x509.h>

#include "base/base.h"
#include "keys/apikey.h"

#define ES_PEER_CERT_URIS   8
#define ES_PEER_CERT_NAMES  (2 + 2 * ES_PEER_CERT_URIS)

typedef struct {
    int64_t      begins_ms;        /* since 1970 */
    int64_t      ends_ms;          /* not valid from then on */
    size_t       n;
    es_apikey_t  names[ES_PEER_CERT_NAMES];    /* in the order above; a URI
                                                    with the issuer first */
} es_peer_cert_t;

/* Make the id and digest of one name.  An empty issuer is none. */
void es_peer_cert_fingerprint(const uint8_t sha256[ES_DIGEST_LEN],
    es_apikey_t *name);
void es_peer_cert_subject(es_str_t issuer, es_str_t subject,
    es_apikey_t *name);
void es_peer_cert_uri(es_str_t issuer, es_str_t uri, es_apikey_t *name);

/* All names of a certificate.  ES_INVALID: it has more than
   ES_PEER_CERT_URIS URIs, or is malformed.  ES_NOMEM. */
es_rc_t es_peer_cert_read(const X509 *x509, es_peer_cert_t *out);

/* SHA-256 of the first certificate in a PEM file.  ES_NOT_FOUND: the file
   cannot be opened, see errno.  ES_INVALID: it has no certificate. */
es_rc_t es_peer_cert_file(const char *path, uint8_t sha256[ES_DIGEST_LEN]);

#endif /* ES_PEER_CERT_H */
