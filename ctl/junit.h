/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Results of checks as JUnit XML, which systems of continuous integration read.
 *
 * The results are the document that a command prints with --json: "url",
 * "hints", and "checks" with the members "check", "pass", "skipped", "expected",
 * "came", "took_ms" and "cause".
 */

#ifndef CTL_JUNIT_H
#define CTL_JUNIT_H

#include <jansson.h>

typedef struct {
    const char  *path;             /* NULL: no file is wanted */
    char        *temp;             /* is renamed to it */
    int          fd;
} ctl_junit_t;

/* Makes the file beside `path`, so that a wrong path is an error before the
   checks begin.  CTL_FAILED with a message. */
int ctl_junit_begin(ctl_junit_t *junit, const char *path);

/* Writes the results of the command `suite` and puts the file in its place.
   CTL_FAILED with a message. */
int ctl_junit_write(ctl_junit_t *junit, const char *suite,
    const json_t *results);

/* Removes the file if it was not written.  It may be called at any time. */
void ctl_junit_end(ctl_junit_t *junit);

#endif /* CTL_JUNIT_H */
