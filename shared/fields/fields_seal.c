/* SPDX-License-Identifier: BSD-2-Clause */

/* Has a value encrypted, and tells where it is. */

#include "base/json.h"
#include "fields/fields.h"
#include "fields/fields_impl.h"
#include "fields/fields_walk.h"


/* Appends the token of the member or item at hand. */

static es_rc_t
es_fields_pointer(const es_fields_frame_t *frame, es_buf_t *out)
{
    char     *p, *end;
    size_t    start;
    es_rc_t   rc;

    if (frame->array) {
        return es_buf_printf(out, "/%u", frame->index);
    }

    /* room for the name with each byte escaped, and decoded behind that */

    rc = es_buf_reserve(out, 1 + 3 * frame->name.text.len);
    if (rc != ES_OK) {
        return rc;
    }

    out->data[out->len++] = '/';
    start = out->len + 2 * frame->name.text.len;
    p = out->data + start;
    end = es_json_decode(&frame->name, p);

    for ( ; p < end; p++) {
        if (*p == '~' || *p == '/') {
            out->data[out->len++] = '~';
            out->data[out->len++] = *p == '~' ? '0' : '1';

        } else {
            out->data[out->len++] = *p;
        }
    }

    return ES_OK;
}


es_rc_t
es_fields_sealed(es_fields_walk_t *walk, size_t from)
{
    es_rc_t                   rc;
    es_buf_t                  pointer = { NULL, 0, 0 };
    const es_fields_frame_t  *frame;

    if (walk->seal == NULL) {
        return ES_DENIED;
    }

    es_fields_flush(walk);
    rc = ES_OK;

    for (frame = walk->outer; frame < walk->frame && rc == ES_OK; ) {
        rc = es_fields_pointer(++frame, &pointer);
    }

    if (rc == ES_OK) {
        walk->place.pointer.data = pointer.data ? pointer.data : "";
        walk->place.pointer.len = pointer.len;
        rc = walk->seal->fn(walk->seal->ctx, walk->fields->key, &walk->place,
                            walk->out, from);
    }

    es_buf_free(&pointer);

    return rc == ES_OK
           ? es_buf_reserve(walk->out,
                            (size_t) (walk->json.end - walk->json.pos) + 2)
           : rc;
}
