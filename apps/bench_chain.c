// SPDX-License-Identifier: Apache-2.0
// bench_chain.c: parts of a step, forward and backward, as the layers emit them: an expert's FFN, attention, the loss.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"

/// Emits the work once into the entrant's graph.
typedef void emit_fn(const struct bench *b, struct bench_entrant *e, enum sy_op_types types);

static enum sy_dtype storage(enum sy_op_types types) { return types == SY_TYPES_F ? SY_F32 : SY_BF16; }

/// `flops`: about how many one go has.
static enum sy_status chain_open(const struct bench *b, struct bench_entrant *e, emit_fn *emit, enum sy_op_types types,
                                 double flops)
{
    e->copies = bench_copies(b, flops, 0.0);
    SY_TRY(bench_entrant_graph(b, e));
    for (uint32_t i = 0; i < e->copies; ++i)
        emit(b, e, types);
    SY_TRY(bench_entrant_open(b, e));
    bench_entrant_describe(e);
    return SY_OK;
}

/// A square product first, to say what the device computes at best; then the chains.
static enum sy_status race(struct bench *b, enum sy_op_types types, struct bench_entrant *list, size_t count,
                           enum sy_status status)
{
    const struct sy_variant *variant = NULL;
    const uint32_t n = b->caps->device_class == SY_CLASS_REF ? 64 : b->caps->software ? 512 : 2048;
    if (status == SY_OK)
        status = bench_variant(b, SY_OP_matmul, types, NULL, &variant);
    if (status == SY_OK)
        status = bench_product(b, types, n, n, n, variant, &list[0]);
    if (status == SY_OK)
        status = bench_contest(b, list, count, NULL);
    for (size_t i = 0; i < count; ++i)
        bench_entrant_close(&list[i]);
    return status;
}

// ---- an expert's FFN -----------------------------------------------------------------------------------------------

static sy_tid equal_loads(struct bench_entrant *e, uint32_t experts, uint32_t rows)
{
    int32_t *off = calloc(experts + 1, sizeof *off);
    if (off == NULL) {
        sy_graph_no_memory(e->graph);
        return SY_NONE;
    }
    for (uint32_t i = 0; i <= experts; ++i)
        off[i] = (int32_t)(i * rows);
    const sy_tid t = sy_tensor_const(e->graph, SY_I32, experts + 1, off, "off");
    free(off);
    return t;
}

static void emit_ffn(const struct bench *b, struct bench_entrant *e, enum sy_op_types types)
{
    struct sy_graph *g = e->graph;
    const uint32_t experts = bench_given(b->o->experts, 8), each = bench_given(b->o->rows, 512), rows = experts * each,
                   d = bench_given(b->o->d_model, 512), ff = bench_given(b->o->d_ff, 2048),
                   tile_rows = sy_graph_tile_rows(g), count = experts * (uint32_t)sy_ceil_div(each, tile_rows);
    const enum sy_dtype t = storage(types);
    sy_tid x = bench_tensor(e, t, rows, d, "x"), wi = bench_tensor(e, t, (uint64_t)experts * ff, d, "wi"),
           u = bench_tensor(e, t, rows, ff, "u"), h = bench_tensor(e, t, rows, ff, "h"),
           wo = bench_tensor(e, t, (uint64_t)experts * d, ff, "wo"), y = bench_tensor(e, t, rows, d, "y"),
           dy = bench_tensor(e, t, rows, d, "dy"), dh = bench_tensor(e, t, rows, ff, "dh"),
           du = bench_tensor(e, t, rows, ff, "du"), dx = bench_tensor(e, t, rows, d, "dx"),
           dwi = bench_tensor(e, SY_F32, (uint64_t)experts * ff, d, "dwi"),
           dwo = bench_tensor(e, SY_F32, (uint64_t)experts * d, ff, "dwo"), off = SY_NONE, tiles = SY_NONE;
    if (experts > 1) {
        const struct sy_route_tiles_args table = {
            .experts = experts, .tile_rows = tile_rows, .tiles = count, .slices = 1};
        off = equal_loads(e, experts, each);
        tiles = bench_tensor(e, SY_I32, count, 4, "tiles");
        SY_EMIT(g, route_tiles, &table, off, tiles);
    }
    struct sy_matmul_args up = {
        .m = rows, .n = ff, .k = d, .experts = experts, .bt = 1, .alpha = 1.0f, .tile_rows = tile_rows, .tiles = count};
    struct sy_matmul_args down = up, to_h = up, to_x = up;
    down.n = to_x.n = d;
    down.k = to_x.k = ff;
    to_h.bt = to_x.bt = 0;
    const struct sy_ffn_act_args act = {.rows = rows, .cols = ff, .scale = 1.0f, .k = 1};
    const struct sy_matmul_dw_args for_wi = {
        .rows = rows, .m = ff, .n = d, .experts = experts, .alpha = 1.0f, .slices = 1, .ragged = experts > 1};
    struct sy_matmul_dw_args for_wo = for_wi;
    for_wo.m = d;
    for_wo.n = ff;
    const sy_tid c = sy_graph_step_constants(g);
    SY_EMIT(g, matmul, &up, x, wi, tiles, u);
    SY_EMIT(g, relu, &act, u, SY_NONE, c, h);
    SY_EMIT(g, matmul, &down, h, wo, tiles, y);
    SY_EMIT(g, matmul, &to_h, dy, wo, tiles, dh);
    SY_EMIT(g, matmul_dw, &for_wo, dy, h, off, dwo);
    SY_EMIT(g, relu_bwd, &act, u, dh, SY_NONE, c, du);
    SY_EMIT(g, matmul, &to_x, du, wi, tiles, dx);
    SY_EMIT(g, matmul_dw, &for_wi, du, x, off, dwi);
}

