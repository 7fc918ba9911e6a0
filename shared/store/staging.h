/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whether a store is for trials: what does harm on purpose is refused on any
 * other.
 *
 * Keys that were made in such a store are valid in no other, and the reverse
 * (registry/access.h), so that a copy of a real store takes no real key.
 *
 * The mark is a file "staging" in the store's directory.  No backup has it, so
 * a restored store is not marked.
 */

#ifndef ES_STAGING_H
#define ES_STAGING_H

#include "base/base.h"

/* True: the store of this path is marked. */
bool es_staging(const char *path);

/* Sets and removes the mark.  ES_FULL, ES_IO (recorded). */
es_rc_t es_staging_set(const char *path, bool staging);

#endif /* ES_STAGING_H */
