/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Verifies an export of the audit without its store.
 *
 * A line has the text of its entry byte for byte, so its hash can be computed
 * again.  The signed heads of the export and of other files say which store it
 * is of, where each chain must lead, and where a pruned one begins.
 */

#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "base/json.h"
#include "registry/values.h"

#define AUDIT_LINE_MAX  192        /* before the text of an entry */

typedef struct {
    const ctl_heads_t  *heads;
    const char         *name;      /* of the export */
    unsigned            line;
    bool                begun[ES_AUDIT_CHAINS];
    es_audit_head_t     anchors[ES_AUDIT_CHAINS];
    bool                pruned[ES_AUDIT_CHAINS];   /* an entry says so */
    es_audit_check_t    checks[ES_AUDIT_CHAINS];
    es_problem_t        problem;
} ctl_audit_file_t;


static int
ctl_audit_bad(const ctl_audit_file_t *f, const char *why)
{
    return ctl_fail(CTL_FAILED, "%s:%u: %s", f->name, f->line, why);
}


/* Reads the numbers before the text by printing them again, so that no other
   spelling of them is taken. */

static bool
ctl_audit_parse(es_str_t line, es_audit_chain_t *chain,
    es_audit_entry_t *entry)
{
    int       n;
    char      head[AUDIT_LINE_MAX], again[AUDIT_LINE_MAX], name[16];
    char      hex[2 * ES_AUDIT_HASH + 1];
    size_t    len;
    unsigned  i;

    len = line.len < sizeof(head) - 1 ? line.len : sizeof(head) - 1;
    memcpy(head, line.data, len);
    head[len] = '\0';

    if (sscanf(head, "{\"chain\":\"%15[a-z]\",\"sequence\":%" SCNu64
               ",\"hash\":\"%64[0-9a-f]\"", name, &entry->sequence, hex) != 3
        || !es_audit_chain(es_str(name), chain)
        || strlen(hex) != 2 * ES_AUDIT_HASH)
    {
        return false;
    }

    n = snprintf(again, sizeof(again), CTL_AUDIT_LINE, name, entry->sequence,
                 hex);

    if ((size_t) n >= line.len || memcmp(line.data, again, (size_t) n) != 0
        || line.data[line.len - 1] != '}')
    {
        return false;
    }

    for (i = 0; i < ES_AUDIT_HASH; i++) {
        (void) sscanf(hex + 2 * i, "%2hhx", &entry->hash[i]);
    }

    entry->text = (es_str_t) { line.data + n, line.len - (size_t) n - 1 };

    return true;
}


/* A chain begins with its first entry, or after a signed head. */

static int
ctl_audit_file_begin(ctl_audit_file_t *f, es_audit_chain_t chain,
    uint64_t first)
{
    size_t                  i;
    es_audit_check_t       *check;
    const es_audit_head_t  *marks;

    check = &f->checks[chain];
    marks = f->heads->marks[chain];
    f->begun[chain] = true;

    *check = (es_audit_check_t) { .chain = chain, .marks = marks,
                                  .n = f->heads->n, .problem = &f->problem };

    es_audit_begin(f->heads->identity, chain, &check->head);

    for (i = 0; first > 1 && i < f->heads->n; i++) {
        if (marks[i].sequence == first - 1) {
            check->head = marks[i];
            break;
        }
    }

    f->anchors[chain] = check->head;

    if (check->head.sequence != first - 1) {
        return ctl_fail(CTL_FAILED, "%s:%u: %s/: entry %" PRIu64 " is the "
                        "first, and no signed head has the one before it",
                        f->name, f->line, es_audit_name(chain), first);
    }

    return es_audit_check_begin(check) == ES_OK
           ? CTL_OK : ctl_audit_bad(f, f->problem.detail);
}


/* A chain that was pruned says up to where. */

static void
ctl_audit_file_prune(ctl_audit_file_t *f, es_audit_chain_t chain,
    es_str_t text)
{
    json_t  *json, *anchor;

    json = json_loadb(text.data, text.len, 0, NULL);
    anchor = json_object_get(json_object_get(json, "after"), "anchor");

    if (es_str_eq(es_text(json_object_get(json, "action")), es_lit("prune"))
        && json_integer_value(anchor)
           == (json_int_t) f->anchors[chain].sequence)
    {
        f->pruned[chain] = true;
    }

    json_decref(json);
}


static int
ctl_audit_file_line(ctl_audit_file_t *f, es_str_t line)
{
    int               rc;
    es_audit_chain_t  chain;
    es_audit_entry_t  entry;

    if (!ctl_audit_is_entry(line)) {
        return CTL_OK;             /* signed heads: they are verified */
    }

    if (!ctl_audit_parse(line, &chain, &entry)) {
        return ctl_audit_bad(f, "not an entry of an audit");
    }

    rc = f->begun[chain] ? CTL_OK
                         : ctl_audit_file_begin(f, chain, entry.sequence);

    if (rc == CTL_OK
        && es_audit_check_entry(&f->checks[chain], &entry) != ES_OK)
    {
        rc = ctl_audit_bad(f, f->problem.detail);
    }

    if (rc == CTL_OK && f->anchors[chain].sequence > 0
        && !f->pruned[chain])
    {
        ctl_audit_file_prune(f, chain, entry.text);
    }

    return rc;
}


static int
ctl_audit_file_end(ctl_audit_file_t *f, es_audit_chain_t chain,
    es_audit_verdict_t *verdict)
{
    int                rc;
    es_audit_check_t  *check;

    rc = f->begun[chain] ? CTL_OK : ctl_audit_file_begin(f, chain, 1);
    check = &f->checks[chain];

    if (rc == CTL_OK && es_audit_check_end(check) != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "%s: %s", f->name, f->problem.detail);
    }

    if (rc == CTL_OK && f->anchors[chain].sequence > 0 && !f->pruned[chain]) {
        rc = ctl_fail(CTL_FAILED, "%s: %s/: the entries up to %" PRIu64 " are "
                      "missing, and no entry says that they were pruned",
                      f->name, es_audit_name(chain),
                      f->anchors[chain].sequence);
    }

    *verdict = (es_audit_verdict_t) { .anchor = f->anchors[chain],
                                      .head = check->head,
                                      .bytes = check->bytes,
                                      .skipped = check->skipped };

    return rc;
}


int
ctl_audit_check_file(const ctl_heads_t *heads, const char *name,
    es_audit_verdict_t verdicts[ES_AUDIT_CHAINS])
{
    int                rc;
    unsigned           i;
    const char        *p, *end, *stop;
    ctl_audit_file_t   f = { .heads = heads, .name = name, .line = 1 };

    stop = heads->text.data + heads->text.len;

    for (p = heads->text.data + heads->export, rc = CTL_OK;
         rc == CTL_OK && p < stop; p = end + 1, f.line++)
    {
        end = memchr(p, '\n', (size_t) (stop - p));
        end = end ? end : stop;
        rc = ctl_audit_file_line(&f, (es_str_t) { p, (size_t) (end - p) });
    }

    for (i = 0; rc == CTL_OK && i < ES_AUDIT_CHAINS; i++) {
        rc = ctl_audit_file_end(&f, (es_audit_chain_t) i, &verdicts[i]);
    }

    return rc;
}
