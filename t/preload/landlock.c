/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes the kernel look older, for programs that LD_PRELOAD this.
 *
 *     ES_LANDLOCK=N      Landlock has the ABI N, and refuses what later ones
 *                        added; 0: there is no Landlock
 *     ES_SECCOMP=0       system calls cannot be filtered
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LL_CREATE   444
#define LL_VERSION  1

typedef long (*old_syscall_t)(long, ...);
typedef int (*old_prctl_t)(int, ...);

/* Rights by ABI: files, network, scopes. */
static const uint64_t  old_known[][3] = {
    { 0, 0, 0 },
    { 0x1fff, 0, 0 },
    { 0x3fff, 0, 0 },
    { 0x7fff, 0, 0 },
    { 0x7fff, 3, 0 },
    { 0xffff, 3, 0 },
    { 0xffff, 3, 3 }
};


static int
old_refuse(int err)
{
    errno = err;
    return -1;
}


static int
old_number(const char *name)
{
    const char  *text;

    text = getenv(name);

    return text != NULL ? atoi(text) : -1;
}


/* 0: the real kernel decides. */

static long
old_landlock(int abi, const uint64_t *attr, size_t size, long flags)
{
    size_t  i, n;

    if (abi == 0) {
        return old_refuse(ENOSYS);
    }

    if (flags == LL_VERSION) {
        return abi;
    }

    n = abi >= 6 ? 3 : abi >= 4 ? 2 : 1;

    for (i = 0; i < size / sizeof(uint64_t); i++) {
        if (i >= n && attr[i] != 0) {
            return old_refuse(E2BIG);
        }

        if (i < n && (attr[i] & ~old_known[abi][i]) != 0) {
            return old_refuse(EINVAL);
        }
    }

    return 0;
}


long
syscall(long number, ...)
{
    int            abi, i;
    long           arg[6], rc;
    va_list        args;
    old_syscall_t  real;

    va_start(args, number);

    for (i = 0; i < 6; i++) {
        arg[i] = va_arg(args, long);
    }

    va_end(args);

    abi = old_number("ES_LANDLOCK");

    if (number == LL_CREATE && abi >= 0 && abi <= 6) {
        rc = old_landlock(abi, (const uint64_t *) arg[0], (size_t) arg[1],
                          arg[2] & UINT32_MAX);
        if (rc != 0) {
            return rc;
        }
    }

    if (number == SYS_seccomp && old_number("ES_SECCOMP") == 0) {
        return old_refuse(ENOSYS);
    }

    real = (old_syscall_t) dlsym(RTLD_NEXT, "syscall");

    return real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}


int
prctl(int option, ...)
{
    int            i;
    long           arg[4];
    va_list        args;
    old_prctl_t    real;

    va_start(args, option);

    for (i = 0; i < 4; i++) {
        arg[i] = va_arg(args, long);
    }

    va_end(args);

    if ((option == PR_SET_SECCOMP || option == PR_GET_SECCOMP)
        && old_number("ES_SECCOMP") == 0)
    {
        return old_refuse(EINVAL);
    }

    real = (old_prctl_t) dlsym(RTLD_NEXT, "prctl");

    return real(option, arg[0], arg[1], arg[2], arg[3]);
}
