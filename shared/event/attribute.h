/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * CloudEvents' context attributes: their names and the rules for values.
 */

#ifndef ES_ATTRIBUTE_H
#define ES_ATTRIBUTE_H

#include "base/base.h"

/* In the order in which an event is composed. */
typedef enum {
    ES_ATTR_SPECVERSION = 0,
    ES_ATTR_ID,
    ES_ATTR_SOURCE,
    ES_ATTR_TYPE,
    ES_ATTR_TIME,
    ES_ATTR_SUBJECT,
    ES_ATTR_DATASCHEMA,
    ES_ATTR_DATACONTENTTYPE,
    ES_ATTRS,
    ES_ATTR_EXTENSION = ES_ATTRS
} es_attr_kind_t;

#define ES_ID_MAX         128
#define ES_EXTENSIONS_MAX  20
#define ES_EXTENSION_NAME_MAX  128

es_str_t es_attr_name(es_attr_kind_t kind);

/* ES_ATTR_EXTENSION: the name is not one of CloudEvents' own. */
es_attr_kind_t es_attr_find(es_str_t name);

/*
 * Returns what is wrong with a decoded UTF-8 value, as the end of a sentence
 * that begins "the attribute NAME ", and sets `*rc` to the outcome.  NULL:
 * nothing is wrong.
 */
const char *es_attr_fault(es_attr_kind_t kind, es_str_t value, es_rc_t *rc);

/* The same for the name of an extension, and for its value if that is a
   JSON literal.  The outcome is always ES_INVALID. */
const char *es_extension_fault(es_str_t name);
const char *es_literal_fault(es_str_t text);

/* True for an attribute that the log sets in every event. */
bool es_attr_reserved(es_str_t name);

/* How binary-mode data of a content type is stored. */
typedef enum {
    ES_MEDIA_JSON,
    ES_MEDIA_TEXT,
    ES_MEDIA_OTHER
} es_media_t;

es_media_t es_media(es_str_t content_type);

/*
 * False if the type has a charset parameter that is neither UTF-8 nor ASCII.
 * Its bytes then mean other characters, even if they are valid UTF-8.
 */
bool es_media_utf8(es_str_t content_type);

#endif /* ES_ATTRIBUTE_H */
