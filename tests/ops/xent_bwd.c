// SPDX-License-Identifier: Apache-2.0
// xent_bwd: one column and many, ignored labels, smoothing, z-loss; lse belongs to the logits.
#include "tests/ops.h"

static const struct sy_xent_args cases[] = {
    {.rows = 1, .vocab = 1, .z_coef = 0.0f, .smoothing = 0.0f},
    {.rows = 4, .vocab = 13, .z_coef = 0.0f, .smoothing = 0.0f},
    {.rows = 9, .vocab = 17, .z_coef = 1e-4f, .smoothing = 0.0f},
    {.rows = 8, .vocab = 65, .z_coef = 0.0f, .smoothing = 0.1f},
    {.rows = 17, .vocab = 100, .z_coef = 1e-2f, .smoothing = 0.1f},
    {.rows = 12, .vocab = 384, .z_coef = 1e-4f, .smoothing = 0.0f},
    {.rows = 5, .vocab = 4099, .z_coef = 0.0f, .smoothing = 0.0f},
    {.rows = 2, .vocab = 40009, .z_coef = 1e-4f, .smoothing = 0.05f},
    {.rows = 7, .vocab = 33, .z_coef = 1e-3f, .smoothing = 0.1f, .first = 5}, // rows of more
    {.rows = 7, .vocab = 33, .z_coef = 1e-3f, .smoothing = 0.1f, .first = 2, .each = 3, .apart = 5, .at = 1}, // a part
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_xent_args *p = args;
    (void)counts, (void)step;
    for (uint32_t r = 0; r < p->rows; ++r) {
        double sum = 0;
        for (uint32_t i = 0; i < p->vocab; ++i)
            sum += exp(values[0][(uint64_t)r * p->vocab + i]);
        values[1][SY_XENT_PLACE(*p, r)] = r % 4 == 3 ? -100.0 : (double)(sy_rng_u32(rng) % p->vocab);
        values[2][4 * SY_XENT_PLACE(*p, r)] = log(sum);
    }
}

SY_OP_CASES(xent_bwd, cases, .fill = fill, .tolerance_f32 = 1e-5, .tolerance_bf16 = 0x1p-7,
            .reason = "exp of a difference as large as 20 in f32; a bf16 store may flip by one place");
