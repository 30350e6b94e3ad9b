// SPDX-License-Identifier: Apache-2.0
// gradients.c: every gradient rule of rules.c against central differences in double, and whole models likewise.
//
// One table line per op: cases, elements moved, worst relative error. A rule without a case fails.
// gradients_model.c holds the whole models.
#include <string.h>

#include "engine/inputs.h"
#include "engine/session.h"
#include "tests/gradcheck.h"
#include "tests/gradients.h"

#define THRESHOLD (UINT32_MAX / 10 * 3) // a rate of 0.3
#define SCALE 1.25f                     // not 1/(1 − 0.3): the factor must be the one given

struct gc_case {
    enum sy_op_id op; ///< Whose rule this is about.
    const char *what;
    void (*build)(struct gradcheck *c);
};

// ---- matmul --------------------------------------------------------------------------------------------------------

static sy_tid dense(struct gradcheck *c, sy_tid x, sy_tid w, uint32_t m, uint32_t n, uint32_t k, float alpha)
{
    struct sy_matmul_args a = {
        .m = m, .n = n, .k = k, .experts = 1, .bt = 1, .alpha = alpha, .tile_rows = sy_graph_tile_rows(c->g)};
    a.tiles = (u32)sy_ceil_div(m, a.tile_rows);
    sy_tid y = sy_act_t(c->g, m, n, "y");
    SY_EMIT(c->g, matmul, &a, x, w, SY_NONE, y);
    return y;
}

static void matmul_dense(struct gradcheck *c)
{
    sy_tid x = gc_input(c, 5, 3, "x"), w = gc_param(c, 1, 7, 3, "w");
    gc_output(c, dense(c, x, w, 5, 7, 3, 0.7f));
}

static void matmul_shared_weight(struct gradcheck *c)
{
    sy_tid x = gc_input(c, 5, 3, "x"), x2 = gc_input(c, 2, 3, "x2"), w = gc_param(c, 1, 4, 3, "w");
    gc_output(c, dense(c, x, w, 5, 4, 3, 1.0f));
    gc_output(c, dense(c, x2, w, 2, 4, 3, 0.5f));
}

static void matmul_shared_input(struct gradcheck *c)
{
    sy_tid x = gc_input(c, 5, 3, "x"), w = gc_param(c, 1, 4, 3, "w"), w2 = gc_param(c, 1, 2, 3, "w2");
    gc_output(c, dense(c, x, w, 5, 4, 3, 1.0f));
    gc_output(c, dense(c, x, w2, 5, 2, 3, 1.0f));
}

/// Four experts with 3, 0, 5 and 1 rows, and two rows that belong to nobody.
static void matmul_ragged(struct gradcheck *c)
{
    static const int32_t rows[] = {0, 3, 3, 8, 9};
    const struct sy_route_tiles_args t = {.experts = 4, .tile_rows = 4, .tiles = 7, .slices = 1};
    struct sy_matmul_args a = {
        .m = 11, .n = 5, .k = 3, .experts = 4, .bt = 1, .alpha = 1.3f, .tile_rows = 4, .tiles = 7};
    sy_tid off = gc_ints(c, 5, rows, "off"), tiles = sy_act_i(c->g, 7, 4, "tiles");
    SY_EMIT(c->g, route_tiles, &t, off, tiles);
    sy_tid x = gc_input(c, 11, 3, "x"), w = gc_param(c, 4, 5, 3, "w"), y = sy_act_t(c->g, 11, 5, "y");
    SY_EMIT(c->g, matmul, &a, x, w, tiles, y)->aux[0] = off;
    gc_output(c, y);
}

// ---- norm, residual, dropout, activations --------------------------------------------------------------------------

