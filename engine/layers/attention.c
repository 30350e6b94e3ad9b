// SPDX-License-Identifier: Apache-2.0
// attention.c: T5 self- and cross-attention with relative position bias (spec §3).
#include "engine/layers/layers.h"

#include <math.h>
#include <stdlib.h>

int32_t sy_relative_bucket(int32_t distance, bool bidirectional, uint32_t buckets, uint32_t max_distance)
{
    int32_t offset = 0, n = (int32_t)buckets, away = distance;
    if (bidirectional) {
        n /= 2;
        offset = distance > 0 ? n : 0;
        away = abs(distance);
    } else {
        away = distance < 0 ? -distance : 0;
    }
    int32_t exact = n / 2;
    if (away < exact)
        return offset + away;
    double log_bucket = log((double)away / exact) / log((double)max_distance / exact) * (n - exact);
    // Edges such as 16·2^(1/…) that are whole numbers must land in the upper bucket: lift by far less than one edge's
    // width.
    int32_t far = exact + (int32_t)floor(log_bucket + 1e-9);
    return offset + (far < n ? far : n - 1);
}

void sy_relative_bias(struct sy_build *b, uint32_t block)
{
    struct sy_graph *g = b->g;
    const struct sy_config *c = b->c;
    uint32_t tq = b->decode && b->decoder ? 1 : b->seq, tk = b->decode && b->decoder ? b->m->params.tgt_len : b->seq;
    // Decoding: one query at a moving position, so distances −(tgt_len − 1) … tgt_len − 1 are all needed.
    b->rel_origin = b->decode && b->decoder ? tk - 1 : tq - 1;
    b->span = b->rel_origin + tk;
    int32_t *bucket = calloc(b->span, sizeof *bucket);
    if (bucket == NULL) {
        g->status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: relative positions");
        return;
    }
    for (uint32_t d = 0; d < b->span; ++d)
        bucket[d] = sy_relative_bucket((int32_t)d - (int32_t)b->rel_origin, !b->decoder, c->buckets, c->max_distance);
    sy_tid table = sy_tensor_const(g, SY_I32, b->span, bucket, ".bucket");
    free(bucket);
    char name[1][112];
    snprintf(name[0], sizeof name[0], "%s.block.%u.layer.0.SelfAttention.relative_attention_bias.weight",
             b->decoder ? "decoder" : "encoder", block);
    float sigma = (float)c->initializer_factor / sqrtf((float)c->d_model); // as T5
    const uint32_t heads = sy_split_share(g, c->heads);
    sy_tid w =
        sy_param_new(g, 1, c->buckets, heads, (const char(*)[112])name, SY_INIT_NORMAL, sigma, SY_PARAM_SPLIT_COLS);
    b->rel = sy_act_f(g, heads, b->span, ".rel");
    struct sy_bias_args a = {.heads = heads, .span = b->span, .buckets = c->buckets};
    SY_EMIT(g, bias_expand, &a, w, table, b->rel);
}

static struct sy_attention_args base_args(const struct sy_build *b, uint32_t tq, uint32_t tk, const char *what)
{
    struct sy_dropout_args d = sy_dropout_args_of(b, (float)b->c->dropout, 1, what);
    const uint32_t heads = sy_split_share(b->g, b->c->heads);
    return (struct sy_attention_args){.batch = b->batch,
                                      .heads = heads,
                                      .tq = tq,
                                      .tk = tk,
                                      .dim = b->c->d_kv,
                                      .threshold = d.threshold,
                                      .scale = d.scale,
                                      .stream = d.stream,
                                      .first_head = heads * sy_layout_part(b->g->ranks),
                                      .other_heads = b->c->heads - heads};
}

static sy_tid attend(struct sy_build *b, const struct sy_attention_args *a, sy_tid q, sy_tid kv, sy_tid rel,
                     sy_tid mask)
{
    sy_tid o = sy_act_t(b->g, (uint64_t)a->batch * a->tq, (uint64_t)a->heads * a->dim, ".attended");
    sy_tid lse = sy_act_f(b->g, (uint64_t)a->batch * a->heads, a->tq, ".lse");
    SY_EMIT(b->g, attention, a, q, kv, rel, mask, SY_NONE, o, lse);
    return o;
}

static void projection_names(const struct sy_build *b, uint32_t block, const char *module, const char *which,
                             char (*out)[112])
{
    uint32_t layer = module[0] == 'S' ? 0 : 1;
    for (uint32_t i = 0; which[i] != '\0'; ++i)
        snprintf(out[i], 112, "%s.block.%u.layer.%u.%s.%c.weight", b->decoder ? "decoder" : "encoder", block, layer,
                 module, which[i]);
}

