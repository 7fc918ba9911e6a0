/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lines of standard input, and whether there is one without waiting.
 */

#ifndef CTL_INPUT_H
#define CTL_INPUT_H

#include "base/base.h"

typedef struct {
    int       fd;
    es_buf_t  buf;
    size_t    start;               /* of what has not been taken */
    bool      end;                 /* of the input */
} ctl_input_t;

/* ES_NOT_FOUND at the end; the line has no '\n' and lives until the next. */
es_rc_t ctl_input_line(ctl_input_t *input, es_str_t *line);

/* True when the next line will not take longer than a moment. */
bool ctl_input_ready(ctl_input_t *input);

/* All there is. */
es_rc_t ctl_input_all(ctl_input_t *input, es_str_t *text);

void ctl_input_free(ctl_input_t *input);

#endif /* CTL_INPUT_H */