static void rmsnorm_of(struct gradcheck *c, bool in_residual)
{
    const struct sy_rmsnorm_args a = {.rows = 70, .dim = 5, .eps = 0.05f}; // more rows than one block of partial sums
    const struct sy_dropout_args r = {.rows = 70, .cols = 5, .scale = 1.0f};
    sy_tid x = gc_input(c, 70, 5, "x"), w = gc_param(c, 1, 1, 5, "w");
    sy_tid y = sy_act_t(c->g, 70, 5, "y"), rstd = sy_act_f(c->g, 70, 1, "rstd");
    SY_EMIT(c->g, rmsnorm, &a, x, w, y, rstd);
    if (in_residual) {
        sy_tid sum = sy_act_t(c->g, 70, 5, "sum");
        SY_EMIT(c->g, residual, &r, x, y, SY_NONE, sum);
        y = sum;
    }
    gc_output(c, y);
}

static void rmsnorm_alone(struct gradcheck *c) { rmsnorm_of(c, false); }
static void rmsnorm_in_residual(struct gradcheck *c) { rmsnorm_of(c, true); }

static void residual_of(struct gradcheck *c, u32 threshold, u32 stack)
{
    const struct sy_dropout_args a = {
        .rows = 6, .cols = 7, .threshold = threshold, .scale = SCALE, .stream = 77, .stack = stack};
    sy_tid x = gc_input(c, 6, 7, "x"), f = gc_input(c, 6, 7, "f"), y = sy_act_t(c->g, 6, 7, "y");
    SY_EMIT(c->g, residual, &a, x, f, SY_NONE, y);
    gc_output(c, y);
}

static void residual_plain(struct gradcheck *c) { residual_of(c, 0, 0); }
static void residual_dropped(struct gradcheck *c) { residual_of(c, THRESHOLD, 0); }
static void residual_dropped_decoder(struct gradcheck *c) { residual_of(c, THRESHOLD, 1); }

static void dropout_of(struct gradcheck *c, u32 stack)
{
    const struct sy_dropout_args a = {
        .rows = 6, .cols = 7, .threshold = THRESHOLD, .scale = SCALE, .stream = 5, .stack = stack};
    sy_tid x = gc_input(c, 6, 7, "x"), y = sy_act_t(c->g, 6, 7, "y");
    SY_EMIT(c->g, dropout, &a, x, SY_NONE, y);
    gc_output(c, y);
}

static void dropout_encoder(struct gradcheck *c) { dropout_of(c, 0); }
static void dropout_decoder(struct gradcheck *c) { dropout_of(c, 1); }

static void activation_of(struct gradcheck *c, enum sy_op_id op, u32 threshold, bool indexed, u32 act)
{
    static const int32_t source[] = {4, 1, 9, 6, -1, -1}; // token·2 + choice
    const u32 width = op == SY_OP_geglu ? 2 : 1;
    const struct sy_ffn_act_args a = {.rows = 6,
                                      .cols = 5,
                                      .threshold = threshold,
                                      .scale = threshold != 0 ? SCALE : 1.0f,
                                      .stream = 31,
                                      .stack = 1,
                                      .indexed = indexed,
                                      .k = 2,
                                      .act = act};
    sy_tid row = indexed ? gc_ints(c, 6, source, "row") : SY_NONE;
    sy_tid x = gc_input(c, 6, 5 * width, "x"), y = sy_act_t(c->g, 6, 5, "y");
    sy_emit(c->g, op, &a, (const sy_tid[]){x, row, SY_NONE, y});
    gc_output(c, y);
}

static void relu_plain(struct gradcheck *c) { activation_of(c, SY_OP_relu, 0, false, 0); }
static void relu_dropped(struct gradcheck *c) { activation_of(c, SY_OP_relu, THRESHOLD, false, 0); }
static void relu_indexed(struct gradcheck *c) { activation_of(c, SY_OP_relu, THRESHOLD, true, 0); }
static void act_dropped(struct gradcheck *c) { activation_of(c, SY_OP_act, THRESHOLD, false, SY_ACT_GELU); }
static void act_indexed(struct gradcheck *c) { activation_of(c, SY_OP_act, THRESHOLD, true, SY_ACT_QUICK_GELU); }
static void geglu_plain(struct gradcheck *c) { activation_of(c, SY_OP_geglu, 0, false, SY_ACT_GELU_TANH); }
static void geglu_dropped(struct gradcheck *c) { activation_of(c, SY_OP_geglu, THRESHOLD, false, SY_ACT_SILU); }
static void geglu_indexed(struct gradcheck *c) { activation_of(c, SY_OP_geglu, THRESHOLD, true, SY_ACT_GELU_TANH); }

