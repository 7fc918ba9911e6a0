/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks of where the endpoints are: the names of their hosts, the dispatcher's
 * rules for addresses, connections, and certificates.
 *
 * A connection is made, with the TLS handshake, and no request is sent.
 */

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "destination.h"
#include "doctor.h"

#define DOCTOR_REACHED     100         /* endpoints, unless some are named */
#define DOCTOR_CONNECT_MS  5000
#define DOCTOR_EXPIRES_S   (14L * 24 * 3600)
#define DOCTOR_PATH_MAX    4096

/* One endpoint while it is checked. */
typedef struct {
    ctl_doctor_t         *d;
    const es_endpoint_t  *endpoint;
    ctl_destination_t     destination;
    es_buf_t              allowed;     /* addresses, with commas */
} ctl_reach_t;


static json_t *
ctl_doctor_at(const ctl_reach_t *r, json_t *check)
{
    ctl_finding_set(check, "endpoint", r->endpoint->name.data);

    return check;
}


/* ---- certificates ---- */

static const char *
ctl_doctor_tls_file(const ctl_reach_t *r, es_str_t name,
    char path[DOCTOR_PATH_MAX])
{
    (void) snprintf(path, DOCTOR_PATH_MAX, "%s/%.*s", r->d->dispatcher.tls_dir,
                    (int) name.len, name.data);

    return path;
}


/* Says when a certificate ends.  `whose` begins the sentence. */

static void
ctl_doctor_expiry(const ctl_reach_t *r, const char *whose, time_t end)
{
    char               text[ES_TIME_LEN + 1];
    time_t             left;
    json_t            *check;
    ctl_check_state_t  state;

    left = end - es_clock_ms() / 1000;
    state = left <= 0 ? CTL_CHECK_FAIL
            : left < DOCTOR_EXPIRES_S ? CTL_CHECK_WARN : CTL_CHECK_OK;

    check = ctl_doctor_at(r, ctl_check(r->d, "certificate", state, "%s %s at "
                                       "%s", whose,
                                       left <= 0 ? "expired" : "expires",
                                       ctl_finding_time((int64_t) end * 1000,
                                                        text)));

    if (state != CTL_CHECK_OK) {
        ctl_finding_next(check, "renew the certificate");
    }
}


static void
ctl_doctor_client_cert(const ctl_reach_t *r)
{
    char        path[DOCTOR_PATH_MAX];
    X509       *cert;
    FILE       *file;
    json_t     *check;
    struct tm   tm = { 0 };

    if (r->endpoint->client_cert.len == 0) {
        return;
    }

    file = fopen(ctl_doctor_tls_file(r, r->endpoint->client_cert, path), "re");
    cert = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

    if (file != NULL) {
        (void) fclose(file);
    }

    if (cert == NULL) {
        check = ctl_check(r->d, "certificate", CTL_CHECK_FAIL, "the client "
                          "certificate \"%s\" cannot be read", path);
        ctl_finding_next(ctl_doctor_at(r, check), "put a certificate in PEM "
                         "there, or: eventsyncctl endpoint change %s "
                         "--client-cert=", r->endpoint->name.data);
        return;
    }

    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1) {
        ctl_doctor_expiry(r, "the client certificate", timegm(&tm));
    }

    X509_free(cert);
}


/* ---- addresses ---- */

/* Collects the addresses that the dispatcher may connect to.  False: there is
   none, and a check says so. */

