// SPDX-License-Identifier: Apache-2.0
// rules.c: the gradient rule of each differentiable op. A rule emits nodes; it computes nothing itself.
//
// Forward nodes leave in `aux` what their rule needs beyond their bindings:
//   matmul      aux[0] = off (experts > 1); of one in parts aux[1] = tiles, aux_args: those of the whole
//   relu, geglu aux[0] = row, of one in parts: that of the whole
//   dispatch    aux[0] = slot
//   combine     aux[0] = src
//   route_gate  aux[0..3] = lse, load, mask, z;  aux_args = struct sy_router_loss_args
//   embed       aux[0] = index (rows sorted by id)
// and `split` (split.h): in matmul and dispatch this rank's gradient of x, in combine that of the gates, is a summand.
#include "engine/backward.h"

#include <string.h>

#include "engine/graph_private.h"
#include "engine/message.h"
#include "engine/pieces.h"
#include "engine/slices.h"
#include "engine/split.h"
#include "kernels/chunk.h"

#define ARGS(type, n) struct type a = *(const struct type *)(const void *)(n)->args

/// Emits `x` zero-filled when it is the first contribution to a gradient that the next op adds to.
static void zero_first(struct sy_graph *g, sy_tid x, bool first)
{
    struct sy_fill_args args = {.n = (u32)sy_graph_tensor(g, x)->count, .value = 0.0f};
    if (first)
        SY_EMIT(g, fill, &args, x);
}

/// Into how many parts the rows of a slice are split for the gradient of a dense [m, n] weight, so that a GPU is
/// filled: a power of two. By the slice's rows and the weight's shape alone, since the order of the sums depends on it
/// (spec §11).
static u32 row_parts(const struct sy_graph *g, u32 rows, u32 m, u32 n)
{
    enum { GROUPS = 1024, LEAST_ROWS = 64, MOST = 32 };
    const uint64_t blocks = sy_ceil_div(m, 64) * sy_ceil_div(n, 64);
    u32 parts = 1;
    while (g->many_groups && 2 * parts * blocks <= GROUPS && 2 * parts <= MOST && rows % (2 * parts) == 0 &&
           rows / (2 * parts) >= LEAST_ROWS)
        parts *= 2;
    return parts;
}

/// dw = or += the gradient of a dense weight. Where a slice's rows are split, each part has sums of its own, which a
/// tree adds up, as it does slices.
static void dense_gradient(struct sy_graph *g, struct sy_matmul_dw_args a, sy_tid dy, sy_tid x, sy_tid dw)
{
    const u32 slices = a.slices, parts = row_parts(g, a.rows / slices, a.m, a.n);
    const bool add = a.accumulate != 0;
    if (parts == 1) {
        SY_EMIT(g, matmul_dw, &a, dy, x, SY_NONE, dw);
        return;
    }
    const uint64_t count = (uint64_t)a.m * a.n;
    const sy_tid part = sy_act_f(g, (uint64_t)slices * parts * a.m, a.n, ".dw_parts");
    if (part == SY_NONE || dw == SY_NONE)
        return;
    const sy_tid piece = sy_graph_tensor(g, dw)->pieces;
    const uint64_t each = piece != SY_NONE ? sy_tensor_columns(sy_graph_tensor(g, piece)) : count;
    const uint64_t fine = sy_piece_columns(g, g->f, (uint64_t)slices * parts, each, a.n);
    if (fine < count)
        sy_pieces_cut(g, part, (uint64_t)slices * parts, each, fine);
    a.slices = slices * parts;
    a.accumulate = 0;
    SY_EMIT(g, matmul_dw, &a, dy, x, SY_NONE, part);
    sy_tree_add(g, part, dw, count, slices, parts, add);
}