// ---- embedding -----------------------------------------------------------------------------------------------------

static sy_tid embedded(struct gradcheck *c, sy_tid table, const int32_t *ids, uint32_t rows)
{
    const struct sy_embed_args a = {.rows = rows, .dim = 3, .vocab = 6};
    int32_t sorted[3 * 16 + 2];
    if (sy_embed_index(c->ctx, ids, rows, 6, sorted) != SY_OK)
        sy_graph_no_memory(c->g);
    sy_tid index = gc_ints(c, 3 * (uint64_t)rows + 2, sorted, "index"), x = sy_act_t(c->g, rows, 3, "x");
    SY_EMIT(c->g, embed, &a, gc_ints(c, rows, ids, "ids"), table, x)->aux[0] = index;
    return x;
}

static void embed_once(struct gradcheck *c)
{
    gc_output(c, embedded(c, gc_param(c, 1, 6, 3, "table"), (const int32_t[]){4, 0, 4, 4, 5, 0, 2}, 7));
}

/// As in a T5 with tied embeddings: encoder, decoder and output all add to one gradient.
static void embed_tied(struct gradcheck *c)
{
    sy_tid table = gc_param(c, 1, 6, 3, "table");
    gc_output(c, embedded(c, table, (const int32_t[]){4, 0, 4, 1}, 4));
    sy_tid x = embedded(c, table, (const int32_t[]){5, 5, 1, 3, 4}, 5);
    gc_output(c, dense(c, x, table, 5, 6, 3, 0.5f));
}

// ---- attention -----------------------------------------------------------------------------------------------------

static sy_tid attend(struct gradcheck *c, const struct sy_attention_args *a, sy_tid q, sy_tid kv, sy_tid rel,
                     sy_tid mask)
{
    sy_tid o = sy_act_t(c->g, (uint64_t)a->batch * a->tq, (uint64_t)a->heads * a->dim, "o");
    sy_tid lse = sy_act_f(c->g, (uint64_t)a->batch * a->heads, a->tq, "lse");
    SY_EMIT(c->g, attention, a, q, kv, rel, mask, SY_NONE, o, lse);
    return o;
}

/// q, k and v in one fused tensor; more query rows than one block of diagonal sums.
static struct sy_attention_args self_args(uint32_t batch, uint32_t t)
{
    return (struct sy_attention_args){.batch = batch,
                                      .heads = 2,
                                      .tq = t,
                                      .tk = t,
                                      .dim = 3,
                                      .q_stride = 18,
                                      .kv_stride = 18,
                                      .k_offset = 6,
                                      .v_offset = 12,
                                      .span = 2 * t - 1,
                                      .rel_origin = t - 1,
                                      .scale = 1.0f};
}

static void attention_self(struct gradcheck *c)
{
    struct sy_attention_args a = self_args(2, 4);
    static const int32_t mask[] = {1, 1, 1, 0, 1, 0, 1, 1};
    a.has_mask = a.has_bias = 1;
    sy_tid x = gc_input(c, 8, 18, "qkv"), rel = gc_input(c, 2, 7, "rel");
    gc_output(c, attend(c, &a, x, x, rel, gc_ints(c, 8, mask, "mask")));
}

static void attention_causal(struct gradcheck *c)
{
    struct sy_attention_args a = self_args(1, 18);
    a.causal = a.has_bias = 1;
    a.threshold = THRESHOLD;
    a.scale = SCALE;
    a.stream = 8;
    sy_tid x = gc_input(c, 18, 18, "qkv"), rel = gc_input(c, 2, 35, "rel");
    gc_output(c, attend(c, &a, x, x, rel, SY_NONE));
}

