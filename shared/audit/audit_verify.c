/* SPDX-License-Identifier: BSD-2-Clause */

/* Verifies a chain of the audit, and its places against marks. */

#include <inttypes.h>

#include "audit/audit.h"
#include "store/store.h"

/* Compares the marks of the place that the check has reached. */

static es_rc_t
es_audit_check_marks(es_audit_check_t *c)
{
    const es_audit_head_t  *head;

    head = &c->head;

    for (/* void */ ; c->n > 0 && c->marks->sequence <= head->sequence;
         c->marks++, c->n--)
    {
        if (c->marks->sequence < head->sequence) {
            c->skipped++;

        } else if (memcmp(c->marks->hash, head->hash, ES_AUDIT_HASH) != 0) {
            return es_problem_set(c->problem, ES_CORRUPT, -1, NULL,
                                  "%s/: the signed head of entry %" PRIu64
                                  " has another hash: this is another chain "
                                  "than the one that was signed",
                                  es_audit_name(c->chain), head->sequence);
        }
    }

    return ES_OK;
}


es_rc_t
es_audit_check_begin(es_audit_check_t *c)
{
    return es_audit_check_marks(c);
}


es_rc_t
es_audit_check_entry(es_audit_check_t *c, const es_audit_entry_t *entry)
{
    es_audit_head_t  *head;

    head = &c->head;

    if (entry->sequence != head->sequence + 1) {
        return es_problem_set(c->problem, ES_CORRUPT, -1, NULL,
                              "%s/: entry %" PRIu64 " is missing",
                              es_audit_name(c->chain), head->sequence + 1);
    }

    es_audit_link(head, entry->sequence, entry->text);
    c->bytes += entry->text.len + ES_AUDIT_HASH;

    if (memcmp(head->hash, entry->hash, ES_AUDIT_HASH) != 0) {
        return es_problem_set(c->problem, ES_CORRUPT, -1, NULL,
                              "%s/: entry %" PRIu64 " does not match its hash",
                              es_audit_name(c->chain), entry->sequence);
    }

    return es_audit_check_marks(c);
}


es_rc_t
es_audit_check_end(const es_audit_check_t *c)
{
    return c->n == 0
           ? ES_OK
           : es_problem_set(c->problem, ES_CORRUPT, -1, NULL,
                            "%s/: the chain ends at entry %" PRIu64
                            ", but a signed head has entry %" PRIu64,
                            es_audit_name(c->chain), c->head.sequence,
                            c->marks[c->n - 1].sequence);
}


static es_rc_t
es_audit_verify_entry(void *ctx, const es_audit_entry_t *entry)
{
    return es_audit_check_entry(ctx, entry);
}


es_rc_t
es_audit_verify(es_store_t *store, es_audit_chain_t chain,
    const es_audit_head_t *marks, size_t n, es_audit_verdict_t *verdict,
    es_problem_t *problem)
{
    es_rc_t           rc;
    es_audit_check_t  c = { .chain = chain, .marks = marks, .n = n,
                            .problem = problem };

    memset(verdict, 0, sizeof(es_audit_verdict_t));

    rc = es_audit_anchor(store, chain, &verdict->anchor, NULL);

    if (rc == ES_OK) {
        c.head = verdict->anchor;
        rc = es_audit_check_begin(&c);
    }

    if (rc == ES_OK) {
        problem->rc = ES_OK;
        rc = es_audit_each(store, chain, verdict->anchor.sequence,
                           es_audit_verify_entry, &c);
    }

    verdict->head = c.head;
    verdict->bytes = c.bytes;
    verdict->skipped = c.skipped;

    if (rc == ES_OK) {
        return es_audit_check_end(&c);
    }

    if (rc != problem->rc) {
        return es_problem_set(problem, rc, -1, NULL,
                              "%s/: the chain cannot be read: %s",
                              es_audit_name(chain), es_reason(rc));
    }

    return rc;
}
