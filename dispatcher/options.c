/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The command line: parses the options and checks their values.
 *
 * The text of --help states the defaults.  A wrong option ends the process with
 * one line on stderr and exit status 2.
 */

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/prefix.h"
#include "delivery/verification.h"
#include "registry/egress.h"
#include "registry/values.h"
#include "trace/otlp.h"

#include "exporter.h"
#include "log.h"
#include "options.h"
#include "proxy.h"

#define ESD_TLS_DIR          "/etc/eventsync/tls"
#define ESD_CONNECTIONS      2048
#define ESD_CONNECTIONS_MAX  65536
#define ESD_PER_HOST         256
#define ESD_WEBHOOK_ORIGIN   "eventsync"
#define ESD_NAME_CHARS       "abcdefghijklmnopqrstuvwxyz"                      \
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
#define ESD_WAITING          500000
#define ESD_WAITING_MAX      100000000
#define ESD_COMMIT_MS        5
#define ESD_COMMIT_MAX_MS    1000
#define ESD_ATTEMPTS_MS      (7 * 24 * 3600 * 1000)
#define ESD_DEAD_MS          (UINT32_C(30) * 24 * 3600 * 1000)

enum {
    ESD_OPT_STORE = 256,
    ESD_OPT_WAIT,
    ESD_OPT_USER,
    ESD_OPT_SANDBOX,
    ESD_OPT_ALLOW_HTTP,
    ESD_OPT_ALLOW_ADDRESS,
    ESD_OPT_ALLOW_PORT,
    ESD_OPT_NAT64,
    ESD_OPT_CA_FILE,
    ESD_OPT_TLS_DIR,
    ESD_OPT_KEY_FILE,
    ESD_OPT_VERIFY,
    ESD_OPT_WEBHOOK_ORIGIN,
    ESD_OPT_PROXY,
    ESD_OPT_PROXY_AUTH_FILE,
    ESD_OPT_OTLP,
    ESD_OPT_OTLP_SHARE,
    ESD_OPT_OTLP_HEADERS_FILE,
    ESD_OPT_OTLP_CA_FILE,
    ESD_OPT_MAX_CONNECTIONS,
    ESD_OPT_MAX_PER_HOST,
    ESD_OPT_MAX_WAITING,
    ESD_OPT_COMMIT_INTERVAL,
    ESD_OPT_ATTEMPT_RETENTION,
    ESD_OPT_DEAD_RETENTION,
    ESD_OPT_AUDIT_KEY,
    ESD_OPT_AUDIT_HEADS,
    ESD_OPT_PID_FILE,
    ESD_OPT_LOG_LEVEL,
    ESD_OPT_LOG_FORMAT,
    ESD_OPT_LOG_ATTEMPTS,
    ESD_OPT_VERSION,
    ESD_OPT_HELP
};

static const struct option  esd_long_options[] = {
    { "store", required_argument, NULL, ESD_OPT_STORE },
    { "wait", no_argument, NULL, ESD_OPT_WAIT },
    { "user", required_argument, NULL, ESD_OPT_USER },
    { "sandbox", required_argument, NULL, ESD_OPT_SANDBOX },
    { "allow-http", no_argument, NULL, ESD_OPT_ALLOW_HTTP },
    { "allow-address", required_argument, NULL, ESD_OPT_ALLOW_ADDRESS },
    { "allow-port", required_argument, NULL, ESD_OPT_ALLOW_PORT },
    { "nat64", required_argument, NULL, ESD_OPT_NAT64 },
    { "ca-file", required_argument, NULL, ESD_OPT_CA_FILE },
    { "tls-dir", required_argument, NULL, ESD_OPT_TLS_DIR },
    { "key-file", required_argument, NULL, ESD_OPT_KEY_FILE },
    { "verify-endpoints", required_argument, NULL, ESD_OPT_VERIFY },
    { "webhook-origin", required_argument, NULL, ESD_OPT_WEBHOOK_ORIGIN },
    { "proxy", required_argument, NULL, ESD_OPT_PROXY },
    { "proxy-auth-file", required_argument, NULL, ESD_OPT_PROXY_AUTH_FILE },
    { "otlp", required_argument, NULL, ESD_OPT_OTLP },
    { "otlp-share", required_argument, NULL, ESD_OPT_OTLP_SHARE },
    { "otlp-headers-file", required_argument, NULL,
      ESD_OPT_OTLP_HEADERS_FILE },
    { "otlp-ca-file", required_argument, NULL, ESD_OPT_OTLP_CA_FILE },
    { "max-connections", required_argument, NULL, ESD_OPT_MAX_CONNECTIONS },
    { "max-per-host", required_argument, NULL, ESD_OPT_MAX_PER_HOST },
    { "max-waiting", required_argument, NULL, ESD_OPT_MAX_WAITING },
    { "commit-interval", required_argument, NULL, ESD_OPT_COMMIT_INTERVAL },
    { "attempt-retention", required_argument, NULL,
      ESD_OPT_ATTEMPT_RETENTION },
    { "dead-retention", required_argument, NULL, ESD_OPT_DEAD_RETENTION },
    { "audit-key", required_argument, NULL, ESD_OPT_AUDIT_KEY },
    { "audit-heads", required_argument, NULL, ESD_OPT_AUDIT_HEADS },
    { "pid-file", required_argument, NULL, ESD_OPT_PID_FILE },
    { "log-level", required_argument, NULL, ESD_OPT_LOG_LEVEL },
    { "log-format", required_argument, NULL, ESD_OPT_LOG_FORMAT },
    { "log-attempts", no_argument, NULL, ESD_OPT_LOG_ATTEMPTS },
    { "version", no_argument, NULL, ESD_OPT_VERSION },
    { "help", no_argument, NULL, ESD_OPT_HELP },
    { NULL, 0, NULL, 0 }
};

