/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks the destination of a send at each connection, and again at each
 * request: libcurl keeps connections, and meanwhile the record may have lost an
 * exception, or another endpoint's exception may have opened the connection.
 */

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "registry/egress.h"

#include "certificates.h"
#include "destination.h"
#include "dispatcher.h"
#include "send.h"
#include "target.h"


/* The host without brackets and without a final dot is an address if the
   resolver takes it for one, so that short and octal forms count. */

static void
esd_destination_literal(esd_destination_t *destination, char *host)
{
    char             *name;
    size_t            len;
    struct addrinfo  *addr, hints = { .ai_flags = AI_NUMERICHOST };

    name = host[0] == '[' ? host + 1 : host;
    len = strlen(name);

    if (len > 0 && (name[len - 1] == ']' || name[len - 1] == '.')) {
        name[len - 1] = '\0';
    }

    if (getaddrinfo(name, NULL, &hints, &addr) == 0) {
        memcpy(&destination->literal, addr->ai_addr, addr->ai_addrlen);
        freeaddrinfo(addr);
    }
}


static void
esd_destination_read(esd_destination_t *destination, CURLU *url)
{
    char  *scheme, *host, *port;

    scheme = NULL;
    host = NULL;
    port = NULL;

    memset(destination, 0, sizeof(esd_destination_t));

    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK
        && curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)
           == CURLUE_OK)
    {
        destination->known = true;
        destination->plain = strcasecmp(scheme, "https") != 0;
        destination->port = (unsigned) strtoul(port, NULL, 10);
        esd_destination_literal(destination, host);
    }

    curl_free(scheme);
    curl_free(host);
    curl_free(port);
}


static bool
esd_destination_address(const esd_send_t *send, const struct sockaddr *addr)
{
    return es_egress_address(&send->d->options.egress, &send->d->interfaces,
                             send->target->conf, addr);
}


/* The port of a connection that goes directly to the destination. */

static unsigned
esd_destination_port(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *) (const void *) addr)
                     ->sin_port);
    }

    return addr->sa_family == AF_INET6
           ? ntohs(((const struct sockaddr_in6 *) (const void *) addr)
                   ->sin6_port)
           : 0;
}


static bool
esd_destination_rules(const esd_send_t *send, const struct sockaddr *addr)
{
    unsigned                  port;
    const es_endpoint_t      *endpoint;
    const es_egress_t        *egress;
    const struct sockaddr    *literal;
    const esd_destination_t  *destination;

    destination = &send->destination;
    egress = &send->d->options.egress;
    endpoint = send->target->conf;
    port = send->proxied ? destination->port : esd_destination_port(addr);

    if (!destination->known
        || (destination->plain && !es_egress_http(egress, endpoint))
        || !es_egress_port(egress, endpoint, port))
    {
        return false;
    }

    if (!send->proxied) {
        return esd_destination_address(send, addr);
    }

    literal = (const struct sockaddr *) (const void *) &destination->literal;

    return literal->sa_family == AF_UNSPEC
           || esd_destination_address(send, literal);
}


bool
esd_destination_allowed(esd_send_t *send, const struct sockaddr *addr)
{
    if (!esd_destination_rules(send, addr)) {
        send->refused = true;
        return false;
    }

    return true;
}


static int
esd_destination_request(void *ctx, char *peer, char *local, int peer_port,
    int local_port)
{
    esd_send_t               *send;
    struct sockaddr_storage   addr;
    struct sockaddr_in       *in;
    struct sockaddr_in6      *in6;

    (void) local;
    (void) local_port;

    send = ctx;
    memset(&addr, 0, sizeof(addr));
    in = (struct sockaddr_in *) (void *) &addr;
    in6 = (struct sockaddr_in6 *) (void *) &addr;

    if (inet_pton(AF_INET, peer, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t) peer_port);

    } else if (inet_pton(AF_INET6, peer, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t) peer_port);
    }

    if (!esd_destination_allowed(send, (struct sockaddr *) (void *) &addr)) {
        return CURL_PREREQFUNC_ABORT;
    }

    esd_certificates_look(send);

    return CURL_PREREQFUNC_OK;
}


bool
esd_destination_set(esd_send_t *send)
{
    esd_destination_read(&send->destination, send->url);

    return curl_easy_setopt(send->easy, CURLOPT_PREREQFUNCTION,
                            esd_destination_request) == CURLE_OK
           && curl_easy_setopt(send->easy, CURLOPT_PREREQDATA, send)
              == CURLE_OK;
}
