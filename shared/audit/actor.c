/* SPDX-License-Identifier: BSD-2-Clause */

/* Who makes a change: the client of a thread, a program, or the process's
   user. */

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "audit/actor.h"
#include "store/store.h"

#define ES_ACTOR_NAME  64
#define ES_ACTOR_PASSWD  4096    /* bytes of an entry of the user database */

static _Thread_local const es_actor_t  *es_actor_thread;


void
es_actor_set(const es_actor_t *actor)
{
    es_actor_thread = actor;
}


void
es_actor_program(es_store_t *store, const char *name)
{
    store->program = name;
}


static void
es_actor_host(es_actor_t *actor, const char *terminal)
{
    char  host[ES_ACTOR_NAME];

    if (gethostname(host, sizeof(host)) != 0) {
        host[0] = '\0';
    }

    host[sizeof(host) - 1] = '\0';

    (void) snprintf(actor->from, sizeof(actor->from), "%s%s%s", host,
                    terminal[0] ? "/" : "", terminal);
}


static void
es_actor_terminal(char *name, size_t size)
{
    int          fd;
    static const char  dev[] = "/dev/";

    for (fd = 0; fd <= 2; fd++) {
        if (ttyname_r(fd, name, size) == 0) {
            if (strncmp(name, dev, sizeof(dev) - 1) == 0) {
                memmove(name, name + sizeof(dev) - 1,
                        strlen(name) - (sizeof(dev) - 1) + 1);
            }

            return;
        }
    }

    name[0] = '\0';
}


/* Names of users may be missing, as in a container. */

static void
es_actor_user(es_actor_t *actor)
{
    char            buf[ES_ACTOR_PASSWD], login[ES_ACTOR_NAME];
    char            terminal[ES_ACTOR_NAME];
    struct passwd   entry, *found = NULL;

    if (getpwuid_r(getuid(), &entry, buf, sizeof(buf), &found) != 0) {
        found = NULL;
    }

    if (getlogin_r(login, sizeof(login)) != 0) {
        login[0] = '\0';
    }

    (void) snprintf(actor->who, sizeof(actor->who), "uid %lu%s%.40s%s%s%.40s",
                    (unsigned long) getuid(), found ? " (" : "",
                    found ? found->pw_name : "", found ? ")" : "",
                    login[0] ? ", login " : "", login);

    es_actor_terminal(terminal, sizeof(terminal));
    es_actor_host(actor, terminal);
}


void
es_actor_get(const es_store_t *store, es_actor_t *actor)
{
    if (es_actor_thread != NULL) {
        *actor = *es_actor_thread;

    } else if (store->program != NULL) {
        (void) snprintf(actor->who, sizeof(actor->who), "%s", store->program);
        es_actor_host(actor, "");

    } else {
        es_actor_user(actor);
    }
}
