/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Findings of "explain" and "doctor": a sentence about what is, and the command
 * that helps.  They are JSON objects, from which the text for people is
 * printed.
 */

#ifndef CTL_FINDING_H
#define CTL_FINDING_H

#include "ctl.h"

/*
 * Adds an object to the array with the member "text", a sentence without a full
 * stop.  Control characters become '?', and what is not UTF-8 makes the
 * sentence empty.  The array owns the object.  NULL: out of memory; the
 * functions below then do nothing.
 */
json_t *ctl_finding_add(json_t *list, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Sets a member that is a text.  NULL leaves it out. */
void ctl_finding_set(json_t *finding, const char *name, const char *value);

/* Sets the member "next": a command line, or what else to do. */
void ctl_finding_next(json_t *finding, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints "TITLE: text" and below it the member "next", if there is one. */
void ctl_finding_print(const char *title, const json_t *finding);

/* The time as RFC 3339.  `text` has ES_TIME_LEN + 1 bytes. */
const char *ctl_finding_time(int64_t ms, char *text);

#endif /* CTL_FINDING_H */
