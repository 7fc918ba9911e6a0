/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The table's rows for events: they are published, printed and received.
 */

#include "commands.h"

static const ctl_option_row_t  ctl_publish_rows[] = {
    { "format", "ndjson|json|batch|tail", "one event a line, one event, one "
      "array, or lines that \"tail\" printed; default: ndjson", CTL_FREE },
    { "batch", "N", "lines of one commit; default: 1000", CTL_FREE },
    { "results", NULL, "print the cursor and id of each event", CTL_FREE },
    { "url", "URL", "publish by HTTP to https://host/v1", CTL_FREE },
    { "key", "@FILE", "the file with the API key; default: EVENTSYNC_KEY",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_tail_rows[] = {
    { "after", "CURSOR", "begin after this event", CTL_FREE },
    { "from", "TIME|oldest|latest", "begin there; default: oldest",
      CTL_FREE },
    { "types", "A,B.*", "only these event types", CTL_FREE },
    { "subject", "S", "only events of this subject", CTL_FREE },
    { "limit", "N", "end after N events", CTL_FREE },
    { "follow", NULL, "go on with events as they are published", CTL_FREE },
    { "url", "URL", "read by HTTP from https://host/v1", CTL_FREE },
    { "key", "@FILE", "the file with the API key; default: EVENTSYNC_KEY",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_export_rows[] = {
    { "from", "TIME|CURSOR|oldest", "events since this time, or after this "
      "one; default: oldest", CTL_FREE },
    { "to", "TIME|CURSOR|latest", "events before this time, or up to this "
      "one; default: latest", CTL_FREE },
    { "types", "A,B.*", "only these event types", CTL_FREE },
    { "subject", "S", "only events of this subject", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_mirror_rows[] = {
    { "to", "PATH", "the store that gets the copies, which must be marked as "
      "staging", CTL_REQUIRED },
    { "fields", "LIST", "what a copy has: a JSON array of JSON Pointers into "
      "data and of extension attributes", CTL_REQUIRED },
    { "from", "TIME|CURSOR|oldest|latest", "begin there; default: after the "
      "last copy, or the oldest event", CTL_FREE },
    { "follow", NULL, "go on with events as they are published", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_events_commands[] = {
    { .name = "publish", .run = ctl_publish, .kind = CTL_NO_KIND,
      .arguments = "FEED", .options = ctl_publish_rows, .input = "events",
      .about = "publish events from standard input, to the store or by HTTP",
      .json = "the totals; with --results, a line for each event before",
      .stream = true,
      .examples = "publish orders < events.ndjson\n"
      "publish orders --url=https://events.example/v1 --key=@key < "
      "events.ndjson" },

    { .name = "tail", .run = ctl_tail, .kind = CTL_NO_KIND,
      .arguments = "FEED", .options = ctl_tail_rows,
      .about = "print events, one per line, from the store or by HTTP",
      .json = "one event a line, as without the option", .stream = true,
      .examples = "tail orders --from=latest --follow\n"
      "tail orders --types=order.* --limit=10" },

    { .name = "export", .run = ctl_export, .kind = CTL_NO_KIND,
      .arguments = "FEED", .options = ctl_export_rows,
      .about = "print a range of events, one per line, and a manifest of them",
      .json = "one event a line, as without the option", .stream = true,
      .examples = "export orders > orders.ndjson\n"
      "export orders --from=2026-11-01T00:00:00Z --types=order.*" },

    { .name = "import", .run = ctl_import, .kind = CTL_NO_KIND,
      .arguments = "FEED FILE",
      .about = "publish the events of an export or backfill; they get new "
      "sequences",
      .json = "how many events were published, and how many were there",
      .examples = "import orders orders.ndjson" },

    { .name = "mirror", .run = ctl_mirror, .kind = CTL_NO_KIND,
      .arguments = "FEED", .options = ctl_mirror_rows,
      .about = "copy events to the feed of that name in a staging store, "
      "without what the list leaves out",
      .json = "how many events were copied, were there, and are erased",
      .examples = "mirror orders --to=/var/lib/eventsync-staging "
      "--fields='[\"/id\",\"/items/*/sku\"]' --follow" },

    { .name = NULL }
};

static const ctl_option_row_t  ctl_listen_rows[] = {
    { "port", "N", "the port to listen on", CTL_REQUIRED },
    { "secret", "@FILE", "the file with the endpoint's secret",
      CTL_REQUIRED },
    { "address", "ADDRESS", "the address to listen on; default: 127.0.0.1",
      CTL_FREE },
    { "log", "FILE", "append each event to this file before the answer",
      CTL_FREE },
    { "state", "FILE", "store the cursors in this file", CTL_FREE },
    { "poll", "URL", "heal gaps by polls of https://host/v1", CTL_FREE },
    { "key", "@FILE", "the file with the API key for polls; default: "
      "EVENTSYNC_KEY", CTL_FREE },
    { "feeds", "A,B", "the feeds to poll from their oldest event at the start",
      CTL_FREE },
    { "types", "A,B.*", "the endpoint's event types, for polls", CTL_FREE },
    { "subject", "S", "the endpoint's subject, for polls", CTL_FREE },
    { "poll-every", "1m", "how often to poll; 0: never; default: 1m",
      CTL_FREE },
    { "status", "503", "refuse every webhook with this status", CTL_FREE },
    { "fail-rate", "PERCENT", "refuse so many of them", CTL_FREE },
    { "data-only", NULL, "webhooks are the data of events only", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_integration_rows[] = {
    { "url", "URL", "the receiver, instead of ENDPOINT", CTL_FREE },
    { "secret", "@FILE", "the file with its secret", CTL_FREE },
    { "timeout", "10s", "limit of the time of an answer; default: 10s",
      CTL_FREE },
    { "thin", NULL, "also send an event without data", CTL_FREE },
    { "batch", NULL, "also send two events in one request", CTL_FREE },
    { "cloudevents", NULL, "send application/cloudevents+json", CTL_FREE },
    { "binary", NULL, "send CloudEvents' binary mode", CTL_FREE },
    { "data-only", NULL, "send the data of events only", CTL_FREE },
    { "agreement", "SENDER", "also check whether it agrees to be sent events "
      "by SENDER", CTL_FREE },
    { "ca-file", "FILE", "certificates to trust instead of the system's",
      CTL_FREE },
    { "tls-dir", "PATH", "the certificates that the endpoint names; default: "
      "/etc/eventsync/tls", CTL_FREE },
    { "junit", "FILE", "also write the results to this file, as JUnit XML",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_poller_rows[] = {
    { "run", "COMMAND", "start this command, which polls; its environment has "
      "EVENTSYNC_URL, EVENTSYNC_FEED and EVENTSYNC_KEY", CTL_FREE },
    { "address", "ADDRESS", "the address to listen on; default: 127.0.0.1",
      CTL_FREE },
    { "port", "N", "the port; 0: a free one; default: 18781", CTL_FREE },
    { "feed", "FEED", "the feed; default: verify", CTL_FREE },
    { "sse", NULL, "verify a reader of streams", CTL_FREE },
    { "applied", "FILE", "the poller appends a line with its id for each event "
      "that it applies", CTL_FREE },
    { "snapshot", NULL, "the poller must read the snapshot after a 410",
      CTL_FREE },
    { "silence", "30s", "a poller without a request for so long has stopped; "
      "default: 30s", CTL_FREE },
    { "only", "A,B", "only these steps, after the first", CTL_FREE },
    { "list", NULL, "print the steps", CTL_FREE },
    { "junit", "FILE", "also write the results to this file, as JUnit XML",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_lab_rows[] = {
    { "run", "COMMAND", "start and stop the receiver by this command, instead "
      "of asking for it", CTL_FREE },
    { "port", "N", "the receiver's port; default: 18790", CTL_FREE },
    { "api-port", "N", "nginx's port; default: 18791", CTL_FREE },
    { "nginx", "PROGRAM", "nginx's program; default: /usr/sbin/nginx",
      CTL_FREE },
    { "module", "FILE", "its module; default: where packages have it",
      CTL_FREE },
    { "status", NULL, "print which steps are passed", CTL_FREE },
    { "reset", NULL, "remove what the lab has made in the directory",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_receive_commands[] = {
    { .name = "listen", .run = ctl_listen, .kind = CTL_NO_KIND,
      .options = ctl_listen_rows,
      .about = "receive webhooks, verify them and heal gaps by polling",
      .json = "one line for each thing that happens: what, and its members",
      .stream = true,
      .examples = "listen --port=8080 --secret=@secret --state=cursors\n"
      "listen --port=8080 --secret=@secret --log=events.log "
      "--poll=https://events.example/v1 --key=@key" },

    { .name = "verify-integration", .run = ctl_verify_integration,
      .kind = CTL_NO_KIND, .arguments = "[ENDPOINT]",
      .options = ctl_integration_rows,
      .about = "send valid and invalid signed requests to a receiver and check "
      "its answers",
      .json = "the checks and their totals",
      .examples = "verify-integration --url=https://acme.example/hook "
      "--secret=@secret\n"
      "verify-integration ep_k3f9abcdefgh2345 --json" },

    { .name = "verify-poller", .run = ctl_verify_poller, .kind = CTL_NO_KIND,
      .options = ctl_poller_rows,
      .about = "be the server of a poller, answer with all that can happen, and "
      "check what it asks next",
      .json = "the checks, the hints and their totals",
      .examples = "verify-poller --run=\"python3 poller.py\"\n"
      "verify-poller --port=8080 --only=retry-after,cut\n"
      "verify-poller --list" },

    { .name = "lab", .run = ctl_lab, .kind = CTL_NO_KIND,
      .arguments = "DIRECTORY [STEP]", .options = ctl_lab_rows,
      .about = "learn in six steps to write a receiver that survives "
      "everything",
      .json = "the last step, what is wrong, and the steps that are passed",
      .examples = "lab mylab --run=\"python3 receiver.py\"\n"
      "lab mylab duplicates --run=\"node receiver.mjs\"\n"
      "lab mylab --status" },

    { .name = NULL }
};
