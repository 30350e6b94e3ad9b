// SPDX-License-Identifier: Apache-2.0
// moe.c: the Switch layer: router → places → dispatch → experts → combine (spec §4).
//
// One mechanism for all routers: each leaves `expert` and `pos` [rows, k]; from there on they are the same. The expert
// side is a ragged buffer of `slots` rows sorted by expert, then by group, then by place.
#include "engine/layers/layers.h"
#include "engine/slices.h"

#include <math.h>
#include <stdlib.h>

/// Shapes of one Switch layer.
struct moe {
    struct sy_model_sparse *info;
    uint32_t rows, experts, k, group, groups, capacity, slots, rounds;
};

static struct moe moe_shape(struct sy_build *b, struct sy_model_sparse *info)
{
    const struct sy_config *c = b->c;
    struct moe s = {.info = info, .rows = b->rows, .experts = c->experts};
    // Decoding routes one token a sequence at a time, and drops nothing, so that a text does not depend on how it was
    // cut. An expert that chooses among all tokens of the source must choose as in evaluation: without a limit each
    // would take them all.
    bool free = b->decode && (b->decoder || c->router != SY_ROUTER_EXPERT_CHOICE);
    bool train = b->train || b->m->params.capacity_train;
    s.group = free ? b->rows : c->group_tokens != 0 ? c->group_tokens : b->seq;
    s.groups = (uint32_t)sy_ceil_div(b->rows, s.group);
    s.capacity = free ? b->rows : sy_config_capacity(c, train, s.group);
    s.rounds = c->router == SY_ROUTER_TOP2 ? 2 : c->router == SY_ROUTER_NTLB ? c->ntlb_top_k : 1;
    s.rounds = s.rounds < s.experts ? s.rounds : s.experts;
    s.k = c->router == SY_ROUTER_TOP2 ? s.rounds : c->router == SY_ROUTER_EXPERT_CHOICE ? s.experts : 1;
    uint32_t per_group = s.capacity < s.group ? s.capacity : s.group;
    uint64_t by_capacity = (uint64_t)s.groups * s.experts * per_group, by_rows = (uint64_t)s.rows * s.k;
    s.slots = (uint32_t)(by_capacity < by_rows ? by_capacity : by_rows);
    snprintf(info->name, sizeof info->name, "%s", b->g->scope);
    info->decoder = b->decoder;
    info->rows = s.rows;
    info->seq = b->seq;
    info->group = s.group;
    info->groups = s.groups;
    info->experts = s.experts;
    info->k = s.k;
    info->capacity = s.capacity;
    return s;
}

/// z [rows, E] = u · Wrᵀ; u = the (jittered) input in f32.
static sy_tid router_logits(struct sy_build *b, const struct moe *s, sy_tid x, const char *weight_name)
{
    struct sy_graph *g = b->g;
    const struct sy_config *c = b->c;
    bool bf16 = g->precision == SY_PRECISION_BF16;
    struct sy_router_input_args a = {
        .rows = s->rows, .dim = c->d_model, .stack = b->decoder, .round_bf16 = bf16, .scale = 1.0f};
    sy_tid jitter = SY_NONE;
    if (b->m->params.jitter_input) {
        char name[112];
        snprintf(name, sizeof name, "jitter.%s", g->scope);
        jitter = s->info->jitter = sy_tensor_new(g, SY_KIND_INPUT, g->f, s->rows, c->d_model, 1, name);
        a.mode = 2;
    } else if (b->train && c->exploration == SY_EXPLORE_INPUT_DROPOUT) {
        struct sy_dropout_args d = sy_dropout_args_of(b, (float)c->input_dropout_rate, c->d_model, "router");
        a.mode = 3;
        a.threshold = d.threshold;
        a.scale = d.scale;
        a.stream = d.stream;
    } else if (b->train && c->jitter > 0.0 && c->exploration == SY_EXPLORE_INPUT_JITTER) {
        a.mode = 1;
        a.eps = (float)c->jitter;
        a.stream = sy_stream_id(g->scope, "router");
    }
    sy_tid u = x;
    if (a.mode != 0 || g->t != g->f || bf16) {
        u = sy_act_f(g, s->rows, c->d_model, ".router_in");
        SY_EMIT(g, router_input, &a, x, jitter, SY_NONE, u);
    }
    char names[1][112];
    snprintf(names[0], sizeof names[0], "%s", weight_name);
    sy_tid w = sy_linear_weight(b, 1, s->experts, c->d_model, (const char(*)[112])names, SY_PARAM_WIDE);
    sy_tid z = sy_act_f(g, s->rows, s->experts, ".router_z");
    struct sy_matmul_args m = {.m = s->rows,
                               .n = s->experts,
                               .k = c->d_model,
                               .experts = 1,
                               .bt = 1,
                               .alpha = 1.0f,
                               .tile_rows = g->tile_rows};
    m.tiles = (u32)sy_ceil_div(s->rows, m.tile_rows);
    SY_EMIT(g, matmul, &m, u, w, SY_NONE, z);
    return z;
}

