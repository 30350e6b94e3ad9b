// SPDX-License-Identifier: Apache-2.0
// moe.c: the Switch layer: router → places → dispatch → experts → combine (spec §4).
//
// One mechanism for all routers: each leaves `expert` and `pos` [rows, k]; from there on they are the same. The expert
// side is a ragged buffer of `slots` rows sorted by expert, then by group, then by place. With several ranks that is
// the order in which rows are sent; where they arrive, they lie by expert, then by the rank that they come from, then
// as there (message.h).
#include "engine/layers/layers.h"
#include "engine/message.h"
#include "engine/slices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/// Shapes of one Switch layer.
struct moe {
    struct sy_model_sparse *info;
    uint32_t rows, experts, k, group, groups, capacity, slots, rounds;
    uint32_t first, own, xslots; ///< Experts that are this rank's, and the rows that they have room for.
};

/// At most so many rows go to `experts` of them.
static uint32_t most_rows(const struct moe *s, uint32_t experts)
{
    const uint32_t per_group = s->capacity < s->group ? s->capacity : s->group;
    const uint64_t by_capacity = (uint64_t)s->groups * experts * per_group, by_rows = (uint64_t)s->rows * s->k;
    return (uint32_t)(by_capacity < by_rows ? by_capacity : by_rows);
}

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
    s.slots = s.xslots = most_rows(&s, s.experts);
    s.own = s.experts;
    if (sy_layout_sources(b->g->ranks) > 1) {
        const uint32_t place = sy_layout_place(b->g->ranks);
        s.first = sy_layout_first_expert(b->g->ranks, place, s.experts);
        s.own = sy_layout_own_experts(b->g->ranks, place, s.experts);
        s.xslots = sy_layout_sources(b->g->ranks) * most_rows(&s, s.own);
        s.xslots = s.xslots != 0 ? s.xslots : 1; // no tensor is empty
    }
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

/// slot [rows, k], src [slots], off [E·slices+1]: where every kept token goes. xsrc, xoff, tiles: the same of the rows
/// of this rank's experts, wherever they come from; with one rank they are the same rows.
struct places {
    sy_tid slot, src, off, xsrc, xoff, tiles;
    uint32_t tile_count, xslices;
    struct sy_exchange_args exchange;
    bool
        in_parts; ///< parts: of the expert layer, so that some rows travel while others are in the experts (message.h).
    struct part {
        sy_tid tiles, rows;
        uint32_t most, tile_count; ///< Rows that it may have.
    } parts[SY_ROWS_PARTS];
};

/// A table of tiles and a list of rows for each part.
static void cut_in_parts(struct sy_build *b, const struct moe *s, struct places *r, sy_tid *tiles, sy_tid *rows)
{
    struct sy_graph *g = b->g;
    const uint32_t half = sy_rows_half(s->own), sources = sy_layout_sources(g->ranks);
    const uint32_t experts[SY_ROWS_PARTS] = {half, half, s->own - half, s->own - half};
    uint32_t room = 0;
    for (uint32_t i = 0; i < SY_ROWS_PARTS; ++i) {
        const bool own = i == 0 || i == SY_ROWS_PARTS - 1;
        struct part *p = &r->parts[i];
        p->most = (own ? 1 : sources - 1) * most_rows(s, experts[i]);
        p->tile_count = (u32)sy_ceil_div(p->most, g->tile_rows) + (own ? 1 : 2) * experts[i];
        room = p->tile_count > room ? p->tile_count : room;
    }
    const uint64_t each = sy_parts_stride(4 * (uint64_t)room), all = sy_parts_stride(s->xslots);
    *tiles = sy_act_i(g, SY_ROWS_PARTS, each, ".part_tiles");
    *rows = sy_act_i(g, SY_ROWS_PARTS, all, ".part_rows");
    r->exchange.tiles = room;
    r->exchange.tile_rows = g->tile_rows;
    for (uint32_t i = 0; i < SY_ROWS_PARTS && g->status == SY_OK; ++i) {
        struct part *p = &r->parts[i];
        p->tiles = sy_tensor_view(g, *tiles, i * each, room, 4, 1, ".part_tiles");
        p->rows = sy_tensor_view(g, *rows, i * all, s->xslots, 1, 1, ".part_rows");
    }
}

