/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads a receiver's answer: the header fields that have a meaning, and the
 * first bytes of the body, which are stored with the attempt.
 */

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/base.h"
#include "base/decode.h"
#include "registry/registry.h"

#include "response.h"
#include "send.h"
#include "trickle.h"


size_t
esd_response_body(char *data, size_t size, size_t n, void *ctx)
{
    size_t       room;
    esd_send_t  *send;

    send = ctx;
    n *= size;

    room = sizeof(send->first) - send->first_len;
    room = n < room ? n : room;
    memcpy(send->first + send->first_len, data, room);
    send->first_len += (unsigned) room;

    send->read_bytes += n;

    if ((send->kind == ESD_SEND_TOKEN || send->kind == ESD_SEND_CHALLENGE)
        && send->read_bytes <= ESD_BODY_READ
        && es_buf_append(&send->answer, data, n) != ES_OK)
    {
        return 0;
    }

    return send->read_bytes > ESD_BODY_READ ? 0 : n;
}


/* Copies the value of a header line of this name, without the blanks around it.
   False: another name, or the value is too long for `out`. */

static bool
esd_response_value(const char *line, size_t n, es_str_t name, char *out,
    size_t size)
{
    if (n <= name.len
        || line[name.len] != ':'
        || strncasecmp(line, name.data, name.len) != 0)
    {
        return false;
    }

    line += name.len + 1;
    n -= name.len + 1;

    while (n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }

    while (n > 0 && (unsigned char) line[n - 1] <= ' ') {
        n--;
    }

    if (n >= size) {
        return false;
    }

    memcpy(out, line, n);
    out[n] = '\0';

    return true;
}


/* A status line must have exactly three digits, which old versions of libcurl
   do not check.  True for all other lines. */

static bool
esd_response_status_ok(const char *line, size_t n)
{
    size_t       i;
    const char  *digits;

    if (n < 5 || memcmp(line, "HTTP/", 5) != 0) {
        return true;
    }

    digits = memchr(line, ' ', n);
    n -= digits ? (size_t) (digits - line) : n;

    for (i = 1; i < n && digits[i] >= '0' && digits[i] <= '9'; i++) {
        /* void */
    }

    return i == 4 && (n == 4 || (unsigned char) digits[4] <= ' ');
}


/* A value that is too long names another sender. */

static void
esd_response_allowed(esd_send_t *send, const char *line, size_t n)
{
    es_str_t  name;

    name = es_lit("webhook-allowed-origin");

    if (!esd_response_value(line, n, name, send->allowed,
                            sizeof(send->allowed))
        && n > name.len
        && line[name.len] == ':'
        && strncasecmp(line, name.data, name.len) == 0)
    {
        (void) snprintf(send->allowed, sizeof(send->allowed), "?");
    }
}


size_t
esd_response_header(char *data, size_t size, size_t n, void *ctx)
{
    char         value[32];
    esd_send_t  *send;

    send = ctx;
    n *= size;

    send->header_bytes += n;

    if (send->header_bytes > ESD_HEADERS_READ) {
        send->overflow = true;
        return 0;
    }

    if (send->simulate == ES_SIMULATE_RESET) {
        return 0;
    }

    if (n == 0) {
        return n;
    }

    if (data[0] == '\r' || data[0] == '\n') {
        esd_trickle_begin(send);
        return n;
    }

    if (!esd_response_status_ok(data, n)) {
        send->overflow = true;
        return 0;
    }

    switch (data[0] | 0x20) {

    case 'c':
        if (esd_response_value(data, n, es_str("content-encoding"), value,
                               sizeof(value))
            && strcasecmp(value, "identity") != 0)
        {
            (void) snprintf(send->coding, sizeof(send->coding), "%s",
                            value);
        }

        break;

    case 'r':
        (void) esd_response_value(data, n, es_str("retry-after"),
                                  send->retry_after,
                                  sizeof(send->retry_after));
        break;

    case 'w':
        if (esd_response_value(data, n, es_str("webhook-delivery"), value,
                               sizeof(value)))
        {
            send->disable |= strcasecmp(value, "disable") == 0;
            send->abort |= strcasecmp(value, "abort") == 0;
        }

        if (send->kind == ESD_SEND_HANDSHAKE) {
            esd_response_allowed(send, data, n);
        }

        break;
    }

    return n;
}


/* A server may choose a content coding that was not requested (RFC 9110,
   section 12.5.3). */

json_t *
esd_response_json(const esd_send_t *send)
{
    json_t        *answer;
    es_str_t       unknown;
    es_buf_t       text;
    es_codings_t   codings;
    es_problem_t   problem;

    memset(&codings, 0, sizeof(codings));
    memset(&text, 0, sizeof(text));

    if (es_codings_add(&codings, es_str(send->coding), &unknown) != ES_OK
        || es_decode(&codings,
                     (es_str_t) { send->answer.data, send->answer.len },
                     ESD_BODY_READ, &text, &problem)
           != ES_OK)
    {
        return NULL;
    }

    answer = json_loadb(text.data, text.len, 0, NULL);

    OPENSSL_cleanse(text.data, text.len);
    es_buf_free(&text);

    return answer;
}
