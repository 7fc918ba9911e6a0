/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Events in binary mode and as data only, which "listen" reads.
 */

#include <jansson.h>
#include <stdlib.h>
#include <strings.h>

#include "base/ascii.h"
#include "base/json.h"
#include "base/query.h"
#include "ctl.h"
#include "listen_shape.h"

typedef struct {
    es_buf_t   *event;
    es_str_t    id;                /* that was signed */
    es_rc_t     rc;
} ctl_shape_t;


static es_str_t
ctl_shape_header(struct MHD_Connection *connection, const char *name)
{
    return es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                              name));
}


static es_rc_t
ctl_shape_name(es_buf_t *event, const char *name)
{
    char     c;
    es_rc_t  rc;

    for (rc = *name ? ES_OK : ES_INVALID; rc == ES_OK && *name; name++) {
        c = (char) (*name >= 'A' && *name <= 'Z' ? *name | 0x20 : *name);
        rc = es_is_alnum(c) ? es_buf_append(event, &c, 1) : ES_INVALID;
    }

    return rc;
}


/* Appends a member with a comma after it.  `value` is decoded. */

static es_rc_t
ctl_shape_member(es_buf_t *event, const char *name, es_str_t value)
{
    es_rc_t  rc;

    rc = es_buf_str(event, es_lit("\""));

    if (rc == ES_OK) {
        rc = ctl_shape_name(event, name);
    }

    if (rc == ES_OK) {
        rc = es_buf_str(event, es_lit("\":\""));
    }

    if (rc == ES_OK) {
        rc = es_json_escape(value, event);
    }

    return rc == ES_OK ? es_buf_str(event, es_lit("\",")) : rc;
}


static es_rc_t
ctl_shape_attr(const ctl_shape_t *shape, const char *name, es_str_t value)
{
    char      *text, *end;
    es_rc_t    rc;
    es_str_t   decoded;

    text = malloc(value.len + 1);
    if (text == NULL) {
        return ES_NOMEM;
    }

    end = es_query_decode(value, true, text);
    decoded = (es_str_t) { text, end ? (size_t) (end - text) : 0 };

    rc = end == NULL || (strcasecmp(name, "id") == 0
                         && !es_str_eq(decoded, shape->id))
         ? ES_INVALID : ctl_shape_member(shape->event, name, decoded);

    free(text);

    return rc;
}


static enum MHD_Result
ctl_shape_field(void *ctx, enum MHD_ValueKind kind, const char *name,
    const char *value)
{
    ctl_shape_t  *shape = ctx;

    (void) kind;

    if (strncasecmp(name, "ce-", 3) == 0) {
        shape->rc = ctl_shape_attr(shape, name + 3, es_str(value ? value : ""));
    }

    return shape->rc == ES_OK ? MHD_YES : MHD_NO;
}


/* Appends the data if it is JSON, and ends the event. */

static es_rc_t
ctl_shape_data(es_str_t body, es_buf_t *event)
{
    es_rc_t          rc;
    es_json_t        json;
    es_json_value_t  value;

    es_json_init(&json, body.data, body.len);

    rc = es_json_value(&json, &value) == ES_OK && es_json_end(&json) == ES_OK
         ? es_buf_str(event, es_lit("\"data\":")) : ES_NOT_FOUND;

    if (rc == ES_OK) {
        rc = es_buf_str(event, value.text);

    } else if (rc == ES_NOT_FOUND) {
        rc = es_buf_str(event, es_lit("\"data\":null"));
    }

    return rc == ES_OK ? es_buf_str(event, es_lit("}")) : rc;
}


es_rc_t
ctl_listen_binary(struct MHD_Connection *connection, es_str_t body,
    es_buf_t *event)
{
    ctl_shape_t  shape;

    if (ctl_shape_header(connection, "ce-specversion").len == 0) {
        return ES_NOT_FOUND;
    }

    shape.event = event;
    shape.id = ctl_shape_header(connection, "webhook-id");
    shape.rc = ctl_shape_header(connection, "ce-id").len > 0
               ? es_buf_str(event, es_lit("{")) : ES_INVALID;

    if (shape.rc == ES_OK) {
        (void) MHD_get_connection_values(connection, MHD_HEADER_KIND,
                                         ctl_shape_field, &shape);
    }

    return shape.rc == ES_OK ? ctl_shape_data(body, event) : shape.rc;
}


/* A nudge names its feed in its data, which is signed. */

static es_rc_t
ctl_shape_nudge(es_str_t body, es_buf_t *event)
{
    json_t   *data;
    es_rc_t   rc;

    data = json_loadb(body.data, body.len, 0, NULL);

    rc = ctl_shape_member(event, "type", es_lit("feed.poll"));

    if (rc == ES_OK) {
        rc = ctl_shape_member(event, "subject",
                              es_text(json_object_get(data, "feed")));
    }

    json_decref(data);

    return rc;
}


/* A test and a challenge belong to no feed, whatever id an event has. */

es_rc_t
ctl_listen_own(struct MHD_Connection *connection, es_str_t body,
    es_buf_t *event)
{
    bool      feed;
    es_rc_t   rc;
    es_str_t  id;

    id = ctl_shape_header(connection, "webhook-id");
    feed = ctl_shape_header(connection, "eventsync-feed").len > 0;

    if (strncmp(id.data, "nudge-", 6) != 0
        && (feed || (strncmp(id.data, "test-", 5) != 0
                     && strncmp(id.data, "check-", 6) != 0)))
    {
        return ES_NOT_FOUND;
    }

    rc = es_buf_str(event, es_lit("{\"source\":\"/eventsync\","));

    if (rc == ES_OK) {
        rc = ctl_shape_member(event, "id", id);
    }

    if (rc == ES_OK) {
        rc = id.data[0] == 'n' ? ctl_shape_nudge(body, event)
             : ctl_shape_member(event, "type", id.data[0] == 'c'
                                ? es_lit("eventsync.challenge")
                                : es_lit("eventsync.test"));
    }

    return rc == ES_OK ? ctl_shape_data(body, event) : rc;
}
