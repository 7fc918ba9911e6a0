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

    { .name = NULL }
};
