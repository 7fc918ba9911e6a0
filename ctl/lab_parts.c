/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The processes of the lab: nginx, the dispatcher and the receiver.  Each is a
 * process group of its own.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab.h"

#define PARTS_TICK_MS      50
#define PARTS_START_US     INT64_C(20000000)
#define PARTS_LEARNER_US   INT64_C(600000000)
#define PARTS_STOP_US      INT64_C(10000000)
#define PARTS_SCHEDULE     "--schedule=0,500ms,500ms,500ms,500ms"
#define PARTS_MODULE       "ngx_http_eventsync_module.so"

static volatile sig_atomic_t  ctl_lab_interrupted;


static void
ctl_lab_on_signal(int signal)
{
    ctl_lab_interrupted = signal;
}


void
ctl_lab_signals(void)
{
    struct sigaction  action = { .sa_handler = ctl_lab_on_signal };

    (void) sigaction(SIGINT, &action, NULL);
    (void) sigaction(SIGTERM, &action, NULL);

    /* a terminal that is closed, and a reader of the output that is gone */

    (void) sigaction(SIGHUP, &action, NULL);
    (void) sigaction(SIGPIPE, &action, NULL);
}


int
ctl_lab_pause(unsigned ms)
{
    (void) poll(NULL, 0, (int) ms);

    return ctl_lab_interrupted ? ctl_fail(CTL_FAILED, "interrupted") : CTL_OK;
}


int
ctl_lab_write(ctl_lab_t *lab, const char *name, const char *text)
{
    int      fd;
    bool     ok;
    char     path[LAB_PATH + 64];
    ssize_t  n;

    (void) snprintf(path, sizeof(path), "%s/%s", lab->run, name);

    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    n = fd != -1 ? write(fd, text, strlen(text)) : -1;
    ok = n == (ssize_t) strlen(text);

    if (fd != -1) {
        ok = close(fd) == 0 && ok;
    }

    return ok ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write \"%s\": %s", path,
                                  strerror(errno));
}


/* ---- processes that go on ---- */

static bool
ctl_lab_port_open(uint16_t port)
{
    int                 fd;
    bool                open;
    struct sockaddr_in  sin = { .sin_family = AF_INET };

    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    open = fd != -1 && connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == 0;

    if (fd != -1) {
        (void) close(fd);
    }

    return open;
}


/* Starts a program with its output in a file of the run, or on standard error.
   0: it could not be started. */

static pid_t
ctl_lab_spawn(const ctl_lab_t *lab, const char *log, char **argv)
{
    int    fd;
    char   path[LAB_PATH + 64];
    pid_t  pid, lab_pid;

    (void) fflush(stdout);
    lab_pid = getpid();
    pid = fork();

    if (pid == 0) {
        (void) setpgid(0, 0);

        /* the lab may be killed, also before this */

        if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1 || getppid() != lab_pid) {
            _exit(127);
        }

        fd = STDERR_FILENO;

        if (log != NULL) {
            (void) snprintf(path, sizeof(path), "%s/%s", lab->run, log);
            fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        }

        if (fd != -1 && dup2(fd, STDOUT_FILENO) != -1
            && dup2(fd, STDERR_FILENO) != -1)
        {
            (void) execvp(argv[0], argv);
        }

        _exit(127);
    }

    if (pid > 0) {
        (void) setpgid(pid, pid);
    }

    return pid > 0 ? pid : 0;
}


/* True once the process has ended. */

static bool
ctl_lab_ended(pid_t *pid)
{
    if (*pid != 0 && waitpid(*pid, NULL, WNOHANG) == *pid) {
        (void) kill(-*pid, SIGKILL);
        *pid = 0;
    }

    return *pid == 0;
}


static void
ctl_lab_stop(pid_t *pid, int signal)
{
    int64_t  until_us;

    if (*pid == 0) {
        return;
    }

    (void) kill(signal == SIGKILL ? -*pid : *pid, signal);
    until_us = es_clock_mono_us() + PARTS_STOP_US;

    while (!ctl_lab_ended(pid)) {
        if (es_clock_mono_us() > until_us) {
            (void) kill(-*pid, SIGKILL);
        }

        (void) poll(NULL, 0, PARTS_TICK_MS);
    }
}


