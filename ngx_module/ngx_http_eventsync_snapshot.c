
/*
 * Snapshot: the latest event of each subject, in pages that are all of one
 * moment, and the cursor to tail from.
 *
 * Nothing is kept between two pages: the text that leads to the next one has
 * the moment, how far it went and a check, and the store finds what was the
 * latest then.
 */


#include "ngx_http_eventsync.h"

#include "snapshot.h"

#include <xxhash.h>


/* a page ends early when it would pass this */
#define NGX_HTTP_EVENTSYNC_SNAPSHOT_BYTES  (4 * 1024 * 1024)

/* <cursor>.<position in base64url>.<check> */
#define NGX_HTTP_EVENTSYNC_POSITION        512
#define NGX_HTTP_EVENTSYNC_CHECK           (2 * sizeof(uint64_t))


typedef struct {
    ngx_uint_t                        tombstones; /* unsigned  :1 */
    ngx_str_t                         token;      /* of the page before */
    es_cursor_t                       at;
    ngx_str_t                         position;
    u_char                            text[NGX_HTTP_EVENTSYNC_POSITION];
    ngx_buf_t                        *out;
} ngx_http_eventsync_snapshot_t;


static ngx_int_t ngx_http_eventsync_snapshot_token(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_snapshot_t *sn);
static ngx_int_t ngx_http_eventsync_snapshot_malformed(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_uint_t ngx_http_eventsync_snapshot_parse(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_snapshot_t *sn);
static uint64_t ngx_http_eventsync_snapshot_check(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_snapshot_t *sn);
static ngx_int_t ngx_http_eventsync_snapshot_read(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_snapshot_t *sn);
static ngx_int_t ngx_http_eventsync_snapshot_write(
    ngx_http_eventsync_ctx_t *ctx, const es_page_t *page, es_str_t last,
    ngx_http_eventsync_snapshot_t *sn);
static u_char *ngx_http_eventsync_snapshot_next(ngx_http_eventsync_ctx_t *ctx,
    es_str_t last, ngx_http_eventsync_snapshot_t *sn, u_char *p);


static ngx_str_t  ngx_http_eventsync_snapshot_cache_control =
    ngx_string("Cache-Control");
static ngx_str_t  ngx_http_eventsync_snapshot_no_store =
    ngx_string("no-store");


/* by default a deletion is what its type says: order.deleted */

static es_str_t  ngx_http_eventsync_deleted = { ".deleted", 8 };

ngx_array_t  ngx_http_eventsync_tombstones = {
    &ngx_http_eventsync_deleted, 1, sizeof(es_str_t), 1, NULL
};


char *
ngx_http_eventsync_tombstones_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    es_str_t    *suffix;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (elcf->tombstones != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        elcf->tombstones = NULL;
        return NGX_CONF_OK;
    }

    elcf->tombstones = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                        sizeof(es_str_t));
    if (elcf->tombstones == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "a suffix must not be empty");
            return NGX_CONF_ERROR;
        }

        suffix = ngx_array_push(elcf->tombstones);
        if (suffix == NULL) {
            return NGX_CONF_ERROR;
        }

        *suffix = ngx_http_eventsync_str(&value[i]);
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_eventsync_snapshot(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                         es;
    es_txn_t                       *txn;
    ngx_int_t                       rc;
    ngx_uint_t                      format;
    ngx_http_request_t             *r;
    ngx_http_eventsync_snapshot_t   sn;

    r = ctx->request;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx->poll = ngx_pcalloc(r->pool, sizeof(ngx_http_eventsync_poll_t));
    if (ctx->poll == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&sn, sizeof(ngx_http_eventsync_snapshot_t));

    if (ngx_http_eventsync_snapshot_args(ctx, &sn.token, &sn.tombstones)
        != NGX_OK
        || ngx_http_eventsync_snapshot_token(ctx, &sn) != NGX_OK
        || ngx_http_eventsync_authenticate(ctx) != NGX_OK
        || ngx_http_eventsync_authorize(ctx, ES_SCOPE_READ) != NGX_OK
        || ngx_http_eventsync_accept(ctx,
               &ngx_http_eventsync_page_types[NGX_HTTP_EVENTSYNC_JSON], 1,
               &format)
           != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        rc = ngx_http_eventsync_snapshot_read(ctx, txn, &sn);
        es_txn_end(txn);

    } else {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

    if (rc != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ngx_http_eventsync_header(r,
                                  &ngx_http_eventsync_snapshot_cache_control,
                                  &ngx_http_eventsync_snapshot_no_store)
        != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send(r, NGX_HTTP_OK,
               &ngx_http_eventsync_page_types[NGX_HTTP_EVENTSYNC_JSON],
               sn.out);
}


static ngx_int_t
ngx_http_eventsync_snapshot_token(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_snapshot_t *sn)
{
    if (!ctx->poll->has_page
        || ngx_http_eventsync_snapshot_parse(ctx, sn))
    {
        return NGX_OK;
    }

    return ngx_http_eventsync_snapshot_malformed(ctx);
}


static ngx_int_t
ngx_http_eventsync_snapshot_malformed(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t  name = ngx_string("page");

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                   "Parameter \"page\" is not what the page "
                                   "before gave as \"next\" for the same feed "
                                   "and \"tombstones\".");

    return ngx_http_eventsync_parameter(ctx, &name);
}


static ngx_uint_t
ngx_http_eventsync_snapshot_parse(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_snapshot_t *sn)
{
    u_char     *first, *second, *last, check[NGX_HTTP_EVENTSYNC_CHECK];
    uint64_t    hash;
    ngx_str_t   cursor, encoded;

    last = sn->token.data + sn->token.len;

    first = ngx_strlchr(sn->token.data, last, '.');
    if (first == NULL) {
        return 0;
    }

    second = ngx_strlchr(first + 1, last, '.');
    if (second == NULL || last - second - 1 != NGX_HTTP_EVENTSYNC_CHECK) {
        return 0;
    }

    cursor.data = sn->token.data;
    cursor.len = first - cursor.data;
    encoded.data = first + 1;
    encoded.len = second - encoded.data;

    sn->position.data = sn->text;

    if (es_cursor_parse(ngx_http_eventsync_str(&cursor), &sn->at) != ES_OK
        || ngx_base64_decoded_length(encoded.len) > sizeof(sn->text)
        || ngx_decode_base64url(&sn->position, &encoded) != NGX_OK
        || sn->position.len == 0)
    {
        return 0;
    }

    hash = ngx_http_eventsync_snapshot_check(ctx, sn);
    (void) ngx_hex_dump(check, (u_char *) &hash, sizeof(hash));

    return ngx_memcmp(check, second + 1, NGX_HTTP_EVENTSYNC_CHECK) == 0;
}


/*
 * Against accidents: whoever makes up a position finds but what he may read.
 * By the store's identity, which is shown to nobody, so that none is made up.
 */

static uint64_t
ngx_http_eventsync_snapshot_check(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_snapshot_t *sn)
{
    uint64_t  hash;

    hash = XXH3_64bits_withSeed(ctx->feed.data, ctx->feed.len,
                                sn->at.sequence
                                ^ es_store_identity(ctx->worker->es));
    hash = XXH3_64bits_withSeed(sn->at.epoch, ngx_strlen(sn->at.epoch),
                                hash + sn->tombstones);

    return XXH3_64bits_withSeed(sn->position.data, sn->position.len, hash);
}


static ngx_int_t
ngx_http_eventsync_snapshot_read(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_snapshot_t *sn)
{
    es_rc_t                      es;
    es_str_t                     last;
    es_feed_t                    feed;
    es_page_t                   *page;
    ngx_array_t                 *without;
    ngx_http_eventsync_charge_t  charge;

    page = &ctx->worker->page;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (!ctx->poll->has_page) {
        ngx_memcpy(sn->at.epoch, feed.epoch, sizeof(feed.epoch));
        sn->at.sequence = feed.last;

    } else if (ngx_http_eventsync_check(ctx, &feed, &sn->at) != NGX_OK) {
        return NGX_DECLINED;
    }

    charge.policy = ES_POLICY_POLL;
    charge.cost = 1;

    if (ngx_http_eventsync_limit(ctx, &charge, 1) != NGX_OK) {
        return NGX_DECLINED;
    }

    without = sn->tombstones ? NULL : ctx->conf->tombstones;

    es = es_snapshot_page(txn, &feed, sn->at.sequence,
                          ngx_http_eventsync_str(&sn->position),
                          without ? without->elts : NULL,
                          without ? without->nelts : 0, ctx->poll->limit,
                          NGX_HTTP_EVENTSYNC_SNAPSHOT_BYTES, page, &last);

    if (es == ES_INVALID) {
        return ngx_http_eventsync_snapshot_malformed(ctx);
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    return ngx_http_eventsync_snapshot_write(ctx, page, last, sn);
}


static ngx_int_t
ngx_http_eventsync_snapshot_write(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page, es_str_t last, ngx_http_eventsync_snapshot_t *sn)
{
    size_t      len;
    ngx_buf_t  *b;

    len = sizeof("{\"events\":[],\"cursor\":\"\",\"next\":\"..\"}") - 1
          + 2 * ES_CURSOR_MAX + ngx_base64_encoded_length(last.len)
          + NGX_HTTP_EVENTSYNC_CHECK + page->bytes;

    b = ngx_create_temp_buf(ctx->request->pool, len);
    if (b == NULL) {
        return NGX_DECLINED;
    }

    b->last = ngx_cpymem(b->last, "{\"events\":[", 11);
    b->last = (u_char *) es_page_copy(page, (char *) b->last);
    b->last = ngx_cpymem(b->last, "],\"cursor\":\"", 12);
    b->last += es_cursor_print(sn->at.epoch, sn->at.sequence,
                               (char *) b->last);

    if (page->has_more) {
        b->last = ngx_cpymem(b->last, "\",\"next\":\"", 10);
        b->last = ngx_http_eventsync_snapshot_next(ctx, last, sn, b->last);
        b->last = ngx_cpymem(b->last, "\"}", 2);

    } else {
        b->last = ngx_cpymem(b->last, "\",\"next\":null}", 14);
    }

    sn->out = b;

    return NGX_OK;
}


static u_char *
ngx_http_eventsync_snapshot_next(ngx_http_eventsync_ctx_t *ctx, es_str_t last,
    ngx_http_eventsync_snapshot_t *sn, u_char *p)
{
    uint64_t   hash;
    ngx_str_t  encoded;

    sn->position.data = (u_char *) last.data;
    sn->position.len = last.len;

    p += es_cursor_print(sn->at.epoch, sn->at.sequence, (char *) p);
    *p++ = '.';

    encoded.data = p;
    ngx_encode_base64url(&encoded, &sn->position);

    p += encoded.len;
    *p++ = '.';

    hash = ngx_http_eventsync_snapshot_check(ctx, sn);

    return ngx_hex_dump(p, (u_char *) &hash, sizeof(hash));
}
