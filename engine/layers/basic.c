// SPDX-License-Identifier: Apache-2.0
// basic.c: linear, norm, dropout, residual.
#include "engine/layers/layers.h"

#include <math.h>

sy_tid sy_linear_weight(struct sy_build *b, uint32_t parts, uint32_t out, uint32_t in, const char (*names)[112],
                        uint32_t flags)
{
    const uint32_t fan_in = (flags & SY_PARAM_SPLIT_COLS) != 0 ? in * sy_layout_parts(b->g->ranks) : in;
    float sigma = sqrtf((float)b->c->init_scale / (float)fan_in); // spec §7
    return sy_param_new(b->g, parts, out, in, names, SY_INIT_TRUNCATED, sigma, flags);
}

sy_tid sy_linear(struct sy_build *b, sy_tid x, sy_tid w, uint32_t rows, uint32_t out, uint32_t in, float alpha,
                 const char *name)
{
    sy_tid y = sy_act_t(b->g, rows, out, name);
    struct sy_matmul_args a = {
        .m = rows, .n = out, .k = in, .experts = 1, .bt = 1, .alpha = alpha, .tile_rows = b->g->tile_rows};
    a.tiles = (u32)sy_ceil_div(rows, a.tile_rows);
    const struct sy_param *p = sy_graph_param(b->g, w); // NULL when out of memory
    SY_EMIT(b->g, matmul, &a, x, w, SY_NONE, y)->split = p != NULL && (p->flags & SY_PARAM_SPLIT_ROWS) != 0;
    return p != NULL && (p->flags & SY_PARAM_SPLIT_COLS) != 0 ? sy_split_sum(b->g, y, name) : y;
}

sy_tid sy_rmsnorm_layer(struct sy_build *b, sy_tid x, const char *param_name)
{
    struct sy_graph *g = b->g;
    uint32_t d = b->c->d_model;
    char name[1][112];
    snprintf(name[0], sizeof name[0], "%s", param_name);
    sy_tid w = sy_param_new(g, 1, 1, d, (const char(*)[112])name, SY_INIT_ONES, 1.0f, 0);
    sy_tid y = sy_act_t(g, b->rows, d, ".norm"), rstd = sy_act_f(g, b->rows, 1, ".rstd");
    struct sy_rmsnorm_args a = {.rows = b->rows, .dim = d, .eps = (float)b->c->layer_norm_eps};
    SY_EMIT(g, rmsnorm, &a, x, w, y, rstd);
    return y;
}

struct sy_dropout_args sy_dropout_args_of(const struct sy_build *b, float rate, uint32_t cols, const char *what)
{
    struct sy_dropout_args a = {.rows = b->rows, .cols = cols, .scale = 1.0f, .stack = b->decoder};
    if (b->train && rate > 0.0f) {
        double threshold = rint((double)rate * 4294967296.0);
        a.threshold = threshold > 4294967295.0 ? UINT32_MAX : (u32)threshold;
        a.scale = rate < 1.0f ? 1.0f / (1.0f - rate) : 0.0f;
        a.stream = sy_stream_id(b->g->scope, what);
    }
    return a;
}

sy_tid sy_dropout_layer(struct sy_build *b, sy_tid x, const char *what)
{
    struct sy_dropout_args a = sy_dropout_args_of(b, (float)b->c->dropout, b->c->d_model, what);
    if (a.threshold == 0)
        return x;
    sy_tid y = sy_act_t(b->g, b->rows, b->c->d_model, ".dropout");
    SY_EMIT(b->g, dropout, &a, x, SY_NONE, y);
    return y;
}

sy_tid sy_residual_layer(struct sy_build *b, sy_tid x, sy_tid f, const char *what)
{
    struct sy_dropout_args a = sy_dropout_args_of(b, (float)b->c->dropout, b->c->d_model, what);
    sy_tid y = sy_act_t(b->g, b->rows, b->c->d_model, ".residual");
    SY_EMIT(b->g, residual, &a, x, f, SY_NONE, y);
    return y;
}
