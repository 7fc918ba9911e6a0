/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * eventsyncctl: the command line of operators and of partner engineers.
 *
 * The table below defines all commands.  A command is one or two words; its
 * function is in the file of its subject, and the table also gives its usage
 * text and the kind of registry record that it works on.
 */

#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "open/child.h"

static const ctl_command_t  ctl_commands[] = {
    { "init", ctl_init, CTL_NO_KIND, "[--plain-secrets]",
      "create an empty store; its secrets may be in plain text only with "
      "the option" },
    { "verify", ctl_verify, CTL_NO_KIND, "",
      "check the invariants of the store" },
    { "store rights", ctl_store_rights, CTL_NO_KIND,
      "--group=GROUP --dispatcher=USER [--publish=GROUP] [--manage=GROUP] "
      "[--ack=GROUP] [--pages=GROUP] [--delivery=GROUP]",
      "give the files to groups, by default to GROUP-publish and so on" },
    { "store rekey", ctl_store_rekey, CTL_NO_KIND, "--key-file=PATH",
      "encrypt all secrets under the first key of the file" },
    { "backup", ctl_backup, CTL_NO_KIND, "DIR",
      "copy the store into DIR while everything runs, and verify the copy" },
    { "restore", ctl_restore, CTL_NO_KIND, "BACKUP NEWDIR",
      "create a store in NEWDIR from a backup, and verify it" },

    { "feed create", ctl_feed_create, ES_KIND_FEED,
      "NAME [--retain-count=N] [--retain-bytes=N] [--retain-age=7d] "
      "[--schema=off|warn|enforce]",
      "create a feed" },
    { "feed list", ctl_feed_list, ES_KIND_FEED, "[--json]", "list the feeds" },
    { "feed show", ctl_feed_show, ES_KIND_FEED, "NAME",
      "show a feed as JSON" },
    { "feed publishers", ctl_feed_publishers, ES_KIND_FEED, "NAME [--json]",
      "list who published the feed's events" },
    { "feed change", ctl_feed_change, ES_KIND_FEED,
      "NAME [--retain-count=N] [--retain-bytes=N] [--retain-age=7d] "
      "[--schema=off|warn|enforce]",
      "change a feed's retention, where 0 is no limit, and how its events are "
      "checked against their schemas" },
    { "feed trim", ctl_feed_trim, ES_KIND_FEED, "NAME --before=CURSOR",
      "delete the events before the one of CURSOR" },
    { "feed retime", ctl_feed_retime, ES_KIND_FEED, "NAME",
      "set the time of events that are dated in the future to now" },
    { "feed begin-epoch", ctl_feed_begin_epoch, ES_KIND_FEED, "NAME",
      "begin a new epoch after the last event, and keep all events" },
    { "feed reset", ctl_feed_reset, ES_KIND_FEED, "NAME",
      "delete all events and begin a new epoch" },
    { "feed remove", ctl_feed_remove, ES_KIND_FEED, "NAME",
      "remove a feed and its events" },

    { "type register", ctl_type_register, CTL_NO_KIND,
      "TYPE VERSION [--description=TEXT] [--feeds=A,B-*] < schema",
      "register a version of an event type, which can never change" },
    { "type change", ctl_type_change, CTL_NO_KIND, "TYPE --feeds=A,B-*",
      "set the feeds that a type belongs to; none: every feed" },
    { "type list", ctl_type_list, CTL_NO_KIND, "[--json]",
      "list the event catalogue" },
    { "type show", ctl_type_show, CTL_NO_KIND, "TYPE [VERSION]",
      "show a type as JSON, or the schema of a version" },
    { "type deprecate", ctl_type_deprecate, CTL_NO_KIND,
      "TYPE VERSION [--from=TIME] [--sunset=TIME] | --cancel",
      "set when a version becomes deprecated and when it ends" },

    { "partner create", ctl_partner_create, ES_KIND_PARTNER,
      "NAME [--feeds=A,B-*] [--publish=A] [--limit-poll=60r/m[,burst=N]] "
      "[--limit-publish=RATE] [--limit-backfill=100m/h[,burst=SIZE]] "
      "[--limit-waits=N] [--limit-manage=RATE] [--quota-endpoints=N] [--quota-keys=N] "
      "[--quota-feeds=N] [--quota-consumers=N] [--quota-requests=N] "
      "[--quota-bytes=SIZE] [--operations=FEED] [--allow-http=yes|no] "
      "[--allow-addresses=CIDR,...] [--allow-ports=N,...] [--disabled]",
      "create a partner" },
    { "partner list", ctl_object_list, ES_KIND_PARTNER, "[--json]",
      "list the partners" },
    { "partner show", ctl_object_show, ES_KIND_PARTNER, "NAME",
      "show a partner as JSON" },
    { "partner change", ctl_partner_change, ES_KIND_PARTNER,
      "NAME [options of create] [--enabled]",
      "change what the options name" },
    { "partner remove", ctl_object_remove, ES_KIND_PARTNER, "NAME",
      "remove a partner" },

    { "key create", ctl_key_create, ES_KIND_KEY,
      "PARTNER --scopes=read,publish [--feeds=A] [--consumers=A,B-*] "
      "[--expires=TIME]",
      "create a key and print it; it cannot be printed again" },
    { "key list", ctl_object_list, ES_KIND_KEY, "[--json]", "list the keys" },
    { "key revoke", ctl_key_revoke, ES_KIND_KEY, "ID [--with-endpoints]",
      "make a key invalid from now on, and pause the endpoints that it made" },
    { "key remove", ctl_object_remove, ES_KIND_KEY, "ID", "remove a key" },

    { "endpoint create", ctl_endpoint_create, ES_KIND_ENDPOINT, NULL,
      "create a webhook endpoint and print its name and secret" },
    { "endpoint list", ctl_object_list, ES_KIND_ENDPOINT, "[--json]",
      "list the endpoints" },
    { "endpoint show", ctl_object_show, ES_KIND_ENDPOINT, "NAME",
      "show an endpoint as JSON" },
    { "endpoint change", ctl_endpoint_change, ES_KIND_ENDPOINT,
      "NAME [options of create]",
      "change what the options name, and start a stopped endpoint again" },
    { "endpoint pause", ctl_endpoint_pause, ES_KIND_ENDPOINT, "NAME",
      "suspend deliveries to an endpoint" },
    { "endpoint resume", ctl_endpoint_resume, ES_KIND_ENDPOINT, "NAME",
      "resume deliveries, also after a stop" },
    { "endpoint rotate", ctl_endpoint_rotate, ES_KIND_ENDPOINT,
      "NAME [--overlap=24h] [--kind=v1|v1a | --secret=@FILE]",
      "add a new secret; the old ones sign as well until the overlap ends" },
    { "endpoint keys", ctl_endpoint_keys, ES_KIND_ENDPOINT, "NAME",
      "print the public keys of v1a signatures as a JWK Set" },
    { "endpoint remove", ctl_endpoint_remove, ES_KIND_ENDPOINT, "NAME",
      "remove an endpoint" },
    { "endpoint status", ctl_endpoint_status, ES_KIND_ENDPOINT,
      "[NAME] [--json]",
      "show cursors, retries and stops" },
    { "endpoint attempts", ctl_endpoint_attempts, ES_KIND_ENDPOINT,
      "[NAME [--limit=N]] [--json]",
      "list the recorded attempts, or the last N of an endpoint" },
    { "endpoint dead", ctl_endpoint_dead, ES_KIND_ENDPOINT, "[NAME] [--json]",
      "list the dead letters" },
    { "endpoint replay", ctl_endpoint_replay, ES_KIND_ENDPOINT,
      "NAME FEED --after=CURSOR | --from=TIME|oldest",
      "send all events since then again" },
    { "endpoint resend", ctl_endpoint_resend, ES_KIND_ENDPOINT,
      "NAME FEED CURSOR",
      "send the event of CURSOR again now" },
    { "endpoint redrive", ctl_endpoint_redrive, ES_KIND_ENDPOINT, "NAME",
      "try every dead letter again" },
    { "endpoint skip", ctl_endpoint_skip, ES_KIND_ENDPOINT,
      "NAME FEED CURSOR",
      "make the event that blocks the endpoint a dead letter and go on" },
    { "endpoint cancel", ctl_endpoint_cancel, ES_KIND_ENDPOINT,
      "NAME FEED [--from=CURSOR] [--to=CURSOR|latest] [--types=A,B.*] "
      "[--status=500,0] --dry-run | --expect=N",
      "cancel the delivery of waiting events; --dry-run counts them" },
    { "endpoint discard", ctl_endpoint_discard, ES_KIND_ENDPOINT,
      "NAME [FEED [--from=CURSOR] [--to=CURSOR]] [--types=A,B.*] "
      "[--status=500,0] [--class=timeout] --dry-run | --expect=N",
      "delete dead letters; --dry-run counts them" },
    { "endpoint test", ctl_endpoint_test, ES_KIND_ENDPOINT,
      "NAME [--type=T] [--data=JSON]",
      "send a test event and print its outcome" },
    { "endpoint verify", ctl_endpoint_verify, ES_KIND_ENDPOINT,
      "NAME [--accept]",
      "check at once whether an unverified endpoint agrees to be sent events, "
      "or take it as agreed" },
    { "endpoint simulate", ctl_endpoint_simulate, ES_KIND_ENDPOINT,
      "NAME --failure=status|delay|reset|truncate|tls|duplicate|reorder|drop|"
      "none [--status=503] [--delay=5s] [--percent=100] [--for=10m]",
      "let deliveries fail for a time" },

    { "checkpoint list", ctl_checkpoint_list, CTL_NO_KIND,
      "[--feed=NAME] [--partner=NAME] [--json]",
      "list the positions that consumers have stored" },
    { "checkpoint show", ctl_checkpoint_show, CTL_NO_KIND,
      "PARTNER FEED CONSUMER",
      "show a checkpoint as JSON" },
    { "checkpoint set", ctl_checkpoint_set, CTL_NO_KIND,
      "PARTNER FEED CONSUMER CURSOR [--rewind]",
      "create or move a checkpoint" },
    { "checkpoint remove", ctl_checkpoint_remove, CTL_NO_KIND,
      "PARTNER FEED CONSUMER",
      "remove a checkpoint" },

    { "publish", ctl_publish, CTL_NO_KIND,
      "FEED [--format=ndjson|json|batch|tail] [--batch=N] [--results] "
      "[--url=URL [--key=@FILE]] < events",
      "publish events from standard input, to the store or by HTTP" },
    { "tail", ctl_tail, CTL_NO_KIND,
      "FEED [--after=CURSOR | --from=TIME|oldest|latest] [--types=A,B.*] "
      "[--subject=S] [--limit=N] [--follow] [--url=URL [--key=@FILE]]",
      "print events, one per line, from the store or by HTTP" },
    { "listen", ctl_listen, CTL_NO_KIND,
      "--port=N --secret=@FILE [--log=FILE | --state=FILE] "
      "[--address=127.0.0.1] "
      "[--poll=URL [--key=@FILE] [--feeds=A,B] [--types=A,B.*] [--subject=S] "
      "[--poll-every=1m]] "
      "[--status=503] [--fail-rate=PERCENT]",
      "receive webhooks, verify them and heal gaps by polling" },
    { "verify-integration", ctl_verify_integration, CTL_NO_KIND,
      "ENDPOINT | --url=URL --secret=@FILE [--timeout=10s] [--thin] "
      "[--batch] [--cloudevents] [--agreement=SENDER] [--json]",
      "send valid and invalid signed requests to a receiver and check its "
      "answers" },

    { NULL, NULL, CTL_NO_KIND, NULL, NULL }
};

