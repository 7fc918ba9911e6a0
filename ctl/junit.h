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

/* An error before the checks begin, if the file cannot be made.  A path of NULL:
   no file is wanted, here and below.  CTL_FAILED with a message. */
int ctl_junit_begin(const char *path);

/* Replaces the file by the results of the command `suite`.  CTL_FAILED with a
   message. */
int ctl_junit_write(const char *path, const char *suite, const json_t *results);

#endif /* CTL_JUNIT_H */
