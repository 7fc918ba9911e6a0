/* SPDX-License-Identifier: BSD-2-Clause */

/* Reads signed heads from a file, and verifies the chains of the audit against
   them. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"


void
ctl_audit_hex(const uint8_t hash[ES_AUDIT_HASH],
    char out[2 * ES_AUDIT_HASH + 1])
{
    size_t  i;

    for (i = 0; i < ES_AUDIT_HASH; i++) {
        (void) snprintf(out + 2 * i, 3, "%02x", hash[i]);
    }
}


static int
ctl_heads_read(const char *path, es_buf_t *text)
{
    int    err;
    char   piece[8192];
    FILE  *file;
    size_t n;

    file = fopen(path, "re");
    if (file == NULL) {
        return ctl_fail(CTL_FAILED, "cannot open \"%s\": %s", path,
                        strerror(errno));
    }

    errno = 0;

    while ((n = fread(piece, 1, sizeof(piece), file)) > 0) {
        if (es_buf_append(text, piece, n) != ES_OK) {
            (void) fclose(file);
            return ctl_fail(CTL_FAILED, "out of memory");
        }
    }

    err = ferror(file) ? errno : 0;
    (void) fclose(file);

    return err == 0 ? CTL_OK
                    : ctl_fail(CTL_FAILED, "cannot read \"%s\": %s", path,
                               strerror(err));
}


bool
ctl_audit_is_entry(es_str_t line)
{
    static const char  entry[] = "{\"chain\":";

    return line.len >= sizeof(entry) - 1
           && memcmp(line.data, entry, sizeof(entry) - 1) == 0;
}


static int
ctl_heads_line(ctl_t *ctl, const char *file, unsigned number, es_str_t line,
    ctl_heads_t *heads)
{
    unsigned       i;
    es_heads_t    *at;
    es_problem_t   problem;

    at = &heads->heads[heads->n];

    if (es_heads_verify(heads->key, line, at, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s:%u: %s", file, number, problem.detail);
    }

    if (heads->n == 0 && ctl->store == NULL) {
        heads->identity = at->identity;
    }

    if (at->identity != heads->identity) {
        return ctl_fail(CTL_FAILED, "%s:%u: the heads are those of another "
                        "store", file, number);
    }

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        heads->marks[i][heads->n] = at->heads[i];
    }

    heads->lines[heads->n++] = line;

    return CTL_OK;
}


static int
ctl_heads_order(const void *a, const void *b)
{
    const es_audit_head_t  *x = a, *y = b;

    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}


static int
ctl_heads_lines(ctl_t *ctl, const char *file, es_str_t text,
    ctl_heads_t *heads)
{
    int          rc;
    unsigned     number;
    es_str_t     line;
    const char  *p, *end, *stop;

    if (file == NULL) {
        return CTL_OK;
    }

    stop = text.data + text.len;
    rc = CTL_OK;

    for (p = text.data, number = 1; rc == CTL_OK && p < stop;
         p = end + 1, number++)
    {
        end = memchr(p, '\n', (size_t) (stop - p));
        end = end ? end : stop;
        line = (es_str_t) { p, (size_t) (end - p) };

        if (line.len > 0 && !ctl_audit_is_entry(line)) {
            rc = ctl_heads_line(ctl, file, number, line, heads);
        }
    }

    return rc;
}


/* Makes room for the heads of all lines. */

static int
ctl_heads_room(ctl_heads_t *heads)
{
    int     rc;
    size_t  i, lines;

    for (i = 0, lines = 2; i < heads->text.len; i++) {
        lines += heads->text.data[i] == '\n';
    }

    heads->heads = calloc(lines, sizeof(es_heads_t));
    heads->lines = calloc(lines, sizeof(es_str_t));
    rc = heads->heads && heads->lines ? CTL_OK : CTL_FAILED;

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        heads->marks[i] = calloc(lines, sizeof(es_audit_head_t));
        rc = heads->marks[i] ? rc : CTL_FAILED;
    }

    return rc == CTL_OK ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


