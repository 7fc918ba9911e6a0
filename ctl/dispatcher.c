/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the process of the dispatcher and reads its command line.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "delivery/delivery.h"
#include "dispatcher.h"
#include "log/store_clock.h"

#define CTL_TLS_DIR   "/etc/eventsync/tls"
#define CTL_ARGS_MAX  (128 * 1024)


/* A line is "1: FLOCK  ADVISORY  WRITE 4711 fe:00:9978131 0 EOF".  The device
   is not compared: Btrfs has another one there than in stat(). */

static pid_t
ctl_dispatcher_holder(const char *store)
{
    char                 path[4096], line[256];
    FILE                *locks;
    pid_t                pid;
    int                  holder;
    struct stat          st;
    unsigned long long   inode;

    (void) snprintf(path, sizeof(path), "%s/delivery/owner", store);

    if (stat(path, &st) != 0) {
        return 0;
    }

    locks = fopen("/proc/locks", "re");
    if (locks == NULL) {
        return 0;
    }

    pid = 0;

    while (pid == 0 && fgets(line, sizeof(line), locks) != NULL) {
        if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %d %*x:%*x:%llu", &holder,
                   &inode) == 2
            && inode == (unsigned long long) st.st_ino)
        {
            pid = holder;
        }
    }

    (void) fclose(locks);

    return pid;
}


/* The arguments, each with its NUL, and one NUL more.  NULL: unknown. */

static char *
ctl_dispatcher_args(pid_t pid)
{
    char    path[64], *args;
    FILE   *file;
    size_t  n;

    (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);

    file = fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }

    args = calloc(1, CTL_ARGS_MAX);
    n = args != NULL ? fread(args, 1, CTL_ARGS_MAX - 2, file) : 0;
    (void) fclose(file);

    if (n == 0) {
        free(args);
        return NULL;
    }

    return args;
}


/* An option that needs no value has an empty one. */

static void
ctl_dispatcher_option(ctl_dispatcher_t *d, es_str_t name, const char *value)
{
    es_egress_t  *egress;

    egress = &d->egress;

    if (es_str_eq(name, es_lit("allow-http"))) {
        egress->http = true;

    } else if (es_str_eq(name, es_lit("allow-address"))) {
        egress->naddresses
            += egress->naddresses < ES_EGRESS_MAX
               && es_prefix_parse(value,
                                  &egress->addresses[egress->naddresses]);

    } else if (es_str_eq(name, es_lit("allow-port"))) {
        if (egress->nports < ES_EGRESS_MAX) {
            egress->ports[egress->nports++]
                = (uint16_t) strtoul(value, NULL, 10);
        }

    } else if (es_str_eq(name, es_lit("nat64"))) {
        (void) es_egress_nat64(egress, value);

    } else if (es_str_eq(name, es_lit("ca-file"))) {
        d->ca_file = value;

    } else if (es_str_eq(name, es_lit("tls-dir"))) {
        d->tls_dir = value;

    } else if (es_str_eq(name, es_lit("key-file"))) {
        d->key_file = value;

    } else if (es_str_eq(name, es_lit("proxy"))) {
        d->proxy = value;
    }
}


/* A value is in the argument of its option or in the next one. */

static void
ctl_dispatcher_options(ctl_dispatcher_t *d)
{
    char        *arg, *next;
    es_str_t     name;
    const char  *value;

    for (arg = d->args + strlen(d->args) + 1; *arg != '\0'; arg = next) {
        next = arg + strlen(arg) + 1;

        if (strncmp(arg, "--", 2) != 0) {
            continue;
        }

        name.data = arg + 2;
        name.len = strcspn(name.data, "=");
        value = name.data[name.len] == '=' ? name.data + name.len + 1 : next;
        ctl_dispatcher_option(d, name, value);
    }
}


es_rc_t
ctl_dispatcher_read(const ctl_t *ctl, ctl_dispatcher_t *d)
{
    es_rc_t  rc;

    memset(d, 0, sizeof(ctl_dispatcher_t));
    es_egress_init(&d->egress);
    d->tls_dir = CTL_TLS_DIR;

    rc = es_delivery_heartbeat(ctl->store, &d->heartbeat_ms);

    if (rc == ES_NOT_FOUND) {
        d->heartbeat_ms = 0;
        return ES_OK;
    }

    if (rc != ES_OK) {
        return rc;
    }

    d->alive = es_store_due_ms(ctl->store) - d->heartbeat_ms <= CTL_ALIVE_MS;
    d->pid = ctl_dispatcher_holder(ctl->store_path);

    if (d->pid != 0) {
        d->args = ctl_dispatcher_args(d->pid);
    }

    if (d->args != NULL) {
        d->known = true;
        ctl_dispatcher_options(d);
    }

    return ES_OK;
}


void
ctl_dispatcher_free(ctl_dispatcher_t *d)
{
    free(d->args);
    d->args = NULL;
}
