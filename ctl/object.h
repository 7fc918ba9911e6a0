/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Registry records (docs/registry.md) for the commands of partners, keys,
 * endpoints and feeds: written from JSON, and looked up by name or number.
 * shared/registry/object.h has the stored records.
 */

#ifndef CTL_OBJECT_H
#define CTL_OBJECT_H

#include "ctl.h"

/* Both write `object` and release it.  CTL_FAILED with a message. */
int ctl_object_create(ctl_t *ctl, es_kind_t kind, const char *name,
    json_t *object);
int ctl_object_change(ctl_t *ctl, es_kind_t kind, const char *name,
    json_t *object);

/* Makes the record as it is now the document of --json.  The two above do so
   themselves.  CTL_FAILED with a message. */
int ctl_object_result(ctl_t *ctl, es_kind_t kind, const char *name);

/* Sets the member `allow_from` to what the option says; NULL sets nothing.
   "any" removes the list.  An empty text is CTL_USAGE with a message, because
   it comes more likely from an empty shell variable. */
int ctl_flags_member(const char *text, json_t *object);
int ctl_allow_from(const char *text, json_t *object);

/* Prints the name and some members of a record, without the end of the line.
   The list of members ends with NULL; one that the record lacks is "-". */
void ctl_object_columns(const char *name, const json_t *json,
    const char *const *columns);

/* Loads the registry of the open store without decrypting secrets.  CTL_FAILED
   with a message. */
int ctl_registry_load(ctl_t *ctl, es_registry_t **registry);

/* NULL with a message: the registry has no endpoint of that name. */
const es_endpoint_t *ctl_endpoint_named(const es_registry_t *registry,
    const char *name);

/* NULL, and no message: the endpoint was removed. */
const es_endpoint_t *ctl_endpoint_numbered(const es_registry_t *registry,
    uint32_t number);

#endif /* CTL_OBJECT_H */