/// Tells the experts' owners which rows will come.
static void announce(struct sy_build *b, const struct moe *s, struct places *r)
{
    struct sy_graph *g = b->g;
    r->exchange = (struct sy_exchange_args){.route = b->m->sparse_count - 1,
                                            .experts = s->experts,
                                            .slices = g->slices,
                                            .slots = s->slots,
                                            .xslots = s->xslots,
                                            .dim = b->c->d_model,
                                            .k = s->k,
                                            .decoder = b->decoder};
    r->xoff = sy_act_i(g, (uint64_t)s->own * r->xslices + 1, 1, ".expert_offsets");
    r->xsrc = sy_act_i(g, s->xslots, 1, ".expert_source");
    sy_tid tiles = SY_NONE, rows = SY_NONE;
    r->in_parts = b->train;
    for (uint32_t e = 0; e < sy_layout_sources(g->ranks); ++e) // where each place has some
        r->in_parts &= sy_layout_own_experts(g->ranks, e, s->experts) != 0;
    if (r->in_parts)
        cut_in_parts(b, s, r, &tiles, &rows);
    SY_EMIT(g, exchange_routes, &r->exchange, r->off, r->src, r->xoff, r->xsrc, tiles, rows);
}

static struct places arrange(struct sy_build *b, const struct moe *s)
{
    struct sy_graph *g = b->g;
    const uint32_t sources = sy_layout_sources(g->ranks);
    struct places r = {.tile_count = (u32)sy_ceil_div(s->xslots, g->tile_rows) + s->own,
                       .xslices = g->slices * sources};
    sy_tid base = sy_act_i(g, s->groups, s->experts, ".base");
    r.off = r.xoff = sy_act_i(g, (uint64_t)s->experts * g->slices + 1, 1, ".offsets");
    r.slot = sy_act_i(g, s->rows, s->k, ".slot");
    r.src = r.xsrc = sy_act_i(g, s->slots, 1, ".source");
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
    if (sources > 1)
        announce(b, s, &r);
    struct sy_route_tiles_args t = {
        .experts = s->own, .tile_rows = g->tile_rows, .tiles = r.tile_count, .slices = r.xslices};
    if (s->own != 0)
        SY_EMIT(g, route_tiles, &t, r.xoff, r.tiles);
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

/// y [slots, n] = x [slots, k] · W_eᵀ for the expert e of each row; of one part of them, where `part` is not 0.
static void expert_linear(struct sy_build *b, const struct moe *s, const struct places *r, sy_tid x, sy_tid w, sy_tid y,
                          uint32_t out, uint32_t in, uint32_t part)
{
    struct sy_matmul_args a = {.m = s->xslots,
                               .n = out,
                               .k = in,
                               .experts = s->own,
                               .bt = 1,
                               .alpha = 1.0f,
                               .tile_rows = b->g->tile_rows,
                               .tiles = r->tile_count};
    if (s->own == 1) // a dense product over all slots (unused ones are filled with zeros); no table is read
        a.tiles = (u32)sy_ceil_div(s->xslots, a.tile_rows);
    if (part == 0) {
        SY_EMIT(b->g, matmul, &a, x, w, r->tiles, y)->aux[0] = r->xoff;
        return;
    }
    const struct part *p = &r->parts[part - 1];
    const struct sy_matmul_args whole = a;
    a.m = p->most;
    a.tiles = p->tile_count;
    a.of = s->own == 1 ? 1 : 0; // the table is read
    struct sy_node *n = SY_EMIT(b->g, matmul, &a, x, w, p->tiles, y);
    n->aux[0] = r->xoff;
    n->aux[1] = r->tiles;
    n->part = (uint8_t)part;
    memcpy(n->aux_args, &whole, sizeof whole);
}

/// Name of expert e's wi (part `half` of a gated one) or wo.
static void expert_name(char out[112], const struct sy_build *b, const char *prefix, uint32_t e, bool in, uint32_t half)
{
    static const char *const gated[] = {"_0", "_1"};
    snprintf(out, 112, "%s.experts.expert_%u.%s%s.weight", prefix, e, in ? "wi" : "wo",
             in && b->c->gated ? gated[half] : "");
}

/// Notes the names of the experts that other ranks have.
static void foreign_experts(struct sy_build *b, const struct moe *s, const char *prefix)
{
    for (uint32_t place = 0; place < sy_layout_sources(b->g->ranks); ++place) {
        if (place == sy_layout_place(b->g->ranks))
            continue;
        const uint32_t end = sy_layout_first_expert(b->g->ranks, place + 1, s->experts);
        for (uint32_t e = sy_layout_first_expert(b->g->ranks, place, s->experts); e < end; ++e) {
            char name[112];
            for (uint32_t half = 0; half < (b->c->gated ? 2u : 1u); ++half) {
                expert_name(name, b, prefix, e, true, half);
                sy_graph_foreign(b->g, name, place);
            }
            expert_name(name, b, prefix, e, false, 0);
            sy_graph_foreign(b->g, name, place);
        }
    }
}

/// What the experts compute with.
struct experts {
    sy_tid wi, wo, x, h, act, y; ///< x → h → act → y, [xslots, …]
    struct sy_ffn_act_args args;
};

static struct experts declare(struct sy_build *b, const struct moe *s, sy_tid xe, const char *prefix)
{
    struct sy_graph *g = b->g;
    const struct sy_config *c = b->c;
    uint32_t width = c->gated ? 2 : 1, d = c->d_model, f = sy_split_share(g, c->d_ff);
    char(*in)[112] = calloc((size_t)s->own * width, 112), (*out)[112] = calloc(s->own, 112);
    struct experts x = {.x = xe};
    if (in == NULL || out == NULL) {
        g->status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: names of %u experts", s->own);
        free(in);
        free(out);
        return x;
    }
    for (uint32_t e = 0; e < s->own; ++e) {
        for (uint32_t i = 0; i < width; ++i)
            expert_name(in[e * width + i], b, prefix, s->first + e, true, i);
        expert_name(out[e], b, prefix, s->first + e, false, 0);
    }
    const uint32_t pairs = c->gated ? SY_PARAM_PAIRS : 0;
    x.wi = sy_linear_weight(b, s->own * width, f, d, (const char(*)[112])in,
                            SY_PARAM_EXPERT | SY_PARAM_SPLIT_ROWS | pairs);
    x.h = sy_act_t(g, s->xslots, width * f, ".expert_in");
    struct sy_dropout_args drop = sy_dropout_args_of(b, (float)c->expert_dropout, f, "expert");
    x.args = (struct sy_ffn_act_args){.rows = s->xslots,
                                      .cols = f,
                                      .threshold = drop.threshold,
                                      .scale = drop.scale,
                                      .stream = drop.stream,
                                      .stack = sy_layout_sources(g->ranks) > 1 ? SY_STACK_STEP : drop.stack,
                                      .indexed = 1,
                                      .k = s->k,
                                      .first = f * sy_layout_part(g->ranks)};
    x.act = sy_act_t(g, s->xslots, f, ".expert_act");
    x.wo = sy_linear_weight(b, s->own, d, f, (const char(*)[112])out, SY_PARAM_EXPERT | SY_PARAM_SPLIT_COLS);
    x.y = sy_act_t(g, s->xslots, d, ".expert_out");
    free(in);
    free(out);
    return x;
}

/// All rows, or those of one part, where it is not 0.
static void compute(struct sy_build *b, const struct moe *s, const struct places *r, const struct experts *x,
                    uint32_t part)
{
    const struct sy_config *c = b->c;
    struct sy_ffn_act_args a = x->args;
    if (part != 0 && r->parts[part - 1].most == 0)
        return;
    expert_linear(b, s, r, x->x, x->wi, x->h, (c->gated ? 2 : 1) * a.cols, c->d_model, part);
    a.indexed = part != 0 ? 2 : 1;
    struct sy_node *n = sy_emit(b->g, sy_activation_op(b, &a.act), &a,
                                (const sy_tid[]){x->h, part != 0 ? r->parts[part - 1].rows : r->xsrc, SY_NONE, x->act});
    n->aux[0] = r->xsrc;
    n->part = (uint8_t)part;
    expert_linear(b, s, r, x->act, x->wo, x->y, c->d_model, a.cols, part);
}

static sy_tid experts(struct sy_build *b, const struct moe *s, const struct places *r, sy_tid xe, const char *prefix)
{
    const struct experts x = declare(b, s, xe, prefix);
    if (b->g->status == SY_OK)
        compute(b, s, r, &x, 0);
    return x.y;
}

/// Rows of a part, there or back.
static void send(struct sy_graph *g, const struct places *r, sy_tid from, sy_tid to, uint32_t part, bool back)
{
    struct sy_exchange_args a = r->exchange;
    a.tiles = 0;
    a.part = part;
    a.back = back;
    SY_EMIT(g, exchange_rows, &a, from, to, back ? SY_NONE : r->parts[part - 1].tiles)->part = (uint8_t)part;
}

/// Rows of other ranks travel while this rank's own are in the experts.
static void compute_parts(struct sy_build *b, const struct moe *s, const struct places *r, const struct experts *x,
                          sy_tid xe, sy_tid back)
{
    for (uint32_t part = SY_ROWS_OWN; part <= SY_ROWS_SECOND; ++part)
        send(b->g, r, xe, x->x, part, false);
    compute(b, s, r, x, SY_ROWS_OWN);
    for (uint32_t part = SY_ROWS_FIRST; part <= SY_ROWS_SECOND; ++part) {
        compute(b, s, r, x, part);
        send(b->g, r, x->y, back, part, true);
    }
    compute(b, s, r, x, SY_ROWS_PARTS);
    send(b->g, r, x->y, back, SY_ROWS_OWN, true);
}

/// The experts' part of the layer where they are spread over ranks: rows out, experts, rows back.
static sy_tid remote_experts(struct sy_build *b, const struct moe *s, const struct places *r, sy_tid xe,
                             const char *prefix)
{
    struct sy_graph *g = b->g;
    struct sy_exchange_args a = r->exchange;
    sy_tid there = sy_act_t(g, s->xslots, a.dim, ".arrived"), back = sy_act_t(g, s->slots, a.dim, ".returned");
    foreign_experts(b, s, prefix);
    if (r->in_parts) {
        const struct experts x = declare(b, s, there, prefix);
        if (g->status == SY_OK)
            compute_parts(b, s, r, &x, xe, back);
        return back;
    }
    SY_EMIT(g, exchange_rows, &a, xe, there, SY_NONE);
    const sy_tid h = s->own != 0 ? experts(b, s, r, there, prefix) : there;
    a.back = 1;
    SY_EMIT(g, exchange_rows, &a, h, back, SY_NONE);
    return back;
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
    struct sy_node *there = SY_EMIT(g, dispatch, &da, x, r.src, xe);
    there->aux[0] = r.slot;
    there->split = true; // the router, which reads x too, is not
    const bool spread = sy_layout_sources(g->ranks) > 1;
    sy_tid h = spread ? remote_experts(b, &s, &r, xe, prefix) : experts(b, &s, &r, xe, prefix);
    sy_tid y = sy_act_t(g, s.rows, b->c->d_model, ".combined");
    struct sy_node *back = SY_EMIT(g, combine, &da, h, r.slot, gate, y);
    back->aux[0] = r.src;
    back->split = true;
    return sy_split_sum(g, y, ".combined");
}
