/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the words and blocks of nginx's configuration.
 */

#include <stdio.h>
#include <stdlib.h>

#include "nginx_conf.h"

#define CONF_WORDS   16        /* of a directive; more are left out */
#define CONF_BLOCKS  32
#define CONF_LISTEN  "80"      /* of a server without "listen" */
#define CONF_HEALTH  (CTL_CONF_RESOURCES - 1)    /* see ctl_conf_health() */

typedef struct {
    bool  server;
    bool  serves;              /* resources that take a key */
    bool  open;                /* "eventsync_auth off" */
    bool  health;
    bool  alone;               /* "eventsync_ready_dispatcher off" */
} ctl_conf_block_t;

typedef struct {
    ctl_nginx_conf_t  *conf;
    const char        *p;
    const char        *end;
    unsigned           depth;
    ctl_conf_block_t   blocks[CONF_BLOCKS];
    char               plain[CTL_CONF_WORD];   /* listener of the server */
    bool               listens;
    bool               keys;                   /* of the server */
    unsigned           n;
    char               words[CONF_WORDS][CTL_CONF_WORD];
} ctl_conf_parser_t;


/* True: the address is only this machine's. */

static bool
ctl_conf_local(const char *listen)
{
    return strncmp(listen, "unix:", 5) == 0 || strncmp(listen, "127.", 4) == 0
           || strncmp(listen, "[::1]", 5) == 0
           || strncmp(listen, "localhost", 9) == 0;
}


static void
ctl_conf_listen(ctl_conf_parser_t *c)
{
    unsigned  i;

    c->listens = true;

    for (i = 2; i < c->n; i++) {
        if (strcmp(c->words[i], "ssl") == 0
            || strcmp(c->words[i], "quic") == 0)
        {
            return;
        }
    }

    if (!ctl_conf_local(c->words[1])) {
        memcpy(c->plain, c->words[1], CTL_CONF_WORD);
    }
}


const ctl_conf_resource_t  ctl_conf_resources[CTL_CONF_RESOURCES] = {
    { "eventsync_poll", 0 },
    { "eventsync_feeds", 0 },
    { "eventsync_backfill", 0 },
    { "eventsync_snapshot", 0 },
    { "eventsync_token", 0 },
    { "eventsync_catalogue", 0 },
    { "eventsync_publish", CTL_USES_PUBLISH },
    { "eventsync_checkpoints", CTL_USES_ACK },
    { "eventsync_pages", CTL_USES_PAGES },
    { "eventsync_endpoints", CTL_USES_MANAGE | CTL_USES_DELIVERY },
    { "eventsync_status", CTL_USES_DELIVERY },
    { "eventsync_operator", CTL_USES_DELIVERY },
    { "eventsync_metrics", CTL_USES_DELIVERY },
    [CONF_HEALTH] = { "eventsync_health", CTL_USES_DELIVERY }
};


static bool
ctl_conf_resource(ctl_conf_parser_t *c)
{
    unsigned  i;

    for (i = 0; i < CTL_CONF_RESOURCES; i++) {
        if (strcmp(c->words[0], ctl_conf_resources[i].name) == 0
            && strcmp(c->words[1], "off") != 0)
        {
            c->conf->serves |= i != CONF_HEALTH ? 1u << i : 0;
            return true;
        }
    }

    return false;
}


static void
ctl_conf_directive(ctl_conf_parser_t *c)
{
    const char        *name, *value;
    ctl_nginx_conf_t  *conf;

    if (c->n < 2) {
        return;
    }

    conf = c->conf;
    name = c->words[0];
    value = c->words[1];

    if (strcmp(name, "eventsync_store") == 0) {
        if (conf->nstores < CTL_CONF_STORES) {
            memcpy(conf->stores[conf->nstores++], value, CTL_CONF_WORD);
        }

    } else if (strcmp(name, "user") == 0) {
        memcpy(conf->user, value, CTL_CONF_WORD);

    } else if (strcmp(name, "pid") == 0) {
        memcpy(conf->pid, value, CTL_CONF_WORD);

    } else if (strcmp(name, "worker_connections") == 0) {
        conf->connections = strtoull(value, NULL, 10);

    } else if (strcmp(name, "worker_rlimit_nofile") == 0) {
        conf->files = strtoull(value, NULL, 10);

    } else if (strcmp(name, "listen") == 0) {
        ctl_conf_listen(c);

    } else if (strcmp(name, "eventsync_auth") == 0) {
        c->blocks[c->depth].open = strcmp(value, "off") == 0;

    } else if (strcmp(name, "eventsync_ready_dispatcher") == 0) {
        c->blocks[c->depth].alone = strcmp(value, "off") == 0;

    } else if (ctl_conf_resource(c)) {
        c->blocks[c->depth].serves = true;
        c->blocks[c->depth].health |= strcmp(name, "eventsync_health") == 0;
    }
}


