/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A signed receipt of what was deleted.
 *
 * The file has two lines of JSON: what was deleted, and {"key", "signature"},
 * the signature of the text "eventsync receipt", a line feed, and the first
 * line.
 */

#ifndef CTL_RECEIPT_H
#define CTL_RECEIPT_H

#include <jansson.h>

#include "audit/heads.h"
#include "ctl.h"

/* Signs the receipt and writes it durably, also over a file of that name.
   CTL_FAILED with a message. */
int ctl_receipt_write(const es_heads_key_t *key, const char *path,
    const json_t *receipt);

#endif /* CTL_RECEIPT_H */
