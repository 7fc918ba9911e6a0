/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The table's rows for the audit.
 */

#include "commands.h"

static const ctl_option_row_t  ctl_list_rows[] = {
    { "partner", "NAME", "only entries about a partner", CTL_FREE },
    { "kind", "KIND", "only entries about such objects, as \"endpoint\"",
      CTL_FREE },
    { "since", "TIME", "only entries since then: RFC 3339, or 1d for a day "
      "ago", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_export_rows[] = {
    { "audit-key", "PATH", "the ed25519 key in PEM that signs the heads",
      CTL_REQUIRED },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_verify_rows[] = {
    { "heads", "PATH", "signed heads that each chain must have", CTL_FREE },
    { "audit-key", "PATH", "the public key in PEM that verifies them",
      CTL_FREE },
    { "file", "PATH", "an export to check in place of a store", CTL_FREE },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_prune_rows[] = {
    { "before", "TIME", "the newest signed heads from before then are the "
      "new beginning", CTL_REQUIRED },
    { "heads", "PATH", "signed heads", CTL_REQUIRED },
    { "audit-key", "PATH", "the public key in PEM that verifies them",
      CTL_REQUIRED },
    { NULL, NULL, NULL, CTL_FREE }
};

static const ctl_option_row_t  ctl_receipt_rows[] = {
    { "audit-key", "PATH", "the public key in PEM that verifies it",
      CTL_REQUIRED },
    { NULL, NULL, NULL, CTL_FREE }
};

const ctl_command_t  ctl_audit_commands[] = {
    { .name = "audit list", .run = ctl_audit_list, .kind = CTL_NO_KIND,
      .options = ctl_list_rows,
      .about = "list administrative changes, by their time",
      .json = "one entry a line", .stream = true,
      .examples = "audit list --since=7d\n"
      "audit list --partner=acme --kind=endpoint --json" },

    { .name = "audit export", .run = ctl_audit_export, .kind = CTL_NO_KIND,
      .options = ctl_export_rows,
      .about = "print all entries with their hashes, and at the end the signed "
      "heads; JSON Lines in any case",
      .json = "one entry a line, and at last the signed heads", .stream = true,
      .examples = "audit export --audit-key=/etc/eventsync/audit.pem" },

    { .name = "audit verify", .run = ctl_audit_verify, .kind = CTL_NO_KIND,
      .options = ctl_verify_rows,
      .about = "check that no entry was changed, removed or moved, up to the "
      "newest signed head that is given",
      .json = "what each chain has",
      .examples = "audit verify --heads=heads.jsonl "
      "--audit-key=/etc/eventsync/audit.pub\n"
      "audit verify --file=audit-2026.jsonl --heads=heads.jsonl "
      "--audit-key=/etc/eventsync/audit.pub" },

    { .name = "audit prune", .run = ctl_audit_prune, .kind = CTL_NO_KIND,
      .options = ctl_prune_rows,
      .about = "delete old entries, of which signed heads were kept",
      .json = "how many entries of each chain were deleted",
      .examples = "audit prune --before=2026-01-01T00:00:00Z "
      "--heads=heads.jsonl --audit-key=/etc/eventsync/audit.pub" },

    { .name = "audit receipt", .run = ctl_audit_receipt, .kind = CTL_NO_KIND,
      .arguments = "RECEIPT", .options = ctl_receipt_rows,
      .about = "check the signature of a receipt, and print what it says",
      .json = "what the receipt says",
      .examples = "audit receipt acme.receipt "
      "--audit-key=/etc/eventsync/audit.pub" },

    { .name = NULL }
};
