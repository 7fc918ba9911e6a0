/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The records of a drill.  They are made and removed by the commands that an
 * operator would give.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "drill.h"

#define DRILL_ARGS    24
#define DRILL_OUTPUT  65536


/* Runs in the child. */

static void
ctl_drill_exec(int out, char **argv)
{
    (void) dup2(out, STDOUT_FILENO);
    (void) dup2(out, STDERR_FILENO);
    (void) execv("/proc/self/exe", argv);
    _exit(127);
}


static void
ctl_drill_read(int fd, char *text)
{
    size_t   len;
    ssize_t  n;

    len = 0;

    while (len < DRILL_OUTPUT - 1
           && (n = read(fd, text + len, DRILL_OUTPUT - 1 - len)) != 0)
    {
        if (n == -1 && errno != EINTR) {
            break;
        }

        len += n > 0 ? (size_t) n : 0;
    }

    text[len] = '\0';
}


/* Returns the exit status of a child, or -1. */

static int
ctl_drill_wait(pid_t pid)
{
    int  status;

    while (pid != -1 && waitpid(pid, &status, 0) == -1) {
        if (errno != EINTR) {
            return -1;
        }
    }

    return pid != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}


int
ctl_drill_shell(const char *command)
{
    pid_t  pid;

    (void) fflush(stdout);
    pid = fork();

    if (pid == 0) {
        (void) execl("/bin/sh", "sh", "-c", command, (char *) NULL);
        _exit(127);
    }

    return ctl_drill_wait(pid) == 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "\"%s\" failed", command);
}


static int
ctl_drill_spawn(char **argv, char *text)
{
    int    fds[2];
    pid_t  pid;

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return -1;
    }

    pid = fork();

    if (pid == 0) {
        ctl_drill_exec(fds[1], argv);
    }

    (void) close(fds[1]);
    ctl_drill_read(fds[0], text);
    (void) close(fds[0]);

    return ctl_drill_wait(pid);
}


