/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads a receiver's answer: the header fields that have a meaning, and the
 * first bytes of the body, which are stored with the attempt. libcurl parses
 * the fields.
 */

#include <curl/curl.h>
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


size_t
esd_response_header(char *data, size_t size, size_t n, void *ctx)
{
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

    return n;
}


const char *
esd_response_field(const esd_send_t *send, const char *name, size_t index)
{
    struct curl_header  *field;

    if (curl_easy_header(send->easy, name, index, CURLH_HEADER, -1, &field)
        != CURLHE_OK)
    {
        return NULL;
    }

    /* libcurl 7.88 leaves the line end of a value that begins folded */

    return field->value + strspn(field->value, " \t\r\n");
}


bool
esd_response_says(const esd_send_t *send, const char *word)
{
    size_t       i;
    const char  *value;

    for (i = 0; ; i++) {
        value = esd_response_field(send, "webhook-delivery", i);

        if (value == NULL || strcasecmp(value, word) == 0) {
            return value != NULL;
        }
    }
}


const char *
esd_response_coding(const esd_send_t *send)
{
    const char  *value;

    value = esd_response_field(send, "content-encoding", 0);

    return value == NULL || strcasecmp(value, "identity") == 0 ? "" : value;
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

    if (es_codings_add(&codings, es_str(esd_response_coding(send)), &unknown) != ES_OK
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
