/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tries from inside what a sandbox must forbid, for programs that LD_PRELOAD
 * this.
 *
 * On SIGUSR2 the process tries every act below in each of its threads, and
 * appends a line "THREAD ACT ERRNO" for each to the file that ES_ACTS names;
 * 0: it succeeded.  The last line of a thread is "THREAD end 0".  ES_ACTS_DIR is
 * the directory that paths begin with, and ES_ACTS_SOCKET the name of an
 * abstract socket that somebody listens on.
 *
 * Most calls have arguments that are wrong in another way, so that they do no
 * harm where nothing forbids them.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2  437
#endif

#define ACTS_OTHERS  (SIGRTMIN + 3)

static int   acts_out = -1;
static int   acts_shared = -1;         /* of the test: opened at start */
static char  acts_dir[1024];


static void
acts_say(const char *act, long rc)
{
    int   err, n;
    char  line[256];

    err = rc < 0 ? errno : 0;
    n = snprintf(line, sizeof(line), "%ld %s %d\n", syscall(SYS_gettid), act,
                 err);
    (void) !write(acts_out, line, (size_t) n);
}


static const char *
acts_path(const char *name, char *path)
{
    (void) snprintf(path, 2048, "%s/%s", acts_dir, name);
    return path;
}


static void
acts_open(const char *act, const char *name, int flags)
{
    int   fd;
    char  path[2048];

    fd = open(name[0] == '/' ? name : acts_path(name, path), flags | O_CLOEXEC,
              0600);
    acts_say(act, fd);

    if (fd != -1) {
        (void) close(fd);
    }
}


static void
acts_files(void)
{
    char  a[2048], b[2048], made[64];

    acts_open("read-outside", "outside", O_RDONLY);
    acts_open("write-outside", "outside", O_WRONLY);
    acts_open("truncate-outside", "outside", O_RDONLY | O_TRUNC);
    acts_open("make-outside", "made", O_WRONLY | O_CREAT);
    acts_open("list-outside", ".", O_RDONLY | O_DIRECTORY);
    acts_open("write-key", "keys/secret-keys", O_RDWR);
    acts_open("write-tls", "tls/ca.pem", O_RDWR);
    acts_open("make-tls", "tls/made", O_RDWR | O_CREAT);
    acts_open("write-registry", "store/registry/data.mdb", O_RDWR);
    acts_open("write-checkpoints", "store/checkpoints/data.mdb", O_RDWR);
    acts_open("write-format", "store/format", O_RDWR);
    acts_open("make-in-store", "store/made", O_RDWR | O_CREAT);
    acts_open("make-in-log", "store/log/made", O_RDWR | O_CREAT);
    acts_open("make-tmp", "/tmp/acts-made", O_RDWR | O_CREAT);

    acts_say("mkdir", mkdir(acts_path("store/ids/dir", a), 0700));
    acts_say("unlink", unlink(acts_path("store/delivery/spare", a)));
    acts_say("rmdir", rmdir(acts_path("store/spare", a)));
    acts_say("rename", rename(acts_path("spare", a), acts_path("spare2", b)));
    acts_say("link", link(acts_path("outside", a), acts_path("linked", b)));

    acts_open("may-read-key", "keys/secret-keys", O_RDONLY);
    acts_open("may-read-tls", "tls/ca.pem", O_RDONLY);
    acts_open("may-read-etc", "/etc/passwd", O_RDONLY);
    acts_open("may-write-log", "store/log/data.mdb", O_RDWR);
    acts_open("may-write-delivery", "store/delivery/data.mdb", O_RDWR);
    acts_open("may-lock-registry", "store/registry/lock.mdb", O_RDWR);

    (void) snprintf(made, sizeof(made), "store/ids/made%ld",
                    syscall(SYS_gettid));
    acts_open("may-make-in-ids", made, O_RDWR | O_CREAT);
    acts_say("may-unlink-in-ids", unlink(acts_path(made, a)));
    (void) snprintf(made, sizeof(made), "store/encrypted/made%ld",
                    syscall(SYS_gettid));
    acts_open("may-make-in-encrypted", made, O_RDWR | O_CREAT);
    acts_say("may-unlink-in-encrypted", unlink(acts_path(made, a)));
}


