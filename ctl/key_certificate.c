/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The options of "key create" that name a client certificate, with which a
 * partner authenticates in place of an API key or besides one.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "key_certificate.h"
#include "keys/peer_cert.h"
#include "registry/member.h"


/* Reads SHA-256 as openssl prints it, with or without colons. */

static int
ctl_key_fingerprint(const char *text, uint8_t sha256[ES_DIGEST_LEN])
{
    char         digits[2 * ES_DIGEST_LEN];
    size_t       n = 0;
    const char  *p;

    for (p = text; *p != '\0' && n < sizeof(digits); p++) {
        if (*p != ':') {
            digits[n++] = (char) tolower((unsigned char) *p);
        }
    }

    return *p == '\0' && es_digest_parse((es_str_t) { digits, n }, sha256)
           ? CTL_OK
           : ctl_fail(CTL_USAGE, "\"--fingerprint=%s\" is not SHA-256 in 64 "
                      "hexadecimal digits", text);
}


static int
ctl_key_file(const char *path, uint8_t sha256[ES_DIGEST_LEN])
{
    switch (es_peer_cert_file(path, sha256)) {
    case ES_OK:
        return CTL_OK;
    case ES_NOT_FOUND:
        return ctl_fail(CTL_FAILED, "cannot open \"%s\": %s", path,
                        strerror(errno));
    default:
        return ctl_fail(CTL_FAILED, "\"%s\" has no certificate in PEM", path);
    }
}


bool
ctl_certificate_given(const ctl_certificate_args_t *a)
{
    return a->file != NULL || a->fingerprint != NULL || a->issuer != NULL
           || a->subject != NULL || a->uri != NULL;
}


int
ctl_certificate_read(const ctl_certificate_args_t *a, es_apikey_t *key)
{
    int       rc;
    uint8_t   sha256[ES_DIGEST_LEN];
    es_str_t  issuer = a->issuer ? es_str(a->issuer) : es_null_str;

    if ((a->file != NULL) + (a->fingerprint != NULL) + (a->subject != NULL)
        + (a->uri != NULL) != 1)
    {
        return ctl_fail(CTL_USAGE, "a certificate is named by one of "
                        "\"--certificate\", \"--fingerprint\", \"--subject\" "
                        "and \"--uri\"");
    }

    if (a->uri != NULL) {
        es_peer_cert_uri(issuer, es_str(a->uri), key);
        return CTL_OK;
    }

    if (a->subject != NULL) {
        es_peer_cert_subject(issuer, es_str(a->subject), key);
        return a->issuer != NULL
               ? CTL_OK
               : ctl_fail(CTL_USAGE, "\"--subject\" needs \"--issuer\"");
    }

    if (a->issuer != NULL) {
        return ctl_fail(CTL_USAGE, "\"--issuer\" goes with \"--subject\" and "
                        "\"--uri\"");
    }

    rc = a->file != NULL ? ctl_key_file(a->file, sha256)
                         : ctl_key_fingerprint(a->fingerprint, sha256);
    if (rc == CTL_OK) {
        es_peer_cert_fingerprint(sha256, key);
    }

    return rc;
}


json_t *
ctl_certificate_member(const ctl_certificate_args_t *a, const char *digest)
{
    return a->uri == NULL && a->subject == NULL
           ? json_pack("{s:s}", "sha256", digest)
           : json_pack("{s:s*, s:s*, s:s*}", "issuer", a->issuer, "subject",
                       a->subject, "uri", a->uri);
}
