/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Restricts what this process may do with files, by Landlock.
 *
 * A ruleset forbids every access that the kernel can restrict, except below the
 * allowed paths.  It holds for the calling thread and for threads and children
 * that it starts later, and cannot be undone.  Open descriptors keep their
 * rights.  See landlock(7) and the kernel's Documentation/userspace-api/
 * landlock.rst.
 */

#ifndef ESD_LANDLOCK_H
#define ESD_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Rights; a rule for a file has only those of files. */
#define ESD_LANDLOCK_READ    0x1   /* files and directories */
#define ESD_LANDLOCK_WRITE   0x2   /* files that exist */
#define ESD_LANDLOCK_MAKE    0x4   /* regular files */
#define ESD_LANDLOCK_REMOVE  0x8   /* files that are no directories */

typedef struct {
    int       fd;                  /* of the ruleset */
    uint64_t  handled;             /* what the kernel can restrict */
} esd_landlock_t;

/*
 * Makes a ruleset that allows nothing.  It also forbids to bind TCP ports (from
 * Landlock's ABI 4 on) and to send signals to other programs (ABI 6); with
 * `abstract`, abstract unix sockets of other programs, too.
 *
 * Returns 0 or an errno: ENOSYS, the kernel has no Landlock; EOPNOTSUPP, it was
 * switched off at boot.
 */
int esd_landlock_open(esd_landlock_t *landlock, bool abstract);

/* Allows `rights` on a file, or below a directory.  A symbolic link stands for
   its target.  A path that cannot be opened is passed over.  Returns 0 or an
   errno. */
int esd_landlock_allow(const esd_landlock_t *landlock, const char *path,
    unsigned rights);

/* Restricts the calling thread, which must be the only one.  It can gain no
   privileges (no_new_privs) from then on.  Returns 0 or an errno. */
int esd_landlock_enter(const esd_landlock_t *landlock);

void esd_landlock_close(esd_landlock_t *landlock);

#endif /* ESD_LANDLOCK_H */
