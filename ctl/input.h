/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lines of standard input, and whether the next one is available at once.
 */

#ifndef CTL_INPUT_H
#define CTL_INPUT_H

#include "base/base.h"

typedef struct {
    int       fd;
    es_buf_t  buf;
    size_t    start;               /* of the bytes that were not returned yet */
    bool      end;                 /* of the input */
    uint64_t  taken;               /* bytes that were returned */
    size_t    block;               /* bytes of one read; 0: 64 KB */
} ctl_input_t;

/* ES_NOT_FOUND: the input has ended.  The line has no '\n' and is valid until
   the next call. */
es_rc_t ctl_input_line(ctl_input_t *input, es_str_t *line);

/* True if the next line is in memory.  The lines before stay valid until the
   call that returns one that was not. */
bool ctl_input_buffered(const ctl_input_t *input);

/* True when the next line, or the end, arrives within a moment. */
bool ctl_input_ready(ctl_input_t *input);

/* Reads the whole input. */
es_rc_t ctl_input_all(ctl_input_t *input, es_str_t *text);

/* Forgets what was read, after a seek. */
void ctl_input_rewind(ctl_input_t *input);

/* The bytes that a regular file has from here to its end; 0: it is no file, and
   nobody knows how much it will have. */
uint64_t ctl_input_size(const ctl_input_t *input);

void ctl_input_free(ctl_input_t *input);

#endif /* CTL_INPUT_H */