static int
ctl_heads_files(ctl_t *ctl, const char *file, const char *export,
    ctl_heads_t *heads)
{
    int       rc;
    size_t    i;
    es_str_t  text;

    rc = file != NULL ? ctl_heads_read(file, &heads->text) : CTL_OK;
    heads->export = heads->text.len;

    if (rc == CTL_OK && export != NULL) {
        rc = ctl_heads_read(export, &heads->text);
    }

    if (rc == CTL_OK) {
        rc = ctl_heads_room(heads);
    }

    text = (es_str_t) { heads->text.data, heads->export };

    if (rc == CTL_OK) {
        rc = ctl_heads_lines(ctl, file, text, heads);
    }

    text = (es_str_t) { heads->text.data + heads->export,
                        heads->text.len - heads->export };

    if (rc == CTL_OK) {
        rc = ctl_heads_lines(ctl, export, text, heads);
    }

    if (rc == CTL_OK && heads->n == 0) {
        return ctl_fail(CTL_FAILED, "\"%s\" has no signed heads",
                        file != NULL ? file : export);
    }

    for (i = 0; rc == CTL_OK && i < ES_AUDIT_CHAINS; i++) {
        qsort(heads->marks[i], heads->n, sizeof(es_audit_head_t),
              ctl_heads_order);
    }

    return rc;
}


int
ctl_heads_load(ctl_t *ctl, const char *key, const char *file,
    const char *export, ctl_heads_t *heads)
{
    es_problem_t  problem;

    if (file == NULL && key == NULL && export == NULL) {
        return CTL_OK;
    }

    if (key == NULL) {
        return ctl_fail(CTL_USAGE, "--%s needs --audit-key, the key that "
                        "verifies %s", export != NULL ? "file" : "heads",
                        export != NULL ? "its signed heads"
                                       : "their signatures");
    }

    if (es_heads_public_load(key, &heads->key, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    heads->identity = ctl->store ? es_store_identity(ctl->store) : 0;

    return file == NULL && export == NULL
           ? CTL_OK : ctl_heads_files(ctl, file, export, heads);
}


void
ctl_heads_free(ctl_heads_t *heads)
{
    unsigned  i;

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        free(heads->marks[i]);
    }

    es_heads_key_free(heads->key);
    free(heads->heads);
    free(heads->lines);
    es_buf_free(&heads->text);
}


/* The anchor of a pruned chain is as good as the signed head that it has. */

static int
ctl_audit_check_anchor(ctl_t *ctl, es_audit_chain_t chain,
    const ctl_heads_t *heads)
{
    int              rc;
    es_rc_t          es;
    es_buf_t         text = { NULL, 0, 0 };
    es_heads_t       found;
    es_problem_t     problem;
    es_audit_head_t  anchor;

    es = es_audit_anchor(ctl->store, chain, &anchor, &text);

    if (es != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "%s/: the anchor cannot be read: %s",
                      es_audit_name(chain), es_reason(es));

    } else if (anchor.sequence == 0) {
        rc = CTL_OK;

    } else if (heads->key == NULL) {
        ctl_note("%s/: the chain was pruned up to entry %llu; --audit-key "
                 "verifies the signed head that it begins with",
                 es_audit_name(chain), (unsigned long long) anchor.sequence);
        rc = CTL_OK;

    } else if (es_heads_verify(heads->key,
                               (es_str_t) { text.data, text.len }, &found,
                               &problem) != ES_OK)
    {
        rc = ctl_fail(CTL_FAILED, "%s/: the anchor: %s", es_audit_name(chain),
                      problem.detail);

    } else if (found.identity != es_store_identity(ctl->store)
               || memcmp(&found.heads[chain].hash, anchor.hash, ES_AUDIT_HASH)
                  != 0
               || found.heads[chain].sequence != anchor.sequence)
    {
        rc = ctl_fail(CTL_FAILED, "%s/: the anchor is not the one that was "
                      "signed", es_audit_name(chain));

    } else {
        rc = CTL_OK;
    }

    es_buf_free(&text);

    return rc;
}


int
ctl_audit_check(ctl_t *ctl, const ctl_heads_t *heads,
    es_audit_verdict_t verdicts[ES_AUDIT_CHAINS])
{
    int           rc;
    unsigned      i;
    es_problem_t  problem = { 0 };

    for (i = 0, rc = CTL_OK; rc == CTL_OK && i < ES_AUDIT_CHAINS; i++) {
        rc = ctl_audit_check_anchor(ctl, (es_audit_chain_t) i, heads);

        if (rc == CTL_OK
            && es_audit_verify(ctl->store, (es_audit_chain_t) i,
                               heads->marks[i], heads->n, &verdicts[i],
                               &problem) != ES_OK)
        {
            rc = ctl_fail(CTL_FAILED, "%s", problem.detail);
        }
    }

    return rc;
}
