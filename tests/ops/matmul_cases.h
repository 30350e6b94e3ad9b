// SPDX-License-Identifier: Apache-2.0
// matmul_cases.h: how rows are spread over experts in the cases of matmul and matmul_dw.
#pragma once

#include "tests/ops.h"

enum { SY_CASE_EXPERTS = 16, SY_CASE_OTHERS = 2 /* experts behind those of a part */ };

/// Rows [off[e], off[e+1]) belong to expert e. The number of experts chooses the pattern: 2 all to the last · 3 all to
/// the middle one · 4 the first and the last are empty · 5 nobody gets any · more: at random, some empty, and the last
/// rows belong to nobody (as where capacity leaves slots unused).
static inline void sy_case_offsets(uint32_t rows, uint32_t experts, struct sy_rng *rng,
                                   uint32_t off[SY_CASE_EXPERTS + 1])
{
    uint32_t left = rows;
    off[0] = 0;
    for (uint32_t e = 0; e < experts; ++e) {
        uint32_t n = 0;
        switch (experts) {
        case 2:
        case 3: n = e == 1 ? rows : 0; break;
        case 4: n = e == 1 ? rows / 3 : e == 2 ? left : 0; break;
        case 5: break;
        default: n = sy_rng_u32(rng) % 3 == 0 ? 0 : sy_rng_u32(rng) % (left / 2 + 1); break;
        }
        left -= n;
        off[e + 1] = off[e] + n;
    }
}

/// Inputs of matmul: the tile table that route_tiles would write.
static inline void sy_case_fill_tiles(const void *args, double *const *values, const uint64_t *counts,
                                      struct sy_step *step, struct sy_rng *rng)
{
    (void)counts, (void)step;
    const struct sy_matmul_args *p = args;
    uint32_t off[SY_CASE_EXPERTS + 1], t = 0;
    if (p->experts == 1 && p->of == 0)
        return;
    const uint32_t experts = p->of != 0 ? p->of : p->experts;
    sy_case_offsets(p->m, experts, rng, off);
    for (uint32_t e = 0; e < experts; ++e)
        for (uint32_t row = off[e]; row < off[e + 1]; row += p->tile_rows, ++t) {
            values[2][4 * t] = e;
            values[2][4 * t + 1] = row;
            values[2][4 * t + 2] = row + p->tile_rows < off[e + 1] ? row + p->tile_rows : off[e + 1];
        }
    assert(t <= p->tiles);
    for (; t < p->tiles; ++t)
        values[2][4 * t] = -1;
}

/// Inputs of matmul_dw: the offsets.
static inline void sy_case_fill_offsets(const void *args, double *const *values, const uint64_t *counts,
                                        struct sy_step *step, struct sy_rng *rng)
{
    (void)counts, (void)step;
    const struct sy_matmul_dw_args *p = args;
    uint32_t off[SY_CASE_EXPERTS + 1];
    if (!p->ragged)
        return;
    const uint32_t experts = p->first + p->experts; // of a part: no offset behind it is read
    sy_case_offsets(p->rows, experts, rng, off);
    for (uint32_t e = 0; e < experts; ++e) { // an expert's rows in unequal pieces, some of them empty
        uint32_t at = off[e];
        for (uint32_t s = 0; s < p->slices; ++s) {
            values[2][e * p->slices + s] = at;
            at += sy_rng_u32(rng) % (off[e + 1] - at + 1);
        }
    }
    values[2][experts * p->slices] = off[experts];
}

/// Enough tiles for any spread of m rows over `experts`.
#define SY_CASE_TILES(m, experts, tile_rows) ((m) / (tile_rows) + (experts))
