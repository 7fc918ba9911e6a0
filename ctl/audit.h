/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the commands of the audit share.
 */

#ifndef CTL_AUDIT_H
#define CTL_AUDIT_H

#include <inttypes.h>

#include "audit/audit.h"
#include "audit/heads.h"
#include "ctl.h"

/* Opens all environments. */
#define CTL_AUDIT_READ   (ES_STORE_DELIVERY_READ | ES_STORE_CHECKPOINT_READ)
#define CTL_AUDIT_WRITE  (ES_STORE_PUBLISH | ES_STORE_ADMIN                   \
                          | ES_STORE_DELIVER | ES_STORE_CHECKPOINT)

/*
 * Walks all chains, merged by the time of their entries; entries of one chain
 * stay in their order.  `to` (NULL: no bounds) ends each chain at a head.
 * CTL_FAILED with a message.
 */
typedef int (*ctl_audit_fn)(void *ctx, es_audit_chain_t chain,
    const es_audit_entry_t *entry, json_t *json);

int ctl_audit_merge(ctl_t *ctl, const es_audit_head_t *to, ctl_audit_fn fn,
    void *ctx);

/* What a line of an export has before the text of its entry: the chain, the
   sequence and the hash. */
#define CTL_AUDIT_LINE                                                       \
    "{\"chain\":\"%s\",\"sequence\":%" PRIu64 ",\"hash\":\"%s\",\"entry\":"

/* The signed heads of files, sorted for es_audit_verify(). */
typedef struct {
    uint64_t           identity;   /* of the store */
    es_heads_key_t    *key;
    size_t             n;
    es_heads_t        *heads;      /* in the order of the file */
    es_str_t          *lines;      /* as they are in `text` */
    es_audit_head_t   *marks[ES_AUDIT_CHAINS];
    es_buf_t           text;       /* of both files */
    size_t             export;     /* where that of the export begins */
} ctl_heads_t;

/* Loads the key and the signed heads of the file and of the export (NULL:
   none), of which each signature must be the key's, and each store the one that
   is open, or the same if none is.  CTL_USAGE or CTL_FAILED with a message. */
int ctl_heads_load(ctl_t *ctl, const char *key, const char *file,
    const char *export, ctl_heads_t *heads);
void ctl_heads_free(ctl_heads_t *heads);

/* Verifies all chains against the heads, which may have none.  CTL_FAILED with
   a message. */
int ctl_audit_check(ctl_t *ctl, const ctl_heads_t *heads,
    es_audit_verdict_t verdicts[ES_AUDIT_CHAINS]);

/* The same for the export that was loaded, without a store. */
int ctl_audit_check_file(const ctl_heads_t *heads, const char *name,
    es_audit_verdict_t verdicts[ES_AUDIT_CHAINS]);

/* True for a line of an export that has an entry, and not signed heads. */
bool ctl_audit_is_entry(es_str_t line);

/* Lower-case hex digits and a NUL. */
void ctl_audit_hex(const uint8_t hash[ES_AUDIT_HASH],
    char out[2 * ES_AUDIT_HASH + 1]);

#endif /* CTL_AUDIT_H */
