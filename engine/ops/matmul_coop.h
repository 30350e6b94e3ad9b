// SPDX-License-Identifier: Apache-2.0
// matmul_coop.h: work-groups of matmul in the blocks of coop.c.
#pragma once

#include "engine/ops/coop.h"
#include "engine/ops/matmul_ref.h"

static inline uint64_t sy_matmul_coop_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_args *p = args;
    const uint64_t down =
        sy_matmul_ragged(p) ? p->tiles * sy_ceil_div(p->tile_rows, knobs->rows) : sy_ceil_div(p->m, knobs->rows);
    return down * sy_ceil_div(p->n, knobs->cols);
}
