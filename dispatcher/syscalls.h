/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Refuses the system calls that the dispatcher never needs, by seccomp.
 */

#ifndef ESD_SYSCALLS_H
#define ESD_SYSCALLS_H

/*
 * Holds for the calling thread, which must be the only one, and for threads
 * that it starts later; it cannot be undone.  The process can gain no
 * privileges (no_new_privs) from then on.
 *
 * Returns 0 or an errno: EINVAL, the kernel cannot filter system calls;
 * EOPNOTSUPP, libseccomp does not know this architecture.
 */
int esd_syscalls_filter(void);

#endif /* ESD_SYSCALLS_H */
