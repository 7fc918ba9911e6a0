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

/* What locations serve: the groups of their workers follow from it. */
#define CTL_SERVES_PUBLISH   0x01
#define CTL_SERVES_ACK       0x02
#define CTL_SERVES_PAGES     0x04
#define CTL_SERVES_MANAGE    0x08
#define CTL_SERVES_DELIVERY  0x10      /* what reads deliveries */

typedef struct {
    unsigned  nstores;                 /* up to CTL_CONF_STORES */
    char      stores[CTL_CONF_STORES][CTL_CONF_WORD];
    char      user[CTL_CONF_WORD];     /* "": the default */
    char      pid[CTL_CONF_WORD];      /* the same */
    char      plain[CTL_CONF_WORD];    /* a listener without TLS that takes keys
                                          from other machines; "": none */
    uint64_t  connections;             /* of a worker */
    uint64_t  files;                   /* worker_rlimit_nofile; 0: not set */
    unsigned  serves;                  /* CTL_SERVES_... */
} ctl_nginx_conf_t;

/* Reads the text, which is a valid configuration. */
void ctl_nginx_conf_read(es_str_t text, ctl_nginx_conf_t *conf);

#endif /* CTL_NGINX_CONF_H */
