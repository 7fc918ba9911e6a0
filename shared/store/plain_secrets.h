/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whether a store may have secrets in plain text.
 *
 * It may if its file `format` has the line "secrets plain", which stands
 * behind the others.  The line is there and not in the registry, because
 * programs that write the registry need no right to write `format`.
 */

#ifndef ES_PLAIN_SECRETS_H
#define ES_PLAIN_SECRETS_H

#include "store/store.h"

/* Reads the file.  If it cannot be read, the answer is that of the last time,
   or at the first time false. */
bool es_plain_secrets(es_store_t *store);

/* Adds the line to the file of a store that has just been made, and removes it.
   ES_FULL, ES_IO (recorded). */
es_rc_t es_plain_secrets_begin(const char *path);
es_rc_t es_plain_secrets_end(const char *path);

#endif /* ES_PLAIN_SECRETS_H */
