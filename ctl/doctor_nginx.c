/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks of nginx: its configuration, the module that runs, and the groups of
 * its workers.
 *
 * "nginx -T" tests the configuration as "nginx -t" does and prints it.  Only
 * root can run it, as a rule, because it opens logs and keys.
 */

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "nginx_conf.h"
#include "open/rights.h"

#define DOCTOR_DUMP_MAX     (16 * 1024 * 1024)
#define DOCTOR_NOT_FOUND    127
#define DOCTOR_PID_FILE     "/run/nginx.pid"
#define DOCTOR_MODULE       "ngx_http_eventsync_module"
#define DOCTOR_GROUPS       128
#define DOCTOR_PARTS        6
#define DOCTOR_STORE        0x8000u     /* beside CTL_USES_... */

/* A group of the store, and the parts of the store that it opens. */
typedef struct {
    gid_t     gid;
    unsigned  uses;                     /* CTL_USES_..., DOCTOR_STORE */
} ctl_nginx_lack_t;


/* ---- the program ---- */

/* The child: both outputs go to the descriptors.  Debian has nginx in a
   directory that is not in the path of every user. */

static void
ctl_nginx_exec(const ctl_doctor_t *d, int out, int err)
{
    char  program[4096];
    char  dump[] = "-T", conf[] = "-c", file[4096];

    char  *args[] = { program, dump, d->conf != NULL ? conf : NULL, file,
                      NULL };

    (void) snprintf(program, sizeof(program), "%s", d->nginx);
    (void) snprintf(file, sizeof(file), "%s", d->conf != NULL ? d->conf : "");

    if (dup2(out, STDOUT_FILENO) != -1 && dup2(err, STDERR_FILENO) != -1) {
        (void) execvp(program, args);
        (void) snprintf(program, sizeof(program), "/usr/sbin/%s", d->nginx);
        (void) execv(program, args);
    }

    _exit(DOCTOR_NOT_FOUND);
}


static es_rc_t
ctl_nginx_drain(FILE *file, es_buf_t *text)
{
    char     piece[4096];
    size_t   n;
    es_rc_t  rc;

    rc = ES_OK;

    while (rc == ES_OK && (n = fread(piece, 1, sizeof(piece), file)) > 0) {
        rc = text->len + n > DOCTOR_DUMP_MAX ? ES_TOO_LARGE
                                             : es_buf_append(text, piece, n);
    }

    return rc;
}


/* Returns the exit status, or -1.  Both files are temporary, so that no pipe
   can be full. */

static int
ctl_nginx_run(const ctl_doctor_t *d, es_buf_t *out, es_buf_t *err)
{
    int     status;
    FILE   *files[2];
    pid_t   pid;

    files[0] = tmpfile();
    files[1] = tmpfile();
    status = -1;

    if (files[0] != NULL && files[1] != NULL) {
        pid = fork();

        if (pid == 0) {
            ctl_nginx_exec(d, fileno(files[0]), fileno(files[1]));
        }

        if (pid > 0 && waitpid(pid, &status, 0) == pid) {
            status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
            rewind(files[0]);
            rewind(files[1]);

            if (ctl_nginx_drain(files[0], out) != ES_OK
                || ctl_nginx_drain(files[1], err) != ES_OK)
            {
                status = -1;
            }
        }
    }

    if (files[0] != NULL) {
        (void) fclose(files[0]);
    }

    if (files[1] != NULL) {
        (void) fclose(files[1]);
    }

    return status;
}


/* The line with "[emerg]", without what stands before. */

static void
ctl_nginx_reason(const es_buf_t *err, char out[300])
{
    const char  *line;

    line = err->len > 0 ? memmem(err->data, err->len, "[emerg] ", 8) : NULL;

    if (line == NULL) {
        (void) snprintf(out, 300, "it gave no reason");
        return;
    }

    /* "4711#4711: " is the process that says it */

    line += 8;
    line += strspn(line, "0123456789#: ");
    (void) snprintf(out, 300, "%.*s",
                    (int) strcspn(line, "\n") < 299
                    ? (int) strcspn(line, "\n") : 299, line);
}


/* ---- the process ---- */

/* The number that the file begins with; 0: none. */

static pid_t
ctl_nginx_number(const char *path)
{
    FILE  *file;
    int    n;

    file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }

    if (fscanf(file, "%d", &n) != 1) {
        n = 0;
    }

    (void) fclose(file);

    return n;
}


