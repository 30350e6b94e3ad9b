// SPDX-License-Identifier: Apache-2.0
// chunk.h: how much one work-group does, shared by engine/ops/*.c (launch size), kernels/*.cl and shaders/*.comp.
//
// A CPU runs work-groups of one item and pays about 0.1 us for each, so there a work-group takes a large piece;
// elsewhere it takes a few vectors per item. The pieces depend on the work-group size alone.
#ifndef SY_CHUNK_H
#define SY_CHUNK_H

#define SY_CHUNK(wg) ((wg) == 1u ? 8192u : (wg) * 16u) // elements, elementwise ops
#define SY_ROWS(wg) ((wg) == 1u ? 16u : 1u)            // rows, ops that work row by row
#define SY_FORK_ROWS 32u // kv_fork: positions of one work-group
#define SY_COLS(wg) ((wg) == 1u ? 1024u : (wg) * 4u)   // columns, ops that work down rows
#define SY_PIECES(n, piece) ((n) / (piece) + ((n) % (piece) != 0u ? 1u : 0u)) // work-groups for n, without overflow
// llvmpipe ends an invocation silently after 65,535 trips of all its loops together (nesting does not help), so loops
// over rows take several rows a trip and work-groups take few columns.
#define SY_UNROLL 8u          // rows of one trip
#define SY_BLOCK_ROWS 8192u   // rmsnorm_dw: most rows of a block
// sum_rows: columns of one work-group; its other items share out the rows. A CPU has nobody to share them with (and PoCL 7
// runs the kernel's second half twice when both ways are compiled in).
#define SY_SUM_COLS(wg) ((wg) == 1u ? 1024u : (wg) < 16u ? (wg) : 16u)

#endif
