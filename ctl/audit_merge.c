/* SPDX-License-Identifier: BSD-2-Clause */

/* Merges the chains of the audit by time.  Some hundreds of entries of each
   chain are in memory at a time. */

#include <stdlib.h>

#include "audit.h"
#include "base/json.h"

#define AUDIT_PIECE  256

typedef struct {
    es_audit_entry_t   entry;
    json_t            *json;
    int64_t            ms;
} ctl_audit_item_t;

typedef struct {
    es_audit_chain_t   chain;
    uint64_t           after;      /* read up to here */
    uint64_t           to;
    bool               ended;
    size_t             n;
    size_t             next;
    ctl_audit_item_t   items[AUDIT_PIECE];
} ctl_audit_piece_t;


static void
ctl_audit_item_free(ctl_audit_item_t *item)
{
    free((char *) (uintptr_t) item->entry.text.data);
    json_decref(item->json);
}


static es_rc_t
ctl_audit_take(void *ctx, const es_audit_entry_t *entry)
{
    char               *text;
    ctl_audit_item_t   *item;
    ctl_audit_piece_t  *piece = ctx;

    if (entry->sequence > piece->to) {
        piece->ended = true;
        return ES_STOP;
    }

    if (piece->n == AUDIT_PIECE) {
        return ES_STOP;
    }

    text = malloc(entry->text.len + 1);
    if (text == NULL) {
        return ES_NOMEM;
    }

    memcpy(text, entry->text.data, entry->text.len);
    text[entry->text.len] = '\0';

    item = &piece->items[piece->n++];
    item->entry = *entry;
    item->entry.text.data = text;
    item->json = json_loadb(text, entry->text.len, JSON_REJECT_DUPLICATES,
                            NULL);
    item->ms = 0;
    piece->after = entry->sequence;

    (void) es_time_parse(es_text(json_object_get(item->json, "time")),
                         &item->ms);

    return json_is_object(item->json) ? ES_OK : ES_CORRUPT;
}


static es_rc_t
ctl_audit_fill(ctl_t *ctl, ctl_audit_piece_t *piece)
{
    es_rc_t          rc;
    es_audit_head_t  anchor;

    if (piece->next < piece->n || piece->ended) {
        return ES_OK;
    }

    while (piece->n > 0) {
        ctl_audit_item_free(&piece->items[--piece->n]);
    }

    piece->next = 0;
    rc = ES_OK;

    if (piece->after == 0) {
        rc = es_audit_anchor(ctl->store, piece->chain, &anchor, NULL);
        piece->after = anchor.sequence;
    }

    if (rc == ES_OK) {
        rc = es_audit_each(ctl->store, piece->chain, piece->after,
                           ctl_audit_take, piece);
    }

    piece->ended = piece->ended || rc == ES_OK;

    return rc == ES_STOP ? ES_OK : rc;
}


static int
ctl_audit_merge_pieces(ctl_t *ctl, ctl_audit_piece_t *pieces, ctl_audit_fn fn,
    void *ctx)
{
    int                 rc;
    es_rc_t             es;
    unsigned            i;
    ctl_audit_item_t   *item;
    ctl_audit_piece_t  *first, *piece;

    do {
        first = NULL;

        for (i = 0; i < ES_AUDIT_CHAINS; i++) {
            piece = &pieces[i];

            es = ctl_audit_fill(ctl, piece);
            if (es != ES_OK) {
                return ctl_fail(CTL_FAILED, "the audit of %s/ cannot be read: "
                                "%s", es_audit_name(piece->chain),
                                es_reason(es));
            }

            if (piece->next < piece->n
                && (first == NULL
                    || piece->items[piece->next].ms
                       < first->items[first->next].ms))
            {
                first = piece;
            }
        }

        rc = CTL_OK;

        if (first != NULL) {
            item = &first->items[first->next++];
            rc = fn(ctx, first->chain, &item->entry, item->json);
        }

    } while (first != NULL && rc == CTL_OK);

    return rc;
}


int
ctl_audit_merge(ctl_t *ctl, const es_audit_head_t *to, ctl_audit_fn fn,
    void *ctx)
{
    int                 rc;
    unsigned            i;
    ctl_audit_piece_t  *pieces;

    pieces = calloc(ES_AUDIT_CHAINS, sizeof(ctl_audit_piece_t));
    if (pieces == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        pieces[i].chain = (es_audit_chain_t) i;
        pieces[i].to = to ? to[i].sequence : UINT64_MAX;
    }

    rc = ctl_audit_merge_pieces(ctl, pieces, fn, ctx);

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        while (pieces[i].n > 0) {
            ctl_audit_item_free(&pieces[i].items[--pieces[i].n]);
        }
    }

    free(pieces);

    return rc;
}
