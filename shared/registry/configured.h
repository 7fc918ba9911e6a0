/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The entry in the audit that a worker leaves when the configuration of nginx
 * has changed.
 *
 * A worker does so only if it may write the registry.  The registry's database
 * `meta` holds under "config" the digest of the last entry.
 */

#ifndef ES_CONFIGURED_H
#define ES_CONFIGURED_H

#include "base/base.h"

/* Leaves an entry unless `digest` is that of the last one.  Blocks for the
   disk.  ES_DENIED: the store is not open with ES_STORE_ADMIN. */
es_rc_t es_configured(es_store_t *store, const char *digest);

#endif /* ES_CONFIGURED_H */
