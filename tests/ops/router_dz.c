// SPDX-License-Identifier: Apache-2.0
// router_dz: gradients through plain and normalised gates, both losses, columns of expert choice; padding gives zeros.
#include "tests/ops/route.h"

#define ROW(r, g, e, k_, kind_, s, aux, z)                                                                      \
    {                                                                                                           \
        .rows = r, .group = g, .groups = ((r) + (g)-1) / (g), .experts = e, .k = k_, .kind = kind_, .stack = s, \
        .aux_coef = aux, .z_coef = z                                                                            \
    }

static const struct sy_router_loss_args cases[] = {
    ROW(1, 1, 1, 1, 0, 0, 0.01f, 0.001f),    ROW(13, 13, 4, 1, 0, 1, 0.01f, 0.1f),
    ROW(36, 10, 4, 1, 0, 0, 0.05f, 0.0f),    ROW(65, 17, 5, 2, 1, 1, 0.01f, 0.001f),
    ROW(300, 128, 16, 1, 0, 0, 0.01f, 0.1f), ROW(100, 100, 33, 2, 1, 0, 1.0f, 0.0f),
    ROW(70, 30, 3, 3, 0, 1, 0.0f, 0.1f),     ROW(20, 20, 300, 1, 0, 0, 0.01f, 0.0f),
    ROW(500, 500, 8, 1, 0, 1, 0.01f, 1.0f),  ROW(24, 12, 7, 7, 0, 0, 0.0f, 0.0f),
    ROW(30, 30, 2049, 1, 0, 0, 0.02f, 0.1f), ROW(64, 16, 64, 2, 1, 0, 0.0f, 0.0f),
    ROW(48, 16, 8, 1, 0, 0, 1.0f, 0.0f),     ROW(48, 16, 8, 1, 0, 1, 0.0f, 0.0f),
};
#define FIRST_SURE 12 // from here on expert 0 has nearly all the weight, and the gradient is 1e-4 of dp

static const enum sy_case_pattern patterns[] = {SY_CASE_ANY, SY_CASE_PADDED, SY_CASE_NO_GROUP_0, SY_CASE_ONE_EXPERT,
                                                SY_CASE_ALL_PADDED};

// load counts first choices; a dropped choice has dgate 0.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts, (void)step;
    const struct sy_router_loss_args *p = args;
    const enum sy_case_pattern pattern = patterns[(size_t)(p - cases) % SY_COUNT(patterns)];
    sy_case_probabilities(SY_CASE_ANY, p->rows, p->experts, values[0], rng);
    for (uint32_t row = 0; p - cases >= FIRST_SURE && row < p->rows; ++row) {
        double *x = values[0] + (uint64_t)row * p->experts;
        x[0] = 1.0;
        for (uint32_t e = 1; e < p->experts; ++e) {
            x[e] *= 1e-4;
            x[0] -= x[e];
        }
    }
    sy_case_mask(pattern, p->rows, p->group, values[5], rng);
    sy_case_experts(pattern, p->rows, p->experts, p->k, values[5], values[2], rng);
    for (uint64_t i = 0; i < (uint64_t)p->rows * p->k; ++i)
        values[3][i] = values[2][i] < 0 || sy_rng_u32(rng) % 4 == 0 ? 0 : values[3][i];
    for (uint32_t row = 0; row < p->rows; ++row)
        if (p->k <= 2 && values[5][row] != 0)
            ++values[4][(uint64_t)(row / p->group) * p->experts + (uint64_t)values[2][(uint64_t)row * p->k]];
}

SY_OP_CASES(router_dz, cases, .fill = fill, .tolerance_f32 = 5e-6, .tolerance_bf16 = 5e-6,
            .reason = "sums over at most 2049 experts in f32; p is at most 1");
