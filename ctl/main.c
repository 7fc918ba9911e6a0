/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * eventsyncctl - the operator's and partner engineer's command line.
 *
 * The table is the whole of its grammar: a command is one or two words, found
 * here, and each has its function in the file of its subject.
 */

#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "store/child.h"

static const ctl_command_t  ctl_commands[] = {
    { "init", ctl_init, "", "make an empty store" },
    { "verify", ctl_verify, "", "prove the store's invariants" },
    { "store rekey", ctl_store_rekey, "--key-file=PATH",
      "encrypt all secrets under the first key of the file" },
    { "backup", ctl_backup, "DIR",
      "copy the store into DIR while everything runs, and prove the copy" },
    { "restore", ctl_restore, "BACKUP NEWDIR",
      "make a store of a backup in NEWDIR, and prove it" },

    { "feed create", ctl_feed_create,
      "NAME [--retain-count=N] [--retain-bytes=N] [--retain-age=7d] "
      "[--schema=off|warn|enforce]",
      "make a feed" },
    { "feed list", ctl_feed_list, "[--json]", "list the feeds" },
    { "feed show", ctl_feed_show, "NAME", "show a feed as JSON" },
    { "feed change", ctl_feed_change,
      "NAME [--retain-count=N] [--retain-bytes=N] [--retain-age=7d] "
      "[--schema=off|warn|enforce]",
      "change a feed's retention, where 0 is no limit, and what becomes of "
      "events that their schema does not allow" },
    { "feed trim", ctl_feed_trim, "NAME --before=CURSOR",
      "drop the events before CURSOR's" },
    { "feed retime", ctl_feed_retime, "NAME",
      "give events that are dated in the future the present time" },
    { "feed reset", ctl_feed_reset, "NAME",
      "drop all events and begin a new epoch" },
    { "feed remove", ctl_feed_remove, "NAME", "remove a feed and its events" },

    { "type register", ctl_type_register,
      "TYPE VERSION [--description=TEXT] < schema",
      "publish a version of an event type, for ever" },
    { "type list", ctl_type_list, "[--json]", "list the event catalogue" },
    { "type show", ctl_type_show, "TYPE [VERSION]",
      "show a type as JSON, or the schema of a version" },
    { "type deprecate", ctl_type_deprecate,
      "TYPE VERSION [--from=TIME] [--sunset=TIME] | --cancel",
      "say since when a version is deprecated, and when it ends" },

    { "partner create", ctl_partner_create,
      "NAME [--feeds=A,B-*] [--publish=A] [--limit-poll=60r/m[,burst=N]] "
      "[--limit-publish=RATE] [--limit-backfill=100m/h[,burst=SIZE]] "
      "[--limit-waits=N] [--operations=FEED] [--disabled]",
      "make a partner" },
    { "partner list", ctl_partner_list, "[--json]", "list the partners" },
    { "partner show", ctl_partner_show, "NAME", "show a partner as JSON" },
    { "partner change", ctl_partner_change,
      "NAME [options of create] [--enabled]", "change what is named" },
    { "partner remove", ctl_partner_remove, "NAME", "remove a partner" },

    { "key create", ctl_key_create,
      "PARTNER --scopes=read,publish [--feeds=A] [--expires=TIME]",
      "make a key and print it, once" },
    { "key list", ctl_key_list, "[--json]", "list the keys" },
    { "key revoke", ctl_key_revoke, "ID", "end a key's validity now" },
    { "key remove", ctl_key_remove, "ID", "remove a key" },

    { "endpoint create", ctl_endpoint_create,
      "PARTNER --url=URL --feeds=A [--types=A,B.*] [--subject=S] "
      "[--ordering=fifo|key|none] [--secret=whsec_...] [--start=latest|oldest] "
      "[--in-flight=N] [--connect-timeout=10s] [--timeout=30s] "
      "[--schedule=0,5s,...] [--disable-after=5d] [--rate=10r/s] [--burst=N] "
      "[--headers=JSON] [--oauth=JSON] [--client-cert=FILE] [--client-key=FILE] "
      "[--ca-file=FILE] [--ack=CONSUMER] [--body=whole|thin] [--batch=N] "
      "[--batch-wait=1s] [--nudge=N] [--paused] [--name=ep_...]",
      "make a webhook endpoint; prints its name and secret" },
    { "endpoint list", ctl_endpoint_list, "[--json]", "list the endpoints" },
    { "endpoint show", ctl_endpoint_show, "NAME", "show an endpoint as JSON" },
    { "endpoint change", ctl_endpoint_change, "NAME [options of create]",
      "change what is named; also starts a stopped endpoint" },
    { "endpoint pause", ctl_endpoint_pause, "NAME", "send nothing for now" },
    { "endpoint resume", ctl_endpoint_resume, "NAME",
      "send again, also after a stop" },
    { "endpoint rotate", ctl_endpoint_rotate,
      "NAME [--overlap=24h] [--kind=v1|v1a | --secret=whsec_...]",
      "a new secret; the old ones sign too until the overlap has passed" },
    { "endpoint keys", ctl_endpoint_keys, "NAME",
      "print the public keys of v1a signatures, a JWK Set" },
    { "endpoint remove", ctl_endpoint_remove, "NAME", "remove an endpoint" },
    { "endpoint status", ctl_endpoint_status, "[NAME] [--json]",
      "cursors, retries and stops" },
    { "endpoint attempts", ctl_endpoint_attempts,
      "[NAME [--limit=N]] [--json]",
      "attempts on record, or the last N of an endpoint" },
    { "endpoint dead", ctl_endpoint_dead, "[NAME] [--json]", "dead letters" },
    { "endpoint replay", ctl_endpoint_replay,
      "NAME FEED --after=CURSOR | --from=TIME|oldest",
      "send everything since then again" },
    { "endpoint resend", ctl_endpoint_resend, "NAME FEED CURSOR",
      "send the event of that cursor again, now" },
    { "endpoint redrive", ctl_endpoint_redrive, "NAME",
      "try every dead letter again" },
    { "endpoint skip", ctl_endpoint_skip, "NAME FEED CURSOR",
      "make the event that it stands on a dead letter, and go on" },
    { "endpoint cancel", ctl_endpoint_cancel,
      "NAME FEED [--from=CURSOR] [--to=CURSOR|latest] [--types=A,B.*] "
      "[--status=500,0] --dry-run | --expect=N",
      "do not send what waits; --dry-run counts it" },
    { "endpoint discard", ctl_endpoint_discard,
      "NAME [FEED [--from=CURSOR] [--to=CURSOR]] [--types=A,B.*] "
      "[--status=500,0] [--class=timeout] --dry-run | --expect=N",
      "forget dead letters; --dry-run counts them" },
    { "endpoint test", ctl_endpoint_test, "NAME [--type=T] [--data=JSON]",
      "send a test event, and show what becomes of it" },
    { "endpoint simulate", ctl_endpoint_simulate,
      "NAME --failure=status|delay|reset|truncate|tls|duplicate|reorder|drop|"
      "none [--status=503] [--delay=5s] [--percent=100] [--for=10m]",
      "let deliveries fail for a time" },

    { "checkpoint list", ctl_checkpoint_list,
      "[--feed=NAME] [--partner=NAME] [--json]",
      "how far consumers have come, by their own word" },
    { "checkpoint show", ctl_checkpoint_show, "PARTNER FEED CONSUMER",
      "one of them, as JSON" },
    { "checkpoint set", ctl_checkpoint_set,
      "PARTNER FEED CONSUMER CURSOR [--rewind]", "move or make one" },
    { "checkpoint remove", ctl_checkpoint_remove, "PARTNER FEED CONSUMER",
      "forget one" },

    { "publish", ctl_publish,
      "FEED [--format=ndjson|json|batch] [--batch=N] [--results] "
      "[--url=URL [--key=KEY]] < events",
      "publish events from standard input, to the store or by HTTP" },
    { "tail", ctl_tail,
      "FEED [--after=CURSOR | --from=TIME|oldest|latest] [--types=A,B.*] "
      "[--subject=S] [--limit=N] [--follow] [--url=URL [--key=KEY]]",
      "print events, one a line, from the store or by HTTP" },
    { "listen", ctl_listen,
      "--port=N --secret=whsec_... [--log=FILE | --state=FILE] "
      "[--address=127.0.0.1] "
      "[--poll=URL [--key=KEY] [--feeds=A,B] [--types=A,B.*] [--subject=S] "
      "[--poll-every=1m]] "
      "[--status=503] [--fail-rate=PERCENT]",
      "receive webhooks, verify them and heal gaps by polling" },
    { "verify-integration", ctl_verify_integration,
      "ENDPOINT | --url=URL --secret=whsec_... [--timeout=10s] [--thin] "
      "[--batch] [--json]",
      "drive a receiver through signed requests, good and bad, and judge "
      "its answers" },

    { NULL, NULL, NULL, NULL }
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

    /* These may stand before the command, too. */

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
        return ctl_fail(CTL_USAGE, "unknown option \"%s\"", argv[0]);
    }

    if (command == NULL) {
        return ctl_fail(CTL_USAGE, "unknown command \"%s%s%s\"; see --help",
                        argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    }

    es_child_of_first();

    rc = command->run(&ctl, argc - words, argv + words);

    ctl_tell(&ctl, true);
    es_store_close(ctl.store);

    if (fflush(stdout) != 0 && rc == CTL_OK) {
        return ctl_fail(CTL_FAILED, "cannot write to standard output");
    }

    return rc;
}


/* Takes an option with its value, if it is this one. */

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
            (void) printf("eventsyncctl [--store=PATH] [--key-file=PATH] %s %s\n    %s\n",
                          command->name, command->usage, command->about);
            shown++;
        }
    }

    if (shown == 0) {
        return ctl_fail(CTL_USAGE, "unknown command \"%s\"; see --help",
                        prefix);
    }

    return CTL_OK;
}
