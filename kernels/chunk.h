// SPDX-License-Identifier: Apache-2.0
// chunk.h: how much one work-group does, shared by engine/ops/*.c (launch size), kernels/*.cl and shaders/*.comp.
//
// A CPU runs work-groups of one item and pays about 0.1 us for each, so there a work-group takes a large piece;
// elsewhere it takes a few vectors per item. The pieces depend on the work-group size alone.
#ifndef SY_CHUNK_H
#define SY_CHUNK_H

#define SY_CHUNK(wg) ((wg) == 1u ? 8192u : (wg) * 16u) // elements, elementwise ops
#define SY_ROWS(wg) ((wg) == 1u ? 16u : 1u)            // rows, ops that work row by row
#define SY_COLS(wg) ((wg) == 1u ? 1024u : (wg) * 4u)   // columns, sums over rows
#define SY_PIECES(n, piece) ((n) / (piece) + ((n) % (piece) != 0u ? 1u : 0u)) // work-groups for n, without overflow
#define SY_TRIPS 16384u // trips of one loop; longer ones are nested (some drivers stop a loop at 65,535)
#define SY_NARROW 16u   // sum_rows: with fewer columns a whole work-group sums one column

#endif
