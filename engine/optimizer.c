// SPDX-License-Identifier: Apache-2.0
#include "engine/optimizer.h"

#include <stdio.h>
#include <string.h>

#define NORM_PART 65536u // elements one work-group of sumsq adds up

bool sy_adafactor_factored(uint32_t rows, uint32_t cols) { return rows >= 128 && cols >= 128; }

static sy_tid state_new(struct sy_graph *g, struct sy_param *p, uint64_t d0, uint64_t d1, const char *what)
{
    char name[112];
    snprintf(name, sizeof name, "state.%s.%.90s", what, p->names[0]);
    sy_tid t = sy_tensor_new(g, SY_KIND_STATE, g->f, d0, d1, 1, name);
    p->state[p->state_count++] = t;
    return t;
}

static void adafactor_factored(struct sy_graph *g, struct sy_param *p, sy_tid gs)
{
    struct sy_adafactor_args a = {.parts = p->parts, .rows = p->rows, .cols = p->cols};
    a.blocks = (u32)sy_ceil_div(p->rows, 128);
    sy_tid r = state_new(g, p, p->parts, p->rows, "r"), col = state_new(g, p, p->parts, p->cols, "col");
    sy_tid wsq = sy_act_f(g, p->parts, p->rows, ".wsq"), usq = sy_act_f(g, p->parts, p->rows, ".usq");
    sy_tid part = sy_act_f(g, (uint64_t)p->parts * a.blocks, p->cols, ".col_parts");
    sy_tid mean = sy_act_f(g, p->parts, 1, ".mean"), scale = sy_act_f(g, p->parts, 1, ".scale");
    SY_EMIT(g, af_row, &a, p->grad.total, p->master, gs, g->step, r, wsq);
    SY_EMIT(g, af_col, &a, p->grad.total, gs, part);
    SY_EMIT(g, af_col_ema, &a, part, g->step, col);
    SY_EMIT(g, af_mean, &a, r, mean);
    SY_EMIT(g, af_usq, &a, p->grad.total, r, mean, col, gs, usq);
    SY_EMIT(g, af_scale, &a, wsq, usq, g->step, scale);
    SY_EMIT(g, af_apply, &a, p->grad.total, r, mean, col, scale, gs, p->master);
}

static void adafactor_full(struct sy_graph *g, struct sy_param *p, sy_tid gs)
{
    struct sy_adafactor_args a = {.parts = p->parts, .rows = p->rows, .cols = p->cols, .blocks = 1};
    sy_tid v = state_new(g, p, (uint64_t)p->parts * p->rows, p->cols, "v");
    sy_tid wsq = sy_act_f(g, p->parts, p->rows, ".wsq"), usq = sy_act_f(g, p->parts, p->rows, ".usq");
    sy_tid scale = sy_act_f(g, p->parts, 1, ".scale");
    SY_EMIT(g, af_v, &a, p->grad.total, p->master, gs, g->step, v, wsq, usq);
    SY_EMIT(g, af_scale, &a, wsq, usq, g->step, scale);
    SY_EMIT(g, af_apply_v, &a, p->grad.total, v, scale, gs, p->master);
}

static void adamw(struct sy_graph *g, struct sy_param *p, const struct sy_optimizer_params *o, sy_tid gs)
{
    uint64_t n = sy_graph_tensor(g, p->master)->count;
    struct sy_adamw_args a = {.n = (u32)n,
                              .beta1 = o->beta1 != 0.0f ? o->beta1 : 0.9f,
                              .beta2 = o->beta2 != 0.0f ? o->beta2 : 0.999f,
                              .eps = o->eps != 0.0f ? o->eps : 1e-8f,
                              .decay = o->weight_decay};
    sy_tid m = state_new(g, p, n, 1, "m"), v = state_new(g, p, n, 1, "v");
    SY_EMIT(g, adamw, &a, p->grad.total, gs, g->step, p->master, m, v);
}

/// The global norm: block sums of squares of every gradient, added up parameter by parameter, then one factor.
static sy_tid global_norm(struct sy_graph *g, float max_norm)
{
    sy_tid sum = sy_act_f(g, 1, 1, "norm.sum");
    sy_tid gs = sy_tensor_new(g, SY_KIND_KEEP, g->f, 2, 1, 1, "clip");
    for (size_t i = 0; i < g->param_count; ++i) {
        uint64_t n = sy_graph_tensor(g, g->params[i].grad.total)->count;
        struct sy_sumsq_args a = {.n = (u32)n, .parts = (u32)sy_ceil_div(n, NORM_PART)};
        sy_tid part = sy_act_f(g, a.parts, 1, "norm.parts");
        SY_EMIT(g, sumsq, &a, g->params[i].grad.total, part);
        struct sy_sum_rows_args s = {.parts = a.parts, .n = 1, .accumulate = i != 0, .scale = 1.0f, .slices = 1};
        SY_EMIT(g, sum_rows, &s, part, sum);
    }
    struct sy_clip_args c = {.n = 1, .max_norm = max_norm};
    SY_EMIT(g, clip, &c, sum, gs);
    return gs;
}

void sy_optimizer_emit(struct sy_graph *g, const struct sy_optimizer_params *o, struct sy_optimizer_outputs *out)
{
    g->phase = SY_PHASE_UPDATE;
    for (size_t i = 0; i < g->param_count; ++i) { // parameters that took no part: zero gradient, exactly
        if (g->params[i].grad.total != SY_NONE)
            continue;
        bool first;
        sy_param_grad(g, g->params[i].weight, &first);
        const sy_tid total = g->params[i].grad.total;
        struct sy_fill_args f = {.n = (u32)sy_graph_tensor(g, total)->count, .value = 0.0f};
        SY_EMIT(g, fill, &f, total);
    }
    sy_tid gs = global_norm(g, o->clip_norm);
    for (size_t i = 0; i < g->param_count; ++i) {
        struct sy_param *p = &g->params[i];
        snprintf(g->scope, sizeof g->scope, "%.63s", p->names[0]);
        if (o->kind == SY_OPTIMIZER_ADAMW)
            adamw(g, p, o, gs);
        else if (sy_adafactor_factored(p->rows, p->cols))
            adafactor_factored(g, p, gs);
        else
            adafactor_full(g, p, gs);
    }
    g->scope[0] = '\0';
    g->phase = SY_PHASE_MICRO;
    out->clip = gs;
}

const char *sy_optimizer_state_name(const struct sy_graph *g, const struct sy_param *p, uint32_t i)
{
    const char *name = sy_graph_tensor(g, p->state[i])->name + strlen("state.");
    return strncmp(name, "r.", 2) == 0     ? "r"
           : strncmp(name, "col.", 4) == 0 ? "col"
           : strncmp(name, "m.", 2) == 0   ? "m"
                                           : "v";
}
