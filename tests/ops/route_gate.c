// SPDX-License-Identifier: Apache-2.0
// route_gate: plain and normalised gates, padding, expert choice with as many columns as experts.
#include "tests/ops/route.h"

static const struct sy_route_gate_args cases[] = {
    {.rows = 1, .experts = 1, .k = 1},
    {.rows = 13, .experts = 4, .k = 1},
    {.rows = 65, .experts = 5, .k = 1},
    {.rows = 300, .experts = 64, .k = 1},
    {.rows = 20, .experts = 2049, .k = 1},
    {.rows = 33, .experts = 7, .k = 7},
    {.rows = 13, .experts = 2, .k = 2, .kind = 1},
    {.rows = 100, .experts = 16, .k = 2, .kind = 1},
    {.rows = 700, .experts = 3, .k = 2, .kind = 1},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts, (void)step;
    const struct sy_route_gate_args *p = args;
    const enum sy_case_pattern pattern = (p - cases) % 2 != 0 ? SY_CASE_PADDED : SY_CASE_ONE_EXPERT;
    double *mask = calloc(p->rows, sizeof *mask);
    if (mask == NULL)
        abort();
    sy_case_mask(pattern, p->rows, p->rows, mask, rng);
    sy_case_probabilities(SY_CASE_ANY, p->rows, p->experts, values[0], rng);
    sy_case_experts(pattern, p->rows, p->experts, p->k, mask, values[1], rng);
    free(mask);
}

SY_OP_CASES(route_gate, cases, .fill = fill, .tolerance_f32 = 1e-6, .tolerance_bf16 = 1e-6,
            .reason = "one sum and one division, which a device may round to 2.5 ulp");
