/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Arrays of pointers that are indexed by a number of the registry.
 */

#ifndef ESD_TABLE_H
#define ESD_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Extends an array of `*n` pointers to contain `number`; new pointers are
   NULL. Returns the array, which may have moved.  NULL: out of memory, and the
   array is unchanged. */
void *esd_table_reserve(void *list, size_t *n, uint32_t number);

#endif /* ESD_TABLE_H */
