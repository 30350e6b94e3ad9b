// SPDX-License-Identifier: Apache-2.0
// blocks.cl.h: which outputs a work-group of the matrix-core variants of matmul and matmul_dw computes: a block of some
// rows and columns, the same for OpenCL's variants of every vendor.
#ifndef SY_BLOCKS_CL_H
#define SY_BLOCKS_CL_H
#include "common.cl.h"

// matmul: from row0 and col0 on, rows_left rows that exist (0: nothing to do); of B the matrix at element `own`.
struct block {
    uint row0, col0, rows_left;
    size_t own;
};

// Groups are numbered down bands of `band` blocks of rows, so that those that run at once share factors. Ragged, a
// block lies in one expert's row tile; of other parts of the experts there is nothing to do.
__attribute__((always_inline)) static inline struct block
block_of(uint group, const struct sy_matmul_args *p, __global const int *tiles, uint rows, uint cols, uint band)
{
    const uint ragged = p->experts > 1 || p->of != 0;
    const uint across = (p->n + cols - 1) / cols, parts = (p->tile_rows + rows - 1) / rows;
    const uint down = ragged != 0 ? p->tiles * parts : (p->m + rows - 1) / rows;
    const uint top = group / (band * across) * band, high = min(band, down - top), in_band = group - top * across;
    const uint row = top + in_band % high;
    struct block block = {row * rows, in_band / high * cols, 0, 0};
    uint end = p->m;
    if (ragged != 0) {
        const uint tile = row / parts;
        const int expert = tiles[4 * tile] - (int)p->first; // of other parts: below 0, or too large
        block.row0 = (uint)tiles[4 * tile + 1] + row % parts * rows;
        end = expert < 0 || expert >= (int)p->experts ? 0 : (uint)tiles[4 * tile + 2];
        block.own = end != 0 ? (size_t)(uint)expert * p->n * p->k : 0;
    }
    block.rows_left = end > block.row0 ? end - block.row0 : 0;
    return block;
}

// matmul_dw: from row0 and col0 of w's plane on, the sum over rows first … end − 1 of y and x.
struct dw_block {
    uint row0, col0, plane, first, end;
};

__attribute__((always_inline)) static inline struct dw_block dw_block_of(uint group, const struct sy_matmul_dw_args *p,
                                                                         __global const int *off, uint rows, uint cols)
{
    const uint across = (p->n + cols - 1) / cols, down = (p->m + rows - 1) / rows, plane = group / across / down;
    const uint slice = plane / p->experts, each = p->rows / p->slices;
    const uint place = (p->first + plane % p->experts) * p->slices + slice;
    struct dw_block block = {group / across % down * rows, group % across * cols, plane, slice * each,
                             slice * each + each};
    if (p->ragged != 0) {
        block.first = (uint)off[place];
        block.end = (uint)off[place + 1];
    }
    return block;
}
#endif