static struct sy_attention_args cross_args(void)
{
    return (struct sy_attention_args){.batch = 2,
                                      .heads = 2,
                                      .tq = 3,
                                      .tk = 5,
                                      .dim = 3,
                                      .q_stride = 6,
                                      .kv_stride = 12,
                                      .v_offset = 6,
                                      .has_mask = 1,
                                      .scale = 1.0f};
}

static void attention_cross(struct gradcheck *c)
{
    static const int32_t mask[] = {1, 1, 1, 0, 0, 0, 1, 1, 1, 1};
    struct sy_attention_args a = cross_args();
    a.threshold = THRESHOLD;
    a.scale = SCALE;
    sy_tid q = gc_input(c, 6, 6, "q"), kv = gc_input(c, 10, 12, "kv");
    gc_output(c, attend(c, &a, q, kv, SY_NONE, gc_ints(c, 10, mask, "mask")));
}

/// The second sequence is all padding: its queries see nothing.
static void attention_blind(struct gradcheck *c)
{
    static const int32_t mask[] = {1, 1, 0, 1, 0, 0, 0, 0, 0, 0};
    struct sy_attention_args a = cross_args();
    sy_tid q = gc_input(c, 6, 6, "q"), kv = gc_input(c, 10, 12, "kv");
    gc_output(c, attend(c, &a, q, kv, SY_NONE, gc_ints(c, 10, mask, "mask")));
}

static sy_tid expanded(struct gradcheck *c, sy_tid bias)
{
    static const int32_t bucket[] = {3, 2, 2, 0, 0, 1, 3};
    const struct sy_bias_args a = {.heads = 2, .span = 7, .buckets = 5};
    sy_tid rel = sy_act_f(c->g, 2, 7, "rel");
    SY_EMIT(c->g, bias_expand, &a, bias, gc_ints(c, 7, bucket, "bucket"), rel);
    return rel;
}

static void bias_expand_alone(struct gradcheck *c) { gc_output(c, expanded(c, gc_param(c, 1, 5, 2, "bias"))); }

/// One table serves every layer of a stack (spec §3).
static void bias_expand_shared(struct gradcheck *c)
{
    struct sy_attention_args a = self_args(2, 4);
    a.has_bias = 1;
    sy_tid rel = expanded(c, gc_param(c, 1, 5, 2, "bias")), x = gc_input(c, 8, 18, "qkv"),
           x2 = gc_input(c, 8, 18, "qkv2");
    gc_output(c, attend(c, &a, x, x, rel, SY_NONE));
    a.causal = 1;
    gc_output(c, attend(c, &a, x2, x2, rel, SY_NONE));
}

// ---- routing -------------------------------------------------------------------------------------------------------

static void router_input_of(struct gradcheck *c, u32 mode)
{
    struct sy_router_input_args a = {
        .rows = 6, .dim = 5, .mode = mode, .eps = 0.25f, .scale = SCALE, .stream = 3, .stack = 1};
    a.threshold = mode == 3 ? THRESHOLD : 0;
    sy_tid x = gc_input(c, 6, 5, "x"), jitter = mode == 2 ? gc_factor(c, 6, 5, "jitter") : SY_NONE;
    sy_tid u = sy_act_f(c->g, 6, 5, "u");
    SY_EMIT(c->g, router_input, &a, x, jitter, SY_NONE, u);
    gc_output(c, u);
}

static void router_input_plain(struct gradcheck *c) { router_input_of(c, 0); }
static void router_input_jitter(struct gradcheck *c) { router_input_of(c, 1); }
static void router_input_given(struct gradcheck *c) { router_input_of(c, 2); }
static void router_input_dropout(struct gradcheck *c) { router_input_of(c, 3); }

enum { ROWS = 13, GROUP = 5, GROUPS = 3, EXPERTS = 4 }; // the last group is short

