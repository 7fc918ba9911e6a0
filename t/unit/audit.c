/* SPDX-License-Identifier: BSD-2-Clause */

/* The chains of the audit: appending, reading, verifying and pruning. */

#include <jansson.h>
#include <unistd.h>

#include "audit/audit.h"
#include "open/open.h"
#include "store/env.h"
#include "store/store.h"
#include "tap.h"

static char           dir[] = "/tmp/eventsync-audit-XXXXXX";
static es_store_t    *store;
static es_problem_t   problem;

typedef struct {
    unsigned  n;
    es_buf_t  text;
} list_t;

typedef struct {
    unsigned  number;
    es_rc_t   rc;              /* of the transaction */
} append_t;

/* Changes the n-th record behind the library's back. */
typedef struct {
    uint64_t     key;
    uint64_t     as;           /* also written under this key; 0: deleted */
    size_t       byte;         /* its lowest bit is flipped */
    bool         flip;
} damage_t;


static es_rc_t
append_run(MDB_txn *txn, void *ctx)
{
    char                name[16];
    es_rc_t             rc;
    append_t           *a = ctx;
    es_audit_change_t   change = { .action = "change", .kind = "partner" };

    (void) snprintf(name, sizeof(name), "p%u", a->number);
    change.object = es_str(name);
    change.partner = es_str(name);
    change.before = json_pack("{s:b}", "disabled", 0);
    change.after = json_pack("{s:b}", "disabled", 1);

    rc = es_audit_append(store, txn, ES_AUDIT_REGISTRY, &change);

    json_decref(change.before);
    json_decref(change.after);

    return rc == ES_OK ? a->rc : rc;
}


static es_rc_t
append(unsigned number, es_rc_t rc)
{
    append_t  a = { number, rc };

    return es_env_update(store->registry, append_run, &a);
}


static es_rc_t
list_entry(void *ctx, const es_audit_entry_t *entry)
{
    list_t  *list = ctx;

    list->n++;

    return es_buf_printf(&list->text, "%llu %.*s\n",
                         (unsigned long long) entry->sequence,
                         (int) entry->text.len, entry->text.data);
}


static unsigned
entries(es_audit_chain_t chain, const char *text, const char *name)
{
    list_t  list = { 0 };

    (void) es_audit_each(store, chain, 0, list_entry, &list);
    (void) es_buf_append(&list.text, "", 1);

    if (text != NULL) {
        ok(strstr(list.text.data, text) != NULL, "%s", name);
    }

    es_buf_free(&list.text);

    return list.n;
}


static es_rc_t
damage_run(MDB_txn *txn, void *ctx)
{
    char       copy[1000];
    es_rc_t    rc;
    MDB_dbi    dbi;
    MDB_val    key, value;
    uint64_t   big;
    damage_t  *d = ctx;

    rc = es_env_late_make(store->registry, txn, &dbi);
    big = __builtin_bswap64(d->key);
    key.mv_data = &big;
    key.mv_size = sizeof(big);

    if (rc == ES_OK) {
        rc = es_env_rc(mdb_get(txn, dbi, &key, &value));
    }

    if (rc != ES_OK) {
        return rc;
    }

    memcpy(copy, value.mv_data, value.mv_size);
    value.mv_data = copy;

    if (d->flip) {
        copy[d->byte < value.mv_size ? d->byte : value.mv_size - 1] ^= 1;
    }

    if (d->as == 0) {
        return es_env_rc(mdb_del(txn, dbi, &key, NULL));
    }

    big = __builtin_bswap64(d->as);

    return es_env_rc(mdb_put(txn, dbi, &key, &value, 0));
}


static es_rc_t
damage(uint64_t key, uint64_t as, bool flip, size_t byte)
{
    damage_t  d = { key, as, byte, flip };

    return es_env_update(store->registry, damage_run, &d);
}


/* What a forger would write in place of entry 3: other text, and the hash that
   it has behind entry 2. */

static es_rc_t
forge_entry(void *ctx, const es_audit_entry_t *entry)
{
    es_audit_head_t  *head = ctx;

    if (entry->sequence == 2) {
        head->sequence = 2;
        memcpy(head->hash, entry->hash, ES_AUDIT_HASH);
    }

    return ES_OK;
}


