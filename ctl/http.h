/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A client of the HTTP interface (docs/http.md).  It keeps one connection from
 * request to request.
 */

#ifndef CTL_HTTP_H
#define CTL_HTTP_H

#include <curl/curl.h>

#include "ctl.h"
#include "event/cursor.h"
#include "event/filter.h"

#define CTL_HTTP_TIMEOUT_S  30L

typedef struct {
    CURL      *curl;
    char      *url;                    /* of the API, without a trailing '/' */
    char      *auth;                   /* header field, or NULL */
    long       status;
    es_buf_t   body;                   /* of the answer, NUL-terminated */
    char       next[ES_CURSOR_MAX];    /* Eventsync-Next; "" when absent */
    bool       has_more;               /* Eventsync-Has-More */
    unsigned   retry_after_s;          /* 0: absent */
} ctl_http_t;

/* A poll; `after` and `from` exclude each other. */
typedef struct {
    const char  *feed;
    const char  *after;
    const char  *from;
    const char  *filter[ES_FILTER_PARAMS];     /* texts of es_filter_params */
    unsigned     wait_s;
} ctl_query_t;

/* Without `key` the client uses EVENTSYNC_KEY, if that is set.  CTL_FAILED or
   CTL_USAGE with a message. */
int ctl_http_open(ctl_http_t *http, const char *option, const char *url,
    const char *key);
void ctl_http_close(ctl_http_t *http);

/* Both return CTL_OK when the server answered, with any status.  CTL_FAILED
   with a message. */
int ctl_http_poll(ctl_http_t *http, const ctl_query_t *query);
int ctl_http_post(ctl_http_t *http, const char *feed, const char *type,
    es_str_t body);

/* Copies the value of a header line whose field is `name`, cut to `size`;
   false: another field. */
bool ctl_http_field(es_str_t line, const char *name, char *out, size_t size);

/* Prints the problem document as a message and returns CTL_FAILED. */
int ctl_http_refused(const ctl_http_t *http, const char *what);

/* A member of the problem document, as text or as a number; false if it is
   absent. */
bool ctl_http_member(const ctl_http_t *http, const char *name, char *out,
    size_t size);
bool ctl_http_count(const ctl_http_t *http, const char *name, uint64_t *out);

#endif /* CTL_HTTP_H */