static void matmul_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_matmul_args, n);
    sy_tid x = n->bind[0], w = n->bind[1], tiles = n->bind[2], dy = sy_grad_get(g, n->bind[3]);
    if (dy == SY_NONE)
        return;
    if (n->part != 0) { // the rows of all parts
        a = *(const struct sy_matmul_args *)(const void *)n->aux_args;
        tiles = n->aux[1];
    }
    struct sy_matmul_args da = a;
    da.n = a.k;
    da.k = a.n;
    da.bt = 0;
    da.accumulate = 0;
    enum sy_dtype type = sy_graph_tensor(g, x)->dtype;
    sy_tid dx = sy_tensor_new(g, SY_KIND_ACTIVATION, type, a.m, a.k, 1, ".dx");
    struct sy_node *node = SY_EMIT(g, matmul, &da, dy, w, tiles, dx);
    node->aux[0] = n->aux[0];
    sy_grad_add(g, x, n->split ? sy_split_sum(g, dx, ".dx") : dx);
    bool first;
    sy_tid dw = sy_param_grad(g, w, &first);
    struct sy_matmul_dw_args wa = {.rows = a.m,
                                   .m = a.n,
                                   .n = a.k,
                                   .experts = a.experts,
                                   .accumulate = !first,
                                   .alpha = a.alpha,
                                   .slices = sy_param_slices(g, w),
                                   .ragged = n->aux[0] != SY_NONE};
    if (wa.ragged)
        SY_EMIT(g, matmul_dw, &wa, dy, x, n->aux[0], dw);
    else
        dense_gradient(g, wa, dy, x, dw);
}

static void embed_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_embed_args, n);
    sy_tid dx = sy_grad_get(g, n->bind[2]);
    if (dx == SY_NONE)
        return;
    bool first;
    sy_tid dw = sy_param_grad(g, n->bind[1], &first);
    zero_first(g, dw, first);
    struct sy_embed_bwd_args b = {.rows = a.rows, .dim = a.dim, .vocab = a.vocab, .slices = g->slices};
    SY_EMIT(g, embed_bwd, &b, n->aux[0], dx, dw);
}

static void rmsnorm_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_rmsnorm_args, n);
    sy_tid x = n->bind[0], w = n->bind[1], dy = sy_grad_get(g, n->bind[2]), rstd = n->bind[3];
    if (dy == SY_NONE)
        return;
    sy_tid res = sy_grad_get(g, x); // the residual path's gradient is added in the same kernel
    struct sy_rmsnorm_dx_args da = {.rows = a.rows, .dim = a.dim, .eps = a.eps, .has_res = res != SY_NONE};
    sy_tid dx = sy_act_t(g, a.rows, a.dim, ".dx");
    SY_EMIT(g, rmsnorm_dx, &da, dy, x, w, rstd, res, dx);
    sy_grad_set(g, x, dx);
    const u32 rows = a.rows / g->slices; // the parts of a slice depend on its own rows alone
    u32 parts = (u32)sy_ceil_div(rows, 64), least = (u32)sy_ceil_div(rows, SY_BLOCK_ROWS);
    parts = parts < 256 ? parts : least > 256 ? least : 256;
    struct sy_rmsnorm_dw_args wa = {.rows = a.rows, .dim = a.dim, .parts = parts, .slices = g->slices};
    sy_tid part = sy_act_f(g, (uint64_t)g->slices * parts, a.dim, ".dw_parts");
    SY_EMIT(g, rmsnorm_dw, &wa, dy, x, rstd, part);
    bool first;
    sy_tid dw = sy_param_grad(g, w, &first);
    struct sy_sum_rows_args sa = {.parts = parts, .n = a.dim, .accumulate = !first, .scale = 1.0f, .slices = g->slices};
    SY_EMIT(g, sum_rows, &sa, part, dw);
}

static void residual_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_dropout_args, n);
    sy_tid dy = sy_grad_get(g, n->bind[3]);
    if (dy == SY_NONE)
        return;
    sy_tid df = dy;
    if (a.threshold != 0) {
        df = sy_act_t(g, a.rows, a.cols, ".df");
        SY_EMIT(g, dropout, &a, dy, g->step_constants, df);
    }
    sy_grad_add(g, n->bind[0], dy);
    sy_grad_add(g, n->bind[1], df);
}

static void dropout_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_dropout_args, n);
    sy_tid dy = sy_grad_get(g, n->bind[2]);
    if (dy == SY_NONE)
        return;
    sy_tid dx = sy_act_t(g, a.rows, a.cols, ".dx");
    SY_EMIT(g, dropout, &a, dy, g->step_constants, dx);
    sy_grad_add(g, n->bind[0], dx);
}

