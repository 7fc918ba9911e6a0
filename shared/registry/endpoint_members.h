/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The members of an endpoint's record, in one table.
 *
 * The decoder of records, the members that a partner may not set, and the
 * options and usage text of "eventsyncctl endpoint create" follow from it.
 * Tests check docs/registry.md, docs/eventsyncctl.md and docs/openapi.json
 * against it.  So a new member is a row here, a field of es_endpoint_t, and
 * its documentation.
 */

#ifndef ES_ENDPOINT_MEMBERS_H
#define ES_ENDPOINT_MEMBERS_H

#include "base/pool.h"
#include "registry/member.h"
#include "registry/registry.h"

#define ES_ENDPOINT_MEMBERS  33

/* The type in JSON, and how a text on the command line becomes a value. */
typedef enum {
    ES_MEMBER_TEXT,            /* a string */
    ES_MEMBER_DURATION,        /* a string, see values.h */
    ES_MEMBER_NUMBER,          /* a whole number */
    ES_MEMBER_BOOL,            /* a boolean; the option has no value unless
                                  the row has `usage` */
    ES_MEMBER_LIST,            /* an array of strings; in the option, commas
                                  separate them */
    ES_MEMBER_NUMBERS,         /* an array of whole numbers, likewise */
    ES_MEMBER_OBJECT           /* an object; the option's value is JSON */
} es_member_type_t;

typedef enum {
    ES_MEMBER_PUBLIC,          /* a partner may set it and see it */
    ES_MEMBER_OPERATOR,        /* only an operator may */
    ES_MEMBER_OWNER            /* the partner itself: fixed */
} es_member_access_t;

typedef struct {
    const char          *name;
    es_member_type_t     type;
    es_member_access_t   access;
    bool                 required;     /* it must be given on creation */

    /* Without `take`, the member is decoded by its type into the field at this
       offset of es_endpoint_t. */
    size_t               field;
    uint32_t             min;          /* of a number, and of a duration in */
    uint32_t             max;          /* milliseconds */
    es_rc_t            (*take)(es_record_t *r, es_endpoint_t *out);

    /* Checks it when it is decoded, together with members of earlier rows. */
    es_rc_t            (*check)(es_record_t *r, es_endpoint_t *out);

    const char          *preset;       /* the default, as documented */
    const char          *option;       /* of eventsyncctl; NULL: none */
    const char          *usage;        /* its value in usage text */
    const char          *about;        /* what the option does, in usage text;
                                          NULL without an option */
} es_endpoint_member_t;

/* In the order of decoding, of usage text and of docs/registry.md. */
extern const es_endpoint_member_t  es_endpoint_members[ES_ENDPOINT_MEMBERS];

/* NULL: an endpoint has no such member. */
const es_endpoint_member_t *es_endpoint_member(const char *name);

/* ---- decoders and checks of single members, by file ---- */

/* endpoint_selection.c */
es_rc_t es_take_feeds(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_types(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_subject(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_start(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_fields(es_record_t *r, es_endpoint_t *out);

/* endpoint_secrets.c */
es_rc_t es_take_secrets(es_record_t *r, es_endpoint_t *out);

/* endpoint_sending.c */
es_rc_t es_take_ordering(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_schedule(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_body(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_content_type(es_record_t *r, es_endpoint_t *out);
es_rc_t es_batch_check(es_record_t *r, es_endpoint_t *out);
es_rc_t es_batch_wait_check(es_record_t *r, es_endpoint_t *out);

/* endpoint_policy.c */
es_rc_t es_disable_after_check(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_rate(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_burst(es_record_t *r, es_endpoint_t *out);
es_rc_t es_ack_check(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_allow_addresses(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_allow_ports(es_record_t *r, es_endpoint_t *out);

/* endpoint_headers.c, endpoint_oauth.c, endpoint_simulate.c */
es_rc_t es_take_headers(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_oauth(es_record_t *r, es_endpoint_t *out);
es_rc_t es_take_simulate(es_record_t *r, es_endpoint_t *out);

/* endpoint_tls.c */
es_rc_t es_client_cert_check(es_record_t *r, es_endpoint_t *out);
es_rc_t es_client_key_check(es_record_t *r, es_endpoint_t *out);
es_rc_t es_ca_file_check(es_record_t *r, es_endpoint_t *out);
es_rc_t es_flag_check(es_record_t *r, es_endpoint_t *out);

#endif /* ES_ENDPOINT_MEMBERS_H */
