// SPDX-License-Identifier: Apache-2.0
// route_tiles: every expert's rows cut into tiles of at most tile_rows, experts in order; −1 beyond the last.
#include "engine/op.h"

static void put(const struct sy_ref_tensor *tiles, uint64_t t, int32_t expert, int32_t first, int32_t end)
{
    sy_sti(tiles, 4 * t, expert);
    sy_sti(tiles, 4 * t + 1, first);
    sy_sti(tiles, 4 * t + 2, end);
    sy_sti(tiles, 4 * t + 3, 0);
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_route_tiles_args *p = args;
    uint64_t t = 0;
    for (uint64_t e = 0; e < p->experts; ++e) {
        const int64_t stop = sy_ldi(&b[0], (e + 1) * p->slices);
        for (int64_t row = sy_ldi(&b[0], e * p->slices); row < stop; row += p->tile_rows) {
            const int64_t end = row + p->tile_rows < stop ? row + p->tile_rows : stop;
            put(&b[1], t++, (int32_t)e, (int32_t)row, (int32_t)end);
        }
    }
    for (; t < p->tiles; ++t)
        put(&b[1], t, -1, 0, 0);
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)args, (void)knobs;
    return 1;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_route_tiles_args *p = args;
    return i == 0 ? (uint64_t)p->experts * p->slices + 1 : 4 * (uint64_t)p->tiles;
}

const struct sy_op_impl sy_op_impl_route_tiles = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_no_flops,
};
