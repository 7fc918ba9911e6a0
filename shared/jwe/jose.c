/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A silent configuration of libjose, and names of keys.
 */

#include "base/base.h"
#include "jwe/jose.h"


/* libjose would write a line to stderr for each forged token. */

static void
es_jose_silent(void *misc, const char *file, int line, uint64_t err,
    const char *fmt, va_list ap)
{
    (void) misc;
    (void) file;
    (void) line;
    (void) err;
    (void) fmt;
    (void) ap;
}


jose_cfg_t *
es_jose_cfg(void)
{
    jose_cfg_t  *cfg;

    cfg = jose_cfg();

    if (cfg != NULL) {
        jose_cfg_set_err_func(cfg, es_jose_silent, NULL);
    }

    return cfg;
}


bool
es_kid_ok(es_str_t kid)
{
    size_t  i;

    for (i = 0; i < kid.len; i++) {
        if (kid.data[i] <= ' ' || kid.data[i] > '~' || kid.data[i] == '"'
            || kid.data[i] == '\\')
        {
            return false;
        }
    }

    return kid.len > 0 && kid.len <= ES_KID_MAX;
}
