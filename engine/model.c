// SPDX-License-Identifier: Apache-2.0
#include "engine/model.h"

#include <math.h>
#include <string.h>

#include "engine/layers/layers.h"
#include "engine/slices.h"

#define MAX_EXPERT_FFNS (1u << 20) // each has two names in host memory

static void scope(struct sy_build *b, const char *text) { snprintf(b->g->scope, sizeof b->g->scope, "%.63s", text); }

/// x [rows, D] → x + sublayer(norm(x)), for each sub-layer of one block.
static sy_tid block(struct sy_build *b, sy_tid x, uint32_t i)
{
    const char *stack = b->decoder ? "decoder" : "encoder";
    char name[112];
    snprintf(name, sizeof name, "%s.block.%u", stack, i);
    scope(b, name);
    b->g->segment++;
    if (i > 0 && b->c->family == SY_FAMILY_UMT5)
        sy_relative_bias(b, i);
    snprintf(name, sizeof name, "%s.block.%u.layer.0.layer_norm.weight", stack, i);
    x = sy_residual_layer(b, x, sy_self_attention(b, sy_rmsnorm_layer(b, x, name), i), "attention");
    if (b->decoder) {
        snprintf(name, sizeof name, "%s.block.%u.layer.1.layer_norm.weight", stack, i);
        x = sy_residual_layer(b, x, sy_cross_attention(b, sy_rmsnorm_layer(b, x, name), i), "cross");
    }
    snprintf(name, sizeof name, "%s.block.%u.layer.%d.layer_norm.weight", stack, i, b->decoder ? 2 : 1);
    sy_tid h = sy_rmsnorm_layer(b, x, name);
    bool sparse = sy_config_sparse(b->c, b->decoder, i);
    return sy_residual_layer(b, x, sparse ? sy_switch_ffn(b, h, i) : sy_dense_ffn(b, h, i), "feed_forward");
}

/// ids [rows] → final norm of the stack [rows, D].
static sy_tid stack(struct sy_build *b, sy_tid ids, sy_tid index, sy_tid table)
{
    const struct sy_config *c = b->c;
    const char *name = b->decoder ? "decoder" : "encoder";
    char text[112];
    scope(b, name);
    int32_t segments = b->g->segment;
    b->g->segment = -1;
    sy_tid x = sy_act_t(b->g, b->rows, c->d_model, ".embedded");
    struct sy_embed_args e = {.rows = b->rows, .dim = c->d_model, .vocab = c->vocab_size};
    SY_EMIT(b->g, embed, &e, ids, table, x)->aux[0] = index;
    x = sy_dropout_layer(b, x, "embed");
    sy_relative_bias(b, 0);
    b->g->segment = segments;
    uint32_t layers = b->decoder ? c->decoder_layers : c->layers;
    for (uint32_t i = 0; i < layers; ++i)
        x = block(b, x, i);
    segments = b->g->segment;
    b->g->segment = -1;
    scope(b, name);
    snprintf(text, sizeof text, "%s.final_layer_norm.weight", name);
    x = sy_dropout_layer(b, sy_rmsnorm_layer(b, x, text), "final");
    b->g->segment = segments;
    return x;
}

/// What beams go on from: as each row has one way to end, two for each beam, and one more where a row may not end yet.
static void head_top(struct sy_build *b)
{
    enum { ITEMS = 256, MOST_TRIPS = 32768 }; // of a work-group of the op on a GPU: docs/add-an-op.md
    struct sy_graph *g = b->g;
    struct sy_model *m = b->m;
    const struct sy_top_args a = {.rows = b->rows, .cols = b->c->vocab_size, .k = 2 * m->params.beams + 1};
    if (a.k > SY_TOP_MOST || (a.k + 1) * sy_ceil_div(a.cols, ITEMS) > MOST_TRIPS)
        return;
    m->top = a.k;
    m->top_value = sy_act_f(g, b->rows, a.k, ".top_value");
    m->top_place = sy_act_i(g, b->rows, a.k, ".top_place");
    sy_keep(g, m->top_value);
    sy_keep(g, m->top_place);
    SY_EMIT(g, top, &a, m->logits, m->top_value, m->top_place);
}

