/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Signed heads: the newest entries of all chains of a store at one time, under
 * an ed25519 signature (RFC 8032).
 *
 * A chain alone shows changed, missing and moved entries.  It does not show
 * that its last entries were removed, or that all of it was written anew.  A
 * head that was signed and kept elsewhere does: the chain must still have its
 * entry, with its hash.
 *
 * Signed heads are one line of JSON:
 *
 *     {"store":"9f86d081884c7d65","time":"2026-11-23T12:00:00.123Z",
 *      "heads":{"log":{"sequence":12,"hash":"…64 hex digits…"},…},
 *      "key":"…","signature":"…base64…"}
 *
 * The signature covers this text, with a line for each chain:
 *
 *     eventsync audit heads
 *     store 9f86d081884c7d65
 *     time 2026-11-23T12:00:00.123Z
 *     log 12 …64 hex digits…
 *
 * The key is PEM as OpenSSL writes it (RFC 8410).  `key` is the SHA-256 of the
 * public key's 32 bytes.
 */

#ifndef ES_HEADS_H
#define ES_HEADS_H

#include "audit/audit.h"
#include "base/base.h"
#include "base/clock.h"

typedef struct {
    uint64_t         identity;         /* of the store */
    char             time[ES_TIME_LEN + 1];    /* NUL-terminated */
    es_audit_head_t  heads[ES_AUDIT_CHAINS];
} es_heads_t;

typedef struct es_heads_key  es_heads_key_t;

/*
 * Loads the private key that signs.  Users other than the file's owner and
 * group must have no rights to it, as keyfile.h says.  ES_IO, ES_DENIED, or
 * ES_INVALID: it is no ed25519 key; with a problem.
 */
es_rc_t es_heads_key_load(const char *path, es_heads_key_t **key,
    es_problem_t *problem);

/* Loads the public key that verifies, or a private one in its place. */
es_rc_t es_heads_public_load(const char *path, es_heads_key_t **key,
    es_problem_t *problem);

void es_heads_key_free(es_heads_key_t *key);

/* Reads the heads of all chains and the wall clock.  ES_NOT_FOUND: an
   environment is not open in this handle. */
es_rc_t es_heads_read(es_store_t *store, es_heads_t *heads);

/* Appends the signed heads as a line without its line feed.  ES_NOMEM. */
es_rc_t es_heads_sign(const es_heads_key_t *key, const es_heads_t *heads,
    es_buf_t *line);

/*
 * Signs another text under the same key, and appends the signature as a line
 * of JSON, {"key", "signature"}, without its line feed.  The text must begin
 * with what it is, as "eventsync audit heads" does, so that no signature is good
 * for two kinds of text.  ES_NOMEM.
 */
es_rc_t es_heads_sign_text(const es_heads_key_t *key, es_str_t text,
    es_buf_t *line);

/* ES_INVALID or ES_DENIED with a problem: the line is no signature, or not the
   key's signature of this text. */
es_rc_t es_heads_verify_text(const es_heads_key_t *key, es_str_t text,
    es_str_t line, es_problem_t *problem);

/* Reads a line.  ES_INVALID with a problem: it is no signed heads.  ES_DENIED
   with a problem: the signature is not that of the key. */
es_rc_t es_heads_verify(const es_heads_key_t *key, es_str_t line,
    es_heads_t *heads, es_problem_t *problem);

#endif /* ES_HEADS_H */