enum sy_status bench_expert_ffn(struct bench *b)
{
    const uint32_t experts = bench_given(b->o->experts, 8), rows = bench_given(b->o->rows, 512),
                   d = bench_given(b->o->d_model, 512), ff = bench_given(b->o->d_ff, 2048);
    const enum sy_op_types types = bench_types(b);
    struct bench_entrant list[2] = {0};
    snprintf(list[1].figure.what, sizeof list[1].figure.what, "expert FFN %u × %u rows, %u → %u %s, there and back",
             experts, rows, d, ff, bench_types_name(types));
    return race(b, types, list, 2, chain_open(b, &list[1], emit_ffn, types, 12.0 * experts * rows * d * ff));
}

// ---- attention -----------------------------------------------------------------------------------------------------

struct attended {
    struct sy_attention_args args;
    sy_tid qkv, rel, o, lse;
};

/// Self-attention of an encoder: a bias, no mask.
static struct attended attend(const struct bench *b, struct bench_entrant *e, enum sy_op_types types)
{
    const uint32_t heads = bench_given(b->o->heads, 8), dim = bench_given(b->o->d_kv, 64), hk = heads * dim,
                   length = bench_given(b->o->src_len, 512), batch = bench_given(b->o->batch, 8);
    struct attended a = {.args = {.batch = batch,
                                  .heads = heads,
                                  .tq = length,
                                  .tk = length,
                                  .dim = dim,
                                  .q_stride = 3 * hk,
                                  .kv_stride = 3 * hk,
                                  .k_offset = hk,
                                  .v_offset = 2 * hk,
                                  .has_bias = 1,
                                  .span = 2 * length - 1,
                                  .rel_origin = length - 1,
                                  .scale = 1.0f}};
    a.qkv = bench_tensor(e, storage(types), (uint64_t)batch * length, 3 * hk, "qkv");
    a.rel = bench_tensor(e, SY_F32, heads, a.args.span, "rel");
    a.o = bench_tensor(e, storage(types), (uint64_t)batch * length, hk, "o");
    a.lse = bench_tensor(e, SY_F32, (uint64_t)batch * heads, length, "lse");
    SY_EMIT(e->graph, attention, &a.args, a.qkv, a.qkv, a.rel, SY_NONE, sy_graph_step_constants(e->graph), a.o, a.lse);
    return a;
}

static void emit_forward(const struct bench *b, struct bench_entrant *e, enum sy_op_types types)
{
    (void)attend(b, e, types);
}

static void emit_attention(const struct bench *b, struct bench_entrant *e, enum sy_op_types types)
{
    struct sy_graph *g = e->graph;
    const struct attended a = attend(b, e, types);
    const uint64_t rows = (uint64_t)a.args.batch * a.args.tq,
                   blocks = a.args.batch * sy_ceil_div(a.args.tq, SY_REL_BLOCK);
    const sy_tid c = sy_graph_step_constants(g),
                 d_o = bench_tensor(e, storage(types), rows, a.args.heads * a.args.dim, "do"),
                 ld = bench_tensor(e, SY_F32, rows * a.args.heads, 2, "ld"),
                 drel = bench_tensor(e, SY_F32, blocks, (uint64_t)a.args.heads * a.args.span, "drel"),
                 dqkv = bench_tensor(e, storage(types), rows, a.args.q_stride, "dqkv");
    SY_EMIT(g, attention_delta, &a.args, a.o, d_o, a.lse, ld);
    SY_EMIT(g, attention_dq, &a.args, a.qkv, a.qkv, a.rel, SY_NONE, ld, d_o, c, dqkv, drel);
    SY_EMIT(g, attention_dkv, &a.args, a.qkv, a.qkv, a.rel, SY_NONE, ld, d_o, c, dqkv);
}

