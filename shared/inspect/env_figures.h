/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The figures of a store's environments: how full their maps and their reader
 * tables are.
 */

#ifndef ES_ENV_FIGURES_H
#define ES_ENV_FIGURES_H

#include "base/base.h"
#include "store/env.h"

#define ES_FIGURES_ENVS  5

typedef struct {
    es_str_t  name;            /* "log" */
    uint64_t  map;             /* bytes */
    uint64_t  used;            /* bytes that have ever been used */
    uint64_t  readers;         /* slots in use */
    uint64_t  readers_max;
    uint64_t  readers_lag;     /* commits since the oldest read began */
    uint64_t  slowest;         /* process of that read, in its namespace; 0:
                                  there is none */
} es_env_figures_t;

/* Reads the figures of the environments that the store has open, and of `pages`
   (NULL: not open): `n` of them.  Takes some microseconds. */
es_rc_t es_env_figures(es_store_t *store, es_env_t *pages,
    es_env_figures_t envs[ES_FIGURES_ENVS], size_t *n);

/* The store's present `map_max` in bytes, from the format file; if the file
   cannot be read, as it was last read. */
uint64_t es_map_limit(const es_store_t *store);

#endif /* ES_ENV_FIGURES_H */
