/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The filter of system calls, by libseccomp.
 *
 * The filter is a list of refused calls, not of allowed ones.  The process runs
 * code of others whose calls change between releases: the C library, its name
 * service modules, OpenSSL and libcurl.  With a list of allowed calls, an
 * update of one of them could stop all deliveries.  Where systemd starts the
 * dispatcher, its unit adds such a list.  A refused call fails with EPERM, so
 * that the caller reports it, instead of ending the process.
 *
 * New kinds of calls get a line here when the kernel gets them.  libseccomp
 * passes over names that it does not know.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syscalls.h"

/* O_TMPFILE without the bit of O_DIRECTORY, which every open() of a directory
   has. */
#define ESD_TMPFILE_BIT  (O_TMPFILE & ~O_DIRECTORY)

/* The first argument of clone() that has its flags. */
#if defined(__s390__) || defined(__CRIS__)
#define ESD_CLONE_FLAGS  1
#else
#define ESD_CLONE_FLAGS  0
#endif

typedef struct {
    const char             *name;
    unsigned                n;         /* 0: whatever its arguments are */
    struct scmp_arg_cmp     arg[1];
} esd_syscall_t;

static const char *const  esd_syscalls_refused[] = {

    /* other programs */
    "execve", "execveat", "fork", "vfork", "uselib",

    /* other processes */
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
    "process_mrelease", "kcmp", "pidfd_open", "pidfd_getfd",
    "pidfd_send_signal", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
    "migrate_pages", "move_pages",

    /* users and capabilities */
    "setuid", "setuid32", "setgid", "setgid32", "setreuid", "setreuid32",
    "setregid", "setregid32", "setresuid", "setresuid32", "setresgid",
    "setresgid32", "setgroups", "setgroups32", "setfsuid", "setfsuid32",
    "setfsgid", "setfsgid32", "capset", "personality",

    /* mounts and namespaces */
    "mount", "umount", "umount2", "mount_setattr", "move_mount", "open_tree",
    "open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick", "pivot_root",
    "chroot", "unshare", "setns", "statmount", "listmount", "quotactl",
    "quotactl_fd", "swapon", "swapoff",

    /* the kernel */
    "init_module", "finit_module", "delete_module", "create_module",
    "get_kernel_syms", "query_module", "kexec_load", "kexec_file_load",
    "reboot", "bpf", "perf_event_open", "userfaultfd", "syslog", "acct",
    "iopl", "ioperm", "modify_ldt", "vm86", "vm86old", "lookup_dcookie",
    "nfsservctl", "sysfs", "_sysctl", "vhangup", "sethostname",
    "setdomainname", "clock_settime", "clock_settime64", "settimeofday",
    "stime", "add_key", "request_key", "keyctl", "lsm_set_self_attr",
    "fanotify_init", "fanotify_mark",

    /* ways around a filter or Landlock: calls that a ring makes, paths and
       flags behind a pointer, files without a path */
    "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup",
    "io_submit", "openat2", "memfd_create", "memfd_secret",
    "name_to_handle_at", "open_by_handle_at",

    /* files, beyond what Landlock restricts everywhere */
    "creat", "truncate", "truncate64", "chmod", "fchmodat", "fchmodat2",
    "chown", "chown32", "lchown", "lchown32", "fchownat", "symlink",
    "symlinkat", "mknod", "mknodat", "setxattr", "lsetxattr", "fsetxattr",
    "setxattrat", "removexattr", "lremovexattr", "fremovexattr",
    "removexattrat", "file_setattr", "utime", "utimes", "utimensat",
    "utimensat_time64", "futimesat",

    /* a server; shared memory and queues of System V and POSIX */
    "listen", "accept", "accept4", "shmget", "shmat", "shmctl", "msgget",
    "semget", "ipc", "mq_open", "mq_unlink"
};

/* Calls that are refused by their arguments. */
static const esd_syscall_t  esd_syscalls_by_argument[] = {

    /* a process; a thread has this flag */
    { "clone", 1, { { ESD_CLONE_FLAGS, SCMP_CMP_MASKED_EQ, CLONE_THREAD,
                      0 } } },

    /* a file without a name */
    { "open", 1, { { 1, SCMP_CMP_MASKED_EQ, ESD_TMPFILE_BIT,
                     ESD_TMPFILE_BIT } } },
    { "openat", 1, { { 2, SCMP_CMP_MASKED_EQ, ESD_TMPFILE_BIT,
                       ESD_TMPFILE_BIT } } },

    /* a program that runs as another user or group */
    { "fchmod", 1, { { 1, SCMP_CMP_MASKED_EQ, S_ISUID, S_ISUID } } },

    /* memory to which code is written */
    { "mmap", 1, { { 2, SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC,
                     PROT_WRITE | PROT_EXEC } } },
    { "mmap2", 1, { { 2, SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC,
                      PROT_WRITE | PROT_EXEC } } },
    { "mprotect", 1, { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC } } },
    { "pkey_mprotect", 1, { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC } } },

    /* core dumps, and other processes of this user */
    { "prctl", 1, { { 0, SCMP_CMP_EQ, PR_SET_DUMPABLE, 0 } } },
    { "prctl", 1, { { 0, SCMP_CMP_EQ, PR_SET_PTRACER, 0 } } },

    /* input of the terminal */
    { "ioctl", 1, { { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI } } },
    { "ioctl", 1, { { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCLINUX } } },
};

