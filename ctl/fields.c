/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Field lists: shows an event as a partner, or its endpoint, is sent it.
 */

#include <stdio.h>

#include "base/base.h"
#include "ctl.h"
#include "event/cursor.h"
#include "fields/fields.h"
#include "log/feed.h"
#include "object.h"
#include "read/encrypter.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "store/txn.h"

typedef struct {
    const char          *feed;
    const char          *cursor;
    bool                 granted;      /* it may be sent the feed */
    const es_fields_t   *fields;       /* NULL: there is no list */
    es_buf_t             event;        /* as it was published */
    es_buf_t             shown;
} ctl_preview_t;


/* Finds the lists of the partner, or of its endpoint. */

static int
ctl_preview_lists(const es_registry_t *registry, const char *name,
    const char *endpoint, ctl_preview_t *p)
{
    const es_partner_t   *partner;
    const es_endpoint_t  *e;

    partner = es_registry_partner(registry, es_str(name));

    if (partner == NULL) {
        return ctl_fail(CTL_FAILED, "no partner \"%s\"", name);
    }

    p->granted = es_patterns_match(&partner->feeds, es_str(p->feed));
    p->fields = es_partner_fields(partner, es_str(p->feed));

    if (endpoint == NULL) {
        return CTL_OK;
    }

    e = ctl_endpoint_named(registry, endpoint);

    if (e == NULL) {
        return CTL_FAILED;
    }

    if (e->partner != partner) {
        return ctl_fail(CTL_FAILED, "the endpoint \"%s\" belongs to the "
                        "partner \"%.*s\"", endpoint,
                        (int) e->partner->name.len, e->partner->name.data);
    }

    p->granted = es_endpoint_lists(e, es_str(p->feed));
    p->fields = es_endpoint_fields(e, es_str(p->feed));

    return CTL_OK;
}


static es_rc_t
ctl_preview_find(es_txn_t *txn, const es_cursor_t *cursor, ctl_preview_t *p)
{
    es_rc_t     rc;
    es_feed_t   feed;
    es_event_t  event;

    rc = es_feed_get(txn, es_str(p->feed), &feed);

    if (rc == ES_OK && !es_feed_has(&feed, cursor->epoch, cursor->sequence)) {
        rc = ES_NOT_FOUND;
    }

    if (rc == ES_OK) {
        rc = es_event_get(txn, &feed, cursor->sequence, &event);
    }

    return rc == ES_OK ? es_buf_str(&p->event, event.json) : rc;
}


static int
ctl_preview_read(ctl_t *ctl, ctl_preview_t *p)
{
    es_rc_t      rc;
    es_txn_t    *txn;
    es_cursor_t  cursor;

    if (es_cursor_parse(es_str(p->cursor), &cursor) != ES_OK
        || cursor.sequence == 0)
    {
        return ctl_fail(CTL_USAGE, "\"%s\" is not the cursor of an event",
                        p->cursor);
    }

    rc = es_txn_begin(ctl->store, &txn);

    if (rc == ES_OK) {
        rc = ctl_preview_find(txn, &cursor, p);
        es_txn_end(txn);
    }

    return rc == ES_OK ? CTL_OK
           : ctl_fail(CTL_FAILED, "cannot read the event %s of feed %s: %s",
                      p->cursor, p->feed, es_reason(rc));
}


/* What is encrypted has the ciphertext that every channel sends. */

static es_rc_t
ctl_preview_show(ctl_t *ctl, ctl_preview_t *p)
{
    es_rc_t            rc;
    es_str_t           event = { p->event.data, p->event.len };
    es_encrypter_t     encrypter = { 0 };
    es_ciphertexts_t  *texts;

    if (p->fields == NULL) {
        return es_buf_str(&p->shown, event);
    }

    texts = es_ciphertexts_create(ctl->store, ES_CIPHERTEXTS_HALF);
    if (texts == NULL) {
        return ES_NOMEM;
    }

    es_encrypter_init(&encrypter, texts);
    rc = es_encrypter_event(&encrypter, p->fields, event, &p->shown);

    es_encrypter_free(&encrypter);
    es_ciphertexts_free(texts);

    return rc;
}


static int
ctl_preview_print(ctl_t *ctl, ctl_preview_t *p)
{
    es_rc_t  rc;

    rc = ctl_preview_show(ctl, p);

    switch (rc) {
    case ES_OK:
        break;
    case ES_DENIED:
        return ctl_fail(CTL_FAILED, "the event is sent to nobody: the field "
                        "lists or the encryption key of the record cannot be "
                        "read");
    case ES_INVALID:
        return ctl_fail(CTL_FAILED, "the event is sent to nobody: the "
                        "encryption key of the partner cannot be used");
    default:
        return ctl_fail(CTL_FAILED, "the event is sent to nobody: %s",
                        es_reason(rc));
    }

    if (!p->granted) {
        ctl_note("the feed \"%s\" is not among those that it is sent",
                 p->feed);
    }

    if (p->fields == NULL) {
        ctl_note("there is no field list for the feed \"%s\": the event is "
                 "sent as it is", p->feed);
    }

    (void) fwrite(p->shown.data, 1, p->shown.len, stdout);
    (void) putchar('\n');

    return CTL_OK;
}


int
ctl_fields_preview(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    const char     *endpoint = NULL;
    ctl_preview_t   p = { 0 };
    es_registry_t  *registry;

    const ctl_option_t  options[] = {
        { "endpoint", &endpoint },
        { NULL, NULL }
    };

    rc = ctl_begin(ctl, &argc, argv, options, ES_STORE_READ);

    if (rc == CTL_OK) {
        p.feed = argv[1];
        p.cursor = argv[2];
        rc = ctl_preview_read(ctl, &p);
    }

    if (rc == CTL_OK) {
        rc = ctl_registry_load(ctl, &registry);

        if (rc == CTL_OK) {
            rc = ctl_preview_lists(registry, argv[0], endpoint, &p);

            if (rc == CTL_OK) {
                rc = ctl_preview_print(ctl, &p);
            }

            es_registry_free(registry);
        }
    }

    es_buf_free(&p.event);
    es_buf_free(&p.shown);

    return rc;
}
