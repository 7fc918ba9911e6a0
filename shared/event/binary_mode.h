/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An event as a request in CloudEvents' binary content mode: its attributes as
 * header fields and its data as the body (HTTP protocol binding 1.0.2, section
 * 3.1; JSON event format 1.0.2, section 3.1.2).
 */

#ifndef ES_BINARY_MODE_H
#define ES_BINARY_MODE_H

#include "base/base.h"

/*
 * Appends the parts of the event `json` to buffers:
 *
 *     type   the field "Content-Type: ...".  It stays as it is where the event
 *            has no data, or has data_base64 without a datacontenttype.
 *     attrs  a field "ce-NAME: VALUE" for each attribute and extension, with
 *            CR LF between them.  NULL: not wanted.
 *     data   the bytes of the data.  A JSON value stands as it is in `json`;
 *            it is decoded if it is a string of a type that is not JSON.
 *
 * A `prevcursor` that is not empty replaces the value of that member.  Neither
 * buffer ends with NUL.  data->data is not NULL afterwards, even without data.
 *
 * ES_INVALID: `json` is no event, and the buffers have some of it.  ES_NOMEM.
 */
es_rc_t es_binary_mode(es_str_t json, es_str_t prevcursor, es_buf_t *type,
    es_buf_t *attrs, es_buf_t *data);

#endif /* ES_BINARY_MODE_H */
