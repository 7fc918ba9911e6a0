/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "store rights": gives the files of a store to the groups of its processes.
 */

#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "base/file.h"
#include "ctl.h"
#include "rights.h"

#define RIGHTS_NAME  128

/* The parts of a store with groups of their own, in the order of
   ctl_rights_parse(). */
static const char  *const ctl_rights_parts[CTL_RIGHTS_PARTS] = {
    "publish", "manage", "ack", "pages", "delivery"
};


/* Without a name, the group is named after the group of all: "eventsync-NAME".
   */

static int
ctl_rights_group(const char *option, const char *name, const char *all,
    gid_t *gid)
{
    char           made[RIGHTS_NAME];
    struct group  *group;

    if (name == NULL) {
        (void) snprintf(made, sizeof(made), "%s-%s", all, option);
        name = made;
    }

    if (es_file_owner(name, gid)) {
        return CTL_OK;
    }

    group = getgrnam(name);
    if (group == NULL) {
        return ctl_fail(CTL_FAILED, "there is no group \"%s\": create it, or "
                        "name another with --%s", name, option);
    }

    *gid = group->gr_gid;

    return CTL_OK;
}


static int
ctl_rights_user(const char *name, uid_t *uid)
{
    struct passwd  *user;

    if (es_file_owner(name, uid)) {
        return CTL_OK;
    }

    user = getpwnam(name);
    if (user == NULL) {
        return ctl_fail(CTL_FAILED, "there is no user \"%s\"", name);
    }

    *uid = user->pw_uid;

    return CTL_OK;
}


/* Opening the store makes the lock files that it lacks. */

static int
ctl_rights_set(ctl_t *ctl, const es_rights_t *rights)
{
    int           rc;
    es_problem_t  problem = { 0 };

    rc = ctl_open(ctl, ES_STORE_DELIVERY_READ | ES_STORE_CHECKPOINT_READ);
    if (rc != CTL_OK) {
        return rc;
    }

    es_store_close(ctl->store);
    ctl->store = NULL;

    return es_store_rights(ctl->store_path, rights, &problem) == ES_OK
           ? CTL_OK : ctl_fail(CTL_FAILED, "%s", problem.detail);
}


void
ctl_rights_options(ctl_option_t *options, ctl_rights_t *text)
{
    size_t  i;

    for (i = 0; i < CTL_RIGHTS_PARTS; i++) {
        options[i].name = ctl_rights_parts[i];
        options[i].value = &text->parts[i];
    }

    options[i].name = "group";
    options[i++].value = &text->group;
    options[i].name = "dispatcher";
    options[i].value = &text->dispatcher;
}


int
ctl_rights_parse(const ctl_rights_t *text, es_rights_t *rights)
{
    int     rc;
    size_t  i;

    gid_t  *const  gids[CTL_RIGHTS_PARTS] = {
        &rights->publish, &rights->manage, &rights->ack, &rights->pages,
        &rights->delivery
    };

    if (text->group == NULL || text->dispatcher == NULL) {
        return ctl_fail(CTL_USAGE, "--group=GROUP of all processes and "
                        "--dispatcher=USER are required");
    }

    rc = ctl_rights_group("group", text->group, text->group, &rights->group);

    for (i = 0; rc == CTL_OK && i < CTL_RIGHTS_PARTS; i++) {
        rc = ctl_rights_group(ctl_rights_parts[i], text->parts[i], text->group,
                              gids[i]);
    }

    return rc == CTL_OK ? ctl_rights_user(text->dispatcher,
                                          &rights->dispatcher)
                        : rc;
}


int
ctl_store_rights(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    es_rights_t   rights;
    ctl_rights_t  text = { 0 };
    ctl_option_t  options[CTL_RIGHTS_OPTIONS + 1] = { 0 };

    ctl_rights_options(options, &text);

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK) {
        rc = ctl_rights_parse(&text, &rights);
    }

    if (rc == CTL_OK) {
        rc = ctl_rights_set(ctl, &rights);
    }

    if (rc == CTL_OK) {
        ctl_result(ctl, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                                  "group", (json_int_t) rights.group,
                                  "dispatcher", (json_int_t) rights.dispatcher,
                                  "publish", (json_int_t) rights.publish,
                                  "manage", (json_int_t) rights.manage,
                                  "ack", (json_int_t) rights.ack,
                                  "pages", (json_int_t) rights.pages,
                                  "delivery", (json_int_t) rights.delivery));
    }

    return rc;
}
