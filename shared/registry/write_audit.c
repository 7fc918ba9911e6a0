/* SPDX-License-Identifier: BSD-2-Clause */

/* The entries that writes of registry records leave in the audit. */

#include "audit/audit.h"
#include "base/json.h"
#include "registry/object.h"
#include "registry/secrets.h"
#include "registry/write.h"

/* Members that each write changes. */
static const char  *const  es_write_stamps[] = { "revision" };


/* Removes what both records have, and what no operator has chosen. */

static void
es_write_reduce(json_t *before, json_t *after)
{
    void        *next;
    size_t       i;
    json_t      *value, *other;
    const char  *name;

    for (i = 0; i < sizeof(es_write_stamps) / sizeof(es_write_stamps[0]); i++) {
        (void) json_object_del(before, es_write_stamps[i]);
        (void) json_object_del(after, es_write_stamps[i]);
    }

    json_object_foreach_safe(before, next, name, value) {
        other = json_object_get(after, name);

        if (other != NULL && json_equal(value, other)) {
            (void) json_object_del(after, name);
            (void) json_object_del(before, name);
        }
    }
}


/* A secret says "set", or "changed" if its member had one before. */

static es_rc_t
es_write_hide(es_write_t *w)
{
    void        *next;
    es_rc_t      rc;
    json_t      *changed, *value;
    const char  *name;

    if (w->before == NULL || w->after == NULL) {
        return es_secrets_hide(w->kind, w->before ? w->before : w->after,
                               "set");
    }

    changed = json_object();
    if (changed == NULL) {
        return ES_NOMEM;
    }

    rc = ES_OK;

    json_object_foreach_safe(w->after, next, name, value) {
        if (json_object_get(w->before, name) != NULL
            && json_object_set(changed, name, value) != 0)
        {
            rc = ES_NOMEM;
        }
    }

    /* the values of `changed` are those of `after` */

    if (rc == ES_OK) {
        rc = es_secrets_hide(w->kind, w->after, "set");
    }

    if (rc == ES_OK) {
        rc = es_secrets_hide(w->kind, changed, "changed");
    }

    json_decref(changed);

    return rc == ES_OK ? es_secrets_hide(w->kind, w->before, "set") : rc;
}


es_rc_t
es_write_audit(es_write_t *w, MDB_txn *txn)
{
    char                partner[ES_FEED_MAX + 1];
    es_rc_t             rc;
    es_str_t            owner;
    es_audit_change_t   change = { 0 };

    static const char  *const  actions[] = {
        [ES_OP_CREATE] = "create",
        [ES_OP_CHANGE] = "change",
        [ES_OP_REMOVE] = "remove"
    };

    owner = es_text(json_object_get(w->after ? w->after : w->before,
                                    "partner"));

    if (w->kind == ES_KIND_PARTNER) {
        owner = w->name;
    }

    if (owner.len > 0 && owner.len < sizeof(partner)) {
        memcpy(partner, owner.data, owner.len);
        change.partner = (es_str_t) { partner, owner.len };
    }

    es_write_reduce(w->before, w->after);

    rc = es_write_hide(w);
    if (rc != ES_OK) {
        return rc;
    }

    change.action = actions[w->op];
    change.kind = es_kind_name(w->kind);
    change.object = w->name;
    change.before = w->before;
    change.after = w->after;

    return es_audit_append(w->store, txn, ES_AUDIT_REGISTRY, &change);
}


void
es_write_audit_end(es_write_t *w)
{
    json_decref(w->before);
    json_decref(w->after);
    w->before = NULL;
    w->after = NULL;
}
