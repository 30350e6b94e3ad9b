// SPDX-License-Identifier: Apache-2.0
// matrices.h: the table of a pack's matrices, shared by C11, OpenCL C and GLSL. The optimizer's ops work on all of them
// in one dispatch: a work-group finds its matrix, and its part of it, by its number.
//
// A table has one row of SY_MATRIX_FIELDS words for each parameter (`parts` matrices of one shape, one after the other
// in memory), the factored ones first. What grows from row to row is where the row's first of something is: the
// work-group numbers of its blocks, strips and matrices, and its elements in the pack and in other tensors.
// Block sizes depend on neither the device nor the work-group, so neither do the sums over a block's rows.
#ifndef SY_MATRICES_H
#define SY_MATRICES_H

#define SY_MATRIX_ROWS 16u   // rows of a matrix in one block; the last block may have fewer
#define SY_MATRIX_STRIP 256u // columns of a matrix in one strip (af_col)
#define SY_MATRIX_LANES 64u  // lanes of a sum where a work-group has several items, whatever their number
#define SY_TREE_SLOTS 64u    // clip: runs of the tree over all matrices' sums that are added up side by side
#define SY_TREE_LEVELS 12u   // of a slot's own run: sums of up to SY_TREE_SLOTS · 4,096 matrices

// Fields of a row.
#define SY_MATRIX_BLOCK 0u   // blocks of SY_MATRIX_ROWS rows
#define SY_MATRIX_STRIP_0 1u // strips of SY_MATRIX_STRIP columns. Factored ones only
#define SY_MATRIX_NUMBER 2u  // matrices
#define SY_MATRIX_HEIGHT 3u  // rows of each matrix
#define SY_MATRIX_WIDTH 4u   // columns
#define SY_MATRIX_AT 5u      // elements into the pack
#define SY_MATRIX_STATE 6u   // elements into r; where it is not factored, into v
#define SY_MATRIX_COL 7u     // elements into col
#define SY_MATRIX_PART 8u    // elements into the column sums of blocks
#define SY_MATRIX_FIELDS 9u

#endif
