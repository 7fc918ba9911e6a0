/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The command line.
 */

#ifndef ESD_OPTIONS_H
#define ESD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "registry/egress.h"

/* Characters of the name of a header field (RFC 9110, section 5.6.2). */
#define ESD_FIELD_CHARS  "!#$%&'*+-.^_`|~0123456789"                          \
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ"                         \
                         "abcdefghijklmnopqrstuvwxyz"

/* The endpoints that must agree to be sent events. */
typedef enum {
    ESD_VERIFY_OFF = 0,
    ESD_VERIFY_HTTP,               /* made or moved by a partner's key */
    ESD_VERIFY_ALL
} esd_verify_t;

/* The parts of the sandbox. */
#define ESD_SANDBOX_LANDLOCK  0x1
#define ESD_SANDBOX_SECCOMP   0x2

typedef struct {
    const char   *store;
    const char   *user;            /* "USER" or "USER:GROUP"; NULL: the same */
    unsigned      sandbox;         /* its parts */
    bool          wait;            /* until no other dispatcher has it */
    const char   *ca_file;
    const char   *tls_dir;         /* of files that endpoints name */
    const char   *key_file;
    const char   *audit_key;       /* that signs heads, or NULL: none are */
    const char   *audit_heads;     /* the file that gets them */
    const char   *pid_file;
    const char   *proxy;           /* URL, or NULL: none */
    const char   *proxy_auth_file;
    const char   *otlp;            /* URL of the collector, or NULL: none */
    const char   *otlp_ca_file;
    const char   *otlp_headers_file;
    uint32_t      otlp_share_ppm;  /* of events without a trace, millionths */
    es_egress_t   egress;
    esd_verify_t  verify;
    const char   *webhook_origin;  /* this sender, as handshakes name it */
    unsigned      max_connections;
    unsigned      max_per_host;    /* requests in flight to one host */
    unsigned      max_waiting;     /* items of all lanes, see
                                      esd_lane_room() */
    uint32_t      commit_ms;
    uint32_t      attempts_ms;     /* how long attempts are kept */
    uint32_t      dead_ms;         /* how long dead letters are kept */
    bool          log_attempts;
} esd_options_t;

/* Prints the help, the version or an error and exits where the command line
   asks for that. */
void esd_options_parse(int argc, char **argv, esd_options_t *options);

#endif /* ESD_OPTIONS_H */
