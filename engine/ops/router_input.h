// SPDX-License-Identifier: Apache-2.0
// router_input.h: the reference's factors of the router's input, shared by router_input and router_input_bwd.
#pragma once

#include "engine/ops/dropout.h"

/// Factor of element (row, col); `jit` is read in mode 2 only.
static inline double sy_input_factor(const struct sy_router_input_args *p, const struct sy_step *c,
                                     const struct sy_ref_tensor *jit, uint32_t row, uint32_t col)
{
    const struct sy_drop_rule d = {p->threshold, p->stream, p->stack, p->scale};
    const uint32_t row0 = p->stack != 0 ? c->row_dec : c->row_enc;
    switch (p->mode) {
    case 1:
        return (double)sy_jitter(sy_random_bits(c->seed_lo, c->seed_hi, c->step, p->stream, 0, row0 + row, col),
                                 p->eps);
    case 2: return sy_ld(jit, (uint64_t)row * p->dim + col);
    case 3: return sy_drop_factor(c, &d, 0, row, col);
    default: return 1.0;
    }
}

static inline uint64_t sy_input_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_router_input_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static inline uint64_t sy_input_elements(const void *args, uint32_t i)
{
    const struct sy_router_input_args *p = args;
    const uint64_t all = (uint64_t)p->rows * p->dim;
    const uint64_t counts[] = {all, p->mode == 2 ? all : 0, SY_STEP_ELEMENTS, all};
    return counts[i];
}