/// expert, pos [rows, k]; load, kept [G, E].
static void place(struct sy_build *b, struct moe *s, sy_tid p)
{
    struct sy_graph *g = b->g;
    const struct sy_config *c = b->c;
    struct sy_model_sparse *i = s->info;
    i->expert = sy_act_i(g, s->rows, s->k, ".expert");
    i->pos = sy_act_i(g, s->rows, s->k, ".position");
    i->load = sy_tensor_new(g, SY_KIND_KEEP, SY_I32, s->groups, s->experts, 1, ".load");
    i->kept = sy_tensor_new(g, SY_KIND_KEEP, SY_I32, s->groups, s->experts, 1, ".kept");
    if (c->router == SY_ROUTER_EXPERT_CHOICE) {
        struct sy_route_take_args a = {
            .rows = s->rows, .group = s->group, .groups = s->groups, .experts = s->experts, .capacity = s->capacity};
        SY_EMIT(g, route_take, &a, p, b->mask, i->expert, i->pos, i->load, i->kept);
        return;
    }
    bool sample = b->train && c->exploration == SY_EXPLORE_SAMPLE && s->rounds == 1;
    struct sy_route_choose_args ch = {.rows = s->rows,
                                      .experts = s->experts,
                                      .rounds = s->rounds,
                                      .sample = sample,
                                      .stream = sy_stream_id(g->scope, "sample"),
                                      .stack = b->decoder};
    i->choice = sy_act_i(g, s->rows, s->rounds, ".choice");
    i->choice_cols = s->rounds;
    SY_EMIT(g, route_choose, &ch, p, b->mask, SY_NONE, i->choice);
    struct sy_route_place_args a = {.rows = s->rows,
                                    .group = s->group,
                                    .groups = s->groups,
                                    .experts = s->experts,
                                    .rounds = s->rounds,
                                    .k = s->k,
                                    .kind = c->router == SY_ROUTER_NTLB,
                                    .capacity = s->capacity};
    SY_EMIT(g, route_place, &a, i->choice, i->expert, i->pos, i->load, i->kept);
}

/// slot [rows, k], src [slots], off [E+1], tiles: where every kept token goes.
struct places {
    sy_tid slot, src, off, tiles;
    uint32_t tile_count;
};

static struct places arrange(struct sy_build *b, const struct moe *s)
{
    struct sy_graph *g = b->g;
    struct places r = {.tile_count = (u32)sy_ceil_div(s->slots, g->tile_rows) + s->experts};
    sy_tid base = sy_act_i(g, s->groups, s->experts, ".base");
    r.off = sy_act_i(g, (uint64_t)s->experts * g->slices + 1, 1, ".offsets");
    r.slot = sy_act_i(g, s->rows, s->k, ".slot");
    r.src = sy_act_i(g, s->slots, 1, ".source");
    r.tiles = sy_act_i(g, r.tile_count, 4, ".tiles");
    struct sy_route_offsets_args o = {.groups = s->groups, .experts = s->experts, .slices = g->slices};
    SY_EMIT(g, route_offsets, &o, s->info->kept, base, r.off);
    struct sy_route_slots_args l = {.rows = s->rows,
                                    .k = s->k,
                                    .group = s->group,
                                    .experts = s->experts,
                                    .capacity = s->capacity,
                                    .slots = s->slots,
                                    .slices = g->slices};
    SY_EMIT(g, route_slots, &l, s->info->expert, s->info->pos, base, r.off, r.slot, r.src);
    struct sy_route_tiles_args t = {
        .experts = s->experts, .tile_rows = g->tile_rows, .tiles = r.tile_count, .slices = g->slices};
    SY_EMIT(g, route_tiles, &t, r.off, r.tiles);
    s->info->slot = r.slot;
    return r;
}