/// From logits through softmax, choice and places to the gates, with both losses beside them.
static void gates_of(struct gradcheck *c, enum sy_router router, u32 capacity)
{
    static const int32_t real[ROWS] = {1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0};
    struct sy_graph *g = c->g;
    const bool takes = router == SY_ROUTER_EXPERT_CHOICE;
    const u32 rounds = router == SY_ROUTER_TOP2 ? 2 : router == SY_ROUTER_NTLB ? 3 : 1;
    const u32 k = takes ? EXPERTS : router == SY_ROUTER_TOP2 ? 2 : 1, stack = takes;
    sy_tid z = gc_input(c, ROWS, EXPERTS, "z"), mask = gc_ints(c, ROWS, real, "mask");
    sy_tid p = sy_act_f(g, ROWS, EXPERTS, "p"), lse = sy_act_f(g, ROWS, 1, "lse");
    SY_EMIT(g, router_softmax, (&(struct sy_router_softmax_args){.rows = ROWS, .experts = EXPERTS}), z, p, lse);
    sy_tid expert = sy_act_i(g, ROWS, k, "expert"), pos = sy_act_i(g, ROWS, k, "pos");
    sy_tid load = sy_act_i(g, GROUPS, EXPERTS, "load"), kept = sy_act_i(g, GROUPS, EXPERTS, "kept");
    if (takes) {
        const struct sy_route_take_args t = {
            .rows = ROWS, .group = GROUP, .groups = GROUPS, .experts = EXPERTS, .capacity = capacity};
        SY_EMIT(g, route_take, &t, p, mask, expert, pos, load, kept);
    } else {
        const struct sy_route_choose_args ch = {.rows = ROWS, .experts = EXPERTS, .rounds = rounds};
        const struct sy_route_place_args pl = {.rows = ROWS,
                                               .group = GROUP,
                                               .groups = GROUPS,
                                               .experts = EXPERTS,
                                               .rounds = rounds,
                                               .k = k,
                                               .kind = router == SY_ROUTER_NTLB,
                                               .capacity = capacity};
        sy_tid choice = sy_act_i(g, ROWS, rounds, "choice");
        SY_EMIT(g, route_choose, &ch, p, mask, SY_NONE, choice);
        SY_EMIT(g, route_place, &pl, choice, expert, pos, load, kept);
    }
    gc_frozen(c, expert);
    gc_frozen(c, load);
    const struct sy_route_gate_args ga = {.rows = ROWS, .experts = EXPERTS, .k = k, .kind = router == SY_ROUTER_TOP2};
    const struct sy_router_loss_args la = {.rows = ROWS,
                                           .group = GROUP,
                                           .groups = GROUPS,
                                           .experts = EXPERTS,
                                           .k = k,
                                           .kind = ga.kind,
                                           .stack = stack,
                                           .aux_coef = takes ? 0.0f : 0.4f,
                                           .z_coef = 0.3f};
    sy_tid gate = sy_act_f(g, ROWS, k, "gate"), loss = sy_act_f(g, GROUPS, 2, "loss");
    struct sy_node *n = SY_EMIT(g, route_gate, &ga, p, expert, gate);
    const sy_tid aux[] = {lse, load, mask, z};
    memcpy(n->aux, aux, sizeof aux);
    memcpy(n->aux_args, &la, sizeof la);
    SY_EMIT(g, router_loss, &la, p, lse, load, mask, SY_NONE, loss);
    gc_output(c, gate);
    gc_loss(c, loss, (const double[]){stack ? c->step.inv_groups_dec : c->step.inv_groups_enc, 1.0}, 2);
}

static void gate_switch(struct gradcheck *c) { gates_of(c, SY_ROUTER_SWITCH, 2); }
static void gate_top2(struct gradcheck *c) { gates_of(c, SY_ROUTER_TOP2, 2); }
static void gate_ntlb(struct gradcheck *c) { gates_of(c, SY_ROUTER_NTLB, 1); }
static void gate_expert_choice(struct gradcheck *c) { gates_of(c, SY_ROUTER_EXPERT_CHOICE, 2); }