static void
acts_programs(void)
{
    long         pid;
    char        *none[] = { NULL };
    const char  *path = "/nonexistent/program";

    acts_say("execve", syscall(SYS_execve, path, none, none));
    acts_say("execveat", syscall(SYS_execveat, AT_FDCWD, path, none, none, 0));

    pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (pid == 0) {
        _exit(0);
    }

    acts_say("fork", pid);
    acts_say("clone3", syscall(SYS_clone3, NULL, 0));
    acts_say("ptrace", syscall(SYS_ptrace, PTRACE_PEEKDATA, 0, 0, 0));
    acts_say("process_vm_readv",
             syscall(SYS_process_vm_readv, 0, NULL, 0, NULL, 0, 1));
    acts_say("kill", kill(getppid(), 0));
    acts_say("tgkill", syscall(SYS_tgkill, getppid(), getppid(), 0));
    acts_say("pidfd_open", syscall(434, 0, 0));
    acts_say("dumpable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    acts_say("may-signal-itself", kill(getpid(), 0));
}


static void
acts_kernel(void)
{
    struct timespec  never = { -1, -1 };

    acts_say("setresuid", syscall(SYS_setresuid, -1, -1, -1));
    acts_say("setgroups", syscall(SYS_setgroups, 1 << 20, NULL));
    acts_say("capset", syscall(SYS_capset, NULL, NULL));
    acts_say("mount", mount("none", "/nonexistent", "tmpfs", 0, NULL));
    acts_say("move_mount", syscall(429, -1, NULL, -1, NULL, -1));
    acts_say("fsopen", syscall(430, NULL, -1));
    acts_say("chroot", chroot("/nonexistent"));
    acts_say("unshare", syscall(SYS_unshare, 1));
    acts_say("setns", syscall(SYS_setns, -1, 0));
    acts_say("init_module", syscall(SYS_init_module, NULL, 0, NULL));
    acts_say("finit_module", syscall(SYS_finit_module, -1, NULL, -1));
    acts_say("delete_module", syscall(SYS_delete_module, NULL, 0));
    acts_say("kexec_load", syscall(SYS_kexec_load, 0, 1 << 20, NULL, 0));
    acts_say("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
    acts_say("bpf", syscall(SYS_bpf, -1, NULL, 0));
    acts_say("perf_event_open",
             syscall(SYS_perf_event_open, NULL, 0, -1, -1, -1));
    acts_say("userfaultfd", syscall(SYS_userfaultfd, -1));
    acts_say("keyctl", syscall(SYS_keyctl, -1, 0, 0, 0, 0));
    acts_say("add_key", syscall(SYS_add_key, NULL, NULL, NULL, 0, 0));
    acts_say("request_key", syscall(SYS_request_key, NULL, NULL, NULL, 0));
    acts_say("syslog", syscall(SYS_syslog, -1, NULL, 0));
    acts_say("clock_settime", syscall(SYS_clock_settime, 0, &never));
    acts_say("fanotify_init", syscall(SYS_fanotify_init, -1, 0));
    acts_say("io_uring_setup", syscall(425, 0, NULL));
    acts_say("personality", syscall(SYS_personality, 0xffffffff));
}


static void
acts_paths(void)
{
    char         path[2048];
    const char  *none = "/nonexistent/path";

    acts_open("O_TMPFILE", "store/ids", O_TMPFILE | O_RDWR);
    acts_say("openat2", syscall(SYS_openat2, -1, none, NULL, 0));
    acts_say("memfd_create", syscall(SYS_memfd_create, NULL, -1));
    acts_say("name_to_handle_at",
             syscall(SYS_name_to_handle_at, -1, NULL, NULL, NULL, -1));
    acts_say("truncate", truncate(none, 0));
    acts_say("fchmodat", fchmodat(AT_FDCWD, none, 0, 0));
    acts_say("fchownat", fchownat(AT_FDCWD, none, 0, 0, 0));
    acts_say("symlinkat", symlinkat(none, AT_FDCWD, none));
    acts_say("mknodat", mknodat(AT_FDCWD, none, S_IFREG, 0));
    acts_say("utimensat", utimensat(AT_FDCWD, none, NULL, 0));
    acts_say("setxattr", syscall(SYS_setxattr, none, "user.x", "", 0, 0));
    acts_say("fchmod-setuid", fchmod(-1, S_ISUID | 0700));
    acts_say("may-fchmod", fchmod(acts_shared, 0600));
    acts_say("may-stat", access(acts_path("store/format", path), R_OK));
}


static void
acts_memory(void)
{
    void  *page;

    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    acts_say("may-mmap", page == MAP_FAILED ? -1 : 0);
    acts_say("mprotect-exec", mprotect(page, 4096, PROT_READ | PROT_EXEC));
    (void) munmap(page, 4096);

    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    acts_say("mmap-write-exec", page == MAP_FAILED ? -1 : 0);
    acts_say("shmget", syscall(SYS_shmget, 1, 0, 0));
}


static void
acts_socket(const char *act, int family, int type)
{
    int  fd;

    fd = socket(family, type | SOCK_CLOEXEC, 0);
    acts_say(act, fd);

    if (fd != -1) {
        (void) close(fd);
    }
}


static void
acts_sockets(void)
{
    int                 fd;
    const char         *name;
    struct sockaddr_in  any;
    struct sockaddr_un  abstract;

    acts_socket("socket-packet", AF_PACKET, SOCK_DGRAM);
    acts_socket("socket-alg", AF_ALG, SOCK_SEQPACKET);
    acts_socket("socket-key", AF_KEY, SOCK_DGRAM);
    acts_socket("socket-60", 60, SOCK_STREAM);
    acts_socket("may-socket-inet", AF_INET, SOCK_STREAM);
    acts_socket("may-socket-inet6", AF_INET6, SOCK_STREAM);
    acts_socket("may-socket-unix", AF_UNIX, SOCK_DGRAM);
    acts_socket("may-socket-netlink", AF_NETLINK, SOCK_RAW);
    acts_say("listen", listen(-1, 1));
    acts_say("accept4", accept4(-1, NULL, NULL, 0));
    acts_say("ioctl-TIOCSTI", syscall(SYS_ioctl, -1, 0x5412, NULL));

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(&any, 0, sizeof(any));
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    acts_say("bind", bind(fd, (struct sockaddr *) &any, sizeof(any)));
    (void) close(fd);

    name = getenv("ES_ACTS_SOCKET");
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(&abstract, 0, sizeof(abstract));
    abstract.sun_family = AF_UNIX;
    memcpy(abstract.sun_path + 1, name, strlen(name));
    acts_say("abstract", connect(fd, (struct sockaddr *) &abstract,
                                 (socklen_t) (sizeof(sa_family_t) + 1
                                              + strlen(name))));
    (void) close(fd);
}


static void
acts_all(int sig)
{
    int  err;

    err = errno;
    (void) sig;

    acts_files();
    acts_programs();
    acts_kernel();
    acts_paths();
    acts_memory();
    acts_sockets();
    acts_say("end", 0);

    errno = err;
}


/* As getdents64(2) has it; the functions of the C library need memory, which a
   signal handler must not ask for. */
typedef struct {
    uint64_t        inode;
    int64_t         offset;
    unsigned short  size;
    unsigned char   type;
    char            name[];
} acts_entry_t;


/* The first thread tries everything before the others do. */

static void
acts_first(int sig)
{
    int            fd;
    char           data[4096] __attribute__((aligned(8)));
    long           n, i, tid;
    acts_entry_t  *e;

    acts_all(sig);

    fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    n = syscall(SYS_getdents64, fd, data, sizeof(data));

    for (i = 0; i < n; i += e->size) {
        e = (acts_entry_t *) (void *) (data + i);
        tid = atol(e->name);

        if (tid > 0 && tid != syscall(SYS_gettid)) {
            (void) syscall(SYS_tgkill, getpid(), tid, ACTS_OTHERS);
        }
    }

    (void) close(fd);
}


__attribute__((constructor)) static void
acts_init(void)
{
    char              path[2048];
    const char       *out, *dir;
    struct sigaction  action;

    out = getenv("ES_ACTS");
    dir = getenv("ES_ACTS_DIR");

    if (out == NULL || dir == NULL) {
        return;
    }

    (void) snprintf(acts_dir, sizeof(acts_dir), "%s", dir);
    acts_out = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    acts_shared = open(acts_path("outside", path), O_RDONLY | O_CLOEXEC);

    memset(&action, 0, sizeof(action));
    action.sa_flags = SA_RESTART;
    action.sa_handler = acts_first;
    (void) sigaction(SIGUSR2, &action, NULL);
    action.sa_handler = acts_all;
    (void) sigaction(ACTS_OTHERS, &action, NULL);
}
