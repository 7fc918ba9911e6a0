/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Inside of the registry: which members of its objects are secret,
 * and how they are kept: encrypted, if the store has been given a keyring.
 *
 * An object is sealed where it is written and opened where a picture of the
 * registry is loaded; in between, and for who has no keys, a secret is a text
 * that es_sealed() knows.  The database `meta` has the id of the key that
 * sealed last; from then on no secret is stored in plain text.
 */

#ifndef ES_SECRETS_H
#define ES_SECRETS_H

#include <jansson.h>

#include "base/base.h"
#include "keys/keyring.h"
#include "registry/object.h"
#include "registry/registry.h"

/* Replaces each plain secret by its sealed form.  Those that are sealed stay
   as they are. */
es_rc_t es_secrets_seal(const es_keyring_t *ring, es_kind_t kind,
    es_str_t name, json_t *object);

/* Replaces each sealed secret by its plain text.  ES_NOT_FOUND: some stay
   because the keyring (NULL: none) has not their key; ES_CORRUPT: because they
   are damaged or those of another object. */
es_rc_t es_secrets_open(const es_keyring_t *ring, es_kind_t kind,
    es_str_t name, json_t *object);

/* How many there are, sealed or not. */
unsigned es_secrets_count(es_kind_t kind, json_t *object, bool sealed);

/* How many are not sealed under the key that encrypts now. */
unsigned es_secrets_stale(const es_keyring_t *ring, es_kind_t kind,
    json_t *object);

/* Appends the id of each key that sealed one of them, with a blank between,
   unless it is in `kids` already.  ES_NOMEM. */
es_rc_t es_secrets_kids(es_kind_t kind, json_t *object, es_buf_t *kids);

/* The same of all that the registry has. */
es_rc_t es_registry_kids(es_store_t *store, es_buf_t *kids);

/* Whether each sealed secret of `input` stands in `stored` (NULL: nothing)
   as well: nobody makes them but the library. */
bool es_secrets_known(es_kind_t kind, json_t *input, json_t *stored);

/* Judges a write: fails with a problem if `input` brings plain secrets into a
   store whose secrets are encrypted, and the keys are not at hand. */
es_rc_t es_secrets_admit(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    json_t *input, es_problem_t *problem);

/* Seals the object that is about to be stored, if the store has keys. */
es_rc_t es_secrets_put(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t name, json_t *object);

/*
 * Proves that no secret is in plain text in a store that has encrypted ones,
 * and, if the store has keys, that each can be opened.  Calls `fn` with the
 * endpoint's name and a sentence for each that cannot.
 */
typedef void (*es_secrets_fault_fn)(void *ctx, es_str_t name,
    const char *text);

es_rc_t es_verify_secrets(es_store_t *store, es_secrets_fault_fn fn,
    void *ctx, uint64_t *faults);

#endif /* ES_SECRETS_H */
