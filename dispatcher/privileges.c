/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Changes the user of a dispatcher that root has started.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/file.h"

#include "log.h"
#include "privileges.h"

#define ESD_USER_MAX  256

typedef struct {
    char         user[ESD_USER_MAX];
    const char  *group;            /* in `user`; NULL: not given */
    const char  *name;             /* of the user database; NULL: unknown */
    uid_t        uid;
    gid_t        gid;
} esd_identity_t;


static bool
esd_privileges_group(esd_identity_t *id)
{
    unsigned       number;
    struct group  *group;

    group = getgrnam(id->group);

    if (group != NULL) {
        id->gid = group->gr_gid;
        return true;
    }

    if (es_file_owner(id->group, &number)) {
        id->gid = number;
        return true;
    }

    esd_log_line(ESD_LOG_ERROR, "--user: there is no group \"%s\"", id->group);

    return false;
}


static bool
esd_privileges_user(esd_identity_t *id)
{
    unsigned        number;
    struct passwd  *user;

    user = getpwnam(id->user);

    if (user == NULL && es_file_owner(id->user, &number)) {
        user = getpwuid(number);
        id->uid = number;

    } else if (user == NULL) {
        esd_log_line(ESD_LOG_ERROR, "--user: there is no user \"%s\"",
                     id->user);
        return false;
    }

    if (user != NULL) {
        id->name = user->pw_name;
        id->uid = user->pw_uid;
        id->gid = user->pw_gid;
        return true;
    }

    if (id->group == NULL) {
        esd_log_line(ESD_LOG_ERROR, "--user: the user %s has no group; write "
                     "\"%s:GROUP\"", id->user, id->user);
        return false;
    }

    return true;
}


static bool
esd_privileges_find(const char *who, esd_identity_t *id)
{
    char  *colon;

    memset(id, 0, sizeof(esd_identity_t));

    if (snprintf(id->user, sizeof(id->user), "%s", who)
        >= (int) sizeof(id->user))
    {
        esd_log_line(ESD_LOG_ERROR, "--user is too long");
        return false;
    }

    colon = strchr(id->user, ':');

    if (colon != NULL) {
        *colon = '\0';
        id->group = colon + 1;
    }

    if (!esd_privileges_user(id)
        || (id->group != NULL && !esd_privileges_group(id)))
    {
        return false;
    }

    if (id->uid == 0) {
        esd_log_line(ESD_LOG_ERROR, "--user must not be root");
        return false;
    }

    return true;
}


/* Capabilities end with the change of the user.  Without those of the bounding
   set no program could have them again, even without no_new_privs. */

static void
esd_privileges_bound(void)
{
    unsigned long  cap;

    for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        (void) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
}


/* All ids of the kernel are the new ones, and root's cannot come back. */

static bool
esd_privileges_gone(const esd_identity_t *id)
{
    uid_t  uid, euid, suid;
    gid_t  gid, egid, sgid;

    return getresuid(&uid, &euid, &suid) == 0
           && getresgid(&gid, &egid, &sgid) == 0
           && uid == id->uid && euid == id->uid && suid == id->uid
           && gid == id->gid && egid == id->gid && sgid == id->gid
           && setuid(0) == -1
           && seteuid(0) == -1;
}


static bool
esd_privileges_become(const char *who)
{
    esd_identity_t  id;

    if (geteuid() != 0) {
        esd_log_line(ESD_LOG_ERROR, "--user requires that root starts the "
                     "dispatcher");
        return false;
    }

    if (!esd_privileges_find(who, &id)) {
        return false;
    }

    esd_privileges_bound();

    if ((id.name != NULL ? initgroups(id.name, id.gid) : setgroups(0, NULL))
        != 0
        || setresgid(id.gid, id.gid, id.gid) != 0
        || setresuid(id.uid, id.uid, id.uid) != 0)
    {
        esd_log_line(ESD_LOG_ERROR, "cannot become the user \"%s\": %s", who,
                     strerror(errno));
        return false;
    }

    if (!esd_privileges_gone(&id)) {
        esd_log_line(ESD_LOG_ERROR, "cannot give up the privileges of root");
        return false;
    }

    return true;
}


bool
esd_privileges_drop(const char *who)
{
    if (who != NULL && !esd_privileges_become(who)) {
        return false;
    }

    /* kernels of the last ten years know it, and the sandbox asks again */

    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

    return true;
}
