// SPDX-License-Identifier: Apache-2.0
#include "engine/matrices.h"

#include <assert.h>

#include "engine/graph.h"

static uint64_t padded(uint64_t count) { return sy_ceil_div(count, SY_PACK_ALIGN) * SY_PACK_ALIGN; }

void sy_matrices_add(struct sy_matrices *m, uint32_t parts, uint32_t rows, uint32_t cols, uint64_t at, bool factored)
{
    struct sy_matrices_args *a = &m->args;
    assert(!factored || m->factored.matrices == a->matrices);
    const uint64_t strips = sy_ceil_div(cols, SY_MATRIX_STRIP), blocks = sy_ceil_div(rows, SY_MATRIX_ROWS);
    // A model too large for 32 bits can be planned; the runtime refuses it before a kernel reads this.
    const uint64_t row[SY_MATRIX_FIELDS] = {
        [SY_MATRIX_BLOCK] = a->blocks,
        [SY_MATRIX_STRIP_0] = m->factored.strips,
        [SY_MATRIX_NUMBER] = a->matrices,
        [SY_MATRIX_HEIGHT] = rows,
        [SY_MATRIX_WIDTH] = cols,
        [SY_MATRIX_AT] = at,
        [SY_MATRIX_STATE] = factored ? a->rows : a->full,
        [SY_MATRIX_COL] = a->cols,
        [SY_MATRIX_PART] = a->parts,
    };
    for (uint32_t i = 0; i < SY_MATRIX_FIELDS; ++i)
        m->table[a->entries * SY_MATRIX_FIELDS + i] = (int32_t)(u32)row[i];
    ++a->entries;
    a->work += (u32)((uint64_t)parts * rows * cols);
    a->matrices += parts;
    a->blocks += (u32)(parts * blocks);
    const uint64_t size = padded((uint64_t)parts * rows * cols);
    if (at + size > a->elements)
        a->elements = (u32)(at + size);
    if (!factored) {
        a->full += (u32)size;
        return;
    }
    a->rows += (u32)padded((uint64_t)parts * rows);
    a->cols += (u32)padded((uint64_t)parts * cols);
    a->parts += (u32)(parts * blocks * cols);
    m->factored.blocks = a->blocks;
    m->factored.strips += (u32)(parts * strips);
    m->factored.matrices = a->matrices;
    m->factored.work = a->work;
}

uint64_t sy_matrices_place(const struct sy_matrices *m, uint32_t entry, uint32_t field)
{
    return (u32)m->table[entry * SY_MATRIX_FIELDS + field];
}
