/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "audit": lists, exports, verifies and prunes the record of administrative
 * changes.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "base/clock.h"
#include "base/json.h"
#include "registry/values.h"

typedef struct {
    ctl_t        *ctl;
    const char   *partner;
    const char   *kind;
    int64_t       since_ms;
    bool          hashes;          /* of an export, with the text as it is
                                      stored */
} ctl_audit_list_t;


/* Prints the entry behind its chain and sequence. */

static int
ctl_audit_json(const ctl_audit_list_t *list, es_audit_chain_t chain,
    const es_audit_entry_t *entry, json_t *json)
{
    char     hex[2 * ES_AUDIT_HASH + 1];
    json_t  *line;

    if (list->hashes) {
        ctl_audit_hex(entry->hash, hex);
        (void) printf(CTL_AUDIT_LINE "%.*s}\n", es_audit_name(chain),
                      entry->sequence, hex, (int) entry->text.len,
                      entry->text.data);
        return CTL_OK;
    }

    line = json_pack("{s:s, s:I}", "chain", es_audit_name(chain),
                     "sequence", (json_int_t) entry->sequence);

    if (line != NULL && json_object_update(line, json) != 0) {
        json_decref(line);
        line = NULL;
    }

    if (line == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    ctl_print(line);
    json_decref(line);

    return CTL_OK;
}


/* TIME CHAIN BY FROM ACTION KIND OBJECT [BEFORE ->] AFTER */

static void
ctl_audit_text(es_audit_chain_t chain, const json_t *json)
{
    size_t   i;
    char    *before, *after;
    json_t  *value;

    static const char  *const  names[] = {
        "time", "by", "from", "action", "kind", "object"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = json_object_get(json, names[i]);
        (void) printf("%s%s", i > 0 ? "  " : "",
                      json_string_length(value) > 0 ? json_string_value(value)
                                                    : "-");

        if (i == 0) {
            (void) printf("  %s", es_audit_name(chain));
        }
    }

    value = json_object_get(json, "before");
    before = value ? json_dumps(value, JSON_COMPACT) : NULL;
    value = json_object_get(json, "after");
    after = value ? json_dumps(value, JSON_COMPACT) : NULL;

    if (before != NULL || after != NULL) {
        (void) printf("  %s -> %s", before ? before : "-",
                      after ? after : "-");
    }

    (void) putchar('\n');
    free(before);
    free(after);
}


static int
ctl_audit_entry(void *ctx, es_audit_chain_t chain,
    const es_audit_entry_t *entry, json_t *json)
{
    int64_t                 ms;
    const ctl_audit_list_t  *list = ctx;

    if ((list->partner != NULL
         && !es_str_eq(es_text(json_object_get(json, "partner")),
                       es_str(list->partner)))
        || (list->kind != NULL
            && !es_str_eq(es_text(json_object_get(json, "kind")),
                          es_str(list->kind)))
        || (list->since_ms != 0
            && es_time_parse(es_text(json_object_get(json, "time")), &ms)
               == ES_OK
            && ms < list->since_ms))
    {
        return CTL_OK;
    }

    if (list->hashes || list->ctl->json) {
        return ctl_audit_json(list, chain, entry, json);
    }

    ctl_audit_text(chain, json);

    return CTL_OK;
}


/* A time, or how long ago. */

static int
ctl_audit_time(const char *option, const char *text, int64_t *ms)
{
    uint32_t  ago_ms;

    if (es_duration_parse(es_str(text), &ago_ms) == ES_OK) {
        *ms = es_clock_ms() - (int64_t) ago_ms;
        return CTL_OK;
    }

    return es_time_parse(es_str(text), ms) == ES_OK
           ? CTL_OK
           : ctl_fail(CTL_USAGE, "\"--%s=%s\" is neither an RFC 3339 time nor "
                      "a duration like 1d", option, text);
}


int
ctl_audit_list(ctl_t *ctl, int argc, char **argv)
{
    int                rc;
    const char        *since = NULL;
    ctl_audit_list_t   list = { .ctl = ctl };

    const ctl_option_t  options[] = {
        { "partner", &list.partner },
        { "kind", &list.kind },
        { "since", &since },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && since != NULL) {
        rc = ctl_audit_time("since", since, &list.since_ms);
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, CTL_AUDIT_READ);
    }

    return rc == CTL_OK ? ctl_audit_merge(ctl, NULL, ctl_audit_entry, &list)
                        : rc;
}