static pid_t
ctl_nginx_master(const ctl_nginx_conf_t *conf)
{
    char   path[64];
    pid_t  pid;

    pid = ctl_nginx_number(conf->pid[0] == '/' ? conf->pid : DOCTOR_PID_FILE);
    (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);

    return pid > 0 && access(path, F_OK) == 0 ? pid : 0;
}


/* The file of the module in the master's maps: it is marked when it was
   replaced or removed. */

static void
ctl_nginx_module(ctl_doctor_t *d, pid_t master)
{
    char         path[64], line[4352];
    bool         found, gone;
    FILE        *maps;
    json_t      *check;

    (void) snprintf(path, sizeof(path), "/proc/%d/maps", (int) master);

    maps = fopen(path, "re");
    if (maps == NULL) {
        (void) ctl_check(d, "nginx-module", CTL_CHECK_SKIPPED, "the maps of "
                         "nginx's process %d cannot be read: %s", (int) master,
                         strerror(errno));
        return;
    }

    found = false;
    gone = false;

    while (fgets(line, sizeof(line), maps) != NULL) {
        if (strstr(line, DOCTOR_MODULE) != NULL) {
            found = true;
            gone |= strstr(line, "(deleted)") != NULL;
        }
    }

    (void) fclose(maps);

    if (gone) {
        check = ctl_check(d, "nginx-module", CTL_CHECK_WARN, "nginx goes on "
                          "with the old module, whose file was replaced");
        ctl_finding_next(check, "service nginx upgrade");

    } else if (!found) {
        check = ctl_check(d, "nginx-module", CTL_CHECK_FAIL, "nginx's process "
                          "%d has not loaded the module", (int) master);
        ctl_finding_next(check, "service nginx restart");

    } else {
        (void) ctl_check(d, "nginx-module", CTL_CHECK_OK, "nginx runs the "
                         "module that is installed");
    }
}


/* ---- the configuration ---- */

static void
ctl_nginx_stores(ctl_doctor_t *d, const ctl_nginx_conf_t *conf)
{
    bool          same;
    json_t       *check;
    unsigned      i;
    struct stat   mine, other;

    same = false;

    for (i = 0; i < conf->nstores; i++) {
        same |= stat(d->ctl->store_path, &mine) == 0
                && stat(conf->stores[i], &other) == 0
                && mine.st_dev == other.st_dev && mine.st_ino == other.st_ino;
    }

    if (same) {
        (void) ctl_check(d, "nginx-store", CTL_CHECK_OK, "nginx serves the "
                         "store");
        return;
    }

    check = ctl_check(d, "nginx-store", CTL_CHECK_WARN, "nginx serves another "
                      "store, \"%s\"", conf->stores[0]);
    ctl_finding_next(check, "set eventsync_store %s, or name the other store "
                     "with --store", d->ctl->store_path);
}


static void
ctl_nginx_limits(ctl_doctor_t *d, const ctl_nginx_conf_t *conf)
{
    json_t  *check;

    if (conf->files != 0 && conf->files < conf->connections) {
        check = ctl_check(d, "nginx-limits", CTL_CHECK_WARN,
                          "worker_rlimit_nofile %" PRIu64 " is below "
                          "worker_connections %" PRIu64, conf->files,
                          conf->connections);
        ctl_finding_next(check, "worker_rlimit_nofile %" PRIu64 ";",
                         conf->connections * 2);

    } else {
        (void) ctl_check(d, "nginx-limits", CTL_CHECK_OK, "workers may open as "
                         "many files as they have connections");
    }
}


static void
ctl_nginx_plain(ctl_doctor_t *d, const ctl_nginx_conf_t *conf)
{
    json_t  *check;

    if (conf->plain[0] != '\0') {
        check = ctl_check(d, "nginx-tls", CTL_CHECK_WARN, "the listener %s "
                          "takes keys without TLS", conf->plain);
        ctl_finding_next(check, "listen 443 ssl; or listen only on 127.0.0.1 "
                         "behind a proxy that has TLS");

    } else {
        (void) ctl_check(d, "nginx-tls", CTL_CHECK_OK, "keys come by TLS, or "
                         "from this machine");
    }
}


/* The groups that locations need and that are not among the `n` groups: which,
   and for what, in the order of operations.md.  Returns how many. */