static int ctl_help(const char *prefix);
static const ctl_command_t *ctl_lookup(int argc, char **argv, int *words);
static bool ctl_before(int argc, char **argv, int *i, const char *option,
    const char **value);
static bool ctl_asks_help(int argc, char **argv);


int
main(int argc, char **argv)
{
    int                   rc, words, skip;
    ctl_t                 ctl = { 0 };
    const ctl_command_t  *command;

    ctl.store_path = getenv("EVENTSYNC_STORE");
    ctl.key_file = getenv("EVENTSYNC_KEY_FILE");
    words = 0;

    /* The store's options may stand before the command as well. */

    for (skip = 1;
         ctl_before(argc, argv, &skip, "--store", &ctl.store_path)
         || ctl_before(argc, argv, &skip, "--key-file", &ctl.key_file);
         /* void */ )
    {
        /* void */
    }

    argc -= skip;
    argv += skip;

    if (argc > 0 && strcmp(argv[0], "--version") == 0) {
        (void) printf("eventsyncctl %s\n", ES_VERSION);
        return CTL_OK;
    }

    if (argc > 0 && strcmp(argv[0], "--help") == 0) {
        return ctl_help("");
    }

    if (argc == 0) {
        return ctl_fail(CTL_USAGE, "no command; see --help");
    }

    command = ctl_lookup(argc, argv, &words);

    if (ctl_asks_help(argc, argv)) {
        return ctl_help(command ? command->name : argv[0]);
    }

    if (command == NULL && strncmp(argv[0], "--", 2) == 0) {
        return ctl_fail(CTL_USAGE, "unknown option \"%.*s\"",
                        (int) strcspn(argv[0], "="), argv[0]);
    }

    if (command == NULL) {
        return ctl_fail(CTL_USAGE, "unknown command \"%s%s%s\"; see --help",
                        argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    }

    es_child_of_first();

    ctl.kind = command->kind;
    rc = command->run(&ctl, argc - words, argv + words);

    ctl_report(&ctl, true);
    es_store_close(ctl.store);
    ctl_secrets_free(&ctl);

    if (fflush(stdout) != 0 && rc == CTL_OK) {
        return ctl_fail(CTL_FAILED, "cannot write to standard output");
    }

    return rc;
}


/* Takes the option and its value if argv[*i] is this option. */

static bool
ctl_before(int argc, char **argv, int *i, const char *option,
    const char **value)
{
    size_t  len;

    len = strlen(option);

    if (*i >= argc || strncmp(argv[*i], option, len) != 0) {
        return false;
    }

    if (argv[*i][len] == '=') {
        *value = argv[*i] + len + 1;
        (*i)++;
        return true;
    }

    if (argv[*i][len] == '\0' && *i + 1 < argc) {
        *value = argv[*i + 1];
        *i += 2;
        return true;
    }

    return false;
}


static bool
ctl_asks_help(int argc, char **argv)
{
    int  i;

    for (i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }

    return false;
}


static const ctl_command_t *
ctl_lookup(int argc, char **argv, int *words)
{
    char                  name[64];
    const ctl_command_t  *command;

    for (*words = 1; *words <= 2 && *words <= argc; (*words)++) {
        (void) snprintf(name, sizeof(name), "%s%s%s", argv[0],
                        *words == 2 ? " " : "", *words == 2 ? argv[1] : "");

        for (command = ctl_commands; command->name != NULL; command++) {
            if (strcmp(command->name, name) == 0) {
                return command;
            }
        }
    }

    return NULL;
}


static int
ctl_help(const char *prefix)
{
    int                   shown;
    const ctl_command_t  *command;

    shown = 0;

    for (command = ctl_commands; command->name != NULL; command++) {
        if (strncmp(command->name, prefix, strlen(prefix)) == 0) {
            (void) printf("eventsyncctl [--store=PATH] [--key-file=PATH] %s ",
                          command->name);

            if (command->usage != NULL) {
                (void) printf("%s", command->usage);
            } else {
                ctl_endpoint_usage();
            }

            (void) printf("\n    %s\n", command->about);
            shown++;
        }
    }

    if (shown == 0) {
        return ctl_fail(CTL_USAGE, "unknown command \"%s\"; see --help",
                        prefix);
    }

    return CTL_OK;
}
