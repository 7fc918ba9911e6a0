/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One write to the registry, as registry.c, write_check.c and write_quota.c
 * share it.
 */

#ifndef ES_WRITE_H
#define ES_WRITE_H

#include <jansson.h>

#include "registry/registry.h"
#include "store/store.h"

typedef enum { ES_OP_CREATE, ES_OP_CHANGE, ES_OP_REMOVE } es_op_t;

/* One write.  es_env_update() may run the transaction's function again. */
typedef struct {
    es_store_t       *store;
    es_op_t           op;
    es_kind_t         kind;
    es_str_t          name;
    json_t           *input;       /* members to set; NULL: the record is
                                      removed */
    es_problem_t     *problem;
    const es_edit_t  *edit;        /* NULL: none */
    const char       *made_by;     /* id of the key that creates an endpoint;
                                      NULL: an operator does */
    bool              keep;        /* leave plain secrets as they are */
    json_t           *before;      /* for the audit: the record as it was ... */
    json_t           *after;       /* ... and as it is now; NULL: no record */
} es_write_t;

/* registry.c: the write within a transaction of the registry, with its entry in
   the audit.  The caller calls es_write_audit_end() afterwards. */
es_rc_t es_write_within(es_write_t *w, MDB_txn *txn);

/* Each check sets a problem when it fails. */

/* Decodes the new record as readers will, and checks that the partner and the
   feed that it names exist.  ES_INVALID. */
es_rc_t es_write_check(es_write_t *w, MDB_txn *txn, json_t *object);

/* ES_DENIED with the pointer "/made_by": the key of `made_by` is not valid any
   more.  So no endpoint of a key appears after the key was revoked. */
es_rc_t es_write_check_maker(es_write_t *w, MDB_txn *txn);

/* The partner of a record and the digest of a key cannot change, except the
   digest of a link that is redeemed.  ES_INVALID. */
es_rc_t es_write_check_fixed(es_write_t *w, json_t *object);

/* A partner that has a record of this kind cannot be removed.  ES_CONFLICT. */
es_rc_t es_write_check_unused(es_write_t *w, MDB_txn *txn, es_kind_t kind);

/* write_quota.c: for keys and endpoints.  ES_QUOTA: the partner has as many
   records of the kind as its quota allows. */
es_rc_t es_write_check_count(es_write_t *w, MDB_txn *txn,
    const json_t *object);

/* The same with the record's text of `len` bytes, and the bytes of all keys and
   endpoints.  A record that does not grow is never refused. */
es_rc_t es_write_check_bytes(es_write_t *w, MDB_txn *txn, const json_t *object,
    size_t len);

/* write_audit.c: appends the entry of the write, with the members that it has
   changed and without secrets. */
es_rc_t es_write_audit(es_write_t *w, MDB_txn *txn);

/* Forgets `before` and `after`. */
void es_write_audit_end(es_write_t *w);

#endif /* ES_WRITE_H */