static void activation_rule(struct sy_graph *g, const struct sy_node *n, enum sy_op_id backward, uint32_t width)
{
    ARGS(sy_ffn_act_args, n);
    sy_tid dy = sy_grad_get(g, n->bind[3]);
    if (dy == SY_NONE)
        return;
    sy_tid dx = sy_act_t(g, a.rows, (uint64_t)a.cols * width, ".dx");
    const sy_tid rows = n->part != 0 ? n->aux[0] : n->bind[1]; // those of all parts
    a.indexed = a.indexed != 0;
    sy_emit(g, backward, &a, (const sy_tid[]){n->bind[0], dy, rows, g->step_constants, dx});
    sy_grad_add(g, n->bind[0], dx);
}

static void relu_rule(struct sy_graph *g, const struct sy_node *n) { activation_rule(g, n, SY_OP_relu_bwd, 1); }
static void act_rule(struct sy_graph *g, const struct sy_node *n) { activation_rule(g, n, SY_OP_act_bwd, 1); }
static void geglu_rule(struct sy_graph *g, const struct sy_node *n) { activation_rule(g, n, SY_OP_geglu_bwd, 2); }

static void bias_expand_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_bias_args, n);
    sy_tid drel = sy_grad_get(g, n->bind[2]);
    if (drel == SY_NONE)
        return;
    bool first;
    sy_tid dbias = sy_param_grad(g, n->bind[0], &first);
    a.accumulate = !first;
    a.slices = g->slices;
    SY_EMIT(g, bias_bwd, &a, drel, n->bind[1], dbias);
}

static void attention_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_attention_args, n);
    sy_tid q = n->bind[0], kv = n->bind[1], rel = n->bind[2], mask = n->bind[3];
    sy_tid o = n->bind[5], lse = n->bind[6], d_o = sy_grad_get(g, o);
    if (d_o == SY_NONE)
        return;
    uint64_t q_rows = (uint64_t)a.batch * a.tq, kv_rows = (uint64_t)a.batch * a.tk;
    sy_tid ld = sy_act_f(g, (uint64_t)a.batch * a.heads * a.tq, 2, ".lse_delta");
    SY_EMIT(g, attention_delta, &a, o, d_o, lse, ld);
    u32 blocks = a.batch * (u32)sy_ceil_div(a.tq, SY_REL_BLOCK);
    sy_tid drel = a.has_bias ? sy_act_f(g, blocks, (uint64_t)a.heads * a.span, ".drel_parts") : SY_NONE;
    sy_tid dq = sy_act_t(g, q_rows, a.q_stride, ".dq");
    SY_EMIT(g, attention_dq, &a, q, kv, rel, mask, ld, d_o, g->step_constants, dq, drel);
    sy_tid dkv = q == kv ? dq : sy_act_t(g, kv_rows, a.kv_stride, ".dkv"); // self-attention: one fused qkv gradient
    SY_EMIT(g, attention_dkv, &a, q, kv, rel, mask, ld, d_o, g->step_constants, dkv);
    sy_grad_add(g, q, dq);
    if (q != kv)
        sy_grad_add(g, kv, dkv);
    if (a.has_bias) {
        struct sy_sum_rows_args sa = {
            .parts = blocks / g->slices, .n = a.heads * a.span, .scale = 1.0f, .slices = g->slices};
        sy_tid sum = sy_act_f(g, (uint64_t)g->slices * a.heads, a.span, ".drel");
        SY_EMIT(g, sum_rows, &sa, drel, sum);
        sy_grad_add(g, rel, sum);
    }
}

static void router_input_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_router_input_args, n);
    sy_tid du = sy_grad_get(g, n->bind[3]);
    if (du == SY_NONE)
        return;
    sy_tid dx = sy_act_t(g, a.rows, a.dim, ".dx_router");
    SY_EMIT(g, router_input_bwd, &a, du, n->bind[1], g->step_constants, dx);
    sy_grad_add(g, n->bind[0], dx);
}

