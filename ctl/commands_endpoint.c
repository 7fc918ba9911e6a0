/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The table's rows for webhook endpoints.
 */

#include <stdio.h>

#include "commands.h"
#include "registry/endpoint_members.h"

/* A row for each member, and the end; "create" has --name as well. */
static ctl_option_row_t  ctl_endpoint_create_rows[ES_ENDPOINT_MEMBERS + 2];
static ctl_option_row_t  ctl_endpoint_change_rows[ES_ENDPOINT_MEMBERS + 1];

static const ctl_option_row_t  ctl_rotate_rows[] = {
    { "overlap", "24h", "how long the older secrets sign as well, at most 30d; "
      "default: 24h", CTL_FREE },
    { "kind", "v1|v1a", "what is made: an HMAC secret or an ed25519 key pair; "
      "default: v1", CTL_FREE },
    { "secret", "@FILE", "the file with a secret of your own", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_attempts_rows[] = {
    { "limit", "N", "only the last N of the endpoint; default: all",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_replay_rows[] = {
    { "after", "CURSOR", "the last event that is not sent again",
      CTL_REQUIRED },
    { "from", "TIME|oldest", "the time since when events are sent again",
      CTL_OR },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_cancel_rows[] = {
    { "dry-run", NULL, "count them and do nothing", CTL_REQUIRED },
    { "expect", "N", "do it if there are N events", CTL_OR },
    { "from", "CURSOR", "the first event; default: the oldest", CTL_FREE },
    { "to", "CURSOR|latest", "the last event; default: the latest", CTL_FREE },
    { "types", "A,B.*", "only these event types", CTL_FREE },
    { "status", "500,0", "only these statuses of the last attempt; 0: no "
      "answer", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_discard_rows[] = {
    { "dry-run", NULL, "count them and do nothing", CTL_REQUIRED },
    { "expect", "N", "do it if there are N dead letters", CTL_OR },
    { "from", "CURSOR", "the first event; needs FEED", CTL_FREE },
    { "to", "CURSOR|latest", "the last event; needs FEED", CTL_FREE },
    { "types", "A,B.*", "only these event types", CTL_FREE },
    { "status", "500,0", "only these statuses of the last attempt; 0: no "
      "answer", CTL_FREE },
    { "class", "timeout,tls", "only these classes of the last attempt",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_test_rows[] = {
    { "type", "TYPE", "its type; default: eventsync.test", CTL_FREE },
    { "data", "JSON", "its data", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_verify_rows[] = {
    { "accept", NULL, "take the endpoint as agreed, without a check",
      CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_simulate_rows[] = {
    { "failure", "status|delay|reset|truncate|tls|duplicate|reorder|drop|none",
      "what fails; none: nothing any more", CTL_REQUIRED },
    { "status", "503", "the status of \"status\"; default: 503", CTL_FREE },
    { "delay", "5s", "the time of \"delay\"; default: 5s", CTL_FREE },
    { "percent", "100", "how many deliveries fail; default: 100", CTL_FREE },
    { "for", "10m", "when it ends; default: after 10m", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_endpoint_commands[] = {
    { .name = "endpoint create", .run = ctl_endpoint_create,
      .kind = ES_KIND_ENDPOINT, .arguments = "PARTNER",
      .options = ctl_endpoint_create_rows,
      .about = "create a webhook endpoint and print its name and secret",
      .json = "the endpoint, and the secret if one was made",
      .examples = "endpoint create acme --url=https://acme.example/hook "
      "--feeds=orders\n"
      "endpoint create acme --url=https://acme.example/hook --feeds=acme-* "
      "--types=order.* --ordering=key --start=oldest" },

    { .name = "endpoint list", .run = ctl_object_list,
      .kind = ES_KIND_ENDPOINT,
      .about = "list the endpoints",
      .json = "one endpoint a line, as \"endpoint show\" prints it",
      .stream = true,
      .examples = "endpoint list" },

    { .name = "endpoint show", .run = ctl_object_show,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .about = "show an endpoint as JSON",
      .json = "the endpoint, as without the option",
      .examples = "endpoint show ep_k3f9abcdefgh2345" },

    { .name = "endpoint change", .run = ctl_endpoint_change,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .options = ctl_endpoint_change_rows,
      .about = "change what the options name, and start a stopped endpoint "
      "again; an empty option removes what was set",
      .json = "the endpoint, as \"endpoint show\" prints it",
      .examples = "endpoint change ep_k3f9abcdefgh2345 --timeout=10s\n"
      "endpoint change ep_k3f9abcdefgh2345 --types=" },

    { .name = "endpoint pause", .run = ctl_endpoint_pause,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .about = "suspend deliveries to an endpoint",
      .json = "the endpoint, as \"endpoint show\" prints it",
      .examples = "endpoint pause ep_k3f9abcdefgh2345" },

    { .name = "endpoint resume", .run = ctl_endpoint_resume,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .about = "resume deliveries, also after a stop",
      .json = "the endpoint, as \"endpoint show\" prints it",
      .examples = "endpoint resume ep_k3f9abcdefgh2345" },

    { .name = "endpoint rotate", .run = ctl_endpoint_rotate,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .options = ctl_rotate_rows,
      .about = "add a new secret; the old ones sign as well until the overlap "
      "ends",
      .json = "the name, and the secret or public key that was made",
      .examples = "endpoint rotate ep_k3f9abcdefgh2345 --overlap=7d" },

    { .name = "endpoint keys", .run = ctl_endpoint_keys,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .about = "print the public keys of v1a signatures as a JWK Set",
      .json = "the JWK Set, as without the option",
      .examples = "endpoint keys ep_k3f9abcdefgh2345" },

    { .name = "endpoint remove", .run = ctl_endpoint_remove,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .about = "remove an endpoint",
      .json = "the name of the endpoint",
      .examples = "endpoint remove ep_k3f9abcdefgh2345" },

    { .name = "endpoint status", .run = ctl_endpoint_status,
      .kind = ES_KIND_ENDPOINT, .arguments = "[ENDPOINT]",
      .about = "show cursors, retries and stops",
      .json = "one report a line, with its endpoint", .stream = true,
      .examples = "endpoint status\n"
      "endpoint status ep_k3f9abcdefgh2345 --json" },

    { .name = "endpoint attempts", .run = ctl_endpoint_attempts,
      .kind = ES_KIND_ENDPOINT, .arguments = "[ENDPOINT]",
      .options = ctl_attempts_rows,
      .about = "list the recorded attempts",
      .json = "one attempt a line", .stream = true,
      .examples = "endpoint attempts ep_k3f9abcdefgh2345 --limit=20" },

    { .name = "endpoint dead", .run = ctl_endpoint_dead,
      .kind = ES_KIND_ENDPOINT, .arguments = "[ENDPOINT]",
      .about = "list the dead letters",
      .json = "one dead letter a line, with its reason", .stream = true,
      .examples = "endpoint dead ep_k3f9abcdefgh2345" },

    { .name = "endpoint replay", .run = ctl_endpoint_replay,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT FEED",
      .options = ctl_replay_rows,
      .about = "send all events since then again",
      .json = "the number and state of the request",
      .examples = "endpoint replay ep_k3f9abcdefgh2345 orders --from=oldest" },

    { .name = "endpoint resend", .run = ctl_endpoint_resend,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT FEED CURSOR",
      .about = "send the event of CURSOR again now",
      .json = "the number and state of the request",
      .examples = "endpoint resend ep_k3f9abcdefgh2345 orders "
      "k3f9abcd-10437" },

    { .name = "endpoint redrive", .run = ctl_endpoint_redrive,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .about = "try every dead letter again",
      .json = "the number and state of the request",
      .examples = "endpoint redrive ep_k3f9abcdefgh2345" },

    { .name = "endpoint skip", .run = ctl_endpoint_skip,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT FEED CURSOR",
      .about = "make the event that blocks the endpoint a dead letter and go "
      "on",
      .json = "the number and state of the request",
      .examples = "endpoint skip ep_k3f9abcdefgh2345 orders k3f9abcd-10437" },

    { .name = "endpoint cancel", .run = ctl_endpoint_cancel,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT FEED",
      .options = ctl_cancel_rows,
      .about = "cancel the delivery of waiting events",
      .json = "the count, and the number and state of the request",
      .examples = "endpoint cancel ep_k3f9abcdefgh2345 orders --status=500,0 "
      "--dry-run\n"
      "endpoint cancel ep_k3f9abcdefgh2345 orders --status=500,0 "
      "--expect=1290" },

    { .name = "endpoint discard", .run = ctl_endpoint_discard,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT [FEED]",
      .options = ctl_discard_rows,
      .about = "delete dead letters",
      .json = "the count, and the number and state of the request",
      .examples = "endpoint discard ep_k3f9abcdefgh2345 --dry-run\n"
      "endpoint discard ep_k3f9abcdefgh2345 orders --class=timeout "
      "--expect=12" },

    { .name = "endpoint test", .run = ctl_endpoint_test,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .options = ctl_test_rows,
      .about = "send a test event and print its outcome",
      .json = "the event's id, and the request with its outcome",
      .examples = "endpoint test ep_k3f9abcdefgh2345" },

    { .name = "endpoint verify", .run = ctl_endpoint_verify,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .options = ctl_verify_rows,
      .about = "check at once whether an unverified endpoint agrees to be sent "
      "events",
      .json = "the number and state of the request",
      .examples = "endpoint verify ep_k3f9abcdefgh2345\n"
      "endpoint verify ep_k3f9abcdefgh2345 --accept" },

    { .name = "endpoint simulate", .run = ctl_endpoint_simulate,
      .kind = ES_KIND_ENDPOINT, .arguments = "ENDPOINT",
      .options = ctl_simulate_rows,
      .about = "let deliveries fail for a time",
      .json = "the endpoint, as \"endpoint show\" prints it",
      .examples = "endpoint simulate ep_k3f9abcdefgh2345 --failure=status "
      "--status=503 --for=2m\n"
      "endpoint simulate ep_k3f9abcdefgh2345 --failure=none" },

    { .name = NULL }
};


/* The text about a member's option, with the default if it has one. */

static const char *
ctl_endpoint_about(const es_endpoint_member_t *m, char *out, size_t size)
{
    if (strcmp(m->preset, "required") == 0 || strcmp(m->preset, "false") == 0
        || strcmp(m->preset, "none") == 0)
    {
        return m->about;
    }

    (void) snprintf(out, size, "%s; default: %s", m->about, m->preset);

    return out;
}


void
ctl_endpoint_rows_make(void)
{
    size_t                       i, n;
    ctl_option_row_t            *row;
    const es_endpoint_member_t  *m;

    static char                    abouts[ES_ENDPOINT_MEMBERS][160];
    static const ctl_option_row_t  name = {
        "name", "ep_...", "the name of a removed endpoint, which goes on where "
        "it was; default: one is made", CTL_FREE
    };

    for (i = n = 0; i < ES_ENDPOINT_MEMBERS; i++) {
        m = &es_endpoint_members[i];

        if (m->option == NULL) {
            continue;
        }

        row = &ctl_endpoint_change_rows[n];
        row->name = m->option;
        row->value = m->usage;
        row->about = ctl_endpoint_about(m, abouts[n], sizeof(abouts[n]));

        ctl_endpoint_create_rows[n] = *row;
        ctl_endpoint_create_rows[n].need = m->required ? CTL_REQUIRED
                                                       : CTL_FREE;
        n++;
    }

    ctl_endpoint_create_rows[n] = name;
}
