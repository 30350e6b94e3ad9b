// SPDX-License-Identifier: Apache-2.0
// router_input_bwd: dx = du · the same factor.
#include "engine/ops/router_input.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_router_input_args *p = args;
    for (uint32_t row = 0; row < p->rows; ++row) {
        for (uint32_t col = 0; col < p->dim; ++col) {
            const uint64_t at = (uint64_t)row * p->dim + col;
            sy_st(&b[3], at, sy_ld(&b[0], at) * sy_input_factor(p, sy_step_of(&b[2]), &b[1], row, col));
        }
    }
}

static double flops(const void *args)
{
    const struct sy_router_input_args *p = args;
    return (double)p->rows * p->dim;
}

const struct sy_op_impl sy_op_impl_router_input_bwd = {
    .ref = ref,
    .groups = sy_input_groups,
    .elements = sy_input_elements,
    .flops = flops,
};
