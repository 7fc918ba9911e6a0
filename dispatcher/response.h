/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The response to an attempt: header fields that have a meaning, and the
 * first bytes of the body.
 */

#ifndef ESD_RESPONSE_H
#define ESD_RESPONSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "types.h"

#define ESD_BODY_FIRST    256      /* bytes of a body that are recorded */
#define ESD_BODY_READ     65536    /* bytes of a body that are read */
#define ESD_HEADERS_READ  65536    /* bytes of its headers and status lines */

/* Callbacks of libcurl; `ctx` is the esd_send_t. */
size_t esd_response_header(char *data, size_t size, size_t n, void *ctx);
size_t esd_response_body(char *data, size_t size, size_t n, void *ctx);

/*
 * The value of the field of this name and index in the header of the final
 * answer, or NULL. Fields of interim answers and of trailers do not count (RFC
 * 9110, section 6.5.1), and a folded value is one line. The text is libcurl's,
 * and lasts until the handle is used again or is cleaned up. An answer must
 * have come.
 */
const char *esd_response_field(const esd_send_t *send, const char *name,
    size_t index);

/* True if a field Webhook-Delivery has this word. */
bool esd_response_says(const esd_send_t *send, const char *word);

/* The Content-Encoding, or "". */
const char *esd_response_coding(const esd_send_t *send);

/* The body of the answer to a request for a token or to a challenge, a new
   reference; NULL: it is not JSON. */
json_t *esd_response_json(const esd_send_t *send);

#endif /* ESD_RESPONSE_H */
