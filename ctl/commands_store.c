/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The table's rows for the store, its feeds and its event catalogue.
 */

#include "commands.h"

static const ctl_option_row_t  ctl_init_rows[] = {
    { "plain-secrets", NULL, "allow secrets in plain text", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_rights_rows[] = {
    { "group", "GROUP", "the group of all processes", CTL_REQUIRED },
    { "dispatcher", "USER", "the user of the dispatcher", CTL_REQUIRED },
    { "publish", "GROUP", "who may publish; default: GROUP-publish",
      CTL_FREE },
    { "manage", "GROUP", "who may change the registry; default: GROUP-manage",
      CTL_FREE },
    { "ack", "GROUP", "who may move checkpoints; default: GROUP-ack",
      CTL_FREE },
    { "pages", "GROUP", "who may store encoded pages; default: GROUP-pages",
      CTL_FREE },
    { "delivery", "GROUP", "who may read the delivery state; default: "
      "GROUP-delivery", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_backup_rows[] = {
    { "rate", "50m", "bytes a second at most; default: no limit", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_restore_rows[] = {
    { "keep-epochs", NULL, "begin no new epochs: nothing was published after "
      "the backup", CTL_FREE },
    { "erasures", "FILE|none", "what was erased after the backup, as "
      "\"erasures\" lists it; default: as the store of --store knows it",
      CTL_FREE },
    { "group", "GROUP", "give the files to the groups, as \"store rights\"",
      CTL_FREE },
    { "dispatcher", "USER", "the user of the dispatcher, with --group",
      CTL_FREE },
    { "publish", "GROUP", "default: GROUP-publish", CTL_FREE },
    { "manage", "GROUP", "default: GROUP-manage", CTL_FREE },
    { "ack", "GROUP", "default: GROUP-ack", CTL_FREE },
    { "pages", "GROUP", "default: GROUP-pages", CTL_FREE },
    { "delivery", "GROUP", "default: GROUP-delivery", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_erase_rows[] = {
    { "subject", "SUBJECT", "the events of this subject", CTL_REQUIRED },
    { "event", "CURSOR", "the event of this cursor, of the feed of --feed",
      CTL_OR },
    { "dry-run", NULL, "list them and do nothing", CTL_REQUIRED },
    { "expect", "N", "erase them if there are N events", CTL_OR },
    { "feed", "FEED", "the feed; default with --subject: every feed",
      CTL_FREE },
    { "forget-ids", NULL, "allow that the events are published again, so that "
      "no key file is needed", CTL_FREE },
    { "drop-digest", NULL, "keep no digest of them, and give up the proof of "
      "what partners have", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_store_commands[] = {
    { .name = "init", .run = ctl_init, .kind = CTL_NO_KIND,
      .options = ctl_init_rows,
      .about = "create an empty store; its secrets may be in plain text only "
      "with the option",
      .json = "the path, and whether plain secrets are allowed",
      .examples = "init --store=/var/lib/eventsync" },

    { .name = "verify", .run = ctl_verify, .kind = CTL_NO_KIND,
      .about = "check the invariants of the store, beside live traffic",
      .json = "the totals; faults are notes",
      .examples = "verify\n"
      "verify --key-file=/etc/eventsync/keys" },

    { .name = "backup", .run = ctl_backup, .kind = CTL_NO_KIND,
      .arguments = "DIR", .options = ctl_backup_rows,
      .about = "copy the store into DIR while everything runs, and check it",
      .json = "what the copy has, and the ids of its keys",
      .examples = "backup /var/backups/eventsync/monday\n"
      "backup --rate=50m /var/backups/eventsync/monday" },

    { .name = "restore", .run = ctl_restore, .kind = CTL_NO_KIND,
      .arguments = "BACKUP NEWDIR", .options = ctl_restore_rows,
      .about = "create a store in NEWDIR from a backup, and verify it",
      .json = "what the store has, and the ids of its keys",
      .examples = "restore /var/backups/eventsync/monday "
      "/var/lib/eventsync-new" },

    { .name = "compact", .run = ctl_compact, .kind = CTL_NO_KIND,
      .arguments = "NEWDIR",
      .about = "copy a store that nobody uses into NEWDIR, without its free "
      "pages",
      .json = "the directory, its bytes, and how many were won",
      .examples = "compact /var/lib/eventsync-new" },

    { .name = "erase", .run = ctl_erase, .kind = CTL_NO_KIND,
      .options = ctl_erase_rows,
      .about = "erase the events of a subject, or one event, from every file "
      "of the store; readers get tombstones",
      .json = "the events by feed, and the surrogate keys to purge from "
      "caches",
      .examples = "erase --subject=customer/42 --dry-run\n"
      "erase --subject=customer/42 --expect=17 "
      "--key-file=/etc/eventsync/keys\n"
      "erase --feed=orders --event=k3f9abcd-10437 --expect=1 "
      "--key-file=/etc/eventsync/keys" },

    { .name = "erasures", .run = ctl_erasures, .kind = CTL_NO_KIND,
      .about = "list what was erased, by cursors, for a restore of an older "
      "backup",
      .json = "one erasure a line, as without the option", .stream = true,
      .examples = "erasures > erasures.ndjson" },

    { .name = "store rights", .run = ctl_store_rights, .kind = CTL_NO_KIND,
      .options = ctl_rights_rows,
      .about = "give the files to the groups of the processes",
      .json = "the numbers of the groups and of the user",
      .examples = "store rights --group=eventsync "
      "--dispatcher=eventsync-dispatcher" },

    { .name = "store rekey", .run = ctl_store_rekey, .kind = CTL_NO_KIND,
      .about = "encrypt all secrets under the first key of the key file",
      .json = "how many secrets are encrypted",
      .examples = "store rekey --key-file=/etc/eventsync/keys" },

    { .name = "store mark", .run = ctl_store_mark, .kind = CTL_NO_KIND,
      .arguments = "MARK",
      .about = "say whether the store is for trials (staging), on which "
      "\"drill\" may do harm, or not (production)",
      .json = "whether it is",
      .examples = "store mark staging" },

    { .name = NULL }
};

static const ctl_option_row_t  ctl_feed_rows[] = {
    { "retain-count", "N", "keep at most N events; 0: no limit, the default",
      CTL_FREE },
    { "retain-bytes", "N", "keep at most N bytes of events; 0: no limit, the "
      "default", CTL_FREE },
    { "retain-age", "DURATION", "keep an event for so long, at most 30d; 0: "
      "no limit, the default", CTL_FREE },
    { "pack", "on|off|LEVEL", "pack the history of the feed, with a level of "
      "zstd from 1 to 19; default: on, which is level 1", CTL_FREE },
    { "schema", "off|warn|enforce", "what happens to events that do not match "
      "their schemas; default: off", CTL_FREE },
    { "fresh-within", "DURATION", "promise that events reach partners within "
      "so long, at most 1d; 0: no promise, the default", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_trim_rows[] = {
    { "before", "CURSOR", "the event that becomes the oldest", CTL_REQUIRED },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_pack_rows[] = {
    { "level", "N", "the level of zstd, 1 to 19; default: that of the feed, "
      "or 1", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_hold_rows[] = {
    { "reason", "TEXT", "why; up to 127 bytes", CTL_REQUIRED },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_feed_commands[] = {
    { .name = "feed create", .run = ctl_feed_create, .kind = ES_KIND_FEED,
      .arguments = "NAME", .options = ctl_feed_rows,
      .about = "create a feed",
      .json = "the feed, as \"feed show\" prints it",
      .examples = "feed create orders --retain-age=7d\n"
      "feed create prices --retain-count=1000000 --schema=enforce" },

    { .name = "feed list", .run = ctl_feed_list, .kind = ES_KIND_FEED,
      .about = "list the feeds",
      .json = "one feed a line, as \"feed show\" prints it", .stream = true,
      .examples = "feed list\n"
      "feed list --json" },

    { .name = "feed show", .run = ctl_feed_show, .kind = ES_KIND_FEED,
      .arguments = "FEED",
      .about = "show a feed as JSON",
      .json = "the feed, as without the option",
      .examples = "feed show orders" },

    { .name = "feed publishers", .run = ctl_feed_publishers,
      .kind = ES_KIND_FEED, .arguments = "FEED",
      .about = "list who published the feed's events",
      .json = "one run of events a line", .stream = true,
      .examples = "feed publishers orders" },

    { .name = "feed change", .run = ctl_feed_change, .kind = ES_KIND_FEED,
      .arguments = "FEED", .options = ctl_feed_rows,
      .about = "change what a feed keeps and promises, and how its events are "
      "checked against their schemas; the other options stay",
      .json = "the feed, as \"feed show\" prints it",
      .examples = "feed change orders --retain-age=14d\n"
      "feed change prices --fresh-within=5s" },

    { .name = "feed trim", .run = ctl_feed_trim, .kind = ES_KIND_FEED,
      .arguments = "FEED", .options = ctl_trim_rows,
      .about = "delete the events before the one of CURSOR",
      .json = "the feed, as \"feed show\" prints it",
      .examples = "feed trim orders --before=k3f9abcd-10437" },

    { .name = "feed pack", .run = ctl_feed_pack, .kind = ES_KIND_FEED,
      .arguments = "FEED", .options = ctl_pack_rows,
      .about = "pack the history of a feed now",
      .json = "how many pages were packed, and their bytes before and after",
      .examples = "feed pack orders\n"
      "feed pack orders --level=9" },

    { .name = "feed unpack", .run = ctl_feed_unpack, .kind = ES_KIND_FEED,
      .arguments = "FEED",
      .about = "make packed history plain, for programs of an earlier build",
      .json = "as of \"feed pack\"",
      .examples = "feed unpack orders" },

    { .name = "feed retime", .run = ctl_feed_retime, .kind = ES_KIND_FEED,
      .arguments = "FEED",
      .about = "set the time of events that are dated in the future to now",
      .json = "how many events got another time",
      .examples = "feed retime orders" },

    { .name = "feed begin-epoch", .run = ctl_feed_begin_epoch,
      .kind = ES_KIND_FEED, .arguments = "FEED",
      .about = "begin a new epoch after the last event, and keep all events",
      .json = "the feed, as \"feed show\" prints it",
      .examples = "feed begin-epoch orders" },

    { .name = "feed hold", .run = ctl_feed_hold, .kind = ES_KIND_FEED,
      .arguments = "FEED", .options = ctl_hold_rows,
      .about = "keep all events of a feed until it is released",
      .json = "the feed, as \"feed show\" prints it",
      .examples = "feed hold orders --reason='case 2026-17'" },

    { .name = "feed release", .run = ctl_feed_release, .kind = ES_KIND_FEED,
      .arguments = "FEED",
      .about = "end the hold of a feed, so that its limits apply again",
      .json = "the feed, as \"feed show\" prints it",
      .examples = "feed release orders" },

    { .name = "feed reset", .run = ctl_feed_reset, .kind = ES_KIND_FEED,
      .arguments = "FEED",
      .about = "delete all events and begin a new epoch",
      .json = "the feed, as \"feed show\" prints it",
      .examples = "feed reset orders" },

    { .name = "feed remove", .run = ctl_feed_remove, .kind = ES_KIND_FEED,
      .arguments = "FEED",
      .about = "remove a feed and its events",
      .json = "the name of the feed",
      .examples = "feed remove orders" },

    { .name = NULL }
};

static const ctl_option_row_t  ctl_register_rows[] = {
    { "description", "TEXT", "what the type means; default: empty",
      CTL_FREE },
    { "feeds", "A,B-*", "the feeds that the type belongs to; default: as "
      "before, and every feed for a new type", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_type_rows[] = {
    { "feeds", "A,B-*", "the feeds that the type belongs to; empty: every "
      "feed", CTL_REQUIRED },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_deprecate_rows[] = {
    { "from", "TIME", "since when it is deprecated; default: now", CTL_FREE },
    { "sunset", "TIME", "when it ends; default: never", CTL_FREE },
    { "cancel", NULL, "take both back", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_promote_rows[] = {
    { "dry-run", NULL, "say what would be registered, and register nothing",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_type_commands[] = {
    { .name = "type register", .run = ctl_type_register, .kind = CTL_NO_KIND,
      .arguments = "TYPE VERSION", .options = ctl_register_rows,
      .input = "schema",
      .about = "register a version of an event type, which can never change",
      .json = "the type, as \"type show\" prints it",
      .examples = "type register order.updated 1.0.0 --feeds=orders < "
      "order.json" },

    { .name = "type change", .run = ctl_type_change, .kind = CTL_NO_KIND,
      .arguments = "TYPE", .options = ctl_type_rows,
      .about = "set the feeds that a type belongs to",
      .json = "the type, as \"type show\" prints it",
      .examples = "type change order.updated --feeds=orders,orders-*" },

    { .name = "type list", .run = ctl_type_list, .kind = CTL_NO_KIND,
      .about = "list the event catalogue",
      .json = "one type a line, with all its versions", .stream = true,
      .examples = "type list" },

    { .name = "type show", .run = ctl_type_show, .kind = CTL_NO_KIND,
      .arguments = "TYPE [VERSION]",
      .about = "show a type as JSON, or the schema of a version",
      .json = "the type or the schema, as without the option",
      .examples = "type show order.updated\n"
      "type show order.updated 1.0.0" },

    { .name = "type deprecate", .run = ctl_type_deprecate, .kind = CTL_NO_KIND,
      .arguments = "TYPE VERSION", .options = ctl_deprecate_rows,
      .about = "set when a version becomes deprecated and when it ends",
      .json = "the type, as \"type show\" prints it",
      .examples = "type deprecate order.updated 1.0.0 "
      "--sunset=2027-06-01T00:00:00Z" },

    { .name = "type export", .run = ctl_type_export, .kind = CTL_NO_KIND,
      .arguments = "[TYPE]",
      .about = "print the versions of a type, or of all, for \"type promote\"",
      .json = "one version a line, as without the option", .stream = true,
      .examples = "type export > catalogue.ndjson\n"
      "type export order.updated" },

    { .name = "type promote", .run = ctl_type_promote, .kind = CTL_NO_KIND,
      .options = ctl_promote_rows, .input = "catalogue.ndjson",
      .about = "register the versions of another store's \"type export\" that "
      "this store lacks, all of them or none",
      .json = "the versions that are new, and how many were there",
      .examples = "type promote --dry-run < catalogue.ndjson\n"
      "type promote < catalogue.ndjson" },

    { .name = NULL }
};
