// SPDX-License-Identifier: Apache-2.0
#include "engine/pieces.h"

#include <stdio.h>

#include "engine/graph_private.h"

uint64_t sy_most_elements(const struct sy_graph *g, enum sy_dtype dtype)
{
    const uint64_t bytes = g->max_binding_bytes != 0 ? g->max_binding_bytes : UINT64_MAX;
    const uint64_t n = bytes / sy_dtype_bytes(dtype) < UINT32_MAX ? bytes / sy_dtype_bytes(dtype) : UINT32_MAX;
    return n > SY_PACK_ALIGN ? n / SY_PACK_ALIGN * SY_PACK_ALIGN : n;
}

uint64_t sy_piece_columns(const struct sy_graph *g, enum sy_dtype dtype, uint64_t planes, uint64_t columns,
                          uint64_t unit)
{
    const uint64_t most = sy_most_elements(g, dtype) / planes;
    if (columns <= most || most < unit)
        return columns;
    const uint64_t units = sy_ceil_div(columns, unit), count = sy_ceil_div(units, most / unit);
    return sy_ceil_div(units, count) * unit; // of about one size
}

static sy_tid append(struct sy_graph *g, sy_tid whole, sy_tid last, uint64_t at, uint64_t columns)
{
    const struct sy_tensor x = g->tensors[whole];
    char name[sizeof x.name];
    snprintf(name, sizeof name, "%.90s, piece at %llu", x.name, (unsigned long long)at);
    const sy_tid piece = sy_tensor_new(g, x.kind, x.dtype, x.planes, columns, 1, name);
    if (piece == SY_NONE)
        return last;
    g->tensors[piece].planes = x.planes;
    g->tensors[piece].at = at;
    g->tensors[piece].whole = whole;
    *(last == SY_NONE ? &g->tensors[whole].pieces : &g->tensors[last].next) = piece;
    return piece;
}

void sy_pieces_cut(struct sy_graph *g, sy_tid t, uint64_t planes, uint64_t each, uint64_t fine)
{
    g->tensors[t].planes = planes;
    const uint64_t columns = sy_tensor_columns(&g->tensors[t]);
    sy_tid last = SY_NONE;
    for (uint64_t at = 0, n; at < columns && g->status == SY_OK; at += n) {
        const uint64_t end = (at / each + 1) * each < columns ? (at / each + 1) * each : columns;
        n = fine < end - at ? fine : end - at;
        last = append(g, t, last, at, n);
    }
}

void sy_pieces_alike(struct sy_graph *g, sy_tid t, uint64_t planes, sy_tid like)
{
    g->tensors[t].planes = planes;
    sy_tid last = SY_NONE;
    for (sy_tid p = g->tensors[like].pieces; p != SY_NONE && g->status == SY_OK; p = g->tensors[p].next)
        last = append(g, t, last, g->tensors[p].at, sy_tensor_columns(&g->tensors[p]));
}

sy_tid sy_piece_at(const struct sy_graph *g, sy_tid whole, uint64_t column)
{
    sy_tid p = g->tensors[whole].pieces;
    while (g->tensors[p].next != SY_NONE && column >= g->tensors[g->tensors[p].next].at)
        p = g->tensors[p].next;
    return p;
}
