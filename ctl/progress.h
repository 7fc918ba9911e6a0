/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The progress of a long command: a line on stderr with a bar, the rate and the
 * time that is left.
 *
 * It appears only if stderr is a terminal, and not with --quiet.  Messages of
 * output.h take the line away, and it appears again behind them.  No colours
 * are used.
 *
 *     ctl_progress_begin("verify", CTL_EVENTS, total);
 *     ... ctl_progress(done); ...
 *     ctl_progress_end();
 */

#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    CTL_EVENTS,
    CTL_BYTES
} ctl_unit_t;

/* Called once, before everything else here. */
void ctl_progress_set(bool quiet);

/* Begins a line for work of `total` units; 0: nobody knows how many.  `what` is
   one or two words, and must live until the end. */
void ctl_progress_begin(const char *what, ctl_unit_t unit, uint64_t total);

/* Says how many units are done.  It is cheap: the line is drawn ten times a
   second. */
void ctl_progress(uint64_t done);

/* Takes the line away until it is drawn next.  Any thread may call this one. */
void ctl_progress_hide(void);

/* Ends it and takes the line away.  It may be called when none has begun. */
void ctl_progress_end(void);

#endif /* CTL_PROGRESS_H */
