// SPDX-License-Identifier: Apache-2.0
// matrices.h: what the C files of the ops over a pack's matrices share: the table as their kernels read it
// (kernels/matrices.cl.h), launch sizes, the reference's gradient.
#pragma once

#include "engine/op.h"
#include "kernels/chunk.h"
#include "kernels/matrices.h"

/// Field `field` of row `row` of a table.
static inline uint64_t sy_matrix_field(const struct sy_ref_tensor *table, uint32_t row, uint32_t field)
{
    return (uint32_t)sy_ldi(table, (uint64_t)row * SY_MATRIX_FIELDS + field);
}

/// The table's row that holds number `id` of what `field` counts.
static inline uint32_t sy_matrix_row(const struct sy_ref_tensor *table, const struct sy_matrices_args *a,
                                     uint32_t field, uint64_t id)
{
    uint32_t row = 0;
    while (row + 1 < a->entries && sy_matrix_field(table, row + 1, field) <= id)
        ++row;
    return row;
}

/// One matrix, or a block of its rows.
struct sy_block {
    uint64_t number;     ///< Of the matrix.
    uint64_t rows, cols; ///< Of the block.
    uint64_t at;         ///< Of its first element in the pack; sy_block_of(): in what is bound of it.
    uint64_t row, col;   ///< Factored: of its first row's statistic in r, of its matrix's in col.
    uint64_t element;    ///< Not factored: of its first element in v.
    uint64_t part;       ///< Factored: of its first column sum in those of blocks; likewise.
    uint64_t blocks;     ///< The number of the matrix's first block.
};

static inline struct sy_block sy_matrix_part(const struct sy_ref_tensor *table, uint32_t row, uint64_t part,
                                             uint64_t first, uint64_t rows)
{
    const uint64_t height = sy_matrix_field(table, row, SY_MATRIX_HEIGHT);
    const uint64_t cols = sy_matrix_field(table, row, SY_MATRIX_WIDTH), above = part * height + first;
    const uint64_t state = sy_matrix_field(table, row, SY_MATRIX_STATE);
    const uint64_t before = part * SY_PIECES(height, SY_MATRIX_ROWS); // blocks of this parameter
    return (struct sy_block){
        .number = sy_matrix_field(table, row, SY_MATRIX_NUMBER) + part,
        .rows = rows < height - first ? rows : height - first,
        .cols = cols,
        .at = sy_matrix_field(table, row, SY_MATRIX_AT) + above * cols,
        .row = state + above,
        .col = sy_matrix_field(table, row, SY_MATRIX_COL) + part * cols,
        .element = state + above * cols,
        .part = sy_matrix_field(table, row, SY_MATRIX_PART) + (before + first / SY_MATRIX_ROWS) * cols,
        .blocks = sy_matrix_field(table, row, SY_MATRIX_BLOCK) + before,
    };
}

/// Block `id`.
static inline struct sy_block sy_block_of(const struct sy_ref_tensor *table, const struct sy_matrices_args *a,
                                          uint64_t id)
{
    const uint32_t row = sy_matrix_row(table, a, SY_MATRIX_BLOCK, id);
    const uint64_t number = id - sy_matrix_field(table, row, SY_MATRIX_BLOCK);
    const uint64_t blocks = SY_PIECES(sy_matrix_field(table, row, SY_MATRIX_HEIGHT), SY_MATRIX_ROWS);
    struct sy_block b = sy_matrix_part(table, row, number / blocks, number % blocks * SY_MATRIX_ROWS, SY_MATRIX_ROWS);
    b.at = (uint32_t)(b.at - a->base); // modulo 2^32, as in the kernels
    b.element = (uint32_t)(b.element - a->base);
    b.part -= a->part_base;
    return b;
}

/// Matrix `id` as one block.
static inline struct sy_block sy_matrix_of(const struct sy_ref_tensor *table, const struct sy_matrices_args *a,
                                           uint64_t id)
{
    const uint32_t row = sy_matrix_row(table, a, SY_MATRIX_NUMBER, id);
    return sy_matrix_part(table, row, id - sy_matrix_field(table, row, SY_MATRIX_NUMBER), 0, UINT64_MAX);
}

/// Launch size of all these ops.
static inline uint64_t sy_matrices_groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    return ((const struct sy_matrices_args *)args)->count;
}

static inline uint64_t sy_matrices_table(const struct sy_matrices_args *a)
{
    return (uint64_t)a->entries * SY_MATRIX_FIELDS;
}

/// The clipped gradient and its regularised square (spec §8).
static inline double sy_af_grad(const struct sy_ref_tensor *g, const struct sy_ref_tensor *gs, uint64_t i)
{
    return sy_ld(g, i) * sy_ld(gs, 0);
}

static inline double sy_af_square(double g) { return g * g + 1e-30; }

/// Factored update of element (row, j) of a block, before the step size.
static inline double sy_af_update(const struct sy_block *b, const struct sy_ref_tensor *g,
                                  const struct sy_ref_tensor *r, const struct sy_ref_tensor *mean,
                                  const struct sy_ref_tensor *col, const struct sy_ref_tensor *gs, uint64_t row,
                                  uint64_t j)
{
    return sy_af_grad(g, gs, b->at + row * b->cols + j) / sqrt(sy_ld(r, b->row + row) / sy_ld(mean, b->number)) /
           sqrt(sy_ld(col, b->col + j));
}
