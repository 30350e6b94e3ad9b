// SPDX-License-Identifier: Apache-2.0
// route_stats: per slice: each expert's load, rows, rows without a slot, Σ gate, gates that are not 0.
#include "engine/op.h"

static void of_slice(const struct sy_route_stats_args *p, const struct sy_ref_tensor *b, uint64_t slice)
{
    const uint64_t rows = p->rows / p->slices, groups = p->groups / p->slices, to = slice * (p->experts + 4);
    double real = 0, lost = 0, gates = 0, counted = 0;
    for (uint64_t e = 0; e < p->experts; ++e) {
        double sum = 0;
        for (uint64_t g = slice * groups; g < (slice + 1) * groups; ++g)
            sum += sy_ldi(&b[0], g * p->experts + e);
        sy_st(&b[4], to + e, sum);
    }
    for (uint64_t row = slice * rows; row < (slice + 1) * rows; ++row) {
        bool placed = false;
        for (uint64_t k = 0; k < p->k; ++k) {
            const double gate = k % p->gate_step == 0 ? sy_ld(&b[2], row * p->k + k) : 0.0;
            placed |= sy_ldi(&b[1], row * p->k + k) >= 0;
            gates += gate;
            counted += gate != 0.0;
        }
        real += sy_ldi(&b[3], row) != 0;
        lost += sy_ldi(&b[3], row) != 0 && !placed;
    }
    const double last[] = {real, lost, gates, counted};
    for (uint64_t i = 0; i < SY_COUNT(last); ++i)
        sy_st(&b[4], to + p->experts + i, last[i]);
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_route_stats_args *p = args;
    for (uint64_t s = 0; s < p->slices; ++s)
        of_slice(p, b, s);
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_route_stats_args *p = args;
    (void)knobs;
    assert(p->slices != 0 && p->gate_step != 0);
    return p->slices;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_route_stats_args *p = args;
    const uint64_t places = (uint64_t)p->rows * p->k;
    const uint64_t counts[] = {(uint64_t)p->groups * p->experts, places, places, p->rows,
                               (uint64_t)p->slices * (p->experts + 4)};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_route_stats_args *p = args;
    return (double)p->groups * p->experts + (double)p->rows * p->k;
}

const struct sy_op_impl sy_op_impl_route_stats = {
    .ref = ref, .groups = groups, .elements = elements, .flops = flops, .wg_simt = 256};
