// SPDX-License-Identifier: Apache-2.0
// xent: cross-entropy, accuracy and z-loss of each row of logits.
#include "engine/op.h"

static double log_sum_exp(const struct sy_ref_tensor *x, uint64_t at, uint32_t n)
{
    double most = sy_ld(x, at), sum = 0;
    for (uint32_t i = 1; i < n; ++i)
        most = fmax(most, sy_ld(x, at + i));
    for (uint32_t i = 0; i < n; ++i)
        sum += exp(sy_ld(x, at + i) - most);
    return most + log(sum);
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_xent_args *p = args;
    for (uint32_t row = 0; row < p->rows; ++row) {
        const uint64_t at = (uint64_t)row * p->vocab, place = SY_XENT_PLACE(*p, row), out = 4 * place;
        const double lse = log_sum_exp(&b[0], at, p->vocab), s = (double)p->smoothing;
        const int32_t label = sy_ldi(&b[1], place);
        double mean = 0;
        uint32_t best = 0;
        for (uint32_t i = 0; i < p->vocab; ++i) {
            mean += sy_ld(&b[0], at + i) / p->vocab;
            best = sy_ld(&b[0], at + i) > sy_ld(&b[0], at + best) ? i : best;
        }
        // A label beyond the vocabulary is clamped, as in the kernels.
        const uint32_t target = (uint32_t)label < p->vocab ? (uint32_t)label : p->vocab - 1;
        sy_st(&b[2], out, lse);
        sy_st(&b[2], out + 1, label < 0 ? 0.0 : lse - (1.0 - s) * sy_ld(&b[0], at + target) - s * mean);
        sy_st(&b[2], out + 2, label < 0 ? 0.0 : best == target);
        sy_st(&b[2], out + 3, label < 0 ? 0.0 : (double)p->z_coef * lse * lse);
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
    const uint64_t rows = p->rows == 0 ? 0 : (uint64_t)SY_XENT_PLACE(*p, p->rows - 1) + 1;
    const uint64_t counts[] = {(uint64_t)p->rows * p->vocab, rows, 4 * rows};
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
    return i == 0 ? p->vocab : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_xent_args *p = args;
    p->first += (u32)first;
    p->rows = (u32)count;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_xent = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .wg_simt = 256, // a row is tens of thousands of logits
    .axis = &axis,
};