/// 4 tokens; token 2 reaches no expert; slots 4 and 5 stay empty (k = 2: slot 5).
static const int32_t slots_1[] = {1, 0, -1, 2}, source_1[] = {1, 0, 3, -1, -1};
static const int32_t slots_2[] = {1, 4, 0, -1, -1, -1, 3, 2}, source_2[] = {2, 0, 7, 6, 1, -1};

static void dispatch_of(struct gradcheck *c, u32 k, bool back)
{
    const struct sy_dispatch_args a = {.rows = 4, .slots = k == 1 ? 5 : 6, .dim = 3, .k = k};
    sy_tid slot = gc_ints(c, 4 * (uint64_t)k, k == 1 ? slots_1 : slots_2, "slot");
    sy_tid src = gc_ints(c, a.slots, k == 1 ? source_1 : source_2, "src");
    sy_tid y = sy_act_t(c->g, back ? 4 : a.slots, 3, "y");
    if (back) {
        sy_tid h = gc_input(c, a.slots, 3, "h"), gate = gc_input(c, 4, k, "gate");
        SY_EMIT(c->g, combine, &a, h, slot, gate, y)->aux[0] = src;
    } else {
        SY_EMIT(c->g, dispatch, &a, gc_input(c, 4, 3, "x"), src, y)->aux[0] = slot;
    }
    gc_output(c, y);
}

static void dispatch_one(struct gradcheck *c) { dispatch_of(c, 1, false); }
static void dispatch_two(struct gradcheck *c) { dispatch_of(c, 2, false); }
static void combine_one(struct gradcheck *c) { dispatch_of(c, 1, true); }
static void combine_two(struct gradcheck *c) { dispatch_of(c, 2, true); }

// ---- loss ----------------------------------------------------------------------------------------------------------

static void xent_of(struct gradcheck *c, float z_coef, float smoothing)
{
    static const int32_t labels[] = {3, -1, 0, 6, 6};
    const struct sy_xent_args a = {.rows = 5, .vocab = 7, .z_coef = z_coef, .smoothing = smoothing};
    sy_tid logits = gc_input(c, 5, 7, "logits"), rows = sy_act_f(c->g, 5, 4, "rows");
    SY_EMIT(c->g, xent, &a, logits, gc_ints(c, 5, labels, "labels"), rows);
    gc_loss(c, rows, (const double[]){0.0, c->step.inv_labels, 0.0, c->step.inv_labels}, 4);
}

static void xent_plain(struct gradcheck *c) { xent_of(c, 0.0f, 0.0f); }
static void xent_z(struct gradcheck *c) { xent_of(c, 0.2f, 0.0f); }
static void xent_smooth(struct gradcheck *c) { xent_of(c, 0.0f, 0.15f); }
static void xent_both(struct gradcheck *c) { xent_of(c, 0.2f, 0.15f); }

