/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The options that give the files of a store to groups.
 */

#ifndef CTL_RIGHTS_H
#define CTL_RIGHTS_H

#include "ctl.h"
#include "open/rights.h"

#define CTL_RIGHTS_PARTS    5
#define CTL_RIGHTS_OPTIONS  (CTL_RIGHTS_PARTS + 2)

typedef struct {
    const char  *group;
    const char  *dispatcher;
    const char  *parts[CTL_RIGHTS_PARTS];
} ctl_rights_t;

/* Fills CTL_RIGHTS_OPTIONS of the table, which is zeroed; `text` receives their
   values. */
void ctl_rights_options(ctl_option_t *options, ctl_rights_t *text);

/* Looks the names up.  CTL_FAILED or CTL_USAGE with a message. */
int ctl_rights_parse(const ctl_rights_t *text, es_rights_t *rights);

#endif /* CTL_RIGHTS_H */