static void
ctl_conf_begin(ctl_conf_parser_t *c)
{
    bool  server;

    server = c->n > 0 && strcmp(c->words[0], "server") == 0;

    if (c->depth + 1 < CONF_BLOCKS) {
        c->depth++;
        memset(&c->blocks[c->depth], 0, sizeof(ctl_conf_block_t));
        c->blocks[c->depth].server = server;
        c->blocks[c->depth].alone = c->blocks[c->depth - 1].alone;
    }

    if (server) {
        c->plain[0] = '\0';
        c->listens = false;
        c->keys = false;
    }
}


/* A check of health reads the dispatcher's heartbeat unless that is off. */

static void
ctl_conf_health(ctl_conf_parser_t *c, const ctl_conf_block_t *block)
{
    if (block->health && !block->alone) {
        c->conf->serves |= 1u << CONF_HEALTH;
    }
}


static void
ctl_conf_end(ctl_conf_parser_t *c)
{
    ctl_conf_block_t  *block;

    block = &c->blocks[c->depth];
    c->keys |= block->serves && !block->open;

    ctl_conf_health(c, block);

    if (block->server && c->keys) {
        if (!c->listens) {
            memcpy(c->plain, CONF_LISTEN, sizeof(CONF_LISTEN));
        }

        if (c->plain[0] != '\0') {
            memcpy(c->conf->plain, c->plain, CTL_CONF_WORD);
        }
    }

    c->depth -= c->depth > 0;
}


static void
ctl_conf_skip(ctl_conf_parser_t *c)
{
    while (c->p < c->end) {
        if (*c->p == '#') {
            while (c->p < c->end && *c->p != '\n') {
                c->p++;
            }

        } else if (strchr(" \t\r\n", *c->p) == NULL) {
            return;

        } else {
            c->p++;
        }
    }
}


/* A word may be quoted, and may have escaped characters. */

static void
ctl_conf_word(ctl_conf_parser_t *c, char out[CTL_CONF_WORD])
{
    char    quote;
    size_t  n;

    n = 0;
    quote = *c->p == '"' || *c->p == '\'' ? *c->p++ : '\0';

    while (c->p < c->end
           && (quote != '\0' ? *c->p != quote
                             : strchr(" \t\r\n;{}", *c->p) == NULL))
    {
        if (*c->p == '\\' && c->p + 1 < c->end) {
            c->p++;
        }

        if (n + 1 < CTL_CONF_WORD) {
            out[n++] = *c->p;
        }

        c->p++;
    }

    out[n] = '\0';
    c->p += quote != '\0' && c->p < c->end;
}


void
ctl_nginx_conf_read(es_str_t text, ctl_nginx_conf_t *conf)
{
    char               rest[CTL_CONF_WORD];
    ctl_conf_parser_t  c = { .conf = conf, .p = text.data,
                             .end = text.data + text.len };

    memset(conf, 0, sizeof(ctl_nginx_conf_t));
    conf->connections = 512;

    for (ctl_conf_skip(&c); c.p < c.end; ctl_conf_skip(&c)) {

        if (*c.p == ';' || *c.p == '{' || *c.p == '}') {
            switch (*c.p++) {
            case ';':
                ctl_conf_directive(&c);
                break;
            case '{':
                ctl_conf_begin(&c);
                break;
            default:
                ctl_conf_end(&c);
                break;
            }

            c.n = 0;

        } else if (c.n < CONF_WORDS) {
            ctl_conf_word(&c, c.words[c.n++]);

        } else {
            ctl_conf_word(&c, rest);
        }
    }

    ctl_conf_health(&c, &c.blocks[0]);
}
