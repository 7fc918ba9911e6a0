/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The table's rows for partners, their keys and links, and checkpoints.
 */

#include "commands.h"

static const ctl_option_row_t  ctl_partner_rows[] = {
    { "feeds", "A,B-*", "the feeds that it may read and be sent; default: "
      "none", CTL_FREE },
    { "publish", "A,B-*", "the feeds that it may publish to; default: none",
      CTL_FREE },
    { "limit-poll", "60r/m[,burst=N]", "limit of its polls; default: the limit "
      "of nginx's configuration", CTL_FREE },
    { "limit-publish", "RATE", "limit of its publishes, likewise", CTL_FREE },
    { "limit-backfill", "100m/h[,burst=SIZE]", "limit of the bytes of its "
      "backfills, likewise", CTL_FREE },
    { "limit-waits", "N", "limit of its waiting requests, likewise",
      CTL_FREE },
    { "limit-manage", "RATE", "limit of its requests that manage endpoints, "
      "likewise", CTL_FREE },
    { "quota-endpoints", "N", "how many endpoints it may have", CTL_FREE },
    { "quota-keys", "N", "how many keys it may have", CTL_FREE },
    { "quota-feeds", "N", "how many feeds its record may name", CTL_FREE },
    { "quota-consumers", "N", "how many checkpoints it may have", CTL_FREE },
    { "quota-requests", "N", "how many of its requests may wait for the "
      "dispatcher", CTL_FREE },
    { "quota-bytes", "SIZE", "how many bytes its records may have", CTL_FREE },
    { "operations", "FEED", "the feed of its operational events; default: "
      "none", CTL_FREE },
    { "allow-http", "yes|no", "allow http:// of its endpoints, if the "
      "dispatcher does too; default: no", CTL_FREE },
    { "allow-addresses", "CIDR,...", "addresses that are not public, "
      "likewise", CTL_FREE },
    { "allow-ports", "N,...", "ports below 1024, likewise", CTL_FREE },
    { "allow-from", "CIDR,...", "the addresses from which its keys may be "
      "used, or any; default: any", CTL_FREE },
    { "fields", "JSON", "what it may see of each event, by feed, as "
      "{\"orders\":{\"allow\":[\"/id\"]}}; default: everything", CTL_FREE },
    { "encryption-key", "FILE", "the file with the public EC key as a JWK to "
      "which fields are encrypted; default: none", CTL_FREE },
    { "flags", "FLAG=on|off|default,...", "flags that it has or has not, "
      "whatever their percentage is", CTL_FREE },
    { "disabled", NULL, "its keys are invalid, and its endpoints are sent "
      "nothing", CTL_FREE },
    { "enabled", NULL, "take --disabled back", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_data_use_rows[] = {
    { "purpose", "TEXT", "what the data may be used for", CTL_FREE },
    { "feeds", "A,B-*", "all feeds that the partner may be granted",
      CTL_FREE },
    { "retention-days", "N", "how long the partner may keep the data",
      CTL_FREE },
    { "expires", "TIME", "when its access ends", CTL_FREE },
    { "none", NULL, "the partner needs no agreement", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_offboard_rows[] = {
    { "dry-run", NULL, "print what would be deleted", CTL_REQUIRED },
    { "expect", "N", "delete it if these are N keys, endpoints and feeds",
      CTL_OR },
    { "private-feeds", NULL, "also the feeds that no other partner may use",
      CTL_FREE },
    { "audit-key", "PATH", "the ed25519 key in PEM that signs the receipt",
      CTL_FREE },
    { "receipt", "PATH", "the receipt, a new file", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_partner_commands[] = {
    { .name = "partner create", .run = ctl_partner_create,
      .kind = ES_KIND_PARTNER, .arguments = "NAME",
      .options = ctl_partner_rows,
      .about = "create a partner",
      .json = "the partner, as \"partner show\" prints it",
      .examples = "partner create acme --feeds=orders,prices\n"
      "partner create acme --feeds=acme-* --publish=acme-in "
      "--limit-poll=60r/m,burst=10" },

    { .name = "partner list", .run = ctl_object_list, .kind = ES_KIND_PARTNER,
      .about = "list the partners",
      .json = "one partner a line, as \"partner show\" prints it",
      .stream = true,
      .examples = "partner list" },

    { .name = "partner show", .run = ctl_object_show, .kind = ES_KIND_PARTNER,
      .arguments = "PARTNER",
      .about = "show a partner as JSON",
      .json = "the partner, as without the option",
      .examples = "partner show acme" },

    { .name = "partner change", .run = ctl_partner_change,
      .kind = ES_KIND_PARTNER, .arguments = "PARTNER",
      .options = ctl_partner_rows,
      .about = "change what the options name; the others stay",
      .json = "the partner, as \"partner show\" prints it",
      .examples = "partner change acme --feeds=orders,prices,returns\n"
      "partner change acme --limit-poll=default\n"
      "partner change acme --allow-from=203.0.113.0/24,2001:db8:7::/48" },

    { .name = "partner data-use", .run = ctl_partner_data_use,
      .kind = ES_KIND_PARTNER, .arguments = "PARTNER",
      .options = ctl_data_use_rows,
      .about = "set what the data-use agreement of a partner says; what no "
      "option names stays",
      .json = "the partner, as \"partner show\" prints it",
      .examples = "partner data-use acme --purpose=\"invoices of orders\" "
      "--feeds=orders --retention-days=90 --expires=2027-12-31T00:00:00Z\n"
      "partner data-use acme --expires=2028-12-31T00:00:00Z\n"
      "partner data-use acme --none" },

    { .name = "partner offboard", .run = ctl_offboard,
      .kind = ES_KIND_PARTNER, .arguments = "PARTNER",
      .options = ctl_offboard_rows,
      .about = "delete all that the store has of a partner, with a signed "
      "receipt",
      .json = "the receipt; with --dry-run what would be deleted",
      .examples = "partner offboard acme --dry-run --private-feeds\n"
      "partner offboard acme --private-feeds --expect=5 "
      "--audit-key=/etc/eventsync/audit.pem --receipt=acme.receipt" },

    { .name = "partner remove", .run = ctl_object_remove,
      .kind = ES_KIND_PARTNER, .arguments = "PARTNER",
      .about = "remove a partner that has no keys and endpoints",
      .json = "the name of the partner",
      .examples = "partner remove acme" },

    { .name = NULL }
};

const ctl_command_t  ctl_flag_commands[] = {
    { .name = "flag set", .run = ctl_flag_set, .kind = ES_KIND_FLAG,
      .arguments = "FLAG PARTNERS",
      .about = "give a flag to all partners (on), to none (off), or to some "
      "(10%); a higher percentage takes it from nobody",
      .json = "the flag, as \"flag list\" prints it",
      .examples = "flag set new-order 10%\nflag set new-order on" },

    { .name = "flag list", .run = ctl_object_list, .kind = ES_KIND_FLAG,
      .about = "list the flags",
      .json = "one flag a line, with its partners", .stream = true,
      .examples = "flag list" },

    { .name = "flag remove", .run = ctl_object_remove, .kind = ES_KIND_FLAG,
      .arguments = "FLAG",
      .about = "remove a flag; only partners whose records name it have it "
      "then",
      .json = "the name of the flag",
      .examples = "flag remove new-order" },

    { .name = NULL }
};

static const ctl_option_row_t  ctl_key_create_rows[] = {
    { "scopes", "read,publish", "what it may do: read, publish, ack, manage, "
      "admin", CTL_REQUIRED },
    { "feeds", "A,B-*", "only for these feeds; default: those of its partner",
      CTL_FREE },
    { "consumers", "A,B-*", "only the checkpoints of these consumers; "
      "default: all of its partner", CTL_FREE },
    { "expires", "TIME", "when it ends; default: never", CTL_FREE },
    { "allow-from", "CIDR,...", "only from these addresses; default: those "
      "of its partner", CTL_FREE },
    { "label", "TEXT", "what it is for, at most 64 bytes; default: none",
      CTL_FREE },
    { "certificate", "FILE", "register this client certificate in place of "
      "making a key: a PEM file", CTL_FREE },
    { "fingerprint", "SHA256", "the certificate with this fingerprint",
      CTL_FREE },
    { "subject", "DN", "certificates of this subject and --issuer, as "
      "openssl prints them with -nameopt RFC2253", CTL_FREE },
    { "uri", "URI", "certificates with this URI among their alternative "
      "names", CTL_FREE },
    { "issuer", "DN", "the issuer of --subject or --uri", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_key_list_rows[] = {
    { "unused-for", "90d", "only those that could be used but were not, for "
      "this time", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_key_change_rows[] = {
    { "allow-from", "CIDR,...", "the addresses from which it may be used, or "
      "any: those of its partner", CTL_FREE },
    { "expires", "TIME", "when it ends, or never", CTL_FREE },
    { "label", "TEXT", "what it is for; empty: no label", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_key_revoke_rows[] = {
    { "with-endpoints", NULL, "also pause the endpoints that it made",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_key_commands[] = {
    { .name = "key create", .run = ctl_key_create, .kind = ES_KIND_KEY,
      .arguments = "PARTNER", .options = ctl_key_create_rows,
      .about = "create a key and print it once; or register a certificate",
      .json = "the record, with the key",
      .examples = "key create acme --scopes=read\n"
      "key create acme --scopes=publish --feeds=acme-in "
      "--expires=2027-01-01T00:00:00Z\n"
      "key create acme --scopes=read --label=billing "
      "--allow-from=203.0.113.0/24\n"
      "key create acme --scopes=read --certificate=acme.pem\n"
      "key create acme --scopes=read --uri=spiffe://acme.example/poller" },

    { .name = "key list", .run = ctl_key_list, .kind = ES_KIND_KEY,
      .options = ctl_key_list_rows,
      .about = "list the keys, with their last use",
      .json = "one key a line, without its secret", .stream = true,
      .examples = "key list\nkey list --unused-for=90d" },

    { .name = "key change", .run = ctl_key_change, .kind = ES_KIND_KEY,
      .arguments = "KEY", .options = ctl_key_change_rows,
      .about = "change what the options name; the others stay",
      .json = "the record",
      .examples = "key change k3f9abcdef --allow-from=203.0.113.0/24\n"
      "key change k3f9abcdef --label=billing "
      "--expires=2027-01-01T00:00:00Z" },

    { .name = "key revoke", .run = ctl_key_revoke, .kind = ES_KIND_KEY,
      .arguments = "KEY", .options = ctl_key_revoke_rows,
      .about = "make a key invalid from now on; KEY is the ten characters "
      "after esk_",
      .json = "the record, and with the option the endpoints",
      .examples = "key revoke k3f9abcdef\n"
      "key revoke k3f9abcdef --with-endpoints" },

    { .name = "key remove", .run = ctl_object_remove, .kind = ES_KIND_KEY,
      .arguments = "KEY",
      .about = "remove a key",
      .json = "the id of the key",
      .examples = "key remove k3f9abcdef" },

    { .name = NULL }
};

static const ctl_option_row_t  ctl_dashboard_link_rows[] = {
    { "scopes", "read,manage", "what it may do: read, ack, manage, admin; "
      "default: read", CTL_FREE },
    { "for", "TIME", "how long it can be opened, from 1s to 7d; default: 10m",
      CTL_FREE },
    { "url", "URL", "the API, https://host/v1; default: EVENTSYNC_URL",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_dashboard_commands[] = {
    { .name = "dashboard link", .run = ctl_dashboard_link,
      .kind = CTL_NO_KIND, .arguments = "PARTNER",
      .options = ctl_dashboard_link_rows,
      .about = "print a link that opens the dashboard once, for an hour",
      .json = "the record, with the url",
      .examples = "dashboard link acme --url=https://events.example/v1\n"
      "dashboard link acme --scopes=read,manage --for=1h "
      "--url=https://events.example/v1" },

    { .name = "dashboard links", .run = ctl_dashboard_links,
      .kind = CTL_NO_KIND, .arguments = "[PARTNER]",
      .about = "list the links, with their state",
      .json = "one link a line", .stream = true,
      .examples = "dashboard links\ndashboard links acme" },

    { .name = "dashboard revoke", .run = ctl_dashboard_revoke,
      .kind = ES_KIND_KEY, .arguments = "KEY",
      .about = "end a link, and the session that it opened; KEY is the ten "
      "characters after esl_",
      .json = "the record",
      .examples = "dashboard revoke k3f9abcdef" },

    { .name = NULL }
};

static const ctl_option_row_t  ctl_checkpoint_list_rows[] = {
    { "feed", "FEED", "only of this feed", CTL_FREE },
    { "partner", "PARTNER", "only of this partner", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_checkpoint_set_rows[] = {
    { "rewind", NULL, "allow to move it back", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_checkpoint_commands[] = {
    { .name = "checkpoint list", .run = ctl_checkpoint_list,
      .kind = CTL_NO_KIND, .options = ctl_checkpoint_list_rows,
      .about = "list the positions that consumers have stored",
      .json = "one checkpoint a line, with its partner", .stream = true,
      .examples = "checkpoint list --partner=acme" },

    { .name = "checkpoint show", .run = ctl_checkpoint_show,
      .kind = CTL_NO_KIND, .arguments = "PARTNER FEED CONSUMER",
      .about = "show a checkpoint as JSON",
      .json = "the checkpoint, as without the option",
      .examples = "checkpoint show acme orders billing" },

    { .name = "checkpoint set", .run = ctl_checkpoint_set,
      .kind = CTL_NO_KIND, .arguments = "PARTNER FEED CONSUMER CURSOR",
      .options = ctl_checkpoint_set_rows,
      .about = "create or move a checkpoint",
      .json = "the names and the cursor",
      .examples = "checkpoint set acme orders billing k3f9abcd-10437" },

    { .name = "checkpoint remove", .run = ctl_checkpoint_remove,
      .kind = CTL_NO_KIND, .arguments = "PARTNER FEED CONSUMER",
      .about = "remove a checkpoint",
      .json = "the names",
      .examples = "checkpoint remove acme orders billing" },

    { .name = NULL }
};

static const ctl_option_row_t  ctl_fields_preview_rows[] = {
    { "endpoint", "ENDPOINT", "as this endpoint of the partner is sent it",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_fields_commands[] = {
    { .name = "fields preview", .run = ctl_fields_preview,
      .kind = CTL_NO_KIND, .arguments = "PARTNER FEED CURSOR",
      .options = ctl_fields_preview_rows,
      .about = "print an event as the partner is sent it",
      .json = "the event, as without the option", .stream = true,
      .examples = "fields preview acme orders k3f9abcd-10437\n"
      "fields preview acme orders k3f9abcd-10437 "
      "--endpoint=ep_k3f9abcdk3f9abcd" },

    { .name = NULL }
};