static es_rc_t
forge_run(MDB_txn *txn, void *ctx)
{
    char              record[ES_AUDIT_HASH + 2];
    es_rc_t           rc;
    MDB_dbi           dbi;
    MDB_val           key, value;
    uint64_t          big = __builtin_bswap64(3);
    es_audit_head_t  *head = ctx;

    rc = es_env_late_make(store->registry, txn, &dbi);
    es_audit_link(head, 3, es_lit("{}"));
    memcpy(record, head->hash, ES_AUDIT_HASH);
    memcpy(record + ES_AUDIT_HASH, "{}", 2);

    key.mv_data = &big;
    key.mv_size = sizeof(big);
    value.mv_data = record;
    value.mv_size = sizeof(record);

    return rc == ES_OK ? es_env_rc(mdb_put(txn, dbi, &key, &value, 0)) : rc;
}


static es_rc_t
verify(const es_audit_head_t *marks, size_t n)
{
    es_audit_verdict_t  verdict;

    problem.detail[0] = '\0';

    return es_audit_verify(store, ES_AUDIT_REGISTRY, marks, n, &verdict,
                           &problem);
}


static void
broken(const es_audit_head_t *marks, size_t n, const char *detail,
    const char *name)
{
    is_int(verify(marks, n), ES_CORRUPT, name);
    is_str(es_str(problem.detail), detail, "and the problem says where");
}


static void
test_append(void)
{
    uint64_t         n;
    es_actor_t       actor = { "key k3b7", "192.0.2.7" };
    es_audit_head_t  head;

    is_int(es_audit_head(store, ES_AUDIT_REGISTRY, &head, &n), ES_OK,
           "a chain without entries has a head");
    is_int((int64_t) (head.sequence + n), 0, "which is before entry 1");
    is_int(entries(ES_AUDIT_LOG, NULL, NULL), 0, "and lists nothing");
    is_int(verify(NULL, 0), ES_OK, "and is valid");

    is_int(append(1, ES_INVALID), ES_INVALID, "a change fails");
    is_int(entries(ES_AUDIT_REGISTRY, NULL, NULL), 0, "it leaves no entry");

    is_int(append(1, ES_OK), ES_OK, "a change is made");
    is_int(entries(ES_AUDIT_REGISTRY, "1 {\"time\":\"20", "times"), 2,
           "the first change has an entry, and so has the chain's beginning");
    (void) entries(ES_AUDIT_REGISTRY, "\"action\":\"begin\",\"kind\":\"audit\","
                   "\"object\":\"registry\"}\n2 ", "which says so");
    (void) entries(ES_AUDIT_REGISTRY, "\"by\":\"uid ", "the user did it");

    es_actor_set(&actor);
    is_int(append(2, ES_OK), ES_OK, "a client of HTTP makes a change");
    es_actor_set(NULL);
    (void) entries(ES_AUDIT_REGISTRY, "\"by\":\"key k3b7\",\"from\":"
                   "\"192.0.2.7\",\"action\":\"change\",\"kind\":\"partner\","
                   "\"object\":\"p2\",\"partner\":\"p2\",\"before\":"
                   "{\"disabled\":false},\"after\":{\"disabled\":true}}",
                   "the entry has its key and address");

    es_actor_program(store, "dispatcher");
    is_int(append(3, ES_OK), ES_OK, "a program makes a change");
    es_actor_program(store, NULL);
    (void) entries(ES_AUDIT_REGISTRY, "\"by\":\"dispatcher\",",
                   "the entry has its name");

    is_int(es_audit_head(store, ES_AUDIT_REGISTRY, &head, &n), ES_OK,
           "the chain has a head");
    is_int((int64_t) head.sequence, 4, "the newest entry");
    is_int((int64_t) n, 4, "and a number of entries");
    is_int(verify(&head, 1), ES_OK, "it is valid up to its head");
    is_int(entries(ES_AUDIT_DELIVERY, NULL, NULL), 0,
           "an environment that is not open has no entries");
}


/* Each damage is undone. */