enum sy_status bench_attention(struct bench *b)
{
    static emit_fn *const emits[] = {emit_forward, emit_attention};
    static const char *const names[] = {"forward", "there and back"};
    const uint32_t heads = bench_given(b->o->heads, 8), dim = bench_given(b->o->d_kv, 64),
                   length = bench_given(b->o->src_len, 512), batch = bench_given(b->o->batch, 8);
    const enum sy_op_types types = bench_types(b);
    const double flops = 4.0 * batch * heads * length * length * dim;
    struct bench_entrant list[3] = {0};
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < SY_COUNT(emits) && status == SY_OK; ++i) {
        struct bench_figure *f = &list[i + 1].figure;
        snprintf(f->what, sizeof f->what, "attention %u × %u heads × %u, %u × %u %s, %s", batch, heads, dim, length,
                 length, bench_types_name(types), names[i]);
        status = chain_open(b, &list[i + 1], emits[i], types, flops);
    }
    return race(b, types, list, 3, status);
}

// ---- the loss ------------------------------------------------------------------------------------------------------

struct loss {
    struct sy_xent_args args;
    sy_tid logits, dlogits;
};

static struct loss new_loss(const struct bench *b, struct bench_entrant *e, enum sy_op_types types)
{
    const uint32_t rows = bench_given(b->o->rows, 1024), vocab = bench_given(b->o->vocab, 32128);
    return (struct loss){.args = {.rows = rows, .vocab = vocab},
                         .logits = bench_tensor(e, SY_F32, rows, vocab, "logits"),
                         .dlogits = bench_tensor(e, storage(types), rows, vocab, "dlogits")};
}

static void emit_loss(struct bench_entrant *e, const struct loss *l)
{
    const sy_tid labels = bench_tensor(e, SY_I32, l->args.rows, 1, "labels"),
                 told = bench_tensor(e, SY_F32, l->args.rows, 4, "rows");
    SY_EMIT(e->graph, xent, &l->args, l->logits, labels, told);
    SY_EMIT(e->graph, xent_bwd, &l->args, l->logits, labels, told, sy_graph_step_constants(e->graph), l->dlogits);
}

static void emit_xent(const struct bench *b, struct bench_entrant *e, enum sy_op_types types)
{
    const struct loss l = new_loss(b, e, types);
    emit_loss(e, &l);
}

static void emit_head(const struct bench *b, struct bench_entrant *e, enum sy_op_types types)
{
    struct sy_graph *g = e->graph;
    const struct loss l = new_loss(b, e, types);
    const uint32_t rows = l.args.rows, vocab = l.args.vocab, d = bench_given(b->o->d_model, 512);
    const sy_tid x = bench_tensor(e, storage(types), rows, d, "x"), w = bench_tensor(e, storage(types), vocab, d, "w"),
                 dx = bench_tensor(e, storage(types), rows, d, "dx"), dw = bench_tensor(e, SY_F32, vocab, d, "dw");
    const struct sy_matmul_args
        there =
            {.m = rows, .n = vocab, .k = d, .experts = 1, .bt = 1, .alpha = 1.0f, .tile_rows = sy_graph_tile_rows(g)},
        back = {.m = rows, .n = d, .k = vocab, .experts = 1, .alpha = 1.0f, .tile_rows = sy_graph_tile_rows(g)};
    const struct sy_matmul_dw_args weight = {
        .rows = rows, .m = vocab, .n = d, .experts = 1, .alpha = 1.0f, .slices = 1};
    SY_EMIT(g, matmul, &there, x, w, SY_NONE, l.logits);
    emit_loss(e, &l);
    SY_EMIT(g, matmul, &back, l.dlogits, w, SY_NONE, dx);
    SY_EMIT(g, matmul_dw, &weight, l.dlogits, x, SY_NONE, dw);
}

enum sy_status bench_xent(struct bench *b)
{
    const uint32_t rows = bench_given(b->o->rows, 1024), vocab = bench_given(b->o->vocab, 32128),
                   d = bench_given(b->o->d_model, 512);
    const enum sy_op_types types = bench_types(b);
    struct bench_entrant list[4] = {0};
    snprintf(list[2].figure.what, sizeof list[2].figure.what, "loss of %u × %u and its gradient %s", rows, vocab,
             bench_types_name(types));
    snprintf(list[3].figure.what, sizeof list[3].figure.what, "the same with its products, width %u", d);
    list[2].figure.memory = true;
    enum sy_status status = bench_copy_entrant(b, &list[1]);
    if (status == SY_OK)
        status = chain_open(b, &list[2], emit_xent, types, 1e3 * rows * vocab); // bound by memory
    if (status == SY_OK)
        status = chain_open(b, &list[3], emit_head, types, 6.0 * rows * vocab * d);
    return race(b, types, list, 4, status);
}
