// SPDX-License-Identifier: Apache-2.0
// matrices.h: builds the table of a pack's matrices (kernels/matrices.h), which lets one dispatch of an optimizer's op
// work on all of them. Ownership: the caller's memory.   Layer: engine.
#pragma once

#include "kernels/matrices.h"
#include "kernels/op_args.h"

#include <stdbool.h>

/// A table and what it adds up to. Start with a zeroed one whose `table` has room for all rows.
struct sy_matrices {
    int32_t *table;               ///< [entries][SY_MATRIX_FIELDS]
    struct sy_matrices_args args; ///< Sizes; work: of all matrices. Not first, count and everything.
    /// Of the factored ones, which come first: how many blocks, strips, matrices and elements.
    struct {
        u32 blocks, strips, matrices, work;
    } factored;
};

/// Adds `parts` matrices of `rows` × `cols` that lie from element `at` of the pack on, and room for their state: r and
/// col, or v. Factored ones before all others.
void sy_matrices_add(struct sy_matrices *m, uint32_t parts, uint32_t rows, uint32_t cols, uint64_t at, bool factored);
/// Where the state of table row `entry` begins: field SY_MATRIX_STATE or SY_MATRIX_COL.
uint64_t sy_matrices_place(const struct sy_matrices *m, uint32_t entry, uint32_t field);