static unsigned
ctl_nginx_lacks(const es_rights_t *rights, unsigned serves, const gid_t *groups,
    int n, ctl_nginx_lack_t lacks[DOCTOR_PARTS])
{
    int       k;
    bool      needed;
    unsigned  i, j, nlacks;

    const ctl_nginx_lack_t  needs[DOCTOR_PARTS] = {
        { rights->group, DOCTOR_STORE },
        { rights->publish, CTL_USES_PUBLISH },
        { rights->ack, CTL_USES_ACK },
        { rights->pages, CTL_USES_PAGES },
        { rights->manage, CTL_USES_MANAGE },
        { rights->delivery, CTL_USES_DELIVERY }
    };

    nlacks = 0;

    for (i = 0; i < DOCTOR_PARTS; i++) {
        needed = needs[i].uses == DOCTOR_STORE;

        for (j = 0; j < CTL_CONF_RESOURCES; j++) {
            needed |= (serves & 1u << j) != 0
                      && (ctl_conf_resources[j].uses & needs[i].uses) != 0;
        }

        for (k = 0; k < n && groups[k] != needs[i].gid; k++) {
            /* void */
        }

        if (k < n || !needed) {
            continue;
        }

        /* parts can have the same group */

        for (j = 0; j < nlacks && lacks[j].gid != needs[i].gid; j++) {
            /* void */
        }

        if (j == nlacks) {
            lacks[nlacks++] = needs[i];

        } else {
            lacks[j].uses |= needs[i].uses;
        }
    }

    return nlacks;
}


static void
ctl_nginx_group(gid_t gid, es_buf_t *out)
{
    struct group  *group;

    group = getgrgid(gid);

    if (group != NULL) {
        (void) es_buf_printf(out, "%s", group->gr_name);

    } else {
        (void) es_buf_printf(out, "%u", (unsigned) gid);
    }
}


/* "eventsync-publish for eventsync_publish; ..." */

static void
ctl_nginx_for(const ctl_nginx_lack_t *lacks, unsigned n, unsigned serves,
    es_buf_t *out)
{
    unsigned     i, j;
    const char  *between;

    for (i = 0; i < n; i++) {
        (void) es_buf_printf(out, "%s", i > 0 ? "; " : "");
        ctl_nginx_group(lacks[i].gid, out);
        between = " for ";

        if ((lacks[i].uses & DOCTOR_STORE) != 0) {
            (void) es_buf_printf(out, " to open the store");
            between = ", for ";
        }

        for (j = 0; j < CTL_CONF_RESOURCES; j++) {
            if ((serves & 1u << j) != 0
                && (ctl_conf_resources[j].uses & lacks[i].uses) != 0)
            {
                (void) es_buf_printf(out, "%s%s", between,
                                     ctl_conf_resources[j].name);
                between = ", ";
            }
        }
    }

    (void) es_buf_append(out, "", 1);
}


/* The groups of a worker of the master; 0: unknown, or it is root's and needs
   none. */

static int
ctl_nginx_worker(pid_t master, gid_t groups[DOCTOR_GROUPS])
{
    int    n;
    char   path[96], line[4096], *p, *end;
    FILE  *file;
    pid_t  worker;

    (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
                    (int) master, (int) master);
    worker = ctl_nginx_number(path);
    (void) snprintf(path, sizeof(path), "/proc/%d/status",
                    (int) worker);

    file = worker > 0 ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return 0;
    }

    n = 0;

    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Uid:\t0\t", 7) == 0) {
            break;
        }

        if (strncmp(line, "Gid:", 4) != 0 && strncmp(line, "Groups:", 7) != 0) {
            continue;
        }

        for (p = strchr(line, ':') + 1; n < DOCTOR_GROUPS; p = end) {
            groups[n] = (gid_t) strtoul(p, &end, 10);

            if (end == p) {
                break;
            }

            n++;
        }
    }

    (void) fclose(file);

    return n;
}


/* A master reads the groups of its workers' user when it starts. */

static void
ctl_nginx_running(ctl_doctor_t *d, const ctl_nginx_conf_t *conf,
    const es_rights_t *rights, const char *user)
{
    int                n;
    gid_t              groups[DOCTOR_GROUPS];
    pid_t              master;
    json_t            *check;
    es_buf_t           text = { 0 };
    unsigned           nlacks;
    ctl_nginx_lack_t   lacks[DOCTOR_PARTS];

    master = ctl_nginx_master(conf);
    n = master != 0 ? ctl_nginx_worker(master, groups) : 0;
    nlacks = n > 0 ? ctl_nginx_lacks(rights, conf->serves, groups, n, lacks)
                   : 0;

    if (nlacks == 0) {
        (void) ctl_check(d, "nginx-user", CTL_CHECK_OK, "the user %s has the "
                         "groups that nginx's locations need", user);
        return;
    }

    ctl_nginx_for(lacks, nlacks, conf->serves, &text);
    check = ctl_check(d, "nginx-user", CTL_CHECK_FAIL, "nginx's workers run "
                      "without groups that the user %s is in: %s", user,
                      text.data);
    ctl_finding_next(check, "service nginx restart");
    es_buf_free(&text);
}