int
ctl_drill_run_args(json_t **out, const char *const *args)
{
    int      n, rc;
    char    *argv[DRILL_ARGS], *text;
    json_t  *json;

    text = malloc(DRILL_OUTPUT);
    if (text == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    argv[0] = (char *) "eventsyncctl";
    argv[1] = (char *) "--json";
    argv[2] = (char *) "--quiet";

    for (n = 0; n < DRILL_ARGS - 4 && args[n] != NULL; n++) {
        argv[n + 3] = (char *) args[n];
    }

    argv[n + 3] = NULL;

    rc = ctl_drill_spawn(argv, text);
    json = json_loads(text, 0, NULL);

    if (rc != CTL_OK) {
        rc = ctl_fail(CTL_FAILED, "\"eventsyncctl %s %s\": %s", args[0],
                      args[1],
                      json ? json_string_value(json_object_get(json, "detail"))
                           : "failed");
    }

    if (out != NULL && rc == CTL_OK) {
        *out = json_incref(json);
    }

    json_decref(json);
    free(text);

    return rc;
}


/* Copies a member of the document. */

static bool
ctl_drill_member(json_t *json, const char *name, char *out, size_t size)
{
    const char  *value;

    value = json_string_value(json_object_get(json, name));

    return value != NULL && snprintf(out, size, "%s", value) < (int) size;
}


/* The id of a key, which is between the two "_" of its text. */

static void
ctl_drill_key_id(const char *key, char *out, size_t size)
{
    size_t  n;

    n = strcspn(key, "_");
    n += key[n] == '_';

    (void) snprintf(out, size, "%.*s", (int) strcspn(key + n, "_"), key + n);
}


static int
ctl_drill_key(ctl_drill_t *d, const char *partner, const char *scopes,
    char *out, size_t size)
{
    int      rc;
    json_t  *json = NULL;

    rc = ctl_drill_run(&json, "key", "create", partner, scopes);

    if (rc == CTL_OK && !ctl_drill_member(json, "key", out, size)) {
        rc = ctl_fail(CTL_FAILED, "\"key create\" has printed no key");
    }

    if (rc == CTL_OK && d->nkeys < DRILL_KEYS) {
        ctl_drill_key_id(out, d->keys[d->nkeys++], sizeof(d->keys[0]));
    }

    json_decref(json);

    return rc;
}


int
ctl_drill_rekey(ctl_drill_partner_t *p, char *old, size_t size)
{
    int   rc;
    char  key[DRILL_TEXT];

    rc = ctl_drill_key(p->drill, p->record, "--scopes=read", key,
                       sizeof(key));

    if (rc == CTL_OK) {
        (void) pthread_mutex_lock(&p->drill->lock);
        ctl_drill_key_id(p->key, old, size);
        (void) snprintf(p->key, sizeof(p->key), "%s", key);
        p->new_key = true;
        (void) pthread_mutex_unlock(&p->drill->lock);
    }

    return rc;
}


static int
ctl_drill_endpoint(ctl_drill_t *d)
{
    int      rc;
    char     url[160], feeds[96], address[96];
    json_t  *json = NULL;

    (void) snprintf(url, sizeof(url), "--url=http://%s:%u/", d->address,
                    d->port);
    (void) snprintf(feeds, sizeof(feeds), "--feeds=%s", d->feed);
    (void) snprintf(address, sizeof(address), "--allow-addresses=%s",
                    d->address);

    rc = ctl_drill_run(&json, "endpoint", "create", ctl_drill_push(d)->record,
                       url, feeds, address, "--allow-http=yes",
                       "--start=oldest", "--ordering=none",
                       "--schedule=0,1s,2s,5s,5s,5s,5s,5s,5s,5s,5s,5s",
                       "--disable-after=0");

    if (rc == CTL_OK
        && (!ctl_drill_member(json, "name", d->endpoint, sizeof(d->endpoint))
            || !ctl_drill_member(json, "secret", d->secret,
                                 sizeof(d->secret))))
    {
        rc = ctl_fail(CTL_FAILED, "\"endpoint create\" has printed no secret");
    }

    json_decref(json);

    return rc;
}


int
ctl_drill_make(ctl_drill_t *d)
{
    int                   i, rc;
    char                  feeds[96], publish[96], key[DRILL_TEXT];
    uint32_t              id;
    ctl_drill_partner_t  *p;

    if (es_random(&id, sizeof(id)) != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot get random bytes");
    }

    (void) snprintf(d->feed, sizeof(d->feed), "drill-%08x", id);
    (void) snprintf(d->publisher, sizeof(d->publisher), "drill-%08x", id);
    (void) snprintf(feeds, sizeof(feeds), "--feeds=%s", d->feed);
    (void) snprintf(publish, sizeof(publish), "--publish=%s", d->feed);

    rc = ctl_drill_run(NULL, "feed", "create", d->feed, "--retain-age=1h");

    if (rc == CTL_OK) {
        rc = ctl_drill_run(NULL, "partner", "create", d->publisher, publish,
                           "--limit-publish=10000r/s,burst=10000");
    }

    if (rc == CTL_OK) {
        rc = ctl_drill_key(d, d->publisher, "--scopes=publish", key,
                           sizeof(key));
    }

    if (rc == CTL_OK) {
        rc = ctl_http_open(&d->http, "url", d->url, key);
    }

    for (i = 0; rc == CTL_OK && i < DRILL_PARTNERS; i++) {
        p = &d->partners[i];
        (void) snprintf(p->record, sizeof(p->record), "%s-%s", d->feed,
                        p->name);
        rc = ctl_drill_run(NULL, "partner", "create", p->record, feeds,
                           "--limit-poll=1000r/s,burst=1000");

        if (rc == CTL_OK) {
            rc = ctl_drill_key(d, p->record, "--scopes=read", p->key,
                               sizeof(p->key));
        }

        if (rc == CTL_OK) {
            rc = ctl_http_open(&p->http, "url", d->url, p->key);
        }
    }

    if (rc == CTL_OK) {
        rc = ctl_drill_endpoint(d);
    }

    if (rc == CTL_OK && es_signer_create(es_str(d->secret), &d->signer)
                        != ES_OK)
    {
        rc = ctl_fail(CTL_FAILED, "out of memory");
    }

    return rc;
}


/* Commands that fail say why, and the others go on. */

void
ctl_drill_remove(ctl_drill_t *d)
{
    unsigned  i;

    for (i = 0; i < d->nkeys; i++) {
        (void) ctl_drill_run(NULL, "key", "remove", d->keys[i]);
    }

    if (d->endpoint[0] != '\0') {
        (void) ctl_drill_run(NULL, "endpoint", "remove", d->endpoint);
    }

    for (i = 0; i < DRILL_PARTNERS; i++) {
        ctl_http_close(&d->partners[i].http);
        free(d->partners[i].has);

        if (d->partners[i].record[0] != '\0') {
            (void) ctl_drill_run(NULL, "partner", "remove",
                                 d->partners[i].record);
        }
    }

    ctl_http_close(&d->http);
    es_signer_destroy(d->signer);

    if (d->feed[0] != '\0') {
        (void) ctl_drill_run(NULL, "partner", "remove", d->publisher);
        (void) ctl_drill_run(NULL, "feed", "remove", d->feed);
    }
}