static const char  esd_help[] =
    "Usage: eventsync-dispatcher --store=PATH [OPTION]...\n"
    "Sends the events of a store to the webhook endpoints in its registry.\n"
    "\n"
    "  --store=PATH              directory of the store; required\n"
    "  --wait                    while another dispatcher runs on the store, wait\n"
    "                            until it ends\n"
    "  --user=USER[:GROUP]       become this user, if root starts the dispatcher\n"
    "  --sandbox=PARTS           what confines the process: landlock,seccomp\n"
    "                            (default), one of them, or off\n"
    "  --allow-http              let records allow http://\n"
    "  --allow-address=CIDR      let records allow these addresses that are\n"
    "                            not public; may be given several times\n"
    "  --allow-port=N            let records allow this port below 1024; may be\n"
    "                            given several times\n"
    "  --nat64=PREFIX            prefix of the network's own NAT64; may be\n"
    "                            given several times\n"
    "  --ca-file=PATH            trusted certificates in PEM (those of the\n"
    "                            system)\n"
    "  --tls-dir=PATH            directory of files that endpoints name as\n"
    "                            client_cert, client_key and ca_file\n"
    "                            (/etc/eventsync/tls)\n"
    "  --key-file=PATH           keys of the store's encrypted secrets\n"
    "  --verify-endpoints=MODE   send nothing to endpoints until they agree: off\n"
    "                            (default), http (those that a partner's key\n"
    "                            made or moved) or all\n"
    "  --webhook-origin=NAME     name of this sender, of which receivers are\n"
    "                            asked whether they agree (eventsync)\n"
    "  --proxy=URL               send all requests through this proxy,\n"
    "                            http://HOST:PORT or https://HOST:PORT\n"
    "  --proxy-auth-file=PATH    file with the user:password of the proxy in\n"
    "                            its first line; its mode is 0600 or 0640\n"
    "  --otlp=URL                send spans of deliveries to this collector\n"
    "                            (OTLP/HTTP), such as http://127.0.0.1:4318\n"
    "  --otlp-share=SHARE        the share of events without a trace of which\n"
    "                            spans are sent, from 0 (default) to 1\n"
    "  --otlp-headers-file=PATH  file with header fields for the collector, a\n"
    "                            line \"Name: value\" each; its mode is 0600 or\n"
    "                            0640\n"
    "  --otlp-ca-file=PATH       trusted certificates for the collector in PEM\n"
    "                            (those of the system)\n"
    "  --max-connections=N       maximum number of concurrent requests to all\n"
    "                            endpoints (2048)\n"
    "  --max-per-host=N          maximum number of concurrent requests to one\n"
    "                            host and port, of all endpoints (256)\n"
    "  --max-waiting=N           maximum number of waiting events of all\n"
    "                            endpoints; each takes about 100 bytes of\n"
    "                            memory (500000)\n"
    "  --commit-interval=TIME    time during which deliveries are collected\n"
    "                            for one commit (5ms)\n"
    "  --attempt-retention=TIME  time after which attempts are deleted (7d)\n"
    "  --dead-retention=TIME     time after which dead letters are deleted\n"
    "                            (30d)\n"
    "  --audit-key=PATH          ed25519 key in PEM that signs the heads of the\n"
    "                            audit once a minute; its mode is 0600 or 0640\n"
    "  --audit-heads=PATH        file that gets the signed heads\n"
    "  --pid-file=PATH           file to which the process id is written\n"
    "  --log-level=LEVEL         error, warn, info (default) or debug\n"
    "  --log-format=FORMAT       text (default) or json: one object in each line\n"
    "  --log-attempts            log each attempt, at level info\n"
    "  --version                 print the version\n"
    "  --help                    print this text\n";