static void
ctl_nginx_user(ctl_doctor_t *d, const ctl_nginx_conf_t *conf)
{
    int                n;
    gid_t              groups[DOCTOR_GROUPS];
    json_t            *check;
    unsigned           i, nlacks;
    es_buf_t           text = { 0 }, list = { 0 };
    es_rights_t        rights = { 0 };
    struct stat        st;
    struct passwd     *user;
    ctl_nginx_lack_t   lacks[DOCTOR_PARTS];

    user = getpwnam(conf->user[0] != '\0' ? conf->user : "nobody");
    n = DOCTOR_GROUPS;

    if (user == NULL || user->pw_uid == 0
        || stat(d->ctl->store_path, &st) != 0 || !(st.st_mode & S_ISGID)
        || !es_store_rights_read(d->ctl->store_path, &rights)
        || getgrouplist(user->pw_name, user->pw_gid, groups, &n) == -1)
    {
        (void) ctl_check(d, "nginx-user", CTL_CHECK_SKIPPED, "nginx's workers "
                         "run as root, or the store has no groups");
        return;
    }

    nlacks = ctl_nginx_lacks(&rights, conf->serves, groups, n, lacks);

    if (nlacks == 0) {
        ctl_nginx_running(d, conf, &rights, user->pw_name);
        return;
    }

    ctl_nginx_for(lacks, nlacks, conf->serves, &text);

    for (i = 0; i < nlacks; i++) {
        (void) es_buf_printf(&list, "%s", i > 0 ? "," : "");
        ctl_nginx_group(lacks[i].gid, &list);
    }

    (void) es_buf_append(&list, "", 1);

    check = ctl_check(d, "nginx-user", CTL_CHECK_FAIL, "the user %s lacks "
                      "groups that nginx's locations need: %s", user->pw_name,
                      text.data);
    ctl_finding_next(check, "usermod -a -G %s %s, then: service nginx restart",
                     list.data, user->pw_name);
    es_buf_free(&text);
    es_buf_free(&list);
}


static void
ctl_nginx_judge(ctl_doctor_t *d, const es_buf_t *out)
{
    pid_t              master;
    ctl_nginx_conf_t  *conf;

    conf = malloc(sizeof(ctl_nginx_conf_t));
    if (conf == NULL) {
        return;
    }

    ctl_nginx_conf_read((es_str_t) { out->data, out->len }, conf);

    if (conf->nstores == 0) {
        (void) ctl_check(d, "nginx-store", CTL_CHECK_SKIPPED, "nginx's "
                         "configuration has no eventsync_store");

    } else {
        ctl_nginx_stores(d, conf);
        ctl_nginx_limits(d, conf);
        ctl_nginx_plain(d, conf);
        ctl_nginx_user(d, conf);

        master = ctl_nginx_master(conf);

        if (master != 0) {
            ctl_nginx_module(d, master);

        } else {
            (void) ctl_check(d, "nginx-module", CTL_CHECK_SKIPPED, "nginx does "
                             "not run");
        }
    }

    free(conf);
}


void
ctl_doctor_nginx(ctl_doctor_t *d)
{
    int        status;
    char       reason[300];
    json_t    *check;
    es_buf_t   out = { 0 }, err = { 0 };

    (void) fflush(stdout);
    status = ctl_nginx_run(d, &out, &err);

    if (status == DOCTOR_NOT_FOUND) {
        (void) ctl_check(d, "nginx", CTL_CHECK_SKIPPED, "there is no program "
                         "\"%s\"", d->nginx);

    } else if (status != 0 && geteuid() != 0) {
        (void) ctl_check(d, "nginx", CTL_CHECK_SKIPPED, "only root can test "
                         "nginx's configuration");

    } else if (status != 0) {
        ctl_nginx_reason(&err, reason);
        check = ctl_check(d, "nginx", CTL_CHECK_FAIL, "nginx refuses its "
                          "configuration: %s", reason);
        ctl_finding_next(check, "nginx -t%s%s", d->conf != NULL ? " -c " : "",
                         d->conf != NULL ? d->conf : "");

    } else {
        (void) ctl_check(d, "nginx", CTL_CHECK_OK, "nginx accepts its "
                         "configuration");
        ctl_nginx_judge(d, &out);
    }

    es_buf_free(&out);
    es_buf_free(&err);
}
