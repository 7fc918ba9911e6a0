/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hides the secrets of a request in the answer to it.
 *
 * Some receivers answer with the request that they got, for example to show
 * what was wrong with it, and the first bytes of an answer are stored.  The
 * lines of the head are those that were sent, also when the endpoint has others
 * by now.
 */

#include <string.h>

#include "base/base.h"

#include "redact.h"
#include "send.h"
#include "target.h"

#define ESD_REDACT_MIN  8


static void
esd_redact_value(char *text, size_t len, bool cut, es_str_t value)
{
    char    *found, *end;
    size_t   n;

    if (value.len < ESD_REDACT_MIN) {
        return;
    }

    end = text + len;
    found = text;

    while ((found = memmem(found, (size_t) (end - found), value.data,
                           value.len))
           != NULL)
    {
        memset(found, '*', value.len);
        found += value.len;
    }

    n = value.len - 1 < len ? value.len - 1 : len;

    for ( /* void */ ; cut && n >= ESD_REDACT_MIN; n--) {
        if (memcmp(end - n, value.data, n) == 0) {
            memset(end - n, '*', n);
            return;
        }
    }
}


/* A value of Authorization begins with its scheme, which is no secret, and a
   receiver may send back the rest alone. */

static void
esd_redact_line(char *text, size_t len, bool cut, es_str_t line)
{
    size_t       n;
    const char  *colon, *space;

    colon = memchr(line.data, ':', line.len);
    if (colon == NULL) {
        return;
    }

    n = line.len - (size_t) (colon + 1 - line.data);
    line = (es_str_t) { colon + 1, n };

    while (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) {
        line.data++;
        line.len--;
    }

    space = memchr(line.data, ' ', line.len);

    if (space != NULL) {
        n = line.len - (size_t) (space + 1 - line.data);
        esd_redact_value(text, len, cut, (es_str_t) { space + 1, n });
    }

    esd_redact_value(text, len, cut, line);
}


/* Lines that end with CRLF; the last one ends with a NUL. */

static void
esd_redact_lines(char *text, size_t len, bool cut, const char *lines)
{
    size_t  n;

    while (*lines != '\0') {
        n = strcspn(lines, "\r\n");
        esd_redact_line(text, len, cut, (es_str_t) { lines, n });
        lines += n;
        lines += strspn(lines, "\r\n");
    }
}


void
esd_redact(const esd_send_t *send, char *text, size_t len, bool cut)
{
    if (len == 0) {
        return;
    }

    if (send->own != NULL) {
        esd_redact_lines(text, len, cut, send->own);
    }

    if (send->auth.len > 0) {
        esd_redact_lines(text, len, cut, send->auth.data);
    }

    if (send->kind == ESD_SEND_TOKEN) {
        esd_redact_value(text, len, cut,
                         send->target->conf->oauth.client_secret);
    }
}
