/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keys and their partners, read one by one as requests present them.
 *
 * A worker authenticates thousands of requests a second, and its event loop
 * must not wait.  So it looks up a key and its partner by two points of the
 * B-tree, and remembers both as long as no write has changed partners or keys.
 * After such a write each remembered key is compared with its record once
 * more, at its next request.  Nothing costs more with more partners.
 *
 * An object belongs to one thread.  What it has found never changes, and any
 * thread may read it.
 */

#ifndef ES_ACCESS_H
#define ES_ACCESS_H

#include "registry/registry.h"

#define ES_ACCESS_NO_KEY  '@'

typedef struct es_access  es_access_t;

/* NULL: out of memory.  The store stays open until es_access_free(). */
es_access_t *es_access_create(es_store_t *store);

/* Keys that were found stay valid until they are released. */
void es_access_free(es_access_t *access);

/*
 * Learns whether partners or keys have changed.  A memory read while nothing
 * writes to the registry, otherwise a look-up of one record.  ES_BUSY and
 * others: the registry cannot be read, so no key may be admitted.
 */
es_rc_t es_access_refresh(es_access_t *access);

/* Grows whenever es_access_refresh() or es_access_find() learns of a change of
   partners or keys. */
uint64_t es_access_changes(const es_access_t *access);

/* Finds a key as it is stored now, with its partner.  The caller releases it.
   ES_NOT_FOUND: there is no such key, or it was made in a store for trials and
   this is none, or the reverse.  ES_CORRUPT: its record or its partner's
   cannot be read. */
es_rc_t es_access_find(es_access_t *access, const char *id,
    const es_key_t **key);
void es_access_release(const es_key_t *key);

/* Whether the key's partner has a flag (flags.h), as they are stored now.
   Other outcomes than ES_OK: it cannot be read. */
es_rc_t es_access_flag(es_access_t *access, const es_key_t *key,
    es_str_t flag, bool *on);

#define ES_ACCESS_USE_MS  (3600 * 1000)

/* From now on es_access_use() records uses (used_keys.h).  Outcomes are those
   of es_used_keys_open(); without the file nothing is recorded. */
es_rc_t es_access_record(es_access_t *access);

/* Says that a key that was found is used now.  It writes to the file once an
   hour for each key, so that a request costs a comparison. */
void es_access_use(es_access_t *access, const es_key_t *key, int64_t now_ms);

/*
 * The same for a partner, for a credential that is not a key of the registry:
 * a key with the number 0, all scopes and all feeds of the partner, which never
 * expires.  Its id is ES_ACCESS_NO_KEY and the partner's number in hexadecimal,
 * so it is no key's, and each partner's is another.  ES_NOT_FOUND: there is no
 * such partner.
 */
es_rc_t es_access_find_partner(es_access_t *access, es_str_t name,
    const es_key_t **key);

#endif /* ES_ACCESS_H */