/// Through the gates and through both router losses at once, straight to the logits: softmax needs no node of its own.
static void route_gate_rule(struct sy_graph *g, const struct sy_node *n)
{
    struct sy_router_loss_args a = *(const struct sy_router_loss_args *)(const void *)n->aux_args;
    sy_tid p = n->bind[0], expert = n->bind[1], dgate = sy_grad_get(g, n->bind[2]);
    sy_tid lse = n->aux[0], load = n->aux[1], mask = n->aux[2], z = n->aux[3];
    if (dgate == SY_NONE)
        return;
    sy_tid dz = sy_act_f(g, a.rows, a.experts, ".dz");
    SY_EMIT(g, router_dz, &a, p, lse, expert, dgate, load, mask, g->step_constants, dz);
    sy_grad_add(g, z, dz);
}

static void dispatch_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_dispatch_args, n);
    sy_tid dxe = sy_grad_get(g, n->bind[2]);
    if (dxe == SY_NONE)
        return;
    sy_tid dx = sy_act_t(g, a.rows, a.dim, ".dx");
    SY_EMIT(g, dispatch_bwd, &a, dxe, n->aux[0], dx);
    sy_grad_add(g, n->bind[0], n->split ? sy_split_sum(g, dx, ".dx") : dx);
}

static void exchange_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_exchange_args, n);
    sy_tid dy = sy_grad_get(g, n->bind[1]);
    if (dy == SY_NONE)
        return;
    a.back = !a.back;
    a.part = 0; // those of all parts
    sy_tid dx = sy_act_t(g, a.back ? a.slots : a.xslots, a.dim, ".dx");
    SY_EMIT(g, exchange_rows, &a, dy, dx, SY_NONE);
    sy_grad_add(g, n->bind[0], dx);
}

/// Each part's summand has the sum's gradient.
static void sum_parts_rule(struct sy_graph *g, const struct sy_node *n)
{
    const sy_tid dy = sy_grad_get(g, n->bind[1]);
    if (dy != SY_NONE)
        sy_grad_add(g, n->bind[0], dy);
}

static void combine_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_dispatch_args, n);
    sy_tid h = n->bind[0], slot = n->bind[1], gate = n->bind[2], dy = sy_grad_get(g, n->bind[3]);
    if (dy == SY_NONE)
        return;
    sy_tid dh = sy_act_t(g, a.slots, a.dim, ".dh"), dgate = sy_act_f(g, a.rows, a.k, ".dgate");
    SY_EMIT(g, combine_dh, &a, dy, n->aux[0], gate, dh);
    SY_EMIT(g, combine_dgate, &a, dy, h, slot, dgate);
    sy_grad_add(g, h, dh);
    sy_grad_add(g, gate, n->split ? sy_split_sum(g, dgate, ".dgate") : dgate);
}

static void xent_rule(struct sy_graph *g, const struct sy_node *n)
{
    ARGS(sy_xent_args, n);
    sy_tid dlogits = sy_act_t(g, a.rows, a.vocab, ".dlogits");
    SY_EMIT(g, xent_bwd, &a, n->bind[0], n->bind[1], n->bind[2], g->step_constants, dlogits);
    sy_grad_add(g, n->bind[0], dlogits);
}

sy_rule sy_rule_get(enum sy_op_id op)
{
    static const sy_rule rules[SY_OP_END] = {
        [SY_OP_matmul] = matmul_rule,
        [SY_OP_embed] = embed_rule,
        [SY_OP_rmsnorm] = rmsnorm_rule,
        [SY_OP_residual] = residual_rule,
        [SY_OP_dropout] = dropout_rule,
        [SY_OP_relu] = relu_rule,
        [SY_OP_act] = act_rule,
        [SY_OP_geglu] = geglu_rule,
        [SY_OP_bias_expand] = bias_expand_rule,
        [SY_OP_attention] = attention_rule,
        [SY_OP_router_input] = router_input_rule,
        [SY_OP_route_gate] = route_gate_rule,
        [SY_OP_dispatch] = dispatch_rule,
        [SY_OP_combine] = combine_rule,
        [SY_OP_xent] = xent_rule,
        [SY_OP_exchange_rows] = exchange_rule,
        [SY_OP_sum_parts] = sum_parts_rule,
    };
    return rules[op];
}
