// SPDX-License-Identifier: Apache-2.0
// dropout.h: the reference's dropout factors and element counts, shared by dropout, residual, relu and geglu.
#pragma once

#include "engine/op.h"
#include "kernels/chunk.h"
#include "kernels/philox.h"

#define SY_STEP_ELEMENTS (sizeof(struct sy_step) / 4) // of a `c` binding

struct sy_drop_rule {
    uint32_t threshold, stream, stack;
    float scale;
};

/// Factor of element (row, col): 0 where dropped, else `scale`; 1 when nothing can be dropped.
static inline double sy_drop_factor(const struct sy_step *c, const struct sy_drop_rule *d, uint32_t plane, uint32_t row,
                                    uint32_t col)
{
    if (d->threshold == 0)
        return 1.0;
    const uint32_t row0 = d->stack == SY_STACK_STEP ? 0 : d->stack != 0 ? c->row_dec : c->row_enc;
    const uint32_t bits = sy_random_bits(c->seed_lo, c->seed_hi, c->step, d->stream, plane, row0 + row, col);
    return bits < d->threshold ? 0.0 : (double)d->scale;
}

/// The same for row i of an FFN's hidden activations; 0 for an unused slot.
static inline double sy_ffn_factor(const struct sy_ffn_act_args *p, const struct sy_step *c,
                                   const struct sy_ref_tensor *row, uint32_t i, uint32_t col)
{
    const struct sy_drop_rule d = {p->threshold, p->stream, p->stack, p->scale};
    if (!p->indexed)
        return sy_drop_factor(c, &d, 0, i, p->first + col);
    const int32_t source = sy_ldi(row, i);
    if (source < 0)
        return 0.0;
    return sy_drop_factor(c, &d, (uint32_t)source % p->k, (uint32_t)source / p->k, p->first + col);
}