static void esd_usage(const char *fmt, const char *value)
    __attribute__((noreturn, format(printf, 1, 0)));

static void
esd_usage(const char *fmt, const char *value)
{
    (void) fprintf(stderr, "eventsync-dispatcher: ");
    (void) fprintf(stderr, fmt, value);
    (void) fprintf(stderr, "\n");
    exit(2);
}


static unsigned
esd_option_number(const char *fmt, const char *text, unsigned max)
{
    char           *end;
    unsigned long   n;

    errno = 0;
    n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0
        || n < 1 || n > max)
    {
        esd_usage(fmt, text);
    }

    return (unsigned) n;
}


static uint32_t
esd_option_duration(const char *fmt, const char *text, uint32_t min_ms,
    uint32_t max_ms)
{
    uint32_t  ms;

    if (es_duration_parse(es_str(text), &ms) != ES_OK
        || ms < min_ms || ms > max_ms)
    {
        esd_usage(fmt, text);
    }

    return ms;
}


/* Options whose value is used as it is. */

static bool
esd_option_text(esd_options_t *o, int option)
{
    switch (option) {

    case ESD_OPT_STORE:
        o->store = optarg;
        return true;

    case ESD_OPT_USER:
        o->user = optarg;
        return true;

    case ESD_OPT_CA_FILE:
        o->ca_file = optarg;
        return true;

    case ESD_OPT_TLS_DIR:
        o->tls_dir = optarg;
        return true;

    case ESD_OPT_KEY_FILE:
        o->key_file = optarg;
        return true;

    case ESD_OPT_PROXY_AUTH_FILE:
        o->proxy_auth_file = optarg;
        return true;

    case ESD_OPT_OTLP_HEADERS_FILE:
        o->otlp_headers_file = optarg;
        return true;

    case ESD_OPT_OTLP_CA_FILE:
        o->otlp_ca_file = optarg;
        return true;

    case ESD_OPT_AUDIT_KEY:
        o->audit_key = optarg;
        return true;

    case ESD_OPT_AUDIT_HEADS:
        o->audit_heads = optarg;
        return true;

    case ESD_OPT_PID_FILE:
        o->pid_file = optarg;
        return true;

    default:
        return false;
    }
}


static bool
esd_option_limit(esd_options_t *o, int option)
{
    switch (option) {

    case ESD_OPT_MAX_CONNECTIONS:
        o->max_connections = esd_option_number("--max-connections must be a "
                                               "number from 1 to 65536, not "
                                               "\"%s\"",
                                               optarg, ESD_CONNECTIONS_MAX);
        return true;

    case ESD_OPT_MAX_PER_HOST:
        o->max_per_host = esd_option_number("--max-per-host must be a number "
                                            "from 1 to 65536, not \"%s\"",
                                            optarg, ESD_CONNECTIONS_MAX);
        return true;

    case ESD_OPT_MAX_WAITING:
        o->max_waiting = esd_option_number("--max-waiting must be a number "
                                           "from 1 to 100000000, not \"%s\"",
                                           optarg, ESD_WAITING_MAX);
        return true;

    case ESD_OPT_COMMIT_INTERVAL:
        o->commit_ms = esd_option_duration("--commit-interval must be a time "
                                           "of at most 1s, like \"5ms\", not "
                                           "\"%s\"",
                                           optarg, 0, ESD_COMMIT_MAX_MS);
        return true;

    case ESD_OPT_ATTEMPT_RETENTION:
        o->attempts_ms = esd_option_duration("--attempt-retention must be a "
                                             "time from 1s to 30d, like "
                                             "\"7d\", not \"%s\"", optarg, 1000,
                                             UINT32_MAX);
        return true;

    case ESD_OPT_DEAD_RETENTION:
        o->dead_ms = esd_option_duration("--dead-retention must be a time "
                                         "from 1s to 30d, like \"30d\", not "
                                         "\"%s\"",
                                         optarg, 1000, UINT32_MAX);
        return true;

    default:
        return false;
    }
}