/// The gates, and outside decoding both router losses (aux, z) of this layer.
static sy_tid gates_and_losses(struct sy_build *b, const struct moe *s, sy_tid z, sy_tid p, sy_tid lse)
{
    struct sy_graph *g = b->g;
    const struct sy_config *c = b->c;
    struct sy_model_sparse *i = s->info;
    struct sy_router_loss_args loss = {.rows = s->rows,
                                       .group = s->group,
                                       .groups = s->groups,
                                       .experts = s->experts,
                                       .k = s->k,
                                       .stack = b->decoder,
                                       .aux_coef = c->router == SY_ROUTER_EXPERT_CHOICE ? 0.0f : (float)c->aux_coef,
                                       .z_coef = (float)c->z_loss_coef};
    struct sy_route_gate_args ga = {
        .rows = s->rows, .experts = s->experts, .k = s->k, .kind = c->router == SY_ROUTER_TOP2 && s->k == 2};
    loss.kind = ga.kind;
    sy_tid gate = i->gate = sy_act_f(g, s->rows, s->k, ".gate");
    struct sy_node *n = SY_EMIT(g, route_gate, &ga, p, i->expert, gate);
    n->aux[0] = lse;
    n->aux[1] = i->load;
    n->aux[2] = b->mask;
    n->aux[3] = z;
    *(struct sy_router_loss_args *)(void *)n->aux_args = loss;
    if (b->decode)
        return gate;
    i->group_loss = sy_tensor_new(g, SY_KIND_KEEP, g->f, s->groups, 2, 1, ".group_loss");
    struct sy_route_stats_args st = {.rows = s->rows,
                                     .k = s->k,
                                     .groups = s->groups,
                                     .experts = s->experts,
                                     .gate_step = ga.kind == 1 ? s->k : 1,
                                     .slices = g->slices};
    i->stats = sy_sum_new(g, (uint64_t)s->experts + 4, ".stats");
    SY_EMIT(g, route_stats, &st, i->load, i->slot, gate, b->mask, i->stats.part);
    i->loss = sy_sum_new(g, 2, ".loss");
    SY_EMIT(g, router_loss, &loss, p, lse, i->load, b->mask, SY_NONE, i->group_loss);
    struct sy_sum_rows_args sum = {.parts = s->groups / g->slices, .n = 2, .scale = 1.0f, .slices = g->slices};
    SY_EMIT(g, sum_rows, &sum, i->group_loss, i->loss.part);
    return gate;
}

/// y [slots, n] = x [slots, k] · W_eᵀ for the expert e of each row.
static sy_tid expert_linear(struct sy_build *b, const struct moe *s, const struct places *r, sy_tid x, sy_tid w,
                            uint32_t out, uint32_t in, const char *name)
{
    sy_tid y = sy_act_t(b->g, s->slots, out, name);
    struct sy_matmul_args a = {.m = s->slots,
                               .n = out,
                               .k = in,
                               .experts = s->experts,
                               .bt = 1,
                               .alpha = 1.0f,
                               .tile_rows = b->g->tile_rows,
                               .tiles = r->tile_count};
    if (s->experts == 1) // a dense product over all slots (dispatch fills unused ones with zeros); no table is read
        a.tiles = (u32)sy_ceil_div(s->slots, a.tile_rows);
    SY_EMIT(b->g, matmul, &a, x, w, r->tiles, y)->aux[0] = r->off;
    return y;
}

