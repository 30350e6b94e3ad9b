// SPDX-License-Identifier: Apache-2.0
// adafactor.h: what the tests of the af_* ops share: shapes, gradients with the zeros that experts leave, matching
// state.
#pragma once

#include "tests/ops.h"

/// P, rows, cols, blocks: single elements, odd sizes, several matrices, several blocks, blocks that stay empty.
static const struct sy_adafactor_args sy_af_cases[] = {
    {1, 1, 1, 1},   {1, 1, 13, 1},    {1, 17, 1, 1},    {3, 5, 65, 2},   {2, 33, 100, 4},  {1, 16, 64, 1},
    {4, 7, 257, 3}, {1, 130, 129, 2}, {2, 128, 256, 8}, {1, 3, 1031, 3}, {1, 40, 2100, 5}, {1, 9, 30, 7},
};

/// Factor on all gradients before use (gs[0]).
#define SY_AF_CLIP 0.75

/// Gradients: some rows, one column and, in matrix 1, everything exactly 0 (tokens and experts nobody used); some rows
/// large or small. One case is tiny as a whole, so that the 1e-30 of the formula shows.
static inline void sy_af_fill_grad(const struct sy_adafactor_args *a, double *g, struct sy_rng *rng)
{
    const double all = a->rows == 16 ? 1e-15 : 1.0;
    for (uint64_t row = 0; row < (uint64_t)a->parts * a->rows; ++row) {
        const uint32_t kind = sy_rng_u32(rng) % 8u;
        const double scale = row / a->rows == 1 || kind == 0 ? 0.0 : kind == 1 ? 0.01 : kind == 2 ? 10.0 : 1.0;
        for (uint64_t j = 0; j < a->cols; ++j)
            g[row * a->cols + j] *= j == 5 ? 0.0 : scale * all;
    }
}

/// A positive statistic near `square`, as an average over earlier steps would be.
static inline double sy_af_near(double square, struct sy_rng *rng)
{
    return square * (0.5 + sy_rng_uniform(rng)) + 1e-30;
}

/// Full second moments that belong to the gradients.
static inline void sy_af_fill_v(const double *g, double *v, uint64_t n, struct sy_rng *rng)
{
    for (uint64_t i = 0; i < n; ++i)
        v[i] = sy_af_near(g[i] * g[i] * SY_AF_CLIP * SY_AF_CLIP, rng);
}

/// Row and column statistics that belong to the gradients; rows and columns of zeros have 1e-30.
static inline void sy_af_fill_factors(const struct sy_adafactor_args *a, const double *g, double *r, double *mean,
                                      double *col, struct sy_rng *rng)
{
    for (uint64_t p = 0; p < a->parts; ++p) {
        double *rp = r + p * a->rows, *cp = col + p * a->cols;
        memset(rp, 0, a->rows * sizeof *rp);
        memset(cp, 0, a->cols * sizeof *cp);
        for (uint64_t i = 0; i < a->rows; ++i)
            for (uint64_t j = 0; j < a->cols; ++j) {
                const double x = g[(p * a->rows + i) * a->cols + j] * SY_AF_CLIP;
                rp[i] += x * x / a->cols;
                cp[j] += x * x / a->rows;
            }
        mean[p] = 0.0;
        for (uint64_t i = 0; i < a->rows; ++i) {
            rp[i] = sy_af_near(rp[i], rng);
            mean[p] += rp[i] / a->rows;
        }
        for (uint64_t j = 0; j < a->cols; ++j)
            cp[j] = sy_af_near(cp[j], rng);
    }
}

/// Sums of squares, for ops that take nothing else.
static inline void sy_af_fill_square(double *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; ++i)
        values[i] = values[i] * values[i] + 0.01;
}
