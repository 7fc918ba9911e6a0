/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One record for each thread.
 */

#include <errno.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/reason.h"

#define ES_REASON_PATH  150     /* bytes of a path in a sentence */

static _Thread_local es_reason_t  es_reason_last;


const char *
es_refused_path(const char *path)
{
    size_t  len;

    len = strlen(path);

    return len > ES_REASON_PATH ? path + len - ES_REASON_PATH : path;
}


es_rc_t
es_refused(int err, const char *what, const char *path)
{
    es_rc_t  rc;

    rc = err == ENOSPC || err == EDQUOT ? ES_FULL
         : err == ENOMEM ? ES_NOMEM : ES_IO;

    (void) es_refused_text(rc, "cannot %s \"%s\": %s", what,
                           es_refused_path(path), mdb_strerror(err));

    errno = err > 0 ? err : EIO;

    return rc;
}


es_rc_t
es_refused_text(es_rc_t rc, const char *fmt, ...)
{
    va_list  args;

    es_reason_last.rc = rc;

    va_start(args, fmt);
    (void) vsnprintf(es_reason_last.text, sizeof(es_reason_last.text), fmt,
                     args);
    va_end(args);

    return rc;
}


void
es_reason_take(es_reason_t *reason)
{
    reason->rc = es_reason_last.rc;

    if (reason->rc != ES_OK) {
        memcpy(reason->text, es_reason_last.text,
               sizeof(reason->text));
        es_reason_last.rc = ES_OK;
    }
}


void
es_reason_give(const es_reason_t *reason)
{
    es_reason_last.rc = reason->rc;

    if (reason->rc != ES_OK) {
        memcpy(es_reason_last.text, reason->text,
               sizeof(reason->text));
    }
}


/* Only these outcomes are always recorded.  For another one an old record
   would be wrong. */

const char *
es_reason(es_rc_t rc)
{
    if ((rc == ES_IO || rc == ES_TAKEN || rc == ES_FULL)
        && es_reason_last.rc == rc)
    {
        return es_reason_last.text;
    }

    return es_strerror(rc);
}