/* The signed heads with which chains begin that were pruned.  Each chain has
   its own, and all of them mostly the same. */

static int
ctl_audit_anchors(ctl_t *ctl)
{
    es_rc_t          es;
    unsigned         i;
    es_buf_t         text = { NULL, 0, 0 }, before = { NULL, 0, 0 };
    es_audit_head_t  anchor;

    for (i = 0, es = ES_OK; es == ES_OK && i < ES_AUDIT_CHAINS; i++) {
        text.len = 0;
        es = es_audit_anchor(ctl->store, (es_audit_chain_t) i, &anchor, &text);

        if (es == ES_OK && anchor.sequence > 0
            && !es_str_eq((es_str_t) { text.data, text.len },
                          (es_str_t) { before.data, before.len }))
        {
            (void) printf("%.*s\n", (int) text.len, text.data);
            before.len = 0;
            es = es_buf_append(&before, text.data, text.len);
        }
    }

    es_buf_free(&text);
    es_buf_free(&before);

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "an anchor of the audit cannot "
                                  "be read: %s", es_reason(es));
}


int
ctl_audit_export(ctl_t *ctl, int argc, char **argv)
{
    int                rc;
    es_rc_t            es;
    es_buf_t           line = { NULL, 0, 0 };
    es_heads_t         heads;
    const char        *path = NULL;
    es_problem_t       problem;
    es_heads_key_t    *key = NULL;
    ctl_audit_list_t   list = { .ctl = ctl, .hashes = true };

    const ctl_option_t  options[] = {
        { "audit-key", &path },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && es_heads_key_load(path, &key, &problem) != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, CTL_AUDIT_READ);
    }

    if (rc == CTL_OK) {
        es = es_heads_read(ctl->store, &heads);

        if (es == ES_OK) {
            es = es_heads_sign(key, &heads, &line);
        }

        rc = es == ES_OK ? ctl_audit_anchors(ctl)
                         : ctl_fail(CTL_FAILED, "cannot sign the heads: %s",
                                    es_reason(es));
    }

    if (rc == CTL_OK) {
        rc = ctl_audit_merge(ctl, heads.heads, ctl_audit_entry, &list);
    }

    if (rc == CTL_OK) {
        (void) printf("%.*s\n", (int) line.len, line.data);
    }

    es_buf_free(&line);
    es_heads_key_free(key);

    return rc;
}


static void
ctl_audit_verified(ctl_t *ctl, const ctl_heads_t *heads,
    const es_audit_verdict_t verdicts[ES_AUDIT_CHAINS])
{
    json_t    *chains;
    unsigned   i;

    chains = json_object();

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        (void) json_object_set_new(chains, es_audit_name((es_audit_chain_t) i),
                                   json_pack("{s:I, s:I, s:I}", "first",
                                             (json_int_t)
                                             verdicts[i].anchor.sequence + 1,
                                             "last", (json_int_t)
                                             verdicts[i].head.sequence,
                                             "bytes", (json_int_t)
                                             verdicts[i].bytes));

        if (!ctl->json) {
            (void) printf("%-12s entries %" PRIu64 " to %" PRIu64 "\n",
                          es_audit_name((es_audit_chain_t) i),
                          verdicts[i].anchor.sequence + 1,
                          verdicts[i].head.sequence);
        }
    }

    ctl_result(ctl, json_pack("{s:o, s:I}", "chains", chains, "signed_heads",
                              (json_int_t) heads->n));
}


