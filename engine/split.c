// SPDX-License-Identifier: Apache-2.0
#include "engine/split.h"

#include "engine/graph_private.h"
#include "engine/message.h"

struct sy_split sy_split_of(const struct sy_graph *g, const struct sy_param *p)
{
    const uint32_t parts = sy_layout_parts(g->ranks), part = sy_layout_part(g->ranks);
    const bool rows = (p->flags & SY_PARAM_SPLIT_ROWS) != 0, cols = (p->flags & SY_PARAM_SPLIT_COLS) != 0;
    return (struct sy_split){.rows = rows ? parts * p->rows : p->rows,
                             .cols = cols ? parts * p->cols : p->cols,
                             .row = rows ? part * p->rows : 0,
                             .col = cols ? part * p->cols : 0};
}

uint32_t sy_split_share(const struct sy_graph *g, uint32_t n)
{
    assert(n % sy_layout_parts(g->ranks) == 0);
    return n / sy_layout_parts(g->ranks);
}

sy_tid sy_split_sum(struct sy_graph *g, sy_tid x, const char *name)
{
    if (sy_layout_parts(g->ranks) == 1 || x == SY_NONE)
        return x;
    const struct sy_tensor t = *sy_graph_tensor(g, x);
    const sy_tid y = sy_tensor_new(g, SY_KIND_ACTIVATION, t.dtype, t.shape[0], t.shape[1], t.shape[2], name);
    const struct sy_parts_args a = {.n = (u32)t.count};
    SY_EMIT(g, sum_parts, &a, x, y);
    return y;
}

void sy_split_mean(struct sy_graph *g, const struct sy_range *ranges, uint32_t count, const sy_tid x[3])
{
    const struct sy_parts_args a = {.ranges = count};
    if (count == 0 || g->status != SY_OK)
        return;
    const sy_tid list = sy_tensor_const(g, SY_I32, 3 * (uint64_t)count, ranges, "split");
    SY_EMIT(g, mean_parts, &a, list, x[0], x[1], x[2]);
}
