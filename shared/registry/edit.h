/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Registry records changed by what is stored.
 *
 * A change that is made of what was read before could undo another's that came
 * between, or be made to what is no longer what was judged: these look in the
 * transaction that writes.
 */

#ifndef ES_EDIT_H
#define ES_EDIT_H

#include <jansson.h>

#include "registry/registry.h"

/*
 * Judges the stored record before it is changed or removed, and may set
 * members of the change (NULL: it is removed).  May be called more than once,
 * each time with what is stored then.  What it returns but ES_OK is the
 * outcome, and nothing is written.
 */
typedef es_rc_t (*es_edit_fn)(void *ctx, json_t *stored, json_t *change,
    es_problem_t *problem);

typedef struct {
    es_edit_fn  fn;
    void       *ctx;
} es_edit_t;

/* As es_registry_change() with the members of `change`, or without one (NULL)
   as es_registry_remove(), if `edit` (NULL: none) has nothing against it. */
es_rc_t es_registry_edit(es_store_t *store, es_kind_t kind, es_str_t name,
    json_t *change, const es_edit_t *edit, es_problem_t *problem);

#endif /* ES_EDIT_H */