int
ctl_audit_verify(ctl_t *ctl, int argc, char **argv)
{
    int                  rc;
    const char          *key = NULL, *file = NULL, *export = NULL;
    ctl_heads_t          heads = { 0 };
    es_audit_verdict_t   verdicts[ES_AUDIT_CHAINS];

    const ctl_option_t  options[] = {
        { "audit-key", &key },
        { "heads", &file },
        { "file", &export },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && export == NULL) {
        rc = ctl_open(ctl, CTL_AUDIT_READ);
    }

    if (rc == CTL_OK) {
        rc = ctl_heads_load(ctl, key, file, export, &heads);
    }

    if (rc == CTL_OK) {
        rc = export != NULL ? ctl_audit_check_file(&heads, export, verdicts)
                            : ctl_audit_check(ctl, &heads, verdicts);
    }

    if (rc == CTL_OK) {
        ctl_audit_verified(ctl, &heads, verdicts);

        if (heads.n == 0) {
            ctl_note("without --heads nothing shows whether the last entries "
                     "were removed, or all of them written anew");
        }
    }

    ctl_heads_free(&heads);

    return rc;
}


/* The newest signed heads that are not younger than the time. */

static int
ctl_audit_prune_heads(const ctl_heads_t *heads, int64_t before_ms,
    size_t *newest)
{
    bool     found;
    size_t   i;
    int64_t  ms, best_ms;

    found = false;
    best_ms = 0;

    for (i = 0; i < heads->n; i++) {
        if (es_time_parse(es_str(heads->heads[i].time), &ms) == ES_OK
            && ms <= before_ms && (!found || ms > best_ms))
        {
            found = true;
            best_ms = ms;
            *newest = i;
        }
    }

    return found ? CTL_OK
                 : ctl_fail(CTL_FAILED, "there are no signed heads from before "
                            "that time: nothing was pruned");
}


static int
ctl_audit_prune_chains(ctl_t *ctl, const ctl_heads_t *heads, size_t newest,
    const es_audit_verdict_t verdicts[ES_AUDIT_CHAINS])
{
    json_t                 *pruned;
    es_rc_t                 es;
    unsigned                i;
    const es_audit_head_t  *head;

    pruned = json_object();

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        head = &heads->heads[newest].heads[i];

        if (head->sequence <= verdicts[i].anchor.sequence) {
            continue;
        }

        es = es_audit_prune(ctl->store, (es_audit_chain_t) i, head,
                            heads->lines[newest]);
        if (es != ES_OK) {
            json_decref(pruned);
            return ctl_fail(CTL_FAILED, "%s/ cannot be pruned: %s",
                            es_audit_name((es_audit_chain_t) i),
                            es_reason(es));
        }

        (void) json_object_set_new(pruned, es_audit_name((es_audit_chain_t) i),
                                   json_integer((json_int_t)
                                                (head->sequence
                                                 - verdicts[i].anchor
                                                   .sequence)));

        if (!ctl->json) {
            (void) printf("%-12s %" PRIu64 " entries\n",
                          es_audit_name((es_audit_chain_t) i),
                          head->sequence - verdicts[i].anchor.sequence);
        }
    }

    ctl_result(ctl, json_pack("{s:o}", "pruned", pruned));

    return CTL_OK;
}


int
ctl_audit_prune(ctl_t *ctl, int argc, char **argv)
{
    int                  rc;
    size_t               newest = 0;
    int64_t              before_ms = 0;
    const char          *key = NULL, *file = NULL, *before = NULL;
    ctl_heads_t          heads = { 0 };
    es_audit_verdict_t   verdicts[ES_AUDIT_CHAINS];

    const ctl_option_t  options[] = {
        { "audit-key", &key },
        { "heads", &file },
        { "before", &before },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK) {
        rc = ctl_audit_time("before", before, &before_ms);
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, CTL_AUDIT_WRITE);
    }

    if (rc == CTL_OK) {
        rc = ctl_heads_load(ctl, key, file, NULL, &heads);
    }

    if (rc == CTL_OK) {
        rc = ctl_audit_prune_heads(&heads, before_ms, &newest);
    }

    if (rc == CTL_OK) {
        rc = ctl_audit_check(ctl, &heads, verdicts);
    }

    if (rc == CTL_OK) {
        rc = ctl_audit_prune_chains(ctl, &heads, newest, verdicts);
    }

    ctl_heads_free(&heads);

    return rc;
}
