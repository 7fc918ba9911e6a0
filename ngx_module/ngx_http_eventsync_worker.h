/* SPDX-License-Identifier: BSD-2-Clause */

/* A store in one worker. */


#ifndef _NGX_HTTP_EVENTSYNC_WORKER_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_WORKER_H_INCLUDED_


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_group.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_polls.h"
#include "ngx_http_eventsync_status.h"
#include "ngx_http_eventsync_token.h"
#include "ngx_http_eventsync_work.h"

#include "inspect/partners.h"
#include "read/ciphertexts.h"
#include "read/encrypter.h"
#include "read/reader.h"
#include "registry/access.h"


#define NGX_HTTP_EVENTSYNC_TOKENS   256
#define NGX_HTTP_EVENTSYNC_ISSUED   256
#define NGX_HTTP_EVENTSYNC_MEMO     32
#define NGX_HTTP_EVENTSYNC_BATCHES  128
#define NGX_HTTP_EVENTSYNC_REOPEN   1000


/* a store in one worker, created after fork */

struct ngx_http_eventsync_worker_s {
    void                             *data;       /* the ..._store_t */
    ngx_connection_t                 *bell;
    es_store_t                       *es;         /* NULL: not open */
    ngx_int_t                         ident;      /* after 3 pointers, as in
                                                     ngx_connection_t */
    ngx_http_eventsync_exporter_t    *exporter;   /* of spans; NULL: off */
    char                              config[NGX_HTTP_EVENTSYNC_DIGEST_TEXT];
                                                  /* see _digest */
    es_access_t                      *access;     /* NULL: not asked for */
    uint64_t                          version;    /* last commit seen by a
                                                     wake; 0: none */
    int64_t                           clock;      /* ms: the store's time, */
    ngx_msec_t                        clocked;    /* when it was read */

    ngx_uint_t                        retired;    /* unsigned  retired:1 */
    uint32_t                          polls;      /* that wait, see
                                                     _count */
    uint32_t                          streams;
    ngx_uint_t                        claiming;   /* waiting, see _claim */
    uint64_t                          claims;     /* claims checked */
    ngx_rbtree_t                      crowds;     /* by feed, see _wake */
    ngx_rbtree_node_t                 sentinel;
    ngx_queue_t                       due;        /* crowds */
    ngx_queue_t                       expired;    /* waiters */
    ngx_event_t                       turn;       /* serves these */
    ngx_uint_t                        turns;
    uint64_t                          changes;    /* of partners and keys, at
                                                     a wake, */
    uint64_t                          issuers;    /* and of issuers' keys */
    size_t                            composed;   /* bytes, in this turn */
    ngx_event_t                       tick;
    ngx_event_t                       reopen;
    ngx_msec_t                        exiting;    /* since then */

    ngx_http_eventsync_group_t        commit;
    es_batch_t                       *batches[NGX_HTTP_EVENTSYNC_BATCHES];
    ngx_uint_t                        nbatches;   /* unused ones */
    size_t                            batches_size;

    ngx_http_eventsync_group_t        checkpoints;
    ngx_http_eventsync_work_t         works[NGX_HTTP_EVENTSYNC_WORKS];

    uint64_t                          erased;     /* events of the store, ever, */
    uint64_t                          erased_as;  /* as of this commit */

    es_page_t                         page;
    es_ciphertexts_t                 *ciphertexts;
    es_encrypter_t                    encrypter;  /* of the page */
    ngx_http_eventsync_memo_t         memo[NGX_HTTP_EVENTSYNC_MEMO];
    ngx_http_eventsync_pages_t       *pages;      /* NULL: not served */
    ngx_queue_t                       rooms;      /* of answers under way */

    ngx_http_eventsync_token_t       *tokens[NGX_HTTP_EVENTSYNC_TOKENS];
    ngx_http_eventsync_issued_t       issued[NGX_HTTP_EVENTSYNC_ISSUED];
    ngx_http_eventsync_status_t       statuses[NGX_HTTP_EVENTSYNC_STATUSES];
    es_partners_t                    *partners;   /* NULL: not asked for */
    ngx_http_eventsync_promise_t      promises[NGX_HTTP_EVENTSYNC_PROMISES];
};


ngx_int_t ngx_http_eventsync_init_process(ngx_cycle_t *cycle);
ngx_uint_t ngx_http_eventsync_retire(ngx_http_eventsync_store_t *store,
    ngx_uint_t taken, ngx_log_t *log);
void ngx_http_eventsync_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_EVENTSYNC_WORKER_H_INCLUDED_ */
