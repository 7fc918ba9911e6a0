/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The configuration of nginx, as "nginx -T" prints it, as far as "doctor" looks
 * at it.
 *
 * "nginx -T" prints each file on its own, so a directive in a file that is
 * included into a block counts, but not as part of that block.
 */

#ifndef CTL_NGINX_CONF_H
#define CTL_NGINX_CONF_H

#include "base/base.h"

#define CTL_CONF_WORD    512
#define CTL_CONF_STORES  8

/* Parts of the store that locations use, each with a group of its own. */
#define CTL_USES_PUBLISH   0x01
#define CTL_USES_ACK       0x02
#define CTL_USES_PAGES     0x04
#define CTL_USES_MANAGE    0x08
#define CTL_USES_DELIVERY  0x10

/* The directives that switch resources on. */
#define CTL_CONF_RESOURCES  14

typedef struct {
    const char  *name;
    unsigned     uses;                 /* CTL_USES_... */
} ctl_conf_resource_t;

extern const ctl_conf_resource_t  ctl_conf_resources[CTL_CONF_RESOURCES];

typedef struct {
    unsigned  nstores;                 /* up to CTL_CONF_STORES */
    char      stores[CTL_CONF_STORES][CTL_CONF_WORD];
    char      user[CTL_CONF_WORD];     /* "": the default */
    char      pid[CTL_CONF_WORD];      /* the same */
    char      plain[CTL_CONF_WORD];    /* a listener without TLS that takes keys
                                          from other machines; "": none */
    uint64_t  connections;             /* of a worker */
    uint64_t  files;                   /* worker_rlimit_nofile; 0: not set */
    unsigned  serves;                  /* bit i: ctl_conf_resources[i] */
} ctl_nginx_conf_t;

/* Reads the text, which is a valid configuration. */
void ctl_nginx_conf_read(es_str_t text, ctl_nginx_conf_t *conf);

#endif /* CTL_NGINX_CONF_H */
