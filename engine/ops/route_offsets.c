// SPDX-License-Identifier: Apache-2.0
// route_offsets: base[g, e] = where group g's rows of expert e begin; off: the same at the first group of each slice.
#include "engine/op.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_route_offsets_args *p = args;
    int32_t start = 0;
    for (uint64_t e = 0; e < p->experts; ++e) {
        for (uint64_t g = 0; g < p->groups; ++g) {
            if (g % (p->groups / p->slices) == 0)
                sy_sti(&b[2], e * p->slices + g / (p->groups / p->slices), start);
            sy_sti(&b[1], g * p->experts + e, start);
            start += sy_ldi(&b[0], g * p->experts + e);
        }
    }
    sy_sti(&b[2], (uint64_t)p->experts * p->slices, start);
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)args, (void)knobs;
    return 1;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_route_offsets_args *p = args;
    return i == 2 ? (uint64_t)p->experts * p->slices + 1 : (uint64_t)p->groups * p->experts;
}

const struct sy_op_impl sy_op_impl_route_offsets = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_no_flops,
    .wg_simt = 256,
};