sy_tid sy_self_attention(struct sy_build *b, sy_tid x, uint32_t block)
{
    struct sy_graph *g = b->g;
    const struct sy_config *c = b->c;
    uint32_t hk = sy_split_share(b->g, c->heads) * c->d_kv, d = c->d_model;
    char names[3][112], out[1][112];
    projection_names(b, block, "SelfAttention", "qkv", names);
    projection_names(b, block, "SelfAttention", "o", out);
    sy_tid w = sy_linear_weight(b, 3, hk, d, (const char(*)[112])names, SY_PARAM_SPLIT_ROWS);
    sy_tid qkv = sy_linear(b, x, w, b->rows, 3 * hk, d, 1.0f, ".qkv"); // [rows, q|k|v]
    bool cached = b->decode && b->decoder;
    struct sy_attention_args a = base_args(b, b->seq, cached ? b->m->params.tgt_len : b->seq, "self");
    a.q_stride = 3 * hk;
    a.kv_stride = 3 * hk;
    a.k_offset = hk;
    a.v_offset = 2 * hk;
    a.causal = b->decoder;
    a.has_bias = 1;
    a.span = b->span;
    a.rel_origin = b->rel_origin;
    sy_tid kv = qkv, mask = SY_NONE;
    if (cached) {
        kv = sy_tensor_new(g, SY_KIND_KEEP, g->t, (uint64_t)b->batch * a.tk, 2 * hk, 1, ".cache");
        struct sy_kv_append_args append = {
            .batch = b->batch, .width = 2 * hk, .t_max = a.tk, .src_stride = 3 * hk, .src_offset = hk};
        const struct sy_kv_fork_args fork = {.batch = b->batch, .width = 2 * hk, .t_max = a.tk};
        if (b->m->parents != SY_NONE)
            SY_EMIT(g, kv_fork, &fork, b->m->parents, SY_NONE, kv);
        SY_EMIT(g, kv_append, &append, qkv, SY_NONE, kv);
        a.kv_stride = 2 * hk;
        a.k_offset = 0;
        a.v_offset = hk;
        a.decode = 1;
    } else if (!b->decoder) {
        a.has_mask = 1;
        mask = b->key_mask;
    }
    sy_tid o = attend(b, &a, qkv, kv, b->rel, mask);
    sy_tid wo = sy_linear_weight(b, 1, d, hk, (const char(*)[112])out, SY_PARAM_SPLIT_COLS);
    return sy_linear(b, o, wo, b->rows, d, hk, 1.0f, ".attention_out");
}

sy_tid sy_cross_keys(struct sy_build *b, uint32_t block)
{
    const struct sy_config *c = b->c;
    uint32_t hk = sy_split_share(b->g, c->heads) * c->d_kv;
    char names[2][112];
    projection_names(b, block, "EncDecAttention", "kv", names);
    sy_tid w = sy_linear_weight(b, 2, hk, c->d_model, (const char(*)[112])names, SY_PARAM_SPLIT_ROWS);
    return sy_linear(b, b->encoder_output, w, b->m->params.batch * b->m->params.src_len, 2 * hk, c->d_model, 1.0f,
                     ".cross_kv");
}

sy_tid sy_cross_attention(struct sy_build *b, sy_tid x, uint32_t block)
{
    const struct sy_config *c = b->c;
    uint32_t hk = sy_split_share(b->g, c->heads) * c->d_kv, d = c->d_model;
    char names[1][112], out[1][112];
    projection_names(b, block, "EncDecAttention", "q", names);
    projection_names(b, block, "EncDecAttention", "o", out);
    const uint32_t phase = b->g->phase;
    b->g->phase = b->decode ? SY_PHASE_ENCODE : phase;
    sy_tid kv = sy_cross_keys(b, block); // [B·S, k|v]
    b->g->phase = phase;
    if (b->decode)
        sy_keep(b->g, kv);
    sy_tid w = sy_linear_weight(b, 1, hk, d, (const char(*)[112])names, SY_PARAM_SPLIT_ROWS);
    sy_tid q = sy_linear(b, x, w, b->rows, hk, d, 1.0f, ".cross_q");
    // Decoding, the beams of a prompt are queries of one sequence: its keys are there once.
    const uint32_t sources = b->m->params.batch;
    struct sy_attention_args a = base_args(b, b->rows / sources, b->m->params.src_len, "cross");
    a.batch = sources;
    a.q_stride = hk;
    a.kv_stride = 2 * hk;
    a.v_offset = hk;
    a.has_mask = 1;
    sy_tid o = attend(b, &a, q, kv, SY_NONE, b->key_mask);
    sy_tid wo = sy_linear_weight(b, 1, d, hk, (const char(*)[112])out, SY_PARAM_SPLIT_COLS);
    return sy_linear(b, o, wo, b->rows, d, hk, 1.0f, ".cross_out");
}
