/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The parts of a JWS in Compact Serialization (RFC 7515, section 7.1), and its
 * verification by libjose.
 */

#ifndef ES_JWS_H
#define ES_JWS_H

#include <jansson.h>
#include <jose/cfg.h>

#include "base/base.h"

/* The three parts between the dots, still encoded. */
typedef struct {
    es_str_t  header;
    es_str_t  claims;
    es_str_t  signature;
} es_jws_parts_t;

/* False: the text is longer than `max` bytes, or has fewer than two dots.  A
   third dot is part of `signature`, which es_jws_decode() then refuses. */
bool es_jws_split(es_str_t text, size_t max, es_jws_parts_t *parts);

/* Decodes base64url (RFC 7515, appendix C) into `out` of `size` bytes.  False:
   it is empty or too long, or not libjose's own encoding of the bytes. */
bool es_jws_decode(es_str_t text, char *out, size_t size, size_t *len);

/* True if the key has signed these parts.  The caller has compared the
   algorithm of the header with that of the key.  One thread at a time may use
   `cfg`. */
bool es_jws_verify(jose_cfg_t *cfg, const json_t *jwk,
    const es_jws_parts_t *parts);

#endif /* ES_JWS_H */
