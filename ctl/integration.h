/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The requests of "verify-integration", and the answers to them.
 */

#ifndef CTL_INTEGRATION_H
#define CTL_INTEGRATION_H

#include "delivery/verification.h"
#include "http.h"
#include "keys/signature.h"

#define INTEGRATION_ID_RANDOM  16
#define INTEGRATION_ID         (sizeof("test-") + INTEGRATION_ID_RANDOM)

/* The fault of the request's signature, if any. */
typedef enum {
    CTL_SIGNED = 0,
    CTL_SIGNED_BY_OTHER,
    CTL_SIGNED_NOT,
    CTL_SIGNED_TAMPERED,
    CTL_SIGNED_OLD,
    CTL_SIGNED_FUTURE,
    CTL_SIGNED_SEVERAL
} ctl_signed_t;

typedef enum {
    CTL_BODY_EVENT = 0,
    CTL_BODY_AGAIN,                    /* the first one, with the same id */
    CTL_BODY_UNKNOWN_TYPE,
    CTL_BODY_EXTENSIONS,
    CTL_BODY_LARGE,
    CTL_BODY_THIN,
    CTL_BODY_BATCH,
    CTL_BODY_CHALLENGE,
    CTL_BODY_NO_DATA                   /* empty; binary mode and data only */
} ctl_body_t;

typedef struct {
    const char    *name;
    ctl_signed_t   how;
    ctl_body_t     body;
    unsigned       expected;           /* the first digit of the status */
} ctl_check_t;

typedef struct {
    ctl_http_t           http;
    es_signer_t         *signer;
    es_signer_t         *other;        /* its key is unknown to the receiver */
    const char          *url;
    es_str_t             headers;      /* of the record, each after CR LF */
    uint32_t             timeout_ms;
    bool                 thin;
    bool                 batch;
    const char          *sender;       /* that must be allowed, or NULL */
    char                 allowed[ES_SENDER_MAX];   /* by the last answer */
    bool                 cloudevents;  /* the content type of CloudEvents */
    es_body_t            form;         /* whole, binary or data */
    char                 first[INTEGRATION_ID];
    int64_t              slowest_ms;
    unsigned             failed;
    json_t              *report;       /* NULL: text */
} ctl_integration_t;

/* One request and its answer. */
typedef struct {
    char                id[INTEGRATION_ID];
    int64_t             timestamp_s;
    es_buf_t            body;
    es_buf_t            type;          /* the field Content-Type of data */
    es_buf_t            attrs;         /* of binary mode, each after CR LF */
    char                signature[3 * ES_SIGNATURE_MAX];
    struct curl_slist  *fields;
    long                status;
    int64_t             took_ms;
    char                came[CURL_ERROR_SIZE + 40];
} ctl_trial_t;

/* Composes body, signature and header fields of a request; the caller frees
   them, also after an error. */
es_rc_t ctl_integration_compose(ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial);

/* Adds a header field, whose name ends with ": ". */
es_rc_t ctl_integration_field(ctl_trial_t *trial, const char *name,
    es_str_t value);

/* Sends a request and sets status, time and `came`. */
void ctl_integration_send(ctl_integration_t *in, ctl_trial_t *trial);

/* Checks whether the receiver agrees to be sent events, as the dispatcher
   does: by the handshake, else by a challenge. */
void ctl_integration_agrees(ctl_integration_t *in, ctl_trial_t *trial);

#endif /* CTL_INTEGRATION_H */
