// SPDX-License-Identifier: Apache-2.0
// matmul_ref.h: block products in double, for the references of the matmul ops.
//
// The `ref` backend is also what runs where there is no driver, so these are blocked: a block of each operand is
// converted to double once and multiplied in loops of constant length that a compiler turns into vectors. Layer:
// engine, private to engine/ops.
#pragma once

#include "engine/op.h"
#include "kernels/tiles.h"

enum { SY_REF_ROWS = 64, SY_REF_DEPTH = 64, SY_REF_COLS = SY_PANEL };

/// A matrix inside a tensor: element (i, j) is at base + i·row_step + j·col_step.
struct sy_ref_matrix {
    const struct sy_ref_tensor *tensor;
    uint64_t base, row_step, col_step;
};

/// One block of outputs and the operands of the slab of k at hand.
struct sy_ref_block {
    double a[SY_REF_ROWS][SY_REF_DEPTH], b[SY_REF_DEPTH][SY_REF_COLS], c[SY_REF_ROWS][SY_REF_COLS];
};

static inline double sy_ref_at(const struct sy_ref_matrix *x, uint64_t i, uint64_t j)
{
    return sy_ld(x->tensor, x->base + i * x->row_step + j * x->col_step);
}

/// c = a [rows, depth] · b [depth, cols], rows ≤ SY_REF_ROWS, cols ≤ SY_REF_COLS, any depth.
static inline void sy_ref_product(struct sy_ref_block *s, const struct sy_ref_matrix *a, const struct sy_ref_matrix *b,
                                  uint32_t rows, uint32_t cols, uint32_t depth)
{
    memset(s, 0, sizeof *s); // columns beyond `cols` multiply zeros
    for (uint32_t k0 = 0; k0 < depth; k0 += SY_REF_DEPTH) {
        const uint32_t n = depth - k0 < SY_REF_DEPTH ? depth - k0 : SY_REF_DEPTH;
        for (uint32_t i = 0; i < rows; ++i)
            for (uint32_t k = 0; k < n; ++k)
                s->a[i][k] = sy_ref_at(a, i, k0 + k);
        for (uint32_t k = 0; k < n; ++k)
            for (uint32_t j = 0; j < cols; ++j)
                s->b[k][j] = sy_ref_at(b, k0 + k, j);
        for (uint32_t i = 0; i < rows; ++i)
            for (uint32_t k = 0; k < n; ++k)
                for (uint32_t j = 0; j < SY_REF_COLS; ++j)
                    s->c[i][j] += s->a[i][k] * s->b[k][j];
    }
}

/// out (+)= alpha · c for the block's first rows × cols elements; row i of the output starts at base + i·stride.
static inline void sy_ref_store(const struct sy_ref_block *s, const struct sy_ref_tensor *out, uint64_t base,
                                uint64_t stride, uint32_t rows, uint32_t cols, double alpha, bool accumulate)
{
    for (uint32_t i = 0; i < rows; ++i)
        for (uint32_t j = 0; j < cols; ++j) {
            const uint64_t at = base + i * stride + j;
            sy_st(out, at, alpha * s->c[i][j] + (accumulate ? sy_ld(out, at) : 0.0));
        }
}

static inline uint32_t sy_ref_min(uint32_t a, uint32_t b) { return a < b ? a : b; }

/// Whether matmul reads a table.
static inline bool sy_matmul_ragged(const struct sy_matmul_args *p) { return p->experts > 1 || p->of != 0; }

/// Row tiles of matmul.
static inline uint64_t sy_matmul_tiles(const struct sy_matmul_args *p)
{
    return sy_matmul_ragged(p) ? p->tiles : sy_ceil_div(p->m, p->tile_rows);
}

