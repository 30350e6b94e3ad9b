// SPDX-License-Identifier: Apache-2.0
// ffn.c: the dense feed-forward layer, and what activates it and an expert (spec §3).
#include "engine/layers/layers.h"

enum sy_op_id sy_activation_op(const struct sy_build *b, uint32_t *act)
{
    static const u32 acts[] = {
        [SY_ACTIVATION_USUAL] = SY_ACT_GELU_TANH,    [SY_ACTIVATION_RELU] = SY_ACT_RELU,
        [SY_ACTIVATION_GELU_NEW] = SY_ACT_GELU_TANH, [SY_ACTIVATION_GELU] = SY_ACT_GELU,
        [SY_ACTIVATION_SILU] = SY_ACT_SILU,          [SY_ACTIVATION_QUICK_GELU] = SY_ACT_QUICK_GELU};
    const struct sy_config *c = b->c;
    *act = acts[c->activation];
    return c->gated ? SY_OP_geglu : c->activation == SY_ACTIVATION_USUAL ? SY_OP_relu : SY_OP_act;
}

sy_tid sy_activate(struct sy_build *b, struct sy_ffn_act_args *args, sy_tid x, sy_tid source, const char *name)
{
    const enum sy_op_id op = sy_activation_op(b, &args->act);
    sy_tid y = sy_act_t(b->g, args->rows, args->cols, name);
    sy_emit(b->g, op, args, (const sy_tid[]){x, source, SY_NONE, y});
    return y;
}

sy_tid sy_dense_ffn(struct sy_build *b, sy_tid x, uint32_t block)
{
    const struct sy_config *c = b->c;
    const char *stack = b->decoder ? "decoder" : "encoder", *module = c->is_switch ? "mlp" : "DenseReluDense";
    uint32_t layer = b->decoder ? 2 : 1, width = c->gated ? 2 : 1, d = c->d_model, f = sy_split_share(b->g, c->d_ff);
    char in[2][112], out[1][112];
    for (uint32_t i = 0; i < width; ++i)
        snprintf(in[i], sizeof in[i], "%s.block.%u.layer.%u.%s.wi%s.weight", stack, block, layer, module,
                 !c->gated ? ""
                 : i == 0  ? "_0"
                           : "_1");
    snprintf(out[0], sizeof out[0], "%s.block.%u.layer.%u.%s.wo.weight", stack, block, layer, module);
    sy_tid wi = sy_linear_weight(b, width, f, d, (const char(*)[112])in, SY_PARAM_SPLIT_ROWS);
    sy_tid h = sy_linear(b, x, wi, b->rows, width * f, d, 1.0f, ".ffn_in"); // [rows, F] or [rows, F|F]
    struct sy_dropout_args r = sy_dropout_args_of(b, (float)c->dropout, f, "ffn");
    struct sy_ffn_act_args a = {.rows = b->rows,
                                .cols = f,
                                .threshold = r.threshold,
                                .scale = r.scale,
                                .stream = r.stream,
                                .stack = r.stack,
                                .k = 1,
                                .first = f * sy_layout_part(b->g->ranks)};
    sy_tid y = sy_activate(b, &a, h, SY_NONE, ".ffn_act");
    sy_tid wo = sy_linear_weight(b, 1, d, f, (const char(*)[112])out, SY_PARAM_SPLIT_COLS);
    return sy_linear(b, y, wo, b->rows, d, f, 1.0f, ".ffn_out");
}