static const struct gc_case cases[] = {
    {SY_OP_matmul, "dense", matmul_dense},
    {SY_OP_matmul, "one weight used twice", matmul_shared_weight},
    {SY_OP_matmul, "one input used twice", matmul_shared_input},
    {SY_OP_matmul, "ragged, an empty expert", matmul_ragged},
    {SY_OP_rmsnorm, "alone", rmsnorm_alone},
    {SY_OP_rmsnorm, "inside a residual", rmsnorm_in_residual},
    {SY_OP_residual, "no dropout", residual_plain},
    {SY_OP_residual, "dropout, encoder rows", residual_dropped},
    {SY_OP_residual, "dropout, decoder rows", residual_dropped_decoder},
    {SY_OP_dropout, "encoder rows", dropout_encoder},
    {SY_OP_dropout, "decoder rows", dropout_decoder},
    {SY_OP_relu, "no dropout", relu_plain},
    {SY_OP_relu, "dropout", relu_dropped},
    {SY_OP_relu, "dropout, rows of slots", relu_indexed},
    {SY_OP_act, "dropout", act_dropped},
    {SY_OP_act, "dropout, rows of slots", act_indexed},
    {SY_OP_geglu, "no dropout", geglu_plain},
    {SY_OP_geglu, "dropout", geglu_dropped},
    {SY_OP_geglu, "dropout, rows of slots", geglu_indexed},
    {SY_OP_embed, "repeated ids", embed_once},
    {SY_OP_embed, "twice, and tied to the output", embed_tied},
    {SY_OP_attention, "self, bias, mask", attention_self},
    {SY_OP_attention, "self, causal, bias, dropout", attention_causal},
    {SY_OP_attention, "cross, mask, dropout", attention_cross},
    {SY_OP_attention, "cross, a sequence of padding", attention_blind},
    {SY_OP_bias_expand, "alone", bias_expand_alone},
    {SY_OP_bias_expand, "shared by two layers", bias_expand_shared},
    {SY_OP_router_input, "no jitter", router_input_plain},
    {SY_OP_router_input, "jitter", router_input_jitter},
    {SY_OP_router_input, "given jitter", router_input_given},
    {SY_OP_router_input, "dropout", router_input_dropout},
    {SY_OP_route_gate, "switch, aux, z", gate_switch},
    {SY_OP_route_gate, "top2, aux, z", gate_top2},
    {SY_OP_route_gate, "ntlb, aux, z", gate_ntlb},
    {SY_OP_route_gate, "expert_choice, z", gate_expert_choice},
    {SY_OP_dispatch, "one expert a token", dispatch_one},
    {SY_OP_dispatch, "two experts a token", dispatch_two},
    {SY_OP_combine, "one expert a token", combine_one},
    {SY_OP_combine, "two experts a token", combine_two},
    {SY_OP_xent, "plain", xent_plain},
    {SY_OP_xent, "z-loss", xent_z},
    {SY_OP_xent, "label smoothing", xent_smooth},
    {SY_OP_xent, "z-loss and label smoothing", xent_both},
};

struct row {
    unsigned cases;
    uint64_t elements;
    double worst;
};

static void run_cases(struct tap *tap, struct sy_ctx *ctx, struct sy_device *device, struct row *rows)
{
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct gradcheck c;
        struct gc_report r;
        struct row *row = &rows[cases[i].op];
        gc_begin(&c, ctx, device, 1000 + i);
        cases[i].build(&c);
        gc_check(&c, &r);
        gc_end(&c);
        tap_ok(tap, r.good, "%s: %s%s%s", sy_op_info(cases[i].op)->name, cases[i].what, r.good ? "" : ": ", r.message);
        row->cases++;
        row->elements += r.elements;
        row->worst = fmax(row->worst, r.worst);
    }
}

static void print_table(struct tap *tap, const struct row *rows)
{
    printf("# %-14s %6s %9s %12s\n", "rule", "cases", "elements", "worst error");
    for (int op = 0; op < SY_OP_COUNT; ++op) {
        const char *name = sy_op_info((enum sy_op_id)op)->name;
        if (sy_rule_get((enum sy_op_id)op) == NULL)
            continue;
        if (rows[op].cases != 0)
            printf("# %-14s %6u %9llu %12.1e\n", name, rows[op].cases, (unsigned long long)rows[op].elements,
                   rows[op].worst);
        else
            tap_ok(tap, 0, "%s has a gradient rule that no case checks", name);
    }
}

int main(void)
{
    struct tap tap = {0};
    struct row rows[SY_OP_COUNT] = {{0}};
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"test_gradients", SY_LOG_WARN);
    struct sy_device *device = NULL;
    if (tap_ok(&tap, sy_device_open(ctx, "ref:0", &device) == SY_OK, "ref:0 opens")) {
        run_cases(&tap, ctx, device, rows);
        print_table(&tap, rows);
        gradients_of_models(&tap, ctx, device);
        sy_device_close(&device);
    }
    sy_ctx_destroy(&ctx);
    return tap_done(&tap);
}