/// Reference of matmul.
static inline void sy_matmul_ref(const struct sy_matmul_args *p, const struct sy_ref_tensor *x)
{
    struct sy_ref_block block;
    const uint64_t panels = sy_ceil_div(p->n, SY_PANEL);
    for (uint64_t t = 0; t < sy_matmul_tiles(p); ++t) {
        int32_t expert = 0;
        uint32_t first = (uint32_t)t * p->tile_rows, end = sy_ref_min(first + p->tile_rows, p->m);
        if (sy_matmul_ragged(p)) {
            expert = sy_ldi(&x[2], 4 * t) - (int32_t)p->first; // of other parts: below 0, or too large
            expert = expert < (int32_t)p->experts ? expert : -1;
            first = (uint32_t)sy_ldi(&x[2], 4 * t + 1);
            end = (uint32_t)sy_ldi(&x[2], 4 * t + 2);
        }
        for (uint32_t row = first; expert >= 0 && row < end; row += SY_REF_ROWS)
            for (uint32_t q = 0; q < panels; ++q) {
                const uint64_t e = (uint64_t)expert, col = (uint64_t)q * SY_PANEL, own = e * p->n * p->k;
                const uint32_t rows = sy_ref_min(end - row, SY_REF_ROWS);
                const uint32_t cols = sy_ref_min(p->n - (uint32_t)col, SY_PANEL);
                const struct sy_ref_matrix a = {&x[0], (uint64_t)row * p->k, p->k, 1};
                const struct sy_ref_matrix b = p->bt ? (struct sy_ref_matrix){&x[1], own + col * p->k, 1, p->k}
                                                     : (struct sy_ref_matrix){&x[1], own + col, p->n, 1};
                sy_ref_product(&block, &a, &b, rows, cols, p->k);
                sy_ref_store(&block, &x[3], (uint64_t)row * p->n + col, p->n, rows, cols, (double)p->alpha,
                             p->accumulate != 0);
            }
    }
}

/// Reference of matmul_dw.
static inline void sy_matmul_dw_ref(const struct sy_matmul_dw_args *p, const struct sy_ref_tensor *x)
{
    struct sy_ref_block block;
    const uint32_t each = p->rows / p->slices;
    for (uint64_t plane = 0; plane < (uint64_t)p->slices * p->experts; ++plane) {
        const uint64_t slice = plane / p->experts, place = (p->first + plane % p->experts) * p->slices + slice;
        const uint32_t first = p->ragged ? (uint32_t)sy_ldi(&x[2], place) : (uint32_t)slice * each;
        const uint32_t end = p->ragged ? (uint32_t)sy_ldi(&x[2], place + 1) : first + each;
        for (uint32_t m = 0; m < p->m; m += SY_REF_ROWS)
            for (uint32_t n = 0; n < p->n; n += SY_REF_COLS) {
                const uint32_t rows = sy_ref_min(p->m - m, SY_REF_ROWS), cols = sy_ref_min(p->n - n, SY_REF_COLS);
                const struct sy_ref_matrix a = {&x[0], (uint64_t)first * p->m + m, 1, p->m}; // y transposed
                const struct sy_ref_matrix b = {&x[1], (uint64_t)first * p->n + n, p->n, 1};
                sy_ref_product(&block, &a, &b, rows, cols, end - first);
                sy_ref_store(&block, &x[3], (plane * p->m + m) * p->n + n, p->n, rows, cols, (double)p->alpha,
                             p->accumulate != 0);
            }
    }
}

/// Of a stack that is cut, its share of the experts.
static inline double sy_matmul_share(u32 experts, u32 of) { return of != 0 ? (double)experts / of : 1.0; }

static inline double sy_matmul_flops(const void *args)
{
    const struct sy_matmul_args *p = args;
    return 2.0 * p->m * p->n * p->k * sy_matmul_share(p->experts, p->of); // with experts, m bounds their rows
}

static inline double sy_matmul_dw_flops(const void *args)
{
    const struct sy_matmul_dw_args *p = args;
    return 2.0 * p->rows * p->m * p->n * sy_matmul_share(p->experts, p->of);
}
