/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The requests of "verify-integration", and the answers to them.
 */

#ifndef CTL_INTEGRATION_H
#define CTL_INTEGRATION_H

#include "delivery/hint.h"
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
    CTL_SIGNED_SEVERAL,
    CTL_SIGNED_TEXT,                   /* the key is the secret's text */
    CTL_SIGNED_ENCODED                 /* the same without "whsec_" */
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
    CTL_BODY_NO_DATA,                  /* empty; binary mode and data only */
    CTL_BODY_SPELLING,                 /* changes when it is written again */
    CTL_BODY_CHARACTERS,               /* not of ASCII */
    CTL_BODY_LINE_END,
    CTL_BODY_SPACED,                   /* as json.dumps() of Python has it */
    CTL_BODY_SORTED,                   /* as json.Marshal() of Go */
    CTL_BODY_SLASHES                   /* as json_encode() of PHP */
} ctl_body_t;

typedef struct {
    const char    *name;
    ctl_signed_t   how;
    ctl_body_t     body;
    unsigned       expected;           /* the first digit of the status */
    const char    *cause;              /* of the hint if it fails alone, or
                                          NULL */
} ctl_check_t;

/* Header fields of the last answer, or "". */
typedef struct {
    char  allowed[ES_SENDER_MAX];
    char  type[64];
    char  credential[64];
    char  location[512];
} ctl_answer_t;

/* A hint, and the check that it was first given for. */
typedef struct {
    const es_hint_t  *hint;
    const char       *check;
    unsigned          more;            /* further checks */
} ctl_found_t;

#define INTEGRATION_HINTS  16

typedef struct {
    ctl_http_t           http;
    es_signer_t         *signer;
    es_signer_t         *other;        /* its key is unknown to the receiver */
    const char          *url;
    es_str_t             secret;
    es_str_t             headers;      /* of the record, each after CR LF */
    const char          *ca_file;      /* that alone is trusted, or NULL */
    const char          *tls_dir;      /* of the files of the endpoint */
    const es_endpoint_t *endpoint;     /* or NULL */
    uint32_t             timeout_ms;
    bool                 thin;
    bool                 batch;
    const char          *sender;       /* that must be allowed, or NULL */
    ctl_answer_t         answer;
    bool                 cloudevents;  /* the content type of CloudEvents */
    es_body_t            form;         /* whole, binary or data */
    char                 first[INTEGRATION_ID];
    const es_hint_t     *refused;      /* why "valid" is, or NULL */
    long                 refused_status;
    bool                 taken;        /* "valid" is */
    bool                 unreachable;  /* "valid" got no connection */
    bool                 verifies_nothing;
    bool                 rewrites;     /* JSON, before it verifies */
    ctl_found_t          found[INTEGRATION_HINTS];
    unsigned             nfound;
    int64_t              slowest_ms;
    unsigned             failed;
    bool                 json;
    json_t              *checks;       /* their results */
    const char          *junit;
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
    es_attempt_class_t  class;         /* of no answer */
    char                error[CURL_ERROR_SIZE];
    char                came[640];
} ctl_trial_t;

/* Sets the certificates that the dispatcher would use, after the connection's
   options.  A file that cannot be read is an error, which this prints. */
int ctl_integration_identity(ctl_integration_t *in);

/* Composes body, signature and header fields of a request; the caller frees
   them, also after an error. */
es_rc_t ctl_integration_compose(ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial);

/* Adds a header field, whose name ends with ": ". */
es_rc_t ctl_integration_field(ctl_trial_t *trial, const char *name,
    es_str_t value);

/* Sends a request and sets status, time and `came`.  It is not sent while the
   receiver is unreachable. */
void ctl_integration_send(ctl_integration_t *in, ctl_trial_t *trial);

/* Checks whether the receiver agrees to be sent events, as the dispatcher
   does: by the handshake, else by a challenge. */
void ctl_integration_agrees(ctl_integration_t *in, ctl_trial_t *trial);

/* Sets `came` and the hint of the answer to a check, which the totals have;
   *passes is false also for a refusal that shows nothing, because "valid" is
   refused too.  May send more requests to find the cause. */
es_rc_t ctl_integration_diagnose(ctl_integration_t *in,
    const ctl_check_t *check, ctl_trial_t *trial, bool *passes,
    const es_hint_t **hint);

/* Releases what ctl_integration_compose() has made. */
void ctl_integration_release(ctl_trial_t *trial);

#endif /* CTL_INTEGRATION_H */
