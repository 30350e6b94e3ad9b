// SPDX-License-Identifier: Apache-2.0
// xent_bwd: gradient of the mean cross-entropy (and z-loss) with respect to the logits.
#include "engine/op.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_xent_args *p = args;
    const double inv = (double)sy_step_of(&b[3])->inv_labels, s = (double)p->smoothing;
    for (uint32_t row = 0; row < p->rows; ++row) {
        const uint64_t place = SY_XENT_PLACE(*p, row);
        const double lse = sy_ld(&b[2], 4 * place), slope = 1.0 + 2.0 * (double)p->z_coef * lse;
        const int32_t label = sy_ldi(&b[1], place);
        for (uint32_t i = 0; i < p->vocab; ++i) {
            const uint64_t at = (uint64_t)row * p->vocab + i;
            const double hit = (uint32_t)label == i ? 1.0 - s : 0.0;
            const double d = inv * (exp(sy_ld(&b[0], at) - lse) * slope - hit - s / p->vocab);
            sy_st(&b[4], at, label < 0 ? 0.0 : d);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_xent_args *p = args;
    return p->rows;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_xent_args *p = args;
    const uint64_t all = (uint64_t)p->rows * p->vocab,
                   rows = p->rows == 0 ? 0 : (uint64_t)SY_XENT_PLACE(*p, p->rows - 1) + 1;
    const uint64_t counts[] = {all, rows, 4 * rows, sizeof(struct sy_step) / 4, all};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_xent_args *p = args;
    return 12.0 * p->rows * p->vocab;
}

/// Rows of logits.
static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_xent_args *p = args;
    (void)planes;
    return i == 0 || i == 4 ? p->vocab : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_xent_args *p = args;
    p->first += (u32)first;
    p->rows = (u32)count;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_xent_bwd = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .wg_simt = 256, // a row is tens of thousands of logits
    .axis = &axis,
};
