// SPDX-License-Identifier: Apache-2.0
// matrices.glsl: how the optimizer's ops find their work in the table of matrices.h, and sums over a work-group whose
// order its size does not change; the GLSL twin of kernels/matrices.cl.h. Binding 0 is the table.
#include "chunk.h"
#include "matrices.h"

IN(0, int, table);

// The first word of the table's row that holds number `id` of what `field` counts.
uint matrix_row(uint entries, uint field, uint id)
{
    uint low = 0u, high = entries;
    while (high - low > 1u) {
        const uint middle = (low + high) / 2u;
        const bool before = uint(table[middle * SY_MATRIX_FIELDS + field]) <= id;
        low = before ? middle : low;
        high = before ? high : middle;
    }
    return low * SY_MATRIX_FIELDS;
}
#define FIELD(row, name) uint(table[(row) + SY_MATRIX_##name])

struct block {
    uint matrix;     // its number
    uint rows, cols; // of the block
    uint at;         // of its first element in what is bound of the pack
    uint row, col;   // factored: of its first row's statistic in r, of its matrix's in col
    uint element;    // not factored: of its first element in v
    uint part;       // factored: of its column sums
};

// `base`, `part_base`: where what is bound of the pack, and of the column sums, begins.
block block_of(uint entries, uint base, uint part_base, uint id)
{
    const uint t = matrix_row(entries, SY_MATRIX_BLOCK, id);
    const uint height = FIELD(t, HEIGHT), cols = FIELD(t, WIDTH), blocks = SY_PIECES(height, SY_MATRIX_ROWS);
    const uint number = id - FIELD(t, BLOCK), part = number / blocks, first = number % blocks * SY_MATRIX_ROWS;
    const uint row = part * height + first;
    return block(FIELD(t, NUMBER) + part, min(SY_MATRIX_ROWS, height - first), cols, FIELD(t, AT) + row * cols - base,
                 FIELD(t, STATE) + row, FIELD(t, COL) + part * cols, FIELD(t, STATE) + row * cols - base,
                 FIELD(t, PART) + number * cols - part_base);
}

// LANE_ARRAY(n) declares room for n sums; each lane of EACH_LANE writes sums[k * LANES + lane]; after LANE_SUMS(n)
// sums[k * LANES] is sum k.
#define LANES SY_MATRIX_LANES
#define LANE_ARRAY(count) shared float sums[(count) * LANES]
#define EACH_LANE(lane) for (uint lane = lid; lane < LANES; lane += WG)
#define LANE_SUMS(count)                                     \
    barrier();                                               \
    for (uint half_ = LANES / 2u; half_ > 0u; half_ /= 2u) { \
        for (uint i_ = lid; i_ < (count) * half_; i_ += WG) { \
            const uint to_ = i_ / half_ * LANES + i_ % half_; \
            sums[to_] += sums[to_ + half_];                  \
        }                                                    \
        barrier();                                           \
    }
