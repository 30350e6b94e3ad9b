// SPDX-License-Identifier: Apache-2.0
// top: the most probable tokens of each row of logits, and their log-probabilities.
#include "engine/op.h"

/// Whether element `i` of the row at `at` comes before element `k`: larger, or equal and earlier.
static bool before(const struct sy_ref_tensor *x, uint64_t at, uint32_t i, uint32_t k)
{
    const double a = sy_ld(x, at + i), b = sy_ld(x, at + k);
    return a > b || (a == b && i < k);
}

static double log_sum_exp(const struct sy_ref_tensor *x, uint64_t at, uint32_t n)
{
    double most = -INFINITY, sum = 0.0;
    for (uint32_t i = 0; i < n; ++i)
        most = fmax(most, sy_ld(x, at + i));
    for (uint32_t i = 0; i < n; ++i)
        sum += exp(sy_ld(x, at + i) - most);
    return most + log(sum);
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_top_args *p = args;
    for (uint32_t row = 0; row < p->rows; ++row) {
        const uint64_t at = (uint64_t)row * p->cols, out = ((uint64_t)p->first + row) * p->k;
        const double lse = log_sum_exp(&b[0], at, p->cols);
        uint32_t list[SY_TOP_MOST], count = 0;
        for (uint32_t i = 0; i < p->cols; ++i) {
            if (isnan(sy_ld(&b[0], at + i)) || (count == p->k && !before(&b[0], at, i, list[count - 1])))
                continue;
            uint32_t to = count < p->k ? count++ : p->k - 1;
            for (; to > 0 && before(&b[0], at, i, list[to - 1]); --to)
                list[to] = list[to - 1];
            list[to] = i;
        }
        for (uint32_t r = 0; r < p->k; ++r) {
            sy_st(&b[1], out + r, r < count ? sy_ld(&b[0], at + list[r]) - lse : -INFINITY);
            sy_sti(&b[2], out + r, r < count ? (int32_t)list[r] : -1);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_top_args *p = args;
    return p->rows;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_top_args *p = args;
    return i == 0 ? (uint64_t)p->rows * p->cols : p->rows == 0 ? 0 : ((uint64_t)p->first + p->rows) * p->k;
}

static uint64_t moved(const void *args, uint32_t i)
{
    const struct sy_top_args *p = args;
    return i == 0 ? elements(args, i) : (uint64_t)p->rows * p->k;
}

static double flops(const void *args)
{
    const struct sy_top_args *p = args;
    return 5.0 * p->rows * p->cols;
}

/// Rows of logits.
static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_top_args *p = args;
    (void)planes;
    return i == 0 ? p->cols : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_top_args *p = args;
    p->first += (u32)first;
    p->rows = (u32)count;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_top = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .moved = moved,
    .only_written = 1u << 1 | 1u << 2,
    .flops = flops,
    .wg_simt = 256, // a row is tens of thousands of logits
    .axis = &axis,
};