static bool
ctl_doctor_addresses(ctl_reach_t *r, const struct addrinfo *all)
{
    char                     text[INET6_ADDRSTRLEN];
    bool                     own, v6;
    json_t                  *list;
    ctl_refusal_t            refusal, first;
    const struct addrinfo   *one;

    first = CTL_ALLOWED;
    list = json_array();

    for (one = all; one != NULL; one = one->ai_next) {
        refusal = ctl_destination_refusal(&r->d->dispatcher, r->endpoint,
                                          &r->destination, one->ai_addr, &own);

        if (refusal != CTL_ALLOWED && first == CTL_ALLOWED) {
            first = refusal;
            (void) ctl_destination_finding(list, refusal, own, r->endpoint,
                                           &r->destination, one->ai_addr);
        }

        if (refusal == CTL_ALLOWED) {
            v6 = one->ai_family == AF_INET6;
            (void) es_buf_printf(&r->allowed, "%s%s%s%s",
                                 r->allowed.len > 0 ? "," : "", v6 ? "[" : "",
                                 ctl_destination_text(one->ai_addr, text),
                                 v6 ? "]" : "");
        }
    }

    if (r->allowed.len == 0 && json_array_size(list) > 0) {
        (void) json_array_append(r->d->checks, json_array_get(list, 0));
        (void) ctl_doctor_at(r, ctl_check_named(r->d, "address",
                                                CTL_CHECK_FAIL,
                                                json_array_get(list, 0)));
    }

    json_decref(list);

    return r->allowed.len > 0;
}


static bool
ctl_doctor_resolve(ctl_reach_t *r)
{
    int               rc;
    bool              ok;
    char              port[16];
    struct addrinfo  *all, hints = { .ai_socktype = SOCK_STREAM };

    (void) snprintf(port, sizeof(port), "%u", r->destination.port);
    rc = getaddrinfo(r->destination.host, port, &hints, &all);

    if (rc != 0) {
        ctl_finding_next(ctl_doctor_at(r, ctl_check(r->d, "dns",
                                                    CTL_CHECK_FAIL, "%s: %s",
                                                    r->destination.host,
                                                    gai_strerror(rc))),
                         "getent ahosts %s", r->destination.host);
        return false;
    }

    ok = ctl_doctor_addresses(r, all);
    freeaddrinfo(all);

    return ok;
}


/* ---- connections ---- */

static void
ctl_doctor_curl_tls(const ctl_reach_t *r, CURL *curl)
{
    char                  path[DOCTOR_PATH_MAX];
    es_str_t              key;
    const es_endpoint_t  *e;

    e = r->endpoint;

    if (e->ca_file.len > 0) {
        (void) curl_easy_setopt(curl, CURLOPT_CAINFO,
                                ctl_doctor_tls_file(r, e->ca_file, path));

    } else if (r->d->dispatcher.ca_file != NULL) {
        (void) curl_easy_setopt(curl, CURLOPT_CAINFO, r->d->dispatcher.ca_file);
    }

    if (e->client_cert.len > 0) {
        key = e->client_key.len > 0 ? e->client_key : e->client_cert;
        (void) curl_easy_setopt(curl, CURLOPT_SSLCERT,
                                ctl_doctor_tls_file(r, e->client_cert, path));
        (void) curl_easy_setopt(curl, CURLOPT_SSLKEY,
                                ctl_doctor_tls_file(r, key, path));
    }

    (void) curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
}


/* The receiver's own certificate comes first. */

static void
ctl_doctor_server_cert(const ctl_reach_t *r, CURL *curl)
{
    time_t                     end;
    struct curl_slist         *line;
    struct curl_certinfo      *info;

    if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK
        || info == NULL || info->num_of_certs == 0)
    {
        return;
    }

    for (line = info->certinfo[0]; line != NULL; line = line->next) {
        if (strncmp(line->data, "Expire date:", 12) == 0) {
            end = curl_getdate(line->data + 12, NULL);

            if (end != -1) {
                ctl_doctor_expiry(r, "the receiver's certificate", end);
            }
        }
    }
}


