// SPDX-License-Identifier: Apache-2.0
// matrices.cl.h: how the optimizer's ops find their work in the table of matrices.h, and sums over a work-group whose
// order its size does not change; include after common.cl.h.
#ifndef SY_MATRICES_CL_H
#define SY_MATRICES_CL_H
#include "chunk.h"
#include "matrices.h"

// The table's row that holds number `id` of what `field` counts: the last one that begins at or before it.
static inline __global const int *matrix_row(__global const int *table, uint entries, uint field, uint id)
{
    uint low = 0u, high = entries;
    while (high - low > 1u) {
        const uint middle = (low + high) / 2u;
        const bool before = (uint)table[middle * SY_MATRIX_FIELDS + field] <= id;
        low = before ? middle : low;
        high = before ? high : middle;
    }
    return table + low * SY_MATRIX_FIELDS;
}
#define FIELD(row, name) ((uint)(row)[SY_MATRIX_##name])

// One block: up to SY_MATRIX_ROWS rows of one matrix.
struct block {
    uint matrix;     // its number
    uint rows, cols; // of the block
    uint at;         // of its first element in what is bound of the pack
    uint row, col;   // factored: of its first row's statistic in r, of its matrix's in col
    uint element;    // not factored: of its first element in v
    uint part;       // factored: of its column sums
};

// Of the arguments: where what is bound of the pack, and of the column sums, begins.
static inline struct block block_of(__global const int *table, const struct sy_matrices_args p, uint id)
{
    __global const int *t = matrix_row(table, p.entries, SY_MATRIX_BLOCK, id);
    const uint height = FIELD(t, HEIGHT), cols = FIELD(t, WIDTH), blocks = SY_PIECES(height, SY_MATRIX_ROWS);
    const uint number = id - FIELD(t, BLOCK), part = number / blocks, first = number % blocks * SY_MATRIX_ROWS;
    const uint row = part * height + first;
    struct block b;
    b.matrix = FIELD(t, NUMBER) + part;
    b.rows = min(SY_MATRIX_ROWS, height - first);
    b.cols = cols;
    b.at = FIELD(t, AT) + row * cols - p.base;
    b.row = FIELD(t, STATE) + row;
    b.col = FIELD(t, COL) + part * cols;
    b.element = FIELD(t, STATE) + row * cols - p.base;
    b.part = FIELD(t, PART) + number * cols - p.part_base;
    return b;
}

// Sums over a work-group are spread over LANES lanes, as many on every device of a kind; an item does one of them, or
// several: a lane's terms and the tree that adds lanes up do not depend on WG.
//   LOCAL_ARRAY(sums, n · LANES);
//   EACH_LANE (lane)
//       sums[k * LANES + lane] = …;   // for each of n sums
//   LANE_SUMS(sums, n);               // sums[k * LANES] is sum k; n is the same in all items
#if WG == 1
#define LANES 1u
#define LOCAL_ARRAY(name, count) float name[count]
#define LANE_SUMS(name, count)
#else
#define LANES SY_MATRIX_LANES
#define LOCAL_ARRAY(name, count) __local float name[count]
#define LANE_SUMS(name, count)                                \
    BARRIER();                                                \
    for (uint half_ = LANES / 2u; half_ > 0u; half_ /= 2u) {  \
        for (uint i_ = lid; i_ < (count)*half_; i_ += WG) {   \
            const uint to_ = i_ / half_ * LANES + i_ % half_; \
            name[to_] += name[to_ + half_];                   \
        }                                                     \
        BARRIER();                                            \
    }
#endif
#define EACH_LANE(lane) for (uint lane = lid; lane < LANES; lane += WG)
#endif
