/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Origins of an endpoint's URLs: scheme, host and port (RFC 6454).
 *
 * Header values, OAuth client secrets and the operator's client certificate
 * were given for one receiver.  Nobody can read them, but somebody who changes
 * a URL could have them sent elsewhere.  So a change of an origin must give
 * the secrets again or remove them, and a partner cannot change the origin of
 * an endpoint that has a client certificate.
 */

#ifndef ES_ORIGIN_H
#define ES_ORIGIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

#define ES_ORIGIN_MAX  288             /* with NUL */
#define ES_HOST_MAX    264             /* with NUL */

/* The parts of an origin. */
typedef struct {
    bool      secure;                  /* https */
    char      host[ES_HOST_MAX];       /* in lower case without a final dot, or
                                          an IPv6 address in brackets, as
                                          inet_ntop() prints it */
    uint16_t  port;                    /* that of the scheme, if none is given */
} es_origin_t;

/* Parses the origin of a NUL-terminated URL that es_url_fault() accepts.
   False: it has none. */
bool es_origin_parse(es_str_t url, es_origin_t *origin);

/* Writes the origin of such a URL without a default port: "https://a.example".
   False: it has none. */
bool es_origin(es_str_t url, char out[ES_ORIGIN_MAX]);

/* True: the change gives `url` another origin. */
bool es_origin_changes(const json_t *stored, const json_t *change);

/*
 * Checks a change of an endpoint in its transaction; `stored` is the record
 * before the change.  ES_INVALID with a problem whose pointer names the
 * secret: the change moves the origin of `url` or `oauth.token_url`, and does
 * not give the secret again as plain text.
 */
es_rc_t es_origin_check(const json_t *stored, const json_t *change,
    es_problem_t *problem);

/*
 * The pointer of the URL by which the change would show the operator's client
 * certificate, or trust in the operator's CA, to another origin, or use the
 * endpoint's exceptions for it; NULL: none.
 * `origin` receives the new origin.
 */
const char *es_origin_pinned(const json_t *stored, const json_t *change,
    char origin[ES_ORIGIN_MAX]);

#endif /* ES_ORIGIN_H */
