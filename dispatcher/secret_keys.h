/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys that decrypt the secrets of endpoints.
 */

#ifndef ESD_SECRET_KEYS_H
#define ESD_SECRET_KEYS_H

#include "base/base.h"
#include "registry/registry.h"

#include "types.h"

/* Opens the key file.  A store whose secrets need other keys is refused. */
es_rc_t esd_secret_keys_open(esd_dispatcher_t *d);
/* Loads the registry, and reads the key file again if a secret needs a key
   that it did not contain. */
es_rc_t esd_secret_keys_load(esd_dispatcher_t *d, es_registry_t **registry);

#endif /* ESD_SECRET_KEYS_H */
