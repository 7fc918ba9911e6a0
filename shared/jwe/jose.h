/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What every user of libjose needs, for tokens and for encryption.
 */

#ifndef ES_JOSE_H
#define ES_JOSE_H

#include <jose/cfg.h>

#include "base/base.h"

#define ES_KID_MAX  64         /* bytes */

/* A configuration with which libjose writes nothing to stderr.  NULL: out of
   memory.  Free with jose_cfg_decref().  libjose counts references to it
   without a lock, so threads do not share one. */
jose_cfg_t *es_jose_cfg(void);

/* True if the text can be a "kid": headers and messages quote it without
   escapes. */
bool es_kid_ok(es_str_t kid);

#endif /* ES_JOSE_H */
