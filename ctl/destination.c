/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Judges a URL by the rules for connections.
 *
 * An exception needs the record and the dispatcher.  A dispatcher that allows
 * everything shows whether the record is at fault.
 */

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "destination.h"
#include "finding.h"


/* The resolver also takes short and octal forms for an address. */

static void
ctl_destination_host(ctl_destination_t *destination, const char *host)
{
    size_t            len;
    struct addrinfo  *addr, hints = { .ai_flags = AI_NUMERICHOST };

    (void) snprintf(destination->host, sizeof(destination->host), "%s",
                    host[0] == '[' ? host + 1 : host);
    len = strlen(destination->host);

    if (len > 0 && (destination->host[len - 1] == ']'
                    || destination->host[len - 1] == '.'))
    {
        destination->host[len - 1] = '\0';
    }

    if (getaddrinfo(destination->host, NULL, &hints, &addr) == 0) {
        memcpy(&destination->literal, addr->ai_addr, addr->ai_addrlen);
        freeaddrinfo(addr);
    }
}


bool
ctl_destination_read(const char *url, ctl_destination_t *destination)
{
    bool    ok;
    char   *scheme, *host, *port;
    CURLU  *parts;

    memset(destination, 0, sizeof(ctl_destination_t));

    scheme = NULL;
    host = NULL;
    port = NULL;
    parts = curl_url();

    ok = parts != NULL
         && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK
         && curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK
         && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK
         && curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)
            == CURLUE_OK;

    if (ok) {
        destination->plain = strcasecmp(scheme, "https") != 0;
        destination->port = (unsigned) strtoul(port, NULL, 10);
        ctl_destination_host(destination, host);
    }

    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);

    return ok;
}


static ctl_refusal_t
ctl_destination_rules(const es_egress_t *egress,
    const es_interfaces_t *interfaces, const es_endpoint_t *endpoint,
    const ctl_destination_t *destination, const struct sockaddr *addr)
{
    if (destination->plain && !es_egress_http(egress, endpoint)) {
        return CTL_NO_HTTP;
    }

    if (!es_egress_port(egress, endpoint, destination->port)) {
        return CTL_NO_PORT;
    }

    return addr == NULL
           || es_egress_address(egress, interfaces, endpoint, addr)
           ? CTL_ALLOWED : CTL_NO_ADDRESS;
}


ctl_refusal_t
ctl_destination_refusal(const ctl_dispatcher_t *dispatcher,
    const es_endpoint_t *endpoint, const ctl_destination_t *destination,
    const struct sockaddr *addr, bool *own)
{
    es_egress_t      all;
    ctl_refusal_t    refusal;
    es_interfaces_t  interfaces = { 0 };

    (void) es_interfaces_refresh(&interfaces);

    all = dispatcher->egress;
    all.http = true;
    all.nports = 1;
    all.ports[0] = (uint16_t) destination->port;
    all.naddresses = 2;
    (void) es_prefix_parse("0.0.0.0/0", &all.addresses[0]);
    (void) es_prefix_parse("::/0", &all.addresses[1]);

    refusal = ctl_destination_rules(&all, &interfaces, endpoint, destination,
                                    addr);
    *own = refusal != CTL_ALLOWED;

    if (refusal == CTL_ALLOWED && dispatcher->known) {
        refusal = ctl_destination_rules(&dispatcher->egress, &interfaces,
                                        endpoint, destination, addr);
    }

    es_interfaces_done(&interfaces);

    return refusal;
}


const char *
ctl_destination_text(const struct sockaddr *addr, char *text)
{
    const void  *bytes;

    bytes = addr->sa_family == AF_INET
            ? (const void *) &((const struct sockaddr_in *)
                               (const void *) addr)->sin_addr
            : (const void *) &((const struct sockaddr_in6 *)
                               (const void *) addr)->sin6_addr;

    if (inet_ntop(addr->sa_family, bytes, text, INET6_ADDRSTRLEN) == NULL) {
        text[0] = '\0';
    }

    return text;
}


/* True if the record has a list already, which a change would replace. */

static bool
ctl_destination_listed(const es_endpoint_t *endpoint, ctl_refusal_t refusal)
{
    return refusal == CTL_NO_PORT ? endpoint->exceptions.nports > 0
           : refusal == CTL_NO_ADDRESS && endpoint->exceptions.naddresses > 0;
}


json_t *
ctl_destination_finding(json_t *list, ctl_refusal_t refusal, bool own,
    const es_endpoint_t *endpoint, const ctl_destination_t *destination,
    const struct sockaddr *addr)
{
    char         text[INET6_ADDRSTRLEN] = "", port[16];
    json_t      *finding = NULL;
    const char  *who, *value = "", *option = "";

    (void) snprintf(port, sizeof(port), "%u", destination->port);

    if (addr != NULL) {
        (void) ctl_destination_text(addr, text);
    }

    who = own ? "neither the endpoint's record nor its partner's allows"
              : "the dispatcher was not started with leave for";

    switch (refusal) {

    case CTL_NO_HTTP:
        finding = ctl_finding_add(list, "the URL is http://, and %s http://",
                                  who);
        option = "http";
        value = "yes";
        break;

    case CTL_NO_PORT:
        finding = ctl_finding_add(list, "%s port %s", who, port);
        option = own ? "ports" : "port";
        value = port;
        break;

    case CTL_NO_ADDRESS:
        finding = ctl_finding_add(list, "%s is not a public address of another "
                                  "host, and %s it", text, who);
        option = own ? "addresses" : "address";
        value = text;
        break;

    case CTL_ALLOWED:
        return NULL;
    }

    if (own && ctl_destination_listed(endpoint, refusal)) {
        ctl_finding_next(finding, "add %s to --allow-%s of endpoint %s", value,
                         option, endpoint->name.data);

    } else if (own) {
        ctl_finding_next(finding, "eventsyncctl endpoint change %s "
                         "--allow-%s=%s", endpoint->name.data, option, value);

    } else {
        ctl_finding_next(finding, "start eventsync-dispatcher with --allow-%s"
                         "%s%s", option, refusal == CTL_NO_HTTP ? "" : "=",
                         refusal == CTL_NO_HTTP ? "" : value);
    }

    return finding;
}