static void
test_verify(void)
{
    size_t           i;
    unsigned         found = 0;
    es_audit_head_t  head, fork;

    (void) es_audit_head(store, ES_AUDIT_REGISTRY, &head, NULL);

    for (i = 0; i < 200; i++) {
        (void) damage(3, 3, true, i);
        found += verify(NULL, 0) == ES_CORRUPT;
        (void) damage(3, 3, true, i);
    }

    is_int(found, 200, "each changed byte is found");
    is_int(verify(NULL, 0), ES_OK, "an intact chain is valid again");

    (void) damage(3, 3, true, 50);
    broken(NULL, 0, "registry/: entry 3 does not match its hash", "a change");
    (void) damage(3, 3, true, 50);

    (void) damage(4, 9, false, 0);
    (void) damage(3, 4, false, 0);
    (void) damage(9, 3, false, 0);
    (void) damage(9, 0, false, 0);
    broken(NULL, 0, "registry/: entry 3 does not match its hash", "a swap");

    (void) damage(3, 9, false, 0);
    (void) damage(4, 3, false, 0);
    (void) damage(9, 4, false, 0);
    (void) damage(9, 0, false, 0);
    is_int(verify(&head, 1), ES_OK, "the swap is undone");

    (void) damage(3, 9, false, 0);
    (void) es_audit_each(store, ES_AUDIT_REGISTRY, 0, forge_entry, &fork);
    (void) es_env_update(store->registry, forge_run, &fork);
    broken(NULL, 0, "registry/: entry 4 does not match its hash",
           "an entry with a hash of its own");
    (void) damage(9, 3, false, 0);
    (void) damage(9, 0, false, 0);
    is_int(verify(&head, 1), ES_OK, "the forgery is undone");

    (void) damage(3, 9, false, 0);
    (void) damage(3, 0, false, 0);
    broken(NULL, 0, "registry/: entry 3 is missing", "a deletion");
    (void) damage(9, 3, false, 0);

    (void) damage(9, 0, false, 0);
    (void) damage(4, 0, false, 0);
    is_int(verify(NULL, 0), ES_OK, "a shorter chain is valid by itself");
    broken(&head, 1, "registry/: the chain ends at entry 3, but a signed head "
           "has entry 4", "a truncation before a signed head");

    (void) append(4, ES_OK);
    broken(&head, 1, "registry/: the signed head of entry 4 has another hash: "
           "this is another chain than the one that was signed", "a fork");

    (void) es_audit_head(store, ES_AUDIT_REGISTRY, &fork, NULL);
    is_int(verify(&fork, 1), ES_OK, "the fork is valid by its own head");
}


static void
test_prune(void)
{
    es_buf_t          text = { NULL, 0, 0 };
    unsigned          i;
    es_audit_head_t   head, wrong, anchor;
    es_audit_verdict_t  verdict;

    for (i = 0; i < 1200; i++) {
        (void) append(i, ES_OK);
    }

    (void) es_audit_head(store, ES_AUDIT_REGISTRY, &head, NULL);
    wrong = head;
    wrong.hash[0] ^= 1;

    is_int(es_audit_prune(store, ES_AUDIT_REGISTRY, &wrong, es_lit("x")),
           ES_NOT_FOUND, "a head that the chain has not prunes nothing");
    is_int(entries(ES_AUDIT_REGISTRY, NULL, NULL), 1204, "all entries stay");

    is_int(es_audit_prune(store, ES_AUDIT_REGISTRY, &head, es_lit("signed")),
           ES_OK, "the chain is pruned up to a head");
    is_int(entries(ES_AUDIT_REGISTRY, "\"action\":\"prune\",\"kind\":\"audit\","
                   "\"object\":\"registry\",\"after\":{\"anchor\":1204}}\n",
                   "an entry says so"), 1, "it is the only one");
    is_int(es_audit_anchor(store, ES_AUDIT_REGISTRY, &anchor, &text), ES_OK,
           "the chain has an anchor");
    is_int((int64_t) anchor.sequence, 1204, "which is the head");
    is_str((es_str_t) { text.data, text.len }, "signed", "with its text");
    es_buf_free(&text);

    is_int(es_audit_verify(store, ES_AUDIT_REGISTRY, &head, 1, &verdict,
                           &problem), ES_OK, "the rest is valid");
    is_int((int64_t) verdict.head.sequence, 1205, "up to its end");
    (void) append(1, ES_OK);
    is_int(verify(&head, 1), ES_OK, "and goes on from the anchor");
}


int
main(void)
{
    char  command[64];

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_ADMIN, &store, &problem) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    test_append();
    test_verify();
    test_prune();

    es_store_close(store);

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);
    (void) system(command);

    return done();
}
