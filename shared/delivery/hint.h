/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hints: the likely cause of an answer to a webhook, and what to change.
 *
 * One table of rules serves "verify-integration", "endpoint test" and the lists
 * of attempts.  A hint is a guess from what receivers, frameworks and proxies
 * answer (docs/receivers.md), so nothing else depends on it.
 */

#ifndef ES_HINT_H
#define ES_HINT_H

#include "base/base.h"
#include "delivery/delivery.h"

typedef struct {
    const char  *cause;        /* a word that programs may compare */
    const char  *text;         /* sentences for people */
} es_hint_t;

/* What is known of an answer; any string may be null. */
typedef struct {
    int32_t             status;        /* 0: no answer */
    es_attempt_class_t  class;
    es_str_t            url;           /* of the request */
    es_str_t            type;          /* Content-Type */
    es_str_t            credential;    /* WWW-Authenticate */
    es_str_t            location;
    es_str_t            body;          /* its first bytes; without an answer,
                                          the message of libcurl */
} es_hint_answer_t;

/* The hint of the first rule that matches; NULL: there is none. */
const es_hint_t *es_hint(const es_hint_answer_t *answer);

/* The hint of a recorded attempt; NULL: there is none. */
const es_hint_t *es_hint_attempt(const es_attempt_t *attempt);

/* The hint with this cause; NULL: there is none. */
const es_hint_t *es_hint_named(es_str_t cause);

/* The i-th hint, in the order of the documentation; NULL after the last. */
const es_hint_t *es_hint_at(size_t i);

#endif /* ES_HINT_H */