/* The shell that runs the command may end before the receiver, which then still
   has the port. */

static void
ctl_lab_receiver_kill(ctl_lab_t *lab)
{
    int64_t  until_us;

    if (lab->receiver_pid == 0) {
        return;
    }

    ctl_lab_stop(&lab->receiver_pid, SIGKILL);
    until_us = es_clock_mono_us() + PARTS_STOP_US;

    while (ctl_lab_port_open(lab->port) && es_clock_mono_us() < until_us) {
        (void) poll(NULL, 0, PARTS_TICK_MS);
    }
}


/* ---- nginx and the dispatcher ---- */

/* A file beside eventsyncctl, as in the build, or else where packages have
   it. */

static void
ctl_lab_find(const ctl_lab_t *lab, const char *name, const char *installed,
    char path[LAB_PATH])
{
    int  n;

    n = (int) (strrchr(lab->exe, '/') - lab->exe);
    (void) snprintf(path, LAB_PATH, "%.*s/%s", n, lab->exe, name);

    if (access(path, R_OK) != 0) {
        (void) snprintf(path, LAB_PATH, "%s", installed);
    }
}


static int
ctl_lab_nginx_conf(ctl_lab_t *lab)
{
    int       rc;
    char      module[LAB_PATH];
    es_buf_t  conf = { 0 };

    ctl_lab_find(lab, PARTS_MODULE, "/usr/lib/nginx/modules/" PARTS_MODULE,
                 module);

    if (lab->module != NULL) {
        (void) snprintf(module, sizeof(module), "%s", lab->module);
    }

    if (access(module, R_OK) != 0) {
        return ctl_fail(CTL_FAILED, "nginx's module is not at \"%s\": install "
                        "the package libnginx-mod-http-eventsync, or build it "
                        "by \"make module\", or give \"--module\"", module);
    }

    rc = es_buf_printf(&conf, "load_module \"%s\";\ndaemon off;\n%s"
        "pid \"%s/nginx.pid\";\nerror_log \"%s/nginx.log\";\n"
        "events { }\nhttp {\n"
        "    log_format polls \"$status $request_method $request_uri\";\n"
        "    access_log \"%s/polls.log\" polls;\n"
        "    client_body_temp_path \"%s/tmp1\";\n"
        "    proxy_temp_path \"%s/tmp2\";\n    fastcgi_temp_path \"%s/tmp3\";\n"
        "    uwsgi_temp_path \"%s/tmp4\";\n    scgi_temp_path \"%s/tmp5\";\n"
        "    eventsync_store \"%s/store\";\n"
        "    eventsync_limit poll rate=50r/s burst=100;\n"
        "    server {\n        listen 127.0.0.1:%u;\n        location /v1/ {\n"
        "            eventsync_poll on;\n            eventsync_snapshot on;\n"
        "            eventsync_sse on;\n        }\n    }\n}\n", module,
        geteuid() == 0 ? "user root;\n" : "", lab->run, lab->run, lab->run,
        lab->run, lab->run, lab->run, lab->run, lab->run, lab->run,
        (unsigned) lab->api_port);

    rc = rc == ES_OK && es_buf_append(&conf, "", 1) == ES_OK
         ? ctl_lab_write(lab, "nginx.conf", conf.data)
         : ctl_fail(CTL_FAILED, "out of memory");
    es_buf_free(&conf);

    return rc;
}


/* Waits for the port.  False: the process has ended before. */

static int
ctl_lab_opens(uint16_t port, pid_t *pid, bool *opens)
{
    int      rc;
    int64_t  until_us;

    rc = CTL_OK;
    until_us = es_clock_mono_us() + PARTS_START_US;

    do {
        *opens = ctl_lab_port_open(port);

        if (*opens || ctl_lab_ended(pid) || es_clock_mono_us() > until_us) {
            return rc;
        }

        rc = ctl_lab_pause(PARTS_TICK_MS);
    } while (rc == CTL_OK);

    return rc;
}