/* Unix sockets tell the service manager, and ask some name services; netlink
   has the addresses of this machine. */
static const int  esd_syscalls_families[] = {
    AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
};


static int
esd_syscalls_refuse(scmp_filter_ctx filter, uint32_t action,
    const esd_syscall_t *call)
{
    int  number;

    number = seccomp_syscall_resolve_name(call->name);

    if (number == __NR_SCMP_ERROR) {
        return 0;
    }

    return seccomp_rule_add_array(filter, action, number, call->n, call->arg);
}


/* A rule compares an argument once, so each family between the allowed ones has
   a rule of its own. */

static int
esd_syscalls_sockets(scmp_filter_ctx filter)
{
    int            rc;
    size_t         i;
    unsigned       family;
    esd_syscall_t  call = { "socket", 1, { { 0, SCMP_CMP_EQ, 0, 0 } } };

    for (family = 0, rc = 0; family <= AF_NETLINK && rc == 0; family++) {
        for (i = 0; i < sizeof(esd_syscalls_families) / sizeof(int); i++) {
            if ((unsigned) esd_syscalls_families[i] == family) {
                break;
            }
        }

        if (i == sizeof(esd_syscalls_families) / sizeof(int)) {
            call.arg[0].datum_a = family;
            rc = esd_syscalls_refuse(filter, SCMP_ACT_ERRNO(EPERM), &call);
        }
    }

    if (rc == 0) {
        call.arg[0].op = SCMP_CMP_GT;
        call.arg[0].datum_a = AF_NETLINK;
        rc = esd_syscalls_refuse(filter, SCMP_ACT_ERRNO(EPERM), &call);
    }

    return rc;
}


/* Signals go to this process only. */

static int
esd_syscalls_signals(scmp_filter_ctx filter)
{
    int            rc;
    esd_syscall_t  call = { "kill", 1, { { 0, SCMP_CMP_NE, 0, 0 } } };

    call.arg[0].datum_a = (scmp_datum_t) getpid();
    rc = esd_syscalls_refuse(filter, SCMP_ACT_ERRNO(EPERM), &call);

    call.name = "tgkill";

    return rc == 0 ? esd_syscalls_refuse(filter, SCMP_ACT_ERRNO(EPERM), &call)
                   : rc;
}


static int
esd_syscalls_rules(scmp_filter_ctx filter)
{
    int            rc;
    size_t         i;
    esd_syscall_t  call = { NULL, 0, { { 0, SCMP_CMP_EQ, 0, 0 } } };

    /* The flags of clone3() are behind a pointer.  After this error the C
       library calls clone(). */

    call.name = "clone3";
    rc = esd_syscalls_refuse(filter, SCMP_ACT_ERRNO(ENOSYS), &call);

    for (i = 0; i < sizeof(esd_syscalls_refused) / sizeof(char *) && rc == 0;
         i++)
    {
        call.name = esd_syscalls_refused[i];
        rc = esd_syscalls_refuse(filter, SCMP_ACT_ERRNO(EPERM), &call);
    }

    for (i = 0; i < sizeof(esd_syscalls_by_argument) / sizeof(esd_syscall_t)
                && rc == 0; i++)
    {
        rc = esd_syscalls_refuse(filter, SCMP_ACT_ERRNO(EPERM),
                                 &esd_syscalls_by_argument[i]);
    }

    if (rc == 0) {
        rc = esd_syscalls_sockets(filter);
    }

    return rc == 0 ? esd_syscalls_signals(filter) : rc;
}


int
esd_syscalls_filter(void)
{
    int              rc;
    scmp_filter_ctx  filter;

    filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL) {
        return EOPNOTSUPP;
    }

    /* Calls of another architecture have other numbers.  A tree of comparisons
       keeps the cost of each call small. */

    rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
                          SCMP_ACT_ERRNO(EPERM));

    if (rc == 0) {
        (void) seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        (void) seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
        rc = esd_syscalls_rules(filter);
    }

    if (rc == 0) {
        rc = seccomp_load(filter);
    }

    seccomp_release(filter);

    return -rc;
}
