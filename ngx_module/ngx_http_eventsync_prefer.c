/* SPDX-License-Identifier: BSD-2-Clause */

/* The header field Prefer (RFC 7240). */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_publish.h"


static ngx_uint_t ngx_http_eventsync_prefer_next(ngx_str_t *rest,
    ngx_str_t *item, u_char separator);
static ngx_uint_t ngx_http_eventsync_prefer_is(ngx_str_t *text,
    const char *word);


/*
 * Whether the request prefers "name=value". Of a preference that is given more
 * than once, the first counts; parameters behind it are ignored.
 */

ngx_uint_t
ngx_http_eventsync_prefers(ngx_http_eventsync_ctx_t *ctx, const char *name,
    const char *value)
{
    ngx_str_t         rest, item, preference, key;
    ngx_table_elt_t  *h;

    static ngx_str_t  header = ngx_string("prefer");

    for (h = ngx_http_eventsync_header_in(ctx->request, &header, NULL);
         h;
         h = ngx_http_eventsync_header_in(ctx->request, &header, h))
    {
        rest = h->value;

        while (ngx_http_eventsync_prefer_next(&rest, &item, ',')) {

            if (!ngx_http_eventsync_prefer_next(&item, &preference, ';')
                || !ngx_http_eventsync_prefer_next(&preference, &key, '=')
                || !ngx_http_eventsync_prefer_is(&key, name))
            {
                continue;
            }

            return ngx_http_eventsync_prefer_is(&preference, value);
        }
    }

    return 0;
}


/* takes the text up to the separator, which is none within quotes */

static ngx_uint_t
ngx_http_eventsync_prefer_next(ngx_str_t *rest, ngx_str_t *item,
    u_char separator)
{
    u_char      *p, *last;
    ngx_uint_t   quoted;

    if (rest->len == 0) {
        return 0;
    }

    quoted = 0;
    last = rest->data + rest->len;

    for (p = rest->data; p < last; p++) {

        if (*p == '"') {
            quoted = !quoted;

        } else if (quoted && *p == '\\' && p + 1 < last) {
            p++;

        } else if (!quoted && *p == separator) {
            break;
        }
    }

    item->data = rest->data;
    item->len = p - rest->data;

    p += (p < last);

    rest->data = p;
    rest->len = last - p;

    return 1;
}


/* compares a token or quoted-string, without the blanks around it */

static ngx_uint_t
ngx_http_eventsync_prefer_is(ngx_str_t *text, const char *word)
{
    size_t   len;
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (p < last && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    if (last - p > 1 && *p == '"' && last[-1] == '"') {
        p++;
        last--;
    }

    len = ngx_strlen(word);

    return (size_t) (last - p) == len
           && ngx_strncasecmp(p, (u_char *) word, len) == 0;
}