static int
ctl_lab_nginx(ctl_lab_t *lab)
{
    int   rc;
    bool  opens;
    char  program[LAB_PATH], conf[LAB_PATH + 32], p[] = "-p", c[] = "-c";
    char  e[] = "-e", err[] = "stderr";

    char  *argv[] = { program, p, lab->run, c, conf, e, err, NULL };

    rc = ctl_lab_nginx_conf(lab);
    if (rc != CTL_OK) {
        return rc;
    }

    ctl_lab_find(lab, "nginx", "/usr/sbin/nginx", program);

    if (lab->nginx != NULL) {
        (void) snprintf(program, sizeof(program), "%s", lab->nginx);
    }

    (void) snprintf(conf, sizeof(conf), "%s/nginx.conf", lab->run);

    if (ctl_lab_port_open(lab->api_port)) {
        return ctl_fail(CTL_FAILED, "port %u is in use: give another one by "
                        "\"--api-port\"", (unsigned) lab->api_port);
    }

    lab->nginx_pid = ctl_lab_spawn(lab, "nginx.log", argv);
    rc = ctl_lab_opens(lab->api_port, &lab->nginx_pid, &opens);

    return rc == CTL_OK && !opens
           ? ctl_fail(CTL_FAILED, "nginx (\"%s\") does not start: see "
                      "%s/nginx.log", program, lab->run)
           : rc;
}


static int
ctl_lab_dispatcher(ctl_lab_t *lab)
{
    char  program[LAB_PATH], store[LAB_PATH + 32], http[] = "--allow-http";
    char  address[] = "--allow-address=127.0.0.0/8";

    char  *argv[] = { program, store, http, address, NULL };

    ctl_lab_find(lab, "eventsync-dispatcher", "/usr/sbin/eventsync-dispatcher",
                 program);
    (void) snprintf(store, sizeof(store), "--store=%s/store", lab->run);

    if (access(program, X_OK) != 0) {
        return ctl_fail(CTL_FAILED, "the dispatcher is not at \"%s\": install "
                        "the package eventsync-dispatcher, or build it by "
                        "\"make tools\"", program);
    }

    lab->dispatcher_pid = ctl_lab_spawn(lab, "dispatcher.log", argv);

    return lab->dispatcher_pid != 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot start the dispatcher: %s",
                               strerror(errno));
}


/* Copies a member of the command's answer. */

static int
ctl_lab_member(const es_buf_t *out, const char *name, char *text, size_t size)
{
    json_t      *answer;
    const char  *value;

    answer = json_loads(out->data != NULL ? out->data : "", 0, NULL);
    value = json_string_value(json_object_get(answer, name));
    (void) snprintf(text, size, "%s", value != NULL ? value : "");
    json_decref(answer);

    return text[0] != '\0' ? CTL_OK
           : ctl_fail(CTL_FAILED, "eventsyncctl has printed no \"%s\"", name);
}


static int
ctl_lab_records(ctl_lab_t *lab)
{
    int       rc;
    char      url[64];
    es_buf_t  out = { 0 };

    (void) snprintf(url, sizeof(url), "--url=http://127.0.0.1:%u/hook",
                    (unsigned) lab->port);

    rc = ctl_lab_ctl(lab, NULL, NULL, NULL,
        LAB_ARGS("init", "--plain-secrets"));

    if (rc == CTL_OK) {
        rc = ctl_lab_ctl(lab, NULL, &out, NULL,
            LAB_ARGS("feed", "create", "lab", "--json"));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_member(&out, "epoch", lab->epoch, sizeof(lab->epoch));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_ctl(lab, NULL, NULL, NULL,
            LAB_ARGS("partner", "create", "learner", "--feeds=lab",
                     "--allow-http=yes", "--allow-addresses=127.0.0.0/8"));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_ctl(lab, NULL, &out, NULL,
            LAB_ARGS("key", "create", "learner", "--scopes=read", "--json"));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_member(&out, "key", lab->key, sizeof(lab->key));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_ctl(lab, NULL, &out, NULL,
            LAB_ARGS("endpoint", "create", "learner", "--feeds=lab",
                     "--start=oldest", "--ordering=none", PARTS_SCHEDULE, url,
                     "--json"));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_member(&out, "name", lab->endpoint, sizeof(lab->endpoint));
    }

    if (rc == CTL_OK) {
        rc = ctl_lab_member(&out, "secret", lab->secret, sizeof(lab->secret));
    }

    es_buf_free(&out);

    return rc == CTL_OK ? ctl_lab_write(lab, "secrets", lab->secret) : rc;
}