static void
ctl_doctor_connected(const ctl_reach_t *r, CURL *curl, CURLcode rc,
    const char *error)
{
    json_t      *check;
    curl_off_t   took_us;

    if (rc == CURLE_OK) {
        took_us = 0;
        (void) curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &took_us);
        (void) ctl_doctor_at(r, ctl_check(r->d, "reach", CTL_CHECK_OK, "%s:%u "
                                          "accepts connections, in %ld ms",
                                          r->destination.host,
                                          r->destination.port,
                                          (long) (took_us / 1000)));
        ctl_doctor_server_cert(r, curl);
        return;
    }

    check = ctl_doctor_at(r, ctl_check(r->d, "reach", CTL_CHECK_FAIL, "%s:%u: "
                                       "%s", r->destination.host,
                                       r->destination.port,
                                       error[0] != '\0'
                                       ? error : curl_easy_strerror(rc)));
    ctl_finding_next(check, rc == CURLE_PEER_FAILED_VERIFICATION
                     ? "openssl s_client -connect %s:%u"
                     : "ask the receiver's operator whether %s:%u listens, and "
                       "look at firewalls", r->destination.host,
                     r->destination.port);
}


static void
ctl_doctor_connect(const ctl_reach_t *r)
{
    char                error[CURL_ERROR_SIZE] = "";
    CURL               *curl;
    es_buf_t            resolve = { 0 };
    struct curl_slist  *list;

    curl = curl_easy_init();
    list = NULL;

    if (curl != NULL
        && es_buf_printf(&resolve, "%s:%u:%.*s", r->destination.host,
                         r->destination.port, (int) r->allowed.len,
                         r->allowed.data) == ES_OK)
    {
        list = curl_slist_append(NULL, resolve.data);

        if (r->destination.literal.ss_family == AF_UNSPEC) {
            (void) curl_easy_setopt(curl, CURLOPT_RESOLVE, list);
        }

        (void) curl_easy_setopt(curl, CURLOPT_URL, r->endpoint->url.data);
        (void) curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
        (void) curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
        (void) curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                                (long) DOCTOR_CONNECT_MS);
        (void) curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        (void) curl_easy_setopt(curl, CURLOPT_PROXY, "");
        ctl_doctor_curl_tls(r, curl);

        ctl_doctor_connected(r, curl, curl_easy_perform(curl), error);
    }

    curl_slist_free_all(list);
    es_buf_free(&resolve);
    curl_easy_cleanup(curl);
}


static void
ctl_doctor_endpoint(ctl_doctor_t *d, const es_endpoint_t *endpoint)
{
    ctl_reach_t  r = { .d = d, .endpoint = endpoint };

    if (!ctl_destination_read(endpoint->url.data, &r.destination)) {
        return;
    }

    ctl_doctor_client_cert(&r);

    if (!d->offline && d->dispatcher.proxy == NULL && ctl_doctor_resolve(&r)) {
        ctl_doctor_connect(&r);
    }

    es_buf_free(&r.allowed);
}


void
ctl_doctor_network(ctl_doctor_t *d)
{
    size_t                i, n, reached;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(d->registry, &n);
    reached = 0;

    if (n == 0) {
        return;
    }

    if (d->offline || d->dispatcher.proxy != NULL) {
        (void) ctl_check(d, "reach", CTL_CHECK_SKIPPED, "endpoints are not "
                         "connected to: %s", d->offline ? "--offline"
                         : "the dispatcher sends through a proxy");
    }

    (void) curl_global_init(CURL_GLOBAL_DEFAULT);

    for (i = 0; i < n; i++) {
        if (!ctl_doctor_wants(d, &endpoints[i]) || endpoints[i].paused
            || es_endpoint_disabled(&endpoints[i]))
        {
            continue;
        }

        if (d->only == NULL && reached++ == DOCTOR_REACHED) {
            (void) ctl_check(d, "reach", CTL_CHECK_SKIPPED, "only %d endpoints "
                             "are connected to: name a partner or an endpoint",
                             DOCTOR_REACHED);
            break;
        }

        ctl_doctor_endpoint(d, &endpoints[i]);
    }
}