/// Logits [rows, V], and in decoding what is chosen of each row: where the model ends; what they are worth is for a
/// task to say (engine/task/).
static void head(struct sy_build *b, sy_tid h, sy_tid table)
{
    struct sy_graph *g = b->g;
    const struct sy_config *c = b->c;
    struct sy_model *m = b->m;
    scope(b, "head");
    g->segment = -1;
    sy_tid w = table;
    if (!c->tied) {
        static const char name[1][112] = {"lm_head.weight"};
        w = sy_linear_weight(b, 1, c->vocab_size, c->d_model, name, 0);
    }
    float alpha = sy_config_scales_output(c) ? 1.0f / sqrtf((float)c->d_model) : 1.0f;
    m->logits = sy_act_f(g, b->rows, c->vocab_size, ".logits");
    struct sy_matmul_args a = {.m = b->rows,
                               .n = c->vocab_size,
                               .k = c->d_model,
                               .experts = 1,
                               .bt = 1,
                               .alpha = alpha,
                               .tile_rows = g->tile_rows};
    a.tiles = (u32)sy_ceil_div(b->rows, a.tile_rows);
    SY_EMIT(g, matmul, &a, h, w, SY_NONE, m->logits);
    if (!b->decode)
        return;
    sy_keep(g, m->logits);
    if (m->parents != SY_NONE) {
        head_top(b);
        return;
    }
    const struct sy_best_args best = {.rows = b->rows, .cols = c->vocab_size};
    m->best = sy_act_i(g, b->rows, 1, ".best");
    sy_keep(g, m->best);
    SY_EMIT(g, best, &best, m->logits, m->best);
    const struct sy_draw_args draw = {.rows = b->rows, .cols = c->vocab_size};
    SY_EMIT(g, draw, &draw, m->logits, m->how, g->step_constants, m->best);
}

static sy_tid input(struct sy_graph *g, uint64_t rows, const char *name)
{
    return sy_tensor_new(g, SY_KIND_INPUT, SY_I32, rows, 1, 1, name);
}

/// A slice is a whole number of sequences and of routing groups (spec §11).
static enum sy_status check_slices(struct sy_graph *g, const struct sy_model_params *p)
{
    const uint32_t group = p->config->group_tokens, n = g->slices,
                   micros =
                       g->ranks != NULL && g->ranks->turns != NULL ? g->ranks->turns[g->ranks->data] : g->micro_count,
                   steps = n * micros;
    const bool tree = p->mode == SY_MODEL_TRAIN; // elsewhere the host adds the slices up
    if ((tree && (steps & (steps - 1)) != 0) || p->batch % n != 0)
        return sy_fail(
            g->ctx, SY_INVALID,
            "a step of %u slices in %u micro-batches of %u sequences: slices and micro-batches must be powers "
            "of two, and a slice a whole number of sequences: change --slices, --micro-batch or "
            "--batch-tokens",
            steps, micros, p->batch);
    const uint64_t each = p->batch / n, enc = each * p->src_len, dec = each * p->tgt_len;
    bool sparse = false;
    for (uint32_t i = 0; i < p->config->layers || i < p->config->decoder_layers; ++i)
        sparse |= sy_config_sparse(p->config, false, i) || sy_config_sparse(p->config, true, i);
    const uint32_t ranks = p->mode == SY_MODEL_DECODE ? 1 : sy_layout_ranks(g->ranks); // there all have the same rows
    if (steps * ranks > 1 && group != 0 && sparse && (enc % group != 0 || dec % group != 0))
        return sy_fail(g->ctx, SY_INVALID,
                       "group_tokens %u does not divide a slice (%llu source and %llu target tokens): a routing group "
                       "would be cut; change --slices, --micro-batch, the number of ranks or group_tokens",
                       group, (unsigned long long)enc, (unsigned long long)dec);
    return SY_OK;
}

/// What the model axis shares out (split.h).
static enum sy_status check_parts(struct sy_graph *g, const struct sy_config *c)
{
    const uint32_t parts = sy_layout_parts(g->ranks);
    if (parts > 1 && c->heads % parts != 0)
        return sy_fail(
            g->ctx, SY_INVALID,
            "config: num_heads is %u, which --model-parallel %u does not divide: each rank has as many heads", c->heads,
            parts);
    if (parts > 1 && c->d_ff % (4 * parts) != 0)
        return sy_fail(g->ctx, SY_INVALID,
                       "config: d_ff is %u, but with --model-parallel %u it must be a multiple of %u: each rank has as "
                       "many columns, a multiple of 4",
                       c->d_ff, parts, 4 * parts);
    return SY_OK;
}