static sy_tid experts(struct sy_build *b, const struct moe *s, const struct places *r, sy_tid xe, const char *prefix)
{
    struct sy_graph *g = b->g;
    const struct sy_config *c = b->c;
    uint32_t width = c->gated ? 2 : 1, d = c->d_model, f = c->d_ff;
    char(*in)[112] = calloc((size_t)s->experts * width, 112), (*out)[112] = calloc(s->experts, 112);
    if (in == NULL || out == NULL) {
        g->status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: names of %u experts", s->experts);
        free(in);
        free(out);
        return xe;
    }
    for (uint32_t e = 0; e < s->experts; ++e) {
        for (uint32_t i = 0; i < width; ++i)
            snprintf(in[e * width + i], 112, "%s.experts.expert_%u.wi%s.weight", prefix, e,
                     !c->gated ? ""
                     : i == 0  ? "_0"
                               : "_1");
        snprintf(out[e], 112, "%s.experts.expert_%u.wo.weight", prefix, e);
    }
    const uint32_t pairs = c->gated ? SY_PARAM_PAIRS : 0;
    sy_tid wi = sy_linear_weight(b, s->experts * width, f, d, (const char(*)[112])in, SY_PARAM_EXPERT | pairs);
    sy_tid h = expert_linear(b, s, r, xe, wi, width * f, d, ".expert_in");
    struct sy_dropout_args drop = sy_dropout_args_of(b, (float)c->expert_dropout, f, "expert");
    struct sy_ffn_act_args a = {.rows = s->slots,
                                .cols = f,
                                .threshold = drop.threshold,
                                .scale = drop.scale,
                                .stream = drop.stream,
                                .stack = drop.stack,
                                .indexed = 1,
                                .k = s->k};
    sy_tid y = sy_act_t(g, s->slots, f, ".expert_act");
    sy_emit(g, c->gated ? SY_OP_geglu : SY_OP_relu, &a, (const sy_tid[]){h, r->src, SY_NONE, y});
    sy_tid wo = sy_linear_weight(b, s->experts, d, f, (const char(*)[112])out, SY_PARAM_EXPERT);
    free(in);
    free(out);
    return expert_linear(b, s, r, y, wo, d, f, ".expert_out");
}

sy_tid sy_switch_ffn(struct sy_build *b, sy_tid x, uint32_t block)
{
    struct sy_graph *g = b->g;
    if (b->m->sparse_count == SY_MAX_SPARSE) {
        g->status = sy_fail(g->ctx, SY_UNSUPPORTED, "more than %d sparse layers", SY_MAX_SPARSE);
        return x;
    }
    struct moe s = moe_shape(b, &b->m->sparse[b->m->sparse_count++]);
    char prefix[64], router[112];
    snprintf(prefix, sizeof prefix, "%s.block.%u.layer.%u.mlp", b->decoder ? "decoder" : "encoder", block,
             b->decoder ? 2 : 1);
    snprintf(router, sizeof router, "%s.router.classifier.weight", prefix);
    sy_tid z = s.info->z = router_logits(b, &s, x, router);
    sy_tid p = s.info->p = sy_act_f(g, s.rows, s.experts, ".router_p"), lse = sy_act_f(g, s.rows, 1, ".router_lse");
    struct sy_router_softmax_args sm = {
        .rows = s.rows, .experts = s.experts, .round_bf16 = g->precision == SY_PRECISION_BF16};
    SY_EMIT(g, router_softmax, &sm, z, p, lse);
    place(b, &s, p);
    struct places r = arrange(b, &s);
    sy_tid gate = gates_and_losses(b, &s, z, p, lse);
    struct sy_dispatch_args da = {.rows = s.rows, .slots = s.slots, .dim = b->c->d_model, .k = s.k};
    sy_tid xe = sy_act_t(g, s.slots, b->c->d_model, ".dispatched");
    SY_EMIT(g, dispatch, &da, x, r.src, xe)->aux[0] = r.slot;
    sy_tid h = experts(b, &s, &r, xe, prefix);
    sy_tid y = sy_act_t(g, s.rows, b->c->d_model, ".combined");
    SY_EMIT(g, combine, &da, h, r.slot, gate, y)->aux[0] = r.src;
    return y;
}
