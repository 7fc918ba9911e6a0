/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files that are replaced whole or not at all, and that others may read.
 */

#ifndef CTL_REPLACE_H
#define CTL_REPLACE_H

#include <stdbool.h>

#include "base/base.h"

/* Replaces the file by the text, with mode 0644.  False: errno says why, and
   nothing is changed.  A file beside `path` exists only meanwhile. */
bool ctl_replace(const char *path, const es_buf_t *text);

/* Tries whether a file can be made beside `path`.  False: errno says why. */
bool ctl_replace_try(const char *path);

#endif /* CTL_REPLACE_H */
