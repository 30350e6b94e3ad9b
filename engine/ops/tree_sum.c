// SPDX-License-Identifier: Apache-2.0
// tree_sum: y[o][i] (+)= the pairwise tree over s of x[o][s][i].
#include "engine/op.h"
#include "kernels/chunk.h"

// Unlike other sums of `ref` this one rounds every node to the storage type: a tree that is finished by later calls
// must have the bits of one that is not.
static double node(const struct sy_ref_tensor *x, double a, double b)
{
    return x->dtype == SY_F32 ? (double)(float)(a + b) : a + b;
}

/// Sum of x at `first`, first + step, … (`count` of them, a power of two).
static double tree(const struct sy_ref_tensor *x, uint64_t first, uint64_t step, uint32_t count)
{
    if (count == 1)
        return sy_ld(x, first);
    return node(x, tree(x, first, step, count / 2), tree(x, first + count / 2 * step, step, count / 2));
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_tree_sum_args *p = args;
    assert(p->slices == 1 || p->slices == 2 || p->slices == 4 || p->slices == 8);
    for (uint64_t i = 0; i < (uint64_t)p->outer * p->n; ++i) {
        const double sum = tree(&b[0], i / p->n * p->slices * p->n + i % p->n, p->n, p->slices);
        sy_st(&b[1], i, p->accumulate ? sy_ld(&b[1], i) + sum : sum);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_tree_sum_args *p = args;
    return p->outer * sy_ceil_div(p->n, SY_CHUNK(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_tree_sum_args *p = args;
    return (uint64_t)p->outer * p->n * (i == 0 ? p->slices : 1);
}

static double flops(const void *args)
{
    const struct sy_tree_sum_args *p = args;
    return (double)p->outer * p->n * p->slices;
}

static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_tree_sum_args *p = args;
    *planes = (uint64_t)p->outer * (i == 0 ? p->slices : 1);
    return 1;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    (void)first;
    ((struct sy_tree_sum_args *)args)->n = (u32)count;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_tree_sum = {
    .ref = ref, .groups = groups, .elements = elements, .flops = flops, .axis = &axis};