static void
esd_option_address(esd_options_t *o)
{
    if (o->egress.naddresses == ES_EGRESS_MAX) {
        esd_usage("too many of --allow-address at \"%s\"", optarg);
    }

    if (!es_prefix_parse(optarg, &o->egress.addresses[o->egress.naddresses++]))
    {
        esd_usage("--allow-address must be an address or address/bits, not "
                  "\"%s\"", optarg);
    }
}


static void
esd_option_port(esd_options_t *o)
{
    if (o->egress.nports == ES_EGRESS_MAX) {
        esd_usage("too many of --allow-port at \"%s\"", optarg);
    }

    o->egress.ports[o->egress.nports++]
        = (uint16_t) esd_option_number("--allow-port must be a number from 1 "
                                       "to 65535, not \"%s\"",
                                       optarg, UINT16_MAX);
}


/* Options of the rules for connections. */

static bool
esd_option_egress(esd_options_t *o, int option)
{
    switch (option) {

    case ESD_OPT_ALLOW_HTTP:
        o->egress.http = true;
        return true;

    case ESD_OPT_ALLOW_ADDRESS:
        esd_option_address(o);
        return true;

    case ESD_OPT_ALLOW_PORT:
        esd_option_port(o);
        return true;

    case ESD_OPT_NAT64:
        if (!es_egress_nat64(&o->egress, optarg)) {
            esd_usage("--nat64 must be an IPv6 prefix of 32, 40, 48, 56, 64 "
                      "or 96 bits, at most 62 of them, not \"%s\"", optarg);
        }
        return true;

    default:
        return false;
    }
}


/* Options of the verification of endpoints. */

static bool
esd_option_verification(esd_options_t *o, int option)
{
    size_t  i;

    static const char  *const  modes[] = {
        [ESD_VERIFY_OFF] = "off",
        [ESD_VERIFY_HTTP] = "http",
        [ESD_VERIFY_ALL] = "all"
    };

    switch (option) {

    case ESD_OPT_VERIFY:
        for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
            if (strcmp(optarg, modes[i]) == 0) {
                o->verify = (esd_verify_t) i;
                return true;
            }
        }

        esd_usage("--verify-endpoints must be off, http or all, not \"%s\"",
                  optarg);

    case ESD_OPT_WEBHOOK_ORIGIN:
        if (optarg[0] == '\0'
            || strlen(optarg) >= ES_SENDER_MAX
            || strspn(optarg, ESD_NAME_CHARS) != strlen(optarg))
        {
            esd_usage("--webhook-origin must be a name like \"events.example\","
                      " not \"%s\"", optarg);
        }

        o->webhook_origin = optarg;
        return true;

    default:
        return false;
    }
}


static void
esd_option_sandbox(esd_options_t *o)
{
    size_t  i;

    static const struct {
        const char  *text;
        unsigned     parts;
    } choices[] = {
        { "landlock,seccomp", ESD_SANDBOX_LANDLOCK | ESD_SANDBOX_SECCOMP },
        { "seccomp,landlock", ESD_SANDBOX_LANDLOCK | ESD_SANDBOX_SECCOMP },
        { "landlock", ESD_SANDBOX_LANDLOCK },
        { "seccomp", ESD_SANDBOX_SECCOMP },
        { "off", 0 }
    };

    for (i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if (strcmp(optarg, choices[i].text) == 0) {
            o->sandbox = choices[i].parts;
            return;
        }
    }

    esd_usage("--sandbox must be \"landlock,seccomp\", one of them, or off, "
              "not \"%s\"", optarg);
}


static bool
esd_option_log(esd_options_t *o, int option)
{
    switch (option) {

    case ESD_OPT_LOG_LEVEL:
        if (!esd_log_set_level(optarg)) {
            esd_usage("--log-level must be error, warn, info or debug, not "
                      "\"%s\"",
                      optarg);
        }
        return true;

    case ESD_OPT_LOG_FORMAT:
        if (!esd_log_set_format(optarg)) {
            esd_usage("--log-format must be text or json, not \"%s\"", optarg);
        }
        return true;

    case ESD_OPT_LOG_ATTEMPTS:
        o->log_attempts = true;
        return true;

    default:
        return false;
    }
}


