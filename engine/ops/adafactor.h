// SPDX-License-Identifier: Apache-2.0
// adafactor.h: what the C files of the af_* ops share: sizes of their tensors, launch sizes, the reference's gradient.
#pragma once

#include "engine/op.h"
#include "kernels/chunk.h"

/// The clipped gradient and its regularised square (spec §8).
static inline double sy_af_grad(const struct sy_ref_tensor *g, const struct sy_ref_tensor *gs, uint64_t i)
{
    return sy_ld(g, i) * sy_ld(gs, 0);
}

static inline double sy_af_square(double g) { return g * g + 1e-30; }

static inline uint64_t sy_af_matrices(const struct sy_adafactor_args *a)
{
    return (uint64_t)a->parts * a->rows * a->cols;
}
static inline uint64_t sy_af_rows(const struct sy_adafactor_args *a) { return (uint64_t)a->parts * a->rows; }
static inline uint64_t sy_af_cols(const struct sy_adafactor_args *a) { return (uint64_t)a->parts * a->cols; }

/// Factored update of element (row, col) of matrix `p`, before the step size.
static inline double sy_af_update(const struct sy_adafactor_args *a, const struct sy_ref_tensor *g,
                                  const struct sy_ref_tensor *r, const struct sy_ref_tensor *mean,
                                  const struct sy_ref_tensor *col, const struct sy_ref_tensor *gs, uint64_t p,
                                  uint64_t row, uint64_t j)
{
    const double g_clipped = sy_af_grad(g, gs, (p * a->rows + row) * a->cols + j);
    return g_clipped / sqrt(sy_ld(r, p * a->rows + row) / sy_ld(mean, p)) / sqrt(sy_ld(col, p * a->cols + j));
}
