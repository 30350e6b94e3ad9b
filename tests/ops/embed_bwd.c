// SPDX-License-Identifier: Apache-2.0
// embed_bwd: all ids alike, all unlike, many repeats; rows of the table without a gradient stay as they were.
#include "tests/ops.h"

static const struct sy_embed_bwd_args cases[] = {
    {.rows = 1, .dim = 1, .vocab = 1, .slices = 1},
    {.rows = 6, .dim = 13, .vocab = 1, .slices = 1},
    {.rows = 17, .dim = 17, .vocab = 400, .slices = 1},
    {.rows = 33, .dim = 65, .vocab = 5, .slices = 1},
    {.rows = 64, .dim = 64, .vocab = 384, .slices = 1},
    {.rows = 100, .dim = 130, .vocab = 30, .slices = 1},
    {.rows = 40, .dim = 100, .vocab = 3, .slices = 1},
    {.rows = 44, .dim = 30, .vocab = 7, .slices = 4},
    {.rows = 96, .dim = 65, .vocab = 50, .slices = 8},
    {.rows = 96, .dim = 65, .vocab = 10, .slices = 4, .part = 1, .first = 0},
    {.rows = 40, .dim = 64, .vocab = 9, .slices = 1, .part = 1, .first = 12},
};

// The index of one slice as the host makes it (op_args.h): a counting sort of random ids.
static void fill_slice(uint32_t rows, uint32_t vocab, double *index, struct sy_rng *rng)
{
    double *const ids = index + 1, *const starts = ids + rows, *const list = starts + rows + 1;
    uint32_t row_id[128], used = 0, place = 0;
    assert(rows <= SY_COUNT(row_id));
    for (uint32_t r = 0; r < rows; ++r)
        row_id[r] = sy_rng_u32(rng) % vocab;
    for (uint32_t id = 0; id < vocab; ++id) {
        const uint32_t begin = place;
        for (uint32_t r = 0; r < rows; ++r)
            if (row_id[r] == id)
                list[place++] = r;
        if (place > begin) {
            ids[used] = id;
            starts[used++] = begin;
        }
    }
    starts[used] = place;
    index[0] = used;
}

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_embed_bwd_args *p = args;
    const uint32_t rows = p->rows / p->slices;
    (void)counts, (void)step;
    for (uint32_t s = 0; s < p->slices; ++s)
        fill_slice(rows, p->part ? p->first + 2 * p->vocab : p->vocab, values[0] + (uint64_t)s * (2 + 3 * rows), rng);
}

SY_OP_CASES(embed_bwd, cases, .fill = fill, .tolerance_f32 = 1e-6, .tolerance_bf16 = 1e-6,
            .reason = "sums of up to 100 terms in f32 (the table is f32 in both types)");
