/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Where log lines go: stderr, whose reader may stand still.
 *
 * A line is written at once while stderr takes it, so that none is lost when
 * the process is killed.  Otherwise lines wait in memory, and the dispatcher
 * goes on.  When that memory is full, further lines are dropped, and a later
 * line says how many.
 */

#ifndef ESD_LOG_SINK_H
#define ESD_LOG_SINK_H

#include <stddef.h>
#include <stdint.h>

/* A pipe that poll(2) finds writable takes so much without waiting. */
#define ESD_LOG_LINE_MAX  4096

/* Writes a line of at most ESD_LOG_LINE_MAX bytes, which has its newline. */
void esd_log_sink(const char *line, size_t len);
/* Writes what waits, as far as stderr takes it within `wait_ms`.  Returns the
   number of lines that were dropped, once nothing waits any more; the next
   call begins to count anew. */
uint64_t esd_log_sink_flush(int wait_ms);

#endif /* ESD_LOG_SINK_H */
