/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A log line as JSON.
 */

#ifndef ESD_LOG_JSON_H
#define ESD_LOG_JSON_H

#include <stddef.h>

#include "log.h"
#include "log_sink.h"

/*
 * Writes one object (RFC 8259) and a newline, and returns the length.  It is
 * ASCII and UTF-8 whatever the texts are: a control character is escaped, and
 * each byte that is not UTF-8 becomes U+FFFD.  A sentence that has no room is
 * cut.
 */
size_t esd_log_json(char out[ESD_LOG_LINE_MAX], const char *time,
    const char *level, const char *msg, const esd_about_t *about);

#endif /* ESD_LOG_JSON_H */
