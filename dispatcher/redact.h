/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hides the secrets of a request in the answer to it.
 */

#ifndef ESD_REDACT_H
#define ESD_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "types.h"

/*
 * Replaces each character of what the request carried as a secret by "*": the
 * values of the endpoint's own header fields, the access token, and the client
 * secret of a request for one.  Values of fewer than eight characters stay,
 * because they would hide common words.
 *
 * `cut`: the text may end within a secret; then its last characters are hidden
 * as well, if they begin one.
 */
void esd_redact(const esd_send_t *send, char *text, size_t len, bool cut);

#endif /* ESD_REDACT_H */
