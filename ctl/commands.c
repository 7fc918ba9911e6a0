/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The groups of commands, and how a command or option is found.
 */

#include "commands.h"

const ctl_group_t  ctl_groups[] = {
    { "store", "create, verify and copy a store; its rights and keys",
      ctl_store_commands },
    { "feed", "feeds: what they keep, and who published to them",
      ctl_feed_commands },
    { "type", "the event catalogue: types and their schemas",
      ctl_type_commands },
    { "partner", "partners: their feeds, limits and quotas",
      ctl_partner_commands },
    { "flag", "flags: what only some partners have", ctl_flag_commands },
    { "fields", "what partners see of events: a preview",
      ctl_fields_commands },
    { "key", "API keys of partners", ctl_key_commands },
    { "dashboard", "links that open the dashboard once",
      ctl_dashboard_commands },
    { "endpoint", "webhook endpoints: their state, retries and dead letters",
      ctl_endpoint_commands },
    { "checkpoint", "positions that consumers have acknowledged",
      ctl_checkpoint_commands },
    { "audit", "who changed what, and the proof of it", ctl_audit_commands },
    { "events", "publish and print events, from the store or by HTTP",
      ctl_events_commands },
    { "receive", "be a partner: receive webhooks, check receivers and pollers",
      ctl_receive_commands },
    { "check", "find out what is wrong, and what to do", ctl_check_commands },
    { NULL, NULL, NULL }
};

const ctl_option_row_t  ctl_common_options[] = {
    { "store", "PATH", "the store; default: EVENTSYNC_STORE", CTL_FREE },
    { "key-file", "PATH", "the keys that encrypt secrets; default: "
      "EVENTSYNC_KEY_FILE", CTL_FREE },
    { "json", NULL, "print JSON", CTL_FREE },
    { "quiet", NULL, "no notes and no progress", CTL_FREE },
    { "help", NULL, "show this help", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};


const ctl_command_t *
ctl_command_find(int argc, char **argv, int *words)
{
    char                  name[64];
    const ctl_group_t    *group;
    const ctl_command_t  *command;

    for (*words = 1; *words <= 2 && *words <= argc; (*words)++) {
        (void) snprintf(name, sizeof(name), "%s%s%s", argv[0],
                        *words == 2 ? " " : "", *words == 2 ? argv[1] : "");

        for (group = ctl_groups; group->name != NULL; group++) {
            for (command = group->commands; command->name != NULL; command++) {
                if (strcmp(command->name, name) == 0) {
                    return command;
                }
            }
        }
    }

    return NULL;
}


const ctl_group_t *
ctl_group_find(const char *name)
{
    const ctl_group_t  *group;

    for (group = ctl_groups; group->name != NULL; group++) {
        if (strcmp(group->name, name) == 0) {
            return group;
        }
    }

    return NULL;
}


static const ctl_option_row_t *
ctl_option_in(const ctl_option_row_t *rows, const char *name, size_t len)
{
    for ( /* void */ ; rows != NULL && rows->name != NULL; rows++) {
        if (strlen(rows->name) == len && strncmp(rows->name, name, len) == 0) {
            return rows;
        }
    }

    return NULL;
}


const ctl_option_row_t *
ctl_option_find(const ctl_command_t *command, const char *name, size_t len)
{
    const ctl_option_row_t  *row;

    row = command != NULL ? ctl_option_in(command->options, name, len) : NULL;
    if (row != NULL) {
        return row;
    }

    row = ctl_option_in(ctl_common_options, name, len);

    return row != NULL && command != NULL && command->json == NULL
           && strcmp(row->name, "json") == 0 ? NULL : row;
}


void
ctl_command_arguments(const ctl_command_t *command, int *min, int *max)
{
    const char  *p;

    *min = *max = 0;

    for (p = command->arguments; p != NULL && *p != '\0'; /* void */ ) {
        (*max)++;
        *min += *p != '[';
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }
}
