/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The secret members of registry records, which are stored encrypted (sealed)
 * once the store has a keyring (invariant I14).
 *
 * Secrets are sealed when a record is written and opened when the registry is
 * loaded.  In between, and for a process without keys, a secret is a text that
 * es_sealed() recognizes.  The database `meta` holds the id of the key that
 * sealed last; from then on no secret is stored in plain text.
 *
 * secrets.c implements the functions on one record, rekey.c those on a store.
 */

#ifndef ES_SECRETS_H
#define ES_SECRETS_H

#include <jansson.h>

#include "base/base.h"
#include "keys/keyring.h"
#include "registry/object.h"
#include "registry/registry.h"

/*
 * Replaces each plain secret by its sealed form.  The tag of a sealed secret
 * also covers the store's identity, the record's kind, name, number and
 * partner, the member (and the name of the header), the origin of `url`, and
 * for a client secret that of `token_url`.  So a secret is of no use in another
 * record, and in its own only while it goes where it was meant to go.
 */
es_rc_t es_secrets_seal(const es_keyring_t *ring, uint64_t identity,
    es_kind_t kind, es_str_t name, json_t *object);

/* Replaces each sealed secret by its plain text, and leaves those that it
   cannot open.  ES_NOT_FOUND: the keyring (NULL: none) lacks the key of a
   secret.  ES_CORRUPT: a secret is damaged, or was sealed for another record
   or another origin. */
es_rc_t es_secrets_open(const es_keyring_t *ring, uint64_t identity,
    es_kind_t kind, es_str_t name, json_t *object);

/* Opens the sealed secrets that the change of the record from `before` to
   `object` would make useless, so that es_secrets_seal() seals them for the new
   record.  Outcomes are those of es_secrets_open(), but the first failure ends
   it. */
es_rc_t es_secrets_rebind(const es_keyring_t *ring, uint64_t identity,
    es_kind_t kind, es_str_t name, const json_t *before, json_t *object);

/* Replaces each secret of the object by `word`, and the digests of keys and
   links as well.  For a copy that people read. */
es_rc_t es_secrets_hide(es_kind_t kind, json_t *object, const char *word);

/* The number of secrets that are sealed, or of those that are not. */
unsigned es_secrets_count(es_kind_t kind, json_t *object, bool sealed);

/* The number of secrets that are not sealed under the current key. */
unsigned es_secrets_stale(const es_keyring_t *ring, es_kind_t kind,
    json_t *object);

/* Appends the id of each key that sealed one of the secrets, separated by
   blanks, without repetitions.  ES_NOMEM. */
es_rc_t es_secrets_kids(es_kind_t kind, json_t *object, es_buf_t *kids);

/* The same for all records of the registry. */
es_rc_t es_registry_kids(es_store_t *store, es_buf_t *kids);

/* True if each sealed secret of `input` is also in `stored` (NULL: nothing), in
   the same member.  A client may repeat a sealed secret but must not bring its
   own. */
bool es_secrets_known(es_kind_t kind, json_t *input, json_t *stored);

/* Checks a write.  ES_DENIED with a problem: `input` has plain secrets, and
   this process lacks the key of the store's secrets, or has no keys and the
   store does not allow plain secrets (store/plain_secrets.h). */
es_rc_t es_secrets_admit(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    json_t *input, es_problem_t *problem);

/* Seals the object that is about to be stored, if the store has keys. */
es_rc_t es_secrets_put(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t name, json_t *object);

/* The number of plain secrets of `object` that `before` has as plain ones in
   the same member. */
unsigned es_secrets_left(es_kind_t kind, json_t *before, json_t *object);

/*
 * Opens the secrets that a change of their record would make useless, so that
 * es_secrets_put() seals them anew.
 *
 * Somebody without the keys may have written a plain secret into a store that
 * does not allow them.  No change by others makes it a sealed one: `keep` is
 * then true, and es_secrets_put() must not be called.
 *
 * ES_DENIED with a problem: a secret cannot be opened here, or the change has
 * new secrets beside such a plain one.
 */
es_rc_t es_secrets_move(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t name, json_t *before, json_t *object, bool *keep,
    es_problem_t *problem);

/* Says why es_secrets_open() failed, as a sentence without a full stop.
   ES_DENIED: a secret is plain although the store does not allow it. */
const char *es_secrets_reason(es_rc_t rc);

/*
 * Verifies that a store with encrypted secrets, or one that does not allow
 * others, has none in plain text and, if
 * the store has keys, that each secret can be opened.  Calls `fn` with the
 * endpoint's name and a sentence for each fault, and adds to `faults`.
 */
typedef void (*es_secrets_fault_fn)(void *ctx, es_str_t name,
    const char *text);

es_rc_t es_verify_secrets(es_store_t *store, es_secrets_fault_fn fn,
    void *ctx, uint64_t *faults);

#endif /* ES_SECRETS_H */
