// SPDX-License-Identifier: Apache-2.0
// adamw.c: Adam with decoupled weight decay.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adamw_args *a = args;
    const struct sy_step *c = sy_step_of(&t[2]);
    for (uint64_t i = 0; i < a->n; ++i) {
        const double g = sy_ld(&t[0], i) * sy_ld(&t[1], 0), w = sy_ld(&t[3], i);
        const double m = a->beta1 * sy_ld(&t[4], i) + (1.0 - a->beta1) * g;
        const double v = a->beta2 * sy_ld(&t[5], i) + (1.0 - a->beta2) * g * g;
        sy_st(&t[3], i, w - c->lr * (m * c->adam_c1 / (sqrt(v * c->adam_c2) + a->eps) + a->decay * w));
        sy_st(&t[4], i, m);
        sy_st(&t[5], i, v);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    return SY_PIECES(((const struct sy_adamw_args *)args)->n, SY_CHUNK(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    return i == 1 ? 2 : i == 2 ? sizeof(struct sy_step) / 4 : ((const struct sy_adamw_args *)args)->n;
}

static double flops(const void *args) { return 16.0 * ((const struct sy_adamw_args *)args)->n; }

static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    (void)args, (void)planes;
    return i == 1 || i == 2 ? 0 : 1; // not the clip factor and the step constants
}

static void some(void *args, uint64_t first, uint64_t count)
{
    (void)first;
    ((struct sy_adamw_args *)args)->n = (u32)count;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_adamw = {
    .ref = ref, .groups = groups, .elements = elements, .flops = flops, .axis = &axis};
