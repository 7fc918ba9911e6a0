/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The table's rows for the commands that find out what is wrong.
 */

#include "commands.h"

static const ctl_option_row_t  ctl_explain_rows[] = {
    { "event", "CURSOR", "say what became of this event", CTL_FREE },
    { "feed", "FEED", "the feed of the cursor, if two feeds have its epoch",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_doctor_rows[] = {
    { "offline", NULL, "connect to no endpoint and resolve no name", CTL_FREE },
    { "nginx", "PROGRAM", "nginx's program; default: nginx", CTL_FREE },
    { "nginx-conf", "FILE", "its configuration; default: nginx's own",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_probe_rows[] = {
    { "state", "FILE", "the file with what a run needs, of mode 0600",
      CTL_FREE },
    { "setup", NULL, "make feed, partner, key, endpoint and FILE", CTL_FREE },
    { "cleanup", NULL, "remove all of them", CTL_FREE },
    { "url", "URL", "with --setup: the API, https://host/v1", CTL_FREE },
    { "feed", "FEED", "the feed and partner; default: eventsync-probe",
      CTL_FREE },
    { "address", "127.0.0.1", "with --setup: where webhooks are received; "
      "default: 127.0.0.1", CTL_FREE },
    { "port", "N", "with --setup: likewise; default: 18780", CTL_FREE },
    { "rate", "N", "events a second; default: 10", CTL_FREE },
    { "for", "1s", "how long events are published; default: 1s", CTL_FREE },
    { "timeout", "10s", "how long they may take; default: 10s", CTL_FREE },
    { "channels", "poll,long-poll,sse,webhook", "default: all of them",
      CTL_FREE },
    { "metrics", "FILE", "write metrics for node_exporter", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_drill_rows[] = {
    { "url", "URL", "the API, https://host/v1", CTL_FREE },
    { "for", "5s", "how long each fault lasts; default: 5s", CTL_FREE },
    { "within", "60s", "how long recovery may take; default: 60s", CTL_FREE },
    { "rate", "N", "events a second; default: 20", CTL_FREE },
    { "only", "A,B", "only these faults", CTL_FREE },
    { "list", NULL, "print the faults and their remedies", CTL_FREE },
    { "address", "127.0.0.1", "where webhooks are received; default: 127.0.0.1",
      CTL_FREE },
    { "port", "N", "likewise; default: 18782", CTL_FREE },
    { "stop-dispatcher", "COMMAND", "stops the dispatcher, for the fault "
      "\"dispatcher-stopped\"", CTL_FREE },
    { "start-dispatcher", "COMMAND", "starts it again", CTL_FREE },
    { "junit", "FILE", "also write the results as JUnit XML", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_check_commands[] = {
    { .name = "doctor", .run = ctl_doctor, .kind = CTL_NO_KIND,
      .arguments = "[PARTNER|ENDPOINT]",
      .options = ctl_doctor_rows,
      .about = "check the store and what surrounds it, and say what to mend",
      .json = "the checks, and how many are ok, warn, fail and skipped",
      .examples = "doctor\n"
      "doctor ep_k3f9abcdefgh2345\n"
      "doctor acme --offline" },

    { .name = "explain", .run = ctl_explain, .kind = ES_KIND_ENDPOINT,
      .arguments = "ENDPOINT",
      .options = ctl_explain_rows,
      .about = "say why an endpoint is not being sent something, and what to "
      "do",
      .json = "the state, the reasons, and the fate of the event",
      .examples = "explain ep_k3f9abcdefgh2345\n"
      "explain ep_k3f9abcdefgh2345 --event=k3f9abcd-10437" },

    { .name = "probe", .run = ctl_probe, .kind = CTL_NO_KIND,
      .options = ctl_probe_rows,
      .about = "publish events and see them by every channel",
      .json = "the timings of each channel, in microseconds",
      .examples = "probe --setup --url=https://events.example/v1 "
      "--state=/etc/eventsync/probe\n"
      "probe --state=/etc/eventsync/probe\n"
      "probe --state=/etc/eventsync/probe --rate=200 --for=30s\n"
      "probe --cleanup --state=/etc/eventsync/probe" },

    { .name = "drill", .run = ctl_drill, .kind = CTL_NO_KIND,
      .options = ctl_drill_rows,
      .about = "cause faults on a staging store, and measure how long partners "
      "need to be whole again",
      .json = "each fault, its remedy, the events missing, and the time",
      .examples = "drill --url=https://staging.example/v1\n"
      "drill --list" },

    { .name = NULL }
};