/* Options of the export of spans.  A wrong URL is not shown, because it may
   contain a password. */

static bool
esd_option_otlp(esd_options_t *o, int option)
{
    switch (option) {

    case ESD_OPT_OTLP:
        if (!esd_exporter_ok(optarg)) {
            esd_usage("--otlp must be the URL of a collector, like \"%s\"; "
                      "credentials belong in the file of --otlp-headers-file",
                      "http://127.0.0.1:4318");
        }

        o->otlp = optarg;
        return true;

    case ESD_OPT_OTLP_SHARE:
        if (es_otlp_share(es_str(optarg), &o->otlp_share_ppm) != ES_OK) {
            esd_usage("--otlp-share must be a number from 0 to 1, like "
                      "\"0.01\", not \"%s\"", optarg);
        }

        return true;

    default:
        return false;
    }
}


static void
esd_option(esd_options_t *o, int option, char **argv)
{
    if (esd_option_verification(o, option)
        || esd_option_log(o, option)
        || esd_option_otlp(o, option)
        || esd_option_text(o, option)
        || esd_option_limit(o, option)
        || esd_option_egress(o, option))
    {
        return;
    }

    switch (option) {

    case ESD_OPT_WAIT:
        o->wait = true;
        break;

    case ESD_OPT_SANDBOX:
        esd_option_sandbox(o);
        break;

    case ESD_OPT_PROXY:

        /* a wrong URL is not shown, because it may contain a password */

        if (!esd_proxy_ok(optarg)) {
            esd_usage("--proxy must be the URL of a proxy with its port and "
                      "without a path, like \"%s\"; a user and a password "
                      "belong in the file of --proxy-auth-file",
                      "http://proxy.example:3128");
        }

        o->proxy = optarg;
        break;

    case ESD_OPT_VERSION:
        (void) printf("eventsync-dispatcher %s\n", ES_VERSION);
        exit(0);

    case ESD_OPT_HELP:
        (void) fputs(esd_help, stdout);
        exit(0);

    case ':':
        esd_usage("\"%s\" needs a value", argv[optind - 1]);

    default:
        esd_usage("unknown option \"%s\"; see --help", argv[optind - 1]);
    }
}


void
esd_options_parse(int argc, char **argv, esd_options_t *o)
{
    int  option;

    memset(o, 0, sizeof(esd_options_t));
    es_egress_init(&o->egress);
    o->tls_dir = ESD_TLS_DIR;
    o->sandbox = ESD_SANDBOX_LANDLOCK | ESD_SANDBOX_SECCOMP;
    o->max_connections = ESD_CONNECTIONS;
    o->max_per_host = ESD_PER_HOST;
    o->webhook_origin = ESD_WEBHOOK_ORIGIN;
    o->max_waiting = ESD_WAITING;
    o->commit_ms = ESD_COMMIT_MS;
    o->attempts_ms = ESD_ATTEMPTS_MS;
    o->dead_ms = ESD_DEAD_MS;

    opterr = 0;

    while ((option = getopt_long(argc, argv, ":", esd_long_options, NULL))
           != -1)
    {
        esd_option(o, option, argv);
    }

    if (optind < argc) {
        esd_usage("\"%s\" is not an option; see --help", argv[optind]);
    }

    if (o->store == NULL) {
        esd_usage("%s is required; see --help", "--store=PATH");
    }

    if (o->otlp == NULL
        && (o->otlp_headers_file != NULL || o->otlp_ca_file != NULL
            || o->otlp_share_ppm != 0))
    {
        esd_usage("%s requires --otlp",
                  o->otlp_headers_file != NULL ? "--otlp-headers-file"
                  : o->otlp_ca_file != NULL ? "--otlp-ca-file"
                  : "--otlp-share");
    }

    if ((o->audit_key == NULL) != (o->audit_heads == NULL)) {
        esd_usage("%s", o->audit_key != NULL
                  ? "--audit-key requires --audit-heads"
                  : "--audit-heads requires --audit-key");
    }

    if (o->proxy == NULL && o->proxy_auth_file != NULL) {
        esd_usage("%s requires --proxy", "--proxy-auth-file");
    }
}
