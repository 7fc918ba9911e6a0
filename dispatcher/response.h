/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The response to an attempt: header fields that have a meaning, and the
 * first bytes of the body.
 */

#ifndef ESD_RESPONSE_H
#define ESD_RESPONSE_H

#include <jansson.h>
#include <stddef.h>

#include "types.h"

#define ESD_BODY_FIRST    256      /* bytes of a body that are recorded */
#define ESD_BODY_READ     65536    /* bytes of a body that are read */
#define ESD_HEADERS_READ  65536    /* bytes of its headers and status lines */

/* Callbacks of libcurl; `ctx` is the esd_send_t. */
size_t esd_response_header(char *data, size_t size, size_t n, void *ctx);
size_t esd_response_body(char *data, size_t size, size_t n, void *ctx);

/* The body of the answer to a request for a token or to a challenge, a new
   reference; NULL: it is not JSON. */
json_t *esd_response_json(const esd_send_t *send);

#endif /* ESD_RESPONSE_H */
