/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What partners, keys and endpoints have in common on the command
 * line: JSON records of the registry (docs/registry.md).
 */

#ifndef CTL_OBJECT_H
#define CTL_OBJECT_H

#include "ctl.h"

/* Each writes `object` (and drops it) or says why not. */
int ctl_object_create(ctl_t *ctl, es_kind_t kind, const char *name,
    json_t *object);
int ctl_object_change(ctl_t *ctl, es_kind_t kind, const char *name,
    json_t *object);

/* Whole commands. */
int ctl_object_list(ctl_t *ctl, es_kind_t kind, int argc, char **argv);
int ctl_object_show(ctl_t *ctl, es_kind_t kind, int argc, char **argv);
int ctl_object_remove(ctl_t *ctl, es_kind_t kind, int argc, char **argv);

#endif /* CTL_OBJECT_H */
