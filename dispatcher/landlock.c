/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Landlock by its system calls.
 *
 * The constants and structures are defined here: the C library has no functions
 * for Landlock, and the headers of Debian 12 end before half of these rights.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset  444
#define SYS_landlock_add_rule        445
#define SYS_landlock_restrict_self   446
#endif

#define ESD_LL_VERSION      1      /* of landlock_create_ruleset() */
#define ESD_LL_PATH         1      /* of landlock_add_rule() */

#define ESD_LL_EXECUTE      (UINT64_C(1) << 0)
#define ESD_LL_WRITE_FILE   (UINT64_C(1) << 1)
#define ESD_LL_READ_FILE    (UINT64_C(1) << 2)
#define ESD_LL_READ_DIR     (UINT64_C(1) << 3)
#define ESD_LL_REMOVE_FILE  (UINT64_C(1) << 5)
#define ESD_LL_MAKE_REG     (UINT64_C(1) << 8)
#define ESD_LL_TRUNCATE     (UINT64_C(1) << 14)
#define ESD_LL_IOCTL_DEV    (UINT64_C(1) << 15)

/* All rights of the first ABI, and which later ones add. */
#define ESD_LL_ABI_1        ((UINT64_C(1) << 13) - 1)
#define ESD_LL_REFER        (UINT64_C(1) << 13)

#define ESD_LL_FILE         (ESD_LL_EXECUTE | ESD_LL_WRITE_FILE                \
                             | ESD_LL_READ_FILE | ESD_LL_TRUNCATE              \
                             | ESD_LL_IOCTL_DEV)

#define ESD_LL_BIND_TCP     (UINT64_C(1) << 0)

#define ESD_LL_ABSTRACT     (UINT64_C(1) << 0)
#define ESD_LL_SIGNAL       (UINT64_C(1) << 1)

/* A kernel that does not know the later members takes them if they are 0. */
typedef struct {
    uint64_t  files;
    uint64_t  net;
    uint64_t  scoped;
} esd_ll_ruleset_t;

typedef struct {
    uint64_t  allowed;
    int32_t   fd;
} __attribute__((packed)) esd_ll_path_t;


static void
esd_landlock_attributes(esd_ll_ruleset_t *attr, long abi, bool abstract)
{
    memset(attr, 0, sizeof(esd_ll_ruleset_t));

    attr->files = ESD_LL_ABI_1
                  | (abi >= 2 ? ESD_LL_REFER : 0)
                  | (abi >= 3 ? ESD_LL_TRUNCATE : 0)
                  | (abi >= 5 ? ESD_LL_IOCTL_DEV : 0);

    if (abi >= 4) {
        attr->net = ESD_LL_BIND_TCP;
    }

    if (abi >= 6) {
        attr->scoped = ESD_LL_SIGNAL | (abstract ? ESD_LL_ABSTRACT : 0);
    }
}


int
esd_landlock_open(esd_landlock_t *landlock, bool abstract)
{
    long              abi;
    esd_ll_ruleset_t  attr;

    landlock->fd = -1;
    abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t) 0,
                  ESD_LL_VERSION);

    if (abi < 1) {
        return abi == 0 ? EOPNOTSUPP : errno;
    }

    esd_landlock_attributes(&attr, abi, abstract);
    landlock->handled = attr.files;
    landlock->fd = (int) syscall(SYS_landlock_create_ruleset, &attr,
                                 sizeof(attr), 0);

    return landlock->fd == -1 ? errno : 0;
}


static uint64_t
esd_landlock_rights(unsigned rights)
{
    return (rights & ESD_LANDLOCK_READ ? ESD_LL_READ_FILE | ESD_LL_READ_DIR : 0)
           | (rights & ESD_LANDLOCK_WRITE
              ? ESD_LL_WRITE_FILE | ESD_LL_TRUNCATE : 0)
           | (rights & ESD_LANDLOCK_MAKE ? ESD_LL_MAKE_REG : 0)
           | (rights & ESD_LANDLOCK_REMOVE ? ESD_LL_REMOVE_FILE : 0);
}


int
esd_landlock_allow(const esd_landlock_t *landlock, const char *path,
    unsigned rights)
{
    int            err;
    struct stat    sb;
    esd_ll_path_t  rule;

    rule.fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.fd == -1) {
        return 0;
    }

    rule.allowed = esd_landlock_rights(rights) & landlock->handled;

    if (fstat(rule.fd, &sb) == 0 && !S_ISDIR(sb.st_mode)) {
        rule.allowed &= ESD_LL_FILE;
    }

    err = rule.allowed == 0
          || syscall(SYS_landlock_add_rule, landlock->fd, ESD_LL_PATH, &rule,
                     0) == 0
          ? 0 : errno;

    (void) close(rule.fd);

    return err;
}


int
esd_landlock_enter(const esd_landlock_t *landlock)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || syscall(SYS_landlock_restrict_self, landlock->fd, 0) != 0)
    {
        return errno;
    }

    return 0;
}


void
esd_landlock_close(esd_landlock_t *landlock)
{
    if (landlock->fd != -1) {
        (void) close(landlock->fd);
        landlock->fd = -1;
    }
}