static enum sy_status check(struct sy_graph *g, const struct sy_model_params *p)
{
    const struct sy_config *c = p->config;
    if (p->batch == 0 || p->src_len == 0 || p->tgt_len == 0)
        return sy_fail(g->ctx, SY_INVALID, "model: batch %u, source length %u and target length %u must be positive",
                       p->batch, p->src_len, p->tgt_len);
    const uint64_t beams = p->beams > 1 ? p->beams : 1, out = beams * p->tgt_len;
    const uint64_t most = p->batch * (p->src_len > out ? p->src_len : out);
    if (most > INT32_MAX / 3) // the embedding's sorted index has 3 entries a row
        return sy_fail(
            g->ctx, SY_INVALID,
            "model: a micro-batch of %u sequences of %u and %u tokens has more than 2^31 / 3 rows: take fewer "
            "sequences at once",
            p->batch, p->src_len, p->tgt_len);
    SY_TRY(check_slices(g, p));
    if (c->d_kv > SY_ATTENTION_MAX_DIM)
        return sy_fail(g->ctx, SY_UNSUPPORTED, "config: d_kv is %u; the attention kernels have room for %d", c->d_kv,
                       SY_ATTENTION_MAX_DIM);
    uint64_t sparse = 0;
    for (uint32_t i = 0; i < c->layers || i < c->decoder_layers; ++i)
        sparse += sy_config_sparse(c, false, i) + sy_config_sparse(c, true, i);
    if (sparse > SY_MAX_SPARSE || sparse * c->experts > MAX_EXPERT_FFNS)
        return sy_fail(
            g->ctx, SY_UNSUPPORTED,
            "the model has %llu sparse layers with %u experts each, expected at most %d layers and %u experts "
            "in all: change num_sparse_encoder_layers, num_sparse_decoder_layers or num_experts",
            (unsigned long long)sparse, c->experts, SY_MAX_SPARSE, MAX_EXPERT_FFNS);
    SY_TRY(check_parts(g, c));
    if (c->switch_attention)
        return sy_fail(g->ctx, SY_UNSUPPORTED, "config: switch_attention is not supported yet; set it to false");
    return SY_OK;
}

static void keep_internals(struct sy_build *b)
{
    struct sy_model *m = b->m;
    sy_keep(b->g, m->logits);
    sy_keep(b->g, m->encoder_output);
    for (uint32_t i = 0; i < m->sparse_count; ++i) {
        struct sy_model_sparse *s = &m->sparse[i];
        const sy_tid all[] = {s->z, s->p, s->expert, s->gate, s->pos, s->slot, s->choice};
        for (size_t k = 0; k < SY_COUNT(all); ++k)
            sy_keep(b->g, all[k]);
    }
}

enum sy_status sy_model_build(struct sy_graph *g, const struct sy_model_params *params, struct sy_model *m)
{
    SY_TRY(sy_graph_status(g)); // init may have failed
    SY_TRY(check(g, params));
    const struct sy_config *c = params->config;
    memset(m, 0, sizeof *m);
    m->params = *params;
    bool decode = params->mode == SY_MODEL_DECODE;
    struct sy_build b = {.g = g, .m = m, .c = c, .train = params->mode == SY_MODEL_TRAIN, .decode = decode};
    uint64_t enc_rows = (uint64_t)params->batch * params->src_len;
    const uint32_t beams = decode && params->beams > 1 ? params->beams : 1;
    uint64_t dec_rows = (uint64_t)params->batch * (decode ? beams : params->tgt_len);
    m->enc_ids = input(g, enc_rows, "input_ids");
    m->enc_mask = input(g, enc_rows, "attention_mask");
    m->dec_ids = input(g, dec_rows, "decoder_input_ids");
    m->dec_mask = input(g, dec_rows, "decoder_mask");
    m->parents = beams > 1 ? input(g, dec_rows, "beam_parents") : SY_NONE;
    m->how = decode && beams == 1 ? input(g, SY_DRAW_WORDS, "draw") : SY_NONE;
    if (!decode) {
        m->enc_index = input(g, 3 * enc_rows + 2 * (uint64_t)g->slices, "input_index");
        m->dec_index = input(g, 3 * dec_rows + 2 * (uint64_t)g->slices, "decoder_input_index");
    }
    static const char shared[1][112] = {"shared.weight"};
    sy_tid table =
        sy_param_new(g, 1, c->vocab_size, c->d_model, shared, SY_INIT_NORMAL, (float)c->initializer_factor, 0);

    g->phase = decode ? SY_PHASE_ENCODE : SY_PHASE_MICRO;
    b.batch = params->batch;
    b.seq = params->src_len;
    b.rows = (uint32_t)enc_rows;
    b.mask = b.key_mask = m->enc_mask;
    m->encoder_output = b.encoder_output = stack(&b, m->enc_ids, m->enc_index, table);
    if (decode)
        sy_keep(g, m->encoder_output);

    g->phase = SY_PHASE_MICRO;
    b.decoder = true;
    b.batch = params->batch * beams;
    b.seq = decode ? 1 : params->tgt_len;
    b.rows = (uint32_t)dec_rows;
    b.mask = m->dec_mask;
    head(&b, stack(&b, m->dec_ids, m->dec_index, table), table);
    if (params->keep_internals)
        keep_internals(&b);
    g->segment = -1;
    scope(&b, "");
    return sy_graph_status(g);
}

uint64_t sy_model_parameter_count(const struct sy_graph *g)
{
    uint64_t total = 0;
    for (size_t i = 0; i < g->param_count; ++i)
        total += (uint64_t)g->params[i].parts * g->params[i].rows * g->params[i].cols;
    return total;
}
