// SPDX-License-Identifier: Apache-2.0
// matmul_dw_coop.h: work-groups of matmul_dw in the blocks of coop.c.
#pragma once

#include "engine/ops/coop.h"
#include "engine/ops/matmul_ref.h"

static inline uint64_t sy_matmul_dw_coop_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_dw_args *p = args;
    return (uint64_t)p->slices * p->experts * sy_ceil_div(p->m, knobs->rows) * sy_ceil_div(p->n, knobs->cols);
}
