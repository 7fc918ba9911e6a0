/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Looks at the certificates of new connections, and records when they expire.
 */

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/certificates.h"

#include "certificates.h"
#include "dispatcher.h"
#include "log.h"
#include "recorder.h"
#include "send.h"
#include "target.h"
#include "trusted_clock.h"


void
esd_certificates_load(esd_dispatcher_t *d, esd_target_t *target)
{
    es_rc_t  rc;

    rc = es_delivery_certificates(d->store, target->number,
                                  target->conf->revision,
                                  &target->certificates);

    if (rc == ES_OK) {
        return;
    }

    memset(&target->certificates, 0, sizeof(es_certificates_t));

    if (rc != ES_NOT_FOUND) {
        esd_log_line(ESD_LOG_WARN, "endpoint %s: the record of its "
                     "certificates cannot be read: %s", target->name,
                     es_reason(rc));
    }
}


/* The end of its validity, at least 1, so that 0 means that none is known. */

static int64_t
esd_certificate_ms(const X509 *cert)
{
    time_t     end_s;
    struct tm  end;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) != 1) {
        return 0;
    }

    end_s = timegm(&end);

    return end_s > 0 ? (int64_t) end_s * 1000 : 1;
}


static int64_t
esd_certificate_first(STACK_OF(X509) *chain)
{
    int      i;
    int64_t  ms, first_ms;

    first_ms = 0;

    for (i = 0; i < sk_X509_num(chain); i++) {
        ms = esd_certificate_ms(sk_X509_value(chain, i));

        if (ms != 0 && (first_ms == 0 || ms < first_ms)) {
            first_ms = ms;
        }
    }

    return first_ms;
}


static es_cert_t
esd_certificate_peer(const esd_send_t *send)
{
    return send->kind == ESD_SEND_TOKEN ? ES_CERT_TOKEN : ES_CERT_RECEIVER;
}


/* A resumed session is that of the endpoint's last full handshake. */

static void
esd_certificates_recall(esd_send_t *send)
{
    es_cert_t                 peer;
    const es_certificates_t  *certificates;

    peer = esd_certificate_peer(send);
    certificates = &send->target->certificates;

    if (certificates->revision == send->revision) {
        send->handshake.peer_ms = certificates->expires_ms[peer];
        send->handshake.own_ms = certificates->expires_ms[ES_CERT_CLIENT];
        send->handshake.seen_ms = certificates->seen_ms[peer];
        send->handshake.seen_us = send->target->handshake_us[peer];
    }
}


void
esd_certificates_look(esd_send_t *send)
{
    SSL                        *ssl;
    X509                       *own;
    long                        connects;
    esd_handshake_t            *shown;
    struct curl_tlssessioninfo *tls;

    connects = 0;
    tls = NULL;

    if (send->destination.plain
        || curl_easy_getinfo(send->easy, CURLINFO_NUM_CONNECTS, &connects)
           != CURLE_OK
        || connects == 0
        || curl_easy_getinfo(send->easy, CURLINFO_TLS_SSL_PTR, &tls)
           != CURLE_OK
        || tls == NULL
        || tls->backend != CURLSSLBACKEND_OPENSSL
        || tls->internals == NULL)
    {
        return;
    }

    ssl = tls->internals;

    if (SSL_session_reused(ssl)) {
        esd_certificates_recall(send);
        return;
    }

    shown = &send->handshake;
    own = SSL_get_certificate(ssl);
    shown->peer_ms = esd_certificate_first(SSL_get0_verified_chain(ssl));
    shown->own_ms = own != NULL ? esd_certificate_ms(own) : 0;
    shown->seen_ms = esd_clock_stamp_ms(send->d);
    shown->seen_us = es_clock_mono_us();
}


/* True if the record must be written: the certificate is another one, or was
   last seen long ago. */

static bool
esd_certificate_take(es_certificates_t *certificates, es_cert_t cert,
    int64_t expires_ms, int64_t seen_ms)
{
    int64_t  ago_ms;

    ago_ms = seen_ms - certificates->seen_ms[cert];

    if (expires_ms == 0
        || (certificates->expires_ms[cert] == expires_ms
            && ago_ms >= 0 && ago_ms < ES_CERT_SEEN_MS))
    {
        return false;
    }

    certificates->expires_ms[cert] = expires_ms;
    certificates->seen_ms[cert] = seen_ms;

    return true;
}


void
esd_certificates_note(esd_send_t *send, const esd_handshake_t *shown)
{
    bool                changed;
    esd_target_t       *target;
    es_certificates_t  *certificates;

    target = send->target;
    certificates = &target->certificates;

    if (shown->seen_us == 0 || send->revision != target->revision) {
        return;
    }

    if (certificates->revision != target->revision) {
        memset(certificates, 0, sizeof(es_certificates_t));
        memset(target->handshake_us, 0, sizeof(target->handshake_us));
        certificates->endpoint = target->number;
        certificates->revision = target->revision;
    }

    /* the connection is older than another one */

    if (shown->seen_us < target->handshake_us[esd_certificate_peer(send)]) {
        return;
    }

    target->handshake_us[esd_certificate_peer(send)] = shown->seen_us;

    changed = esd_certificate_take(certificates, esd_certificate_peer(send),
                                   shown->peer_ms, shown->seen_ms);
    changed |= esd_certificate_take(certificates, ES_CERT_CLIENT,
                                    shown->own_ms, shown->seen_ms);

    if (changed) {
        esd_must(send->d, es_changeset_certificates(send->d->recorder.filling,
                                                    certificates));
        esd_recorder_touch(send->d);
    }
}


bool
esd_certificates_may_resume(const esd_send_t *send)
{
    int64_t              seen_us;
    const esd_target_t  *target;

    target = send->target;
    seen_us = target->handshake_us[esd_certificate_peer(send)];

    return send->kind != ESD_SEND_TEST
           && target->certificates.revision == target->revision
           && seen_us != 0
           && es_clock_mono_us() - seen_us < ES_CERT_SEEN_MS * INT64_C(1000);
}
