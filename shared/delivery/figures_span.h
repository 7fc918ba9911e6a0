/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The spans of an endpoint's figures, for the files that implement figures.h.
 */

#ifndef ES_FIGURES_SPAN_H
#define ES_FIGURES_SPAN_H

#include "delivery/figures.h"

typedef struct {
    const char  *name;
    int64_t      width_ms;     /* of a cell */
    unsigned     cells;        /* at most */
} es_figures_shape_t;

extern const es_figures_shape_t  es_figures_shapes[ES_SPANS];

#endif /* ES_FIGURES_SPAN_H */