int
ctl_lab_begin(ctl_lab_t *lab)
{
    int  rc;

    rc = ctl_lab_records(lab);

    if (rc == CTL_OK) {
        rc = ctl_lab_nginx(lab);
    }

    return rc == CTL_OK ? ctl_lab_dispatcher(lab) : rc;
}


void
ctl_lab_end(ctl_lab_t *lab)
{
    ctl_lab_receiver_kill(lab);
    ctl_lab_stop(&lab->dispatcher_pid, SIGTERM);
    ctl_lab_stop(&lab->nginx_pid, SIGTERM);
}


/* ---- the receiver ---- */

/* What the receiver must know, as variables of the environment. */

static int
ctl_lab_environment(ctl_lab_t *lab)
{
    int       rc;
    char      port[16], url[64];
    es_buf_t  file = { 0 };

    (void) snprintf(port, sizeof(port), "%u", (unsigned) lab->port);
    (void) snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1",
                    (unsigned) lab->api_port);

    rc = es_buf_printf(&file, "export PORT=%s LAB_DIR='%s' WEBHOOK_SECRET='%s' "
                       "EVENTSYNC_URL=%s EVENTSYNC_FEED=lab EVENTSYNC_KEY=%s\n",
                       port, lab->run, lab->secret, url, lab->key);

    if (rc != ES_OK || es_buf_append(&file, "", 1) != ES_OK
        || setenv("PORT", port, 1) != 0 || setenv("LAB_DIR", lab->run, 1) != 0
        || setenv("WEBHOOK_SECRET", lab->secret, 1) != 0
        || setenv("EVENTSYNC_URL", url, 1) != 0
        || setenv("EVENTSYNC_FEED", "lab", 1) != 0
        || setenv("EVENTSYNC_KEY", lab->key, 1) != 0)
    {
        es_buf_free(&file);
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    rc = ctl_lab_write(lab, "env", file.data);
    es_buf_free(&file);

    return rc;
}


/* Waits until the learner has started or stopped the receiver. */

static int
ctl_lab_ask(ctl_lab_t *lab, bool open)
{
    int      rc;
    int64_t  until_us;

    rc = CTL_OK;
    until_us = es_clock_mono_us() + PARTS_LEARNER_US;

    while (rc == CTL_OK && ctl_lab_port_open(lab->port) != open) {
        if (es_clock_mono_us() > until_us) {
            return ctl_fail(CTL_FAILED, "the receiver was not %s in time",
                            open ? "started" : "stopped");
        }

        rc = ctl_lab_pause(PARTS_TICK_MS);
    }

    return rc;
}


int
ctl_lab_receiver_start(ctl_lab_t *lab)
{
    int   rc;
    bool  opens;
    char  shell[] = "/bin/sh", flag[] = "-c", command[4096];

    char  *argv[] = { shell, flag, command, NULL };

    rc = ctl_lab_environment(lab);
    if (rc != CTL_OK) {
        return rc;
    }

    if (lab->command == NULL) {

        /* one of an earlier step has another secret */

        rc = ctl_lab_port_open(lab->port) ? ctl_lab_receiver_stop(lab)
                                          : CTL_OK;

        if (rc == CTL_OK) {
            ctl_say("start your receiver on port %u, after this: . %s/env",
                    (unsigned) lab->port, lab->run);
            (void) fflush(stdout);
            rc = ctl_lab_ask(lab, true);
        }

        return rc;
    }

    if (ctl_lab_port_open(lab->port)) {
        return ctl_fail(CTL_FAILED, "port %u is in use: give another one by "
                        "\"--port\"", (unsigned) lab->port);
    }

    (void) snprintf(command, sizeof(command), "%s", lab->command);
    lab->receiver_pid = ctl_lab_spawn(lab, NULL, argv);
    rc = ctl_lab_opens(lab->port, &lab->receiver_pid, &opens);

    return rc == CTL_OK && !opens ? ctl_lab_silent(lab) : rc;
}


int
ctl_lab_receiver_stop(ctl_lab_t *lab)
{
    if (lab->command == NULL) {
        ctl_say("stop your receiver now");
        (void) fflush(stdout);
        return ctl_lab_ask(lab, false);
    }

    ctl_lab_receiver_kill(lab);

    return CTL_OK;
}
