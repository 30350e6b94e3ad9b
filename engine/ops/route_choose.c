// SPDX-License-Identifier: Apache-2.0
// route_choose: each row's candidates: its most probable experts in order, or one drawn from p; −1 for padding.
#include "engine/ops/dropout.h"

/// Stable selection: the r-th entry of (p falling, index rising); a p that is no number is never chosen.
static void best_first(const struct sy_route_choose_args *p, const struct sy_ref_tensor *b, uint64_t row)
{
    for (uint64_t r = 0; r < p->rounds; ++r) {
        int32_t best = -1;
        for (int32_t e = 0; e < (int32_t)p->experts; ++e) {
            bool taken = false;
            for (uint64_t before = 0; before < r; ++before)
                taken |= sy_ldi(&b[3], row * p->rounds + before) == e;
            const double v = sy_ld(&b[0], row * p->experts + (uint32_t)e);
            if (!taken && !isnan(v) && (best < 0 || v > sy_ld(&b[0], row * p->experts + (uint32_t)best)))
                best = e;
        }
        sy_sti(&b[3], row * p->rounds + r, best >= 0 ? best : (int32_t)r);
    }
}

static int32_t sampled(const struct sy_route_choose_args *p, const struct sy_ref_tensor *b, uint64_t row)
{
    const struct sy_step *c = sy_step_of(&b[2]);
    const uint32_t step_row = (p->stack != 0 ? c->row_dec : c->row_enc) + (uint32_t)row;
    const uint32_t bits = sy_random_bits(c->seed_lo, c->seed_hi, c->step, p->stream, 0, step_row, 0);
    const float u = (float)(bits >> 8) / 16777216.0f;
    float sum = 0; // in f32 as on every device: a draw must not depend on where it was made
    int32_t last = 0;
    for (uint32_t e = 0; e < p->experts && sum <= u; ++e) {
        const float v = (float)sy_ld(&b[0], row * p->experts + e);
        sum += v;
        if (v > 0)
            last = (int32_t)e;
    }
    return last;
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_route_choose_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row) {
        if (sy_ldi(&b[1], row) == 0)
            for (uint64_t r = 0; r < p->rounds; ++r)
                sy_sti(&b[3], row * p->rounds + r, -1);
        else if (p->sample)
            sy_sti(&b[3], row * p->rounds, sampled(p, b, row));
        else
            best_first(p, b, row);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_route_choose_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_route_choose_args *p = args;
    const uint64_t counts[] = {(uint64_t)p->rows * p->experts, p->rows, SY_STEP_ELEMENTS,
                               (uint64_t)p->rows * p->rounds};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_route_choose_args *p = args;
    return (double)p->rows * p->experts * p->rounds; // comparisons
}

const struct sy_op_impl sy_op_impl_route_choose = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
