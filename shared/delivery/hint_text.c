/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The words and sentences of the hints.
 */

#include "delivery/hint.h"
#include "delivery/hint_text.h"


const es_hint_t  es_hints[ES_HINTS] = {

    [ES_HINT_DNS] = { "dns",
        "The host name of the URL has no address. Check its spelling, and its "
        "record in the DNS." },

    [ES_HINT_CONNECT] = { "connect",
        "Nothing accepts connections at the host and port of the URL. Start "
        "the receiver, let it listen on an address that others reach, and "
        "check the firewall." },

    [ES_HINT_CONNECT_TIMEOUT] = { "connect-timeout",
        "The host of the URL does not answer to connections. Check its "
        "address, and the firewall in front of it." },

    [ES_HINT_TLS_EXPIRED] = { "tls-expired",
        "The certificate has expired. Renew it, and reload the server." },

    [ES_HINT_TLS_NOT_YET] = { "tls-not-yet-valid",
        "The certificate is not valid yet. Check the clocks of both "
        "machines." },

    [ES_HINT_TLS_SELF_SIGNED] = { "tls-self-signed",
        "The certificate, or the root that the server sends, is not of a "
        "trusted authority. Use a certificate of a public one; for your own "
        "authority, the operator sets \"ca_file\"." },

    [ES_HINT_TLS_CHAIN] = { "tls-chain",
        "No trusted authority is found for the certificate. Let the server "
        "send its intermediate certificates too (fullchain.pem); for your own "
        "authority, the operator sets \"ca_file\"." },

    [ES_HINT_TLS_NAME] = { "tls-name",
        "The certificate is for another host name. Use a name of the "
        "certificate in the URL, or get a certificate for this name." },

    [ES_HINT_TLS_PLAIN] = { "tls-plain",
        "The URL has https://, and its port speaks plain HTTP. Use the port "
        "of the TLS server in the URL." },

    [ES_HINT_TLS_VERSION] = { "tls-version",
        "The server has no version of TLS or no cipher in common with the "
        "dispatcher. Enable TLS 1.2 or 1.3." },

    [ES_HINT_TLS_CLIENT] = { "tls-client",
        "The server wants another client certificate, or one at all. The "
        "operator sets \"client_cert\"." },

    [ES_HINT_TLS] = { "tls",
        "The TLS handshake failed. \"openssl s_client -connect HOST:PORT "
        "-servername HOST\" shows it." },

    [ES_HINT_TLS_PORT] = { "tls-port",
        "The URL has http://, and its port speaks TLS. Use https:// in the "
        "URL." },

    [ES_HINT_NOT_HTTP] = { "not-http",
        "The port of the URL does not answer in HTTP. Check the port; if it "
        "speaks TLS, use https:// in the URL." },

    [ES_HINT_CLOSED] = { "closed",
        "The server closed the connection without an answer. See its log; if "
        "the port speaks TLS, use https:// in the URL." },

    [ES_HINT_TIMEOUT] = { "timeout",
        "The answer takes longer than the timeout. Store the event, answer "
        "2xx, and do the work afterwards." },

    [ES_HINT_ADDRESS] = { "address",
        "The dispatcher does not send to this scheme, address or port. Use "
        "https:// at a public address, or ask the operator for an "
        "exception." },

    [ES_HINT_PROXY] = { "proxy",
        "The operator's proxy did not reach the receiver." },

    [ES_HINT_TOKEN] = { "token",
        "The dispatcher has no access token. Check the endpoint's \"oauth\", "
        "and the attempts of kind \"token\"." },

    [ES_HINT_REDIRECT_HTTPS] = { "redirect-https",
        "The server redirects http:// to https://, and redirects are not "
        "followed. Use https:// in the URL." },

    [ES_HINT_REDIRECT_SLASH] = { "redirect-slash",
        "The server redirects to the same path with or without a slash at its "
        "end, and redirects are not followed. Change the URL's end." },

    [ES_HINT_REDIRECT] = { "redirect",
        "Redirects are not followed. Give the endpoint the URL that Location "
        "names; often only https:// or a slash at the end is missing." },

    [ES_HINT_LOGIN] = { "login",
        "A login page answers, not the receiver. Exempt the path of the URL "
        "from the login." },

    [ES_HINT_CREDENTIAL] = { "credential",
        "The server asks for a credential. Set it in the endpoint's "
        "\"headers\" or \"oauth\", or exempt the path of the URL." },

    [ES_HINT_CSRF] = { "csrf",
        "The framework's protection against CSRF refused the request. Exempt "
        "the route: Django @csrf_exempt, Rails skip_forgery_protection, "
        "Laravel validateCsrfTokens(except: ...)." },

    [ES_HINT_ACCESS] = { "access",
        "A web page refused the request: a login, a firewall, or protection "
        "against bots or CSRF. Exempt the path of the URL from it." },

    [ES_HINT_HOST] = { "host",
        "The server does not know the host name of the URL. Add it: Django "
        "ALLOWED_HOSTS, Rails config.hosts, Vite server.allowedHosts." },

    [ES_HINT_TUNNEL] = { "tunnel",
        "A tunnel answers, not the receiver. Start the tunnel and the "
        "receiver, and compare the tunnel's name with the URL." },

    [ES_HINT_WEB_PAGE] = { "web-page",
        "A web page answers with 2xx, so this is probably not the receiver. "
        "Compare the path of the URL with the receiver's route." },

    [ES_HINT_NOT_FOUND] = { "not-found",
        "The server has nothing at the path of the URL. Compare it with the "
        "receiver's route." },

    [ES_HINT_METHOD] = { "method",
        "The path of the URL takes no POST. Compare it with the receiver's "
        "route and its method." },

    [ES_HINT_CONTENT_TYPE] = { "content-type",
        "The receiver does not take this content type. Let its parser take "
        "every type (Express: express.raw({ type: () => true }); Fastify: "
        "addContentTypeParser('*', ...)), or change \"content_type\", or "
        "\"body\" if the events are not sent whole." },

    [ES_HINT_NO_BODY] = { "no-body",
        "The receiver's program has no body, or no member that it expects. "
        "If its parser passes over this content type: Express needs "
        "express.raw({ type: () => true }), or change \"content_type\", or "
        "\"body\" if the events are not sent whole." },

    [ES_HINT_PARSED_BODY] = { "parsed-body",
        "The receiver verifies a body that is parsed already. Give verify() "
        "the bytes that came: in Express, use express.raw() for this route, "
        "before any express.json()." },

    [ES_HINT_FIELDS] = { "fields",
        "The receiver does not find the webhook fields. Give verify() a plain "
        "object: Object.fromEntries(request.headers). If a proxy drops the "
        "fields, let them through." },

    [ES_HINT_CLOCK] = { "clock",
        "The receiver finds the timestamp too far from its time. Check the "
        "clocks of both machines." },

    [ES_HINT_LENGTH] = { "length",
        "The server asks for Content-Length, which the request has. A proxy "
        "before the receiver removes it: let that proxy buffer requests." },

    [ES_HINT_TOO_LARGE] = { "too-large",
        "The body is over the receiver's limit. Raise it (Express: limit in "
        "express.raw(); Fastify: bodyLimit; nginx: client_max_body_size), or "
        "lower \"batch\"." },

    [ES_HINT_HEADERS] = { "headers",
        "The header fields are over the server's limit. Raise it, or shorten "
        "the endpoint's \"headers\"." },

    [ES_HINT_REFUSED] = { "refused",
        "The receiver refused the request, usually for its signature. Compare "
        "its secret with the endpoint's, and verify the bytes before parsing. "
        "The page docs/receivers.md has receivers that work." },

    [ES_HINT_UNPROCESSABLE] = { "unprocessable",
        "The receiver does not take the content of this event. Let it answer "
        "2xx to events that it does not use." },

    [ES_HINT_GONE] = { "gone",
        "410 stops the endpoint. Let the receiver answer so only when it "
        "wants no webhooks any more. A change of the endpoint starts it "
        "again." },

    [ES_HINT_BUSY] = { "busy",
        "The receiver limits how fast requests come. Set the endpoint's "
        "\"rate\", or raise that limit." },

    [ES_HINT_GATEWAY] = { "gateway",
        "A proxy before the receiver answers: it does not reach the "
        "receiver's program in time. See the proxy's log." },

    [ES_HINT_UNAVAILABLE] = { "unavailable",
        "The receiver's program does not run, or is overloaded. Its log says "
        "why." },

    [ES_HINT_FAILED] = { "failed",
        "The receiver's program failed. Its log says why." },

    [ES_HINT_UNVERIFIED] = { "verifies-nothing",
        "The receiver takes requests with a wrong signature, so anybody can "
        "send it events. Verify each request before all else, and answer "
        "401." },

    [ES_HINT_UNSIGNED] = { "unsigned",
        "The receiver takes requests without a signature. Refuse a request "
        "that has no webhook-signature." },

    [ES_HINT_TAMPERED] = { "tampered",
        "The receiver takes a body that was changed after it was signed. Sign "
        "\"ID.TIMESTAMP.BODY\" with the bytes of the body that came." },

    [ES_HINT_TIMESTAMP] = { "timestamp",
        "The receiver takes a request of any time, so that a copy of one can "
        "be sent again. Refuse a webhook-timestamp more than 5 minutes from "
        "now." },

    [ES_HINT_UNCAUGHT] = { "uncaught",
        "The receiver fails at a request that it cannot verify. Catch the "
        "error of verify(), and answer 401." },

    [ES_HINT_SECRET] = { "secret-not-decoded",
        "The receiver uses the text of the secret as the key. The key is the "
        "base64 decoding of what follows \"whsec_\"." },

    [ES_HINT_REWRITES] = { "rewrites-json",
        "The receiver parses the body and writes it again before it verifies, "
        "which changes numbers, escapes and blanks. Verify the bytes that "
        "came: express.raw(), request.text(), request.get_data()." },

    [ES_HINT_DECODES] = { "decodes-body",
        "The receiver verifies another encoding of the body than the UTF-8 "
        "that came. Verify the bytes, before they become text." },

    [ES_HINT_TRIMS] = { "trims-body",
        "The receiver verifies a body without the line end that came. Verify "
        "the bytes: no trim(), strip() or chomp." },

    [ES_HINT_SIGNATURES] = { "several-signatures",
        "The receiver compares webhook-signature as a whole. Split it at "
        "blanks and take the request if one signature fits, or a rotation of "
        "secrets stops it." },

    [ES_HINT_REPEATED] = { "repeated",
        "The receiver refuses an event that it has already. Answer 2xx to "
        "it, or the dispatcher repeats it." },

    [ES_HINT_TYPE] = { "unknown-type",
        "The receiver refuses an event type that it does not know. Answer 2xx "
        "and leave it, or select with the endpoint's \"types\"." },

    [ES_HINT_ATTRIBUTES] = { "unknown-attributes",
        "The receiver refuses attributes that it does not know. Let it pass "
        "over them, because CloudEvents may have extensions." },

    [ES_HINT_LARGE] = { "large",
        "The receiver refuses a large event. Raise its limit of a body to a "
        "megabyte or more." },

    [ES_HINT_THIN] = { "thin",
        "The receiver needs \"data\". Let it poll the event, or change the "
        "endpoint's \"body\" to \"whole\"." },

    [ES_HINT_BATCH] = { "batch",
        "The receiver does not take an array of events. Let it, or change the "
        "endpoint's \"batch\" to 1." },

    [ES_HINT_NO_DATA] = { "no-data",
        "The receiver needs a body. Let it take an event without data, whose "
        "body is empty." },

    [ES_HINT_AGREEMENT] = { "agreement",
        "The receiver does not agree to be sent events. Let it repeat the "
        "member \"challenge\", or answer OPTIONS with "
        "WebHook-Allowed-Origin." },
};
