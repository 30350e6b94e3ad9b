// SPDX-License-Identifier: Apache-2.0
#include "engine/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backward.h"
#include "engine/lower.h"
#include "engine/metrics.h"
#include "engine/slices.h"

void sy_shift_right(const int32_t *labels, uint32_t batch, uint32_t tgt_len, int32_t start, int32_t pad, int32_t *out)
{
    for (uint32_t b = 0; b < batch; ++b) {
        const int32_t *from = labels + (size_t)b * tgt_len;
        int32_t *to = out + (size_t)b * tgt_len;
        to[0] = start;
        for (uint32_t t = 1; t < tgt_len; ++t)
            to[t] = from[t - 1] == SY_IGNORE ? pad : from[t - 1];
    }
}

enum sy_status sy_embed_index(struct sy_ctx *ctx, const int32_t *ids, uint32_t rows, uint32_t vocab, int32_t *out)
{
    for (uint32_t r = 0; r < rows; ++r)
        if (ids[r] < 0 || (uint32_t)ids[r] >= vocab)
            return sy_fail(ctx, SY_INVALID, "token id %d in row %u is outside the vocabulary of %u", ids[r], r, vocab);
    uint32_t *start = calloc((size_t)vocab + 1, sizeof *start);
    if (start == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: sorting token ids");
    for (uint32_t r = 0; r < rows; ++r)
        start[ids[r] + 1]++;
    int32_t *unique = out + 1, *begin = out + 1 + rows, *order = out + 2 + 2 * (size_t)rows;
    uint32_t count = 0;
    for (uint32_t v = 0; v < vocab; ++v) {
        if (start[v + 1] != 0) {
            unique[count] = (int32_t)v;
            begin[count++] = (int32_t)start[v];
        }
        start[v + 1] += start[v];
    }
    out[0] = (int32_t)count;
    begin[count] = (int32_t)rows;
    for (uint32_t i = count; i < rows; ++i) {
        unique[i] = 0;
        begin[i + 1] = (int32_t)rows;
    }
    for (uint32_t r = 0; r < rows; ++r)
        order[start[ids[r]]++] = (int32_t)r;
    free(start);
    return SY_OK;
}

/// The least number of sequences that holds whole routing groups; the whole micro-batch when none does.
static uint32_t whole_groups(const struct sy_session_params *p)
{
    const uint64_t group = p->config->group_tokens;
    for (uint32_t n = 1; n < p->batch && group != 0; ++n)
        if (p->batch % n == 0 && (uint64_t)n * p->src_len % group == 0 && (uint64_t)n * p->tgt_len % group == 0)
            return n;
    return group == 0 ? 1 : p->batch;
}

/// Slices and micro-batches (slices.h).
static enum sy_status cut(struct sy_session *s)
{
    const struct sy_session_params *p = &s->params;
    struct sy_graph *g = &s->graph;
    g->micro_count = p->micro_count != 0 ? p->micro_count : 1;
    if (p->kind == SY_SESSION_EVAL)
        g->slices = p->batch / whole_groups(p);
    else if (p->slices % g->micro_count == 0)
        g->slices = p->slices != 0 ? p->slices / g->micro_count : 1;
    else
        return sy_fail(s->ctx, SY_INVALID,
                       "%u slices do not divide into %u micro-batches: take --slices %u or a multiple", p->slices,
                       g->micro_count, g->micro_count);
    return SY_OK;
}

static enum sy_status build(struct sy_session *s, const struct sy_caps *caps)
{
    const struct sy_session_params *p = &s->params;
    static const enum sy_model_mode modes[] = {SY_MODEL_TRAIN, SY_MODEL_EVAL, SY_MODEL_EVAL, SY_MODEL_DECODE};
    struct sy_model_params m = {.config = &s->config,
                                .mode = modes[p->kind],
                                .batch = p->batch,
                                .src_len = p->src_len,
                                .tgt_len = p->tgt_len,
                                .capacity_train = p->capacity_train,
                                .jitter_input = p->jitter_input,
                                .keep_internals = p->keep_internals};
    sy_graph_init(&s->graph, s->ctx, p->precision, caps->device_class);
    s->graph.max_binding_bytes = caps->max_binding_bytes;
    SY_TRY(cut(s));
    SY_TRY(sy_model_build(&s->graph, &m, &s->model));
    if (p->kind == SY_SESSION_TRAIN || p->kind == SY_SESSION_GRADIENTS)
        sy_backward(&s->graph, p->recompute);
    if (p->kind == SY_SESSION_TRAIN)
        sy_slices_emit(&s->graph);
    if (p->kind == SY_SESSION_TRAIN)
        sy_optimizer_emit(&s->graph, &p->optimizer, &s->outputs);
    if (p->lender == NULL && !p->borrows)
        sy_graph_refresh(&s->graph);
    sy_lower(&s->graph, caps);
    return sy_graph_status(&s->graph);
}

enum sy_status sy_session_create(struct sy_ctx *ctx, struct sy_device *device, const struct sy_session_params *params,
                                 struct sy_session **out)
{
    struct sy_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    s->ctx = ctx;
    s->device = device;
    s->params = *params;
    uint64_t rows = (uint64_t)params->batch * (params->src_len > params->tgt_len ? params->src_len : params->tgt_len);
    enum sy_status status = sy_config_copy(ctx, params->config, &s->config);
    s->params.config = &s->config; // the caller's may go
    if (status == SY_OK)
        status = build(s, sy_device_caps(device)); // it checks the sizes that `rows` is made of
    if (status == SY_OK) {
        s->scratch_count = 3 * rows + 2 * (uint64_t)s->graph.slices;
        s->scratch = malloc(s->scratch_count * sizeof *s->scratch);
        if (s->scratch == NULL)
            status = sy_fail(ctx, SY_NOMEM, "out of host memory for the token ids of a batch");
    }
    if (status == SY_OK)
        status = sy_sums_create(ctx, &s->graph, &s->sums);
    if (status == SY_OK)
        status =
            sy_runtime_create(device, &s->graph, params->lender != NULL ? &params->lender->runtime : NULL, &s->runtime);
    if (status != SY_OK)
        sy_session_destroy(&s);
    else
        *out = s;
    return status;
}

enum sy_status sy_session_bytes(struct sy_ctx *ctx, const struct sy_caps *caps, const struct sy_session_params *params,
                                uint64_t *out_bytes)
{
    struct sy_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    const bool borrows = params->lender != NULL || params->borrows;
    const struct sy_limits limits = sy_runtime_limits(caps, borrows);
    struct sy_plan plan = {0};
    s->ctx = ctx;
    s->params = *params;
    enum sy_status status = sy_config_copy(ctx, params->config, &s->config);
    s->params.config = &s->config;
    if (status == SY_OK)
        status = build(s, caps);
    if (status == SY_OK)
        status = sy_plan_create(&s->graph, &limits, &plan);
    if (status == SY_OK)
        *out_bytes = plan.total_bytes;
    sy_plan_finish(&plan);
    sy_session_destroy(&s);
    return status;
}

void sy_session_destroy(struct sy_session **session)
{
    struct sy_session *s = *session;
    if (s == NULL)
        return;
    if (s->runtime.device != NULL)
        sy_runtime_finish(&s->runtime);
    sy_sums_destroy(&s->sums);
    sy_graph_finish(&s->graph);
    sy_config_finish(&s->config);
    free(s->scratch);
    free(s);
    *session = NULL;
}

/// Counts of one stack that normalise the losses.
struct counts {
    uint64_t tokens, groups;
};

static struct counts count_tokens(const int32_t *mask, bool labels, uint64_t rows, uint32_t group)
{
    struct counts c = {0};
    for (uint64_t first = 0; first < rows; first += group) {
        uint64_t end = first + group < rows ? first + group : rows, in_group = 0;
        for (uint64_t r = first; r < end; ++r)
            in_group += labels ? mask[r] != SY_IGNORE : mask[r] != 0;
        c.tokens += in_group;
        c.groups += in_group != 0;
    }
    return c;
}

static float inverse(uint64_t n) { return n == 0 ? 0.0f : (float)(1.0 / (double)n); }

static enum sy_status check_batches(const struct sy_session *s, const struct sy_batch *batches, uint32_t count)
{
    const struct sy_session_params *p = &s->params;
    if (p->kind == SY_SESSION_TRAIN && count != s->graph.micro_count)
        return sy_fail(s->ctx, SY_INVALID, "%u micro-batches but the session was built for steps of %u", count,
                       s->graph.micro_count);
    for (uint32_t i = 0; i < count; ++i)
        if (batches[i].batch != p->batch || batches[i].src_len != p->src_len || batches[i].tgt_len != p->tgt_len)
            return sy_fail(s->ctx, SY_INVALID,
                           "micro-batch %u is [%u, %u → %u] but the session was built for [%u, %u → %u]", i,
                           batches[i].batch, batches[i].src_len, batches[i].tgt_len, p->batch, p->src_len, p->tgt_len);
    const uint64_t enc = (uint64_t)p->batch * p->src_len, dec = (uint64_t)p->batch * p->tgt_len;
    const uint32_t group = s->config.group_tokens; // of a training step the model has checked it (slices)
    if (count > 1 && group != 0 && s->model.sparse_count != 0 && (enc % group != 0 || dec % group != 0))
        return sy_fail(
            s->ctx, SY_INVALID,
            "group_tokens %u does not divide the micro-batch (%llu source and %llu target tokens): a routing group "
            "would be cut; change --micro-batch or group_tokens",
            group, (unsigned long long)enc, (unsigned long long)dec);
    return SY_OK;
}

/// Step constants of the whole step; row offsets are filled per micro-batch.
static void fill_step(const struct sy_session *s, const struct sy_batch *batches, uint32_t count, uint64_t t, double lr,
                      uint64_t seed, struct sy_step *step, struct sy_metrics *out)
{
    uint32_t enc_group = s->config.group_tokens != 0 ? s->config.group_tokens : s->params.src_len;
    uint32_t dec_group = s->config.group_tokens != 0 ? s->config.group_tokens : s->params.tgt_len;
    struct counts enc = {0}, dec = {0};
    for (uint32_t i = 0; i < count; ++i) {
        const struct sy_batch *b = &batches[i];
        struct counts e = count_tokens(b->attention_mask, false, (uint64_t)b->batch * b->src_len, enc_group);
        struct counts d = count_tokens(b->labels, true, (uint64_t)b->batch * b->tgt_len, dec_group);
        enc.tokens += e.tokens;
        enc.groups += e.groups;
        dec.tokens += d.tokens;
        dec.groups += d.groups;
    }
    const struct sy_optimizer_params *o = &s->params.optimizer;
    double b1 = o->beta1 != 0.0f ? o->beta1 : 0.9, b2 = o->beta2 != 0.0f ? o->beta2 : 0.999, at = (double)t;
    *step = (struct sy_step){.step = (u32)t,
                             .seed_lo = (u32)seed,
                             .seed_hi = (u32)(seed >> 32),
                             .lr = (f32)lr,
                             .beta2 = (f32)(1.0 - pow(at, -0.8)),
                             .adam_c1 = (f32)(1.0 / (1.0 - pow(b1, at))),
                             .adam_c2 = (f32)(1.0 / (1.0 - pow(b2, at))),
                             .inv_labels = inverse(dec.tokens),
                             .inv_tokens_enc = inverse(enc.tokens),
                             .inv_tokens_dec = inverse(dec.tokens),
                             .inv_groups_enc = inverse(enc.groups),
                             .inv_groups_dec = inverse(dec.groups)};
    out->labels = dec.tokens;
    out->tokens = enc.tokens + dec.tokens;
}

static enum sy_status write_ids(struct sy_session *s, sy_tid ids, sy_tid index, const int32_t *values, uint32_t rows)
{
    struct sy_runtime *rt = &s->runtime;
    for (uint32_t r = 0; r < rows; ++r)
        if (values[r] < 0 || (uint32_t)values[r] >= s->config.vocab_size)
            return sy_fail(s->ctx, SY_INVALID, "token id %d at position %u is outside the vocabulary of %u", values[r],
                           r, s->config.vocab_size);
    SY_TRY(sy_runtime_write_part(rt, ids, 0, rows, values));
    if (sy_graph_tensor(&s->graph, index)->first < 0)
        return SY_OK; // forward only: nobody reads it
    const uint32_t slices = s->graph.slices, each = rows / slices;
    const uint64_t block = 3 * (uint64_t)each + 2; // one index a slice
    for (uint32_t i = 0; i < slices; ++i)
        SY_TRY(sy_embed_index(s->ctx, values + (size_t)i * each, each, s->config.vocab_size, s->scratch + i * block));
    return sy_runtime_write_part(rt, index, 0, slices * block, s->scratch);
}

static enum sy_status write_inputs(struct sy_session *s, const struct sy_batch *b)
{
    struct sy_runtime *rt = &s->runtime;
    const struct sy_model *m = &s->model;
    uint32_t enc = b->batch * b->src_len, dec = b->batch * b->tgt_len;
    for (uint32_t r = 0; r < dec; ++r) // the last of a row is no decoder input, so nothing else would look at it
        if (b->labels[r] != SY_IGNORE && (b->labels[r] < 0 || (uint32_t)b->labels[r] >= s->config.vocab_size))
            return sy_fail(s->ctx, SY_INVALID, "label %d at position %u is outside the vocabulary of %u", b->labels[r],
                           r, s->config.vocab_size);
    SY_TRY(write_ids(s, m->enc_ids, m->enc_index, b->input_ids, enc));
    SY_TRY(sy_runtime_write_part(rt, m->enc_mask, 0, enc, b->attention_mask));
    int32_t *shifted = malloc(dec * sizeof *shifted);
    if (shifted == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: decoder inputs");
    sy_shift_right(b->labels, b->batch, b->tgt_len, (int32_t)s->config.start_id, (int32_t)s->config.pad_id, shifted);
    enum sy_status status = write_ids(s, m->dec_ids, m->dec_index, shifted, dec);
    for (uint32_t r = 0; r < dec; ++r)
        shifted[r] = b->labels[r] != SY_IGNORE;
    if (status == SY_OK)
        status = sy_runtime_write_part(rt, m->dec_mask, 0, dec, shifted);
    for (uint32_t r = 0; r < dec; ++r) {
        shifted[r] = b->labels[r] == SY_IGNORE ? -1 : b->labels[r];
        if (status == SY_OK && b->labels[r] != SY_IGNORE && (uint32_t)b->labels[r] >= s->config.vocab_size)
            status = sy_fail(s->ctx, SY_INVALID, "label %d at position %u is outside the vocabulary of %u",
                             b->labels[r], r, s->config.vocab_size);
    }
    if (status == SY_OK)
        status = sy_runtime_write_part(rt, m->labels, 0, dec, shifted);
    free(shifted);
    return status;
}

/// Runs micro-batch `i` of a step and the merges that it completes.
static enum sy_status run_micro(struct sy_session *s, const struct sy_batch *batch, uint32_t i, struct sy_step *step)
{
    uint32_t merges[SY_MAX_MERGES];
    SY_TRY(write_inputs(s, batch));
    step->row_enc = i * s->params.batch * s->params.src_len;
    step->row_dec = i * s->params.batch * s->params.tgt_len;
    step->sequence = i * s->params.batch;
    SY_TRY(sy_runtime_write(&s->runtime, s->graph.step, step, sizeof *step));
    SY_TRY(sy_runtime_run(&s->runtime, SY_PHASE_MICRO));
    const uint32_t count = s->params.kind == SY_SESSION_TRAIN ? sy_slices_phases(&s->graph, i, merges) : 0;
    for (uint32_t k = 0; k < count; ++k)
        SY_TRY(sy_runtime_run(&s->runtime, merges[k]));
    return SY_OK;
}

enum sy_status sy_session_step(struct sy_session *s, const struct sy_batch *batches, uint32_t count, uint64_t t,
                               double lr, uint64_t seed, struct sy_metrics *out)
{
    assert(s->params.kind == SY_SESSION_TRAIN);
    struct sy_step step;
    memset(out, 0, sizeof *out);
    SY_TRY(check_batches(s, batches, count));
    fill_step(s, batches, count, t, lr, seed, &step, out);
    if (out->labels == 0)
        return sy_fail(s->ctx, SY_INVALID, "step %llu: the batch has no target token", (unsigned long long)t);
    sy_sums_clear(s->sums);
    for (uint32_t i = 0; i < count; ++i)
        SY_TRY(run_micro(s, &batches[i], i, &step));
    SY_TRY(sy_runtime_run(&s->runtime, SY_PHASE_UPDATE));
    SY_TRY(sy_runtime_run(&s->runtime, SY_PHASE_REFRESH));
    SY_TRY(sy_sums_add(s));
    sy_metrics_fill(s, &step, out);
    float clip[2];
    SY_TRY(sy_runtime_read_f32(&s->runtime, s->outputs.clip, 0, 2, clip));
    out->grad_norm = clip[1];
    if (!isfinite(out->total) || !isfinite(out->grad_norm))
        return sy_fail(
            s->ctx, SY_INTERNAL,
            "step %llu: the loss is %g (cross-entropy %g, aux %g, z %g) and the gradient norm %g: training diverged; "
            "resume from the last checkpoint with a lower --lr, or --precision selective",
            (unsigned long long)t, out->total, out->loss_ce, out->aux, out->z, out->grad_norm);
    return SY_OK;
}

enum sy_status sy_session_evaluate(struct sy_session *s, const struct sy_batch *batches, uint32_t count,
                                   struct sy_metrics *out)
{
    struct sy_step step;
    memset(out, 0, sizeof *out);
    SY_TRY(check_batches(s, batches, count));
    fill_step(s, batches, count, 1, 0.0, 0, &step, out);
    sy_sums_clear(s->sums);
    for (uint32_t i = 0; i < count; ++i) {
        SY_TRY(run_micro(s, &batches[i], i, &step));
        SY_TRY(sy_sums_add(s));
    }
    sy_metrics_fill(s, &step, out);
    return SY_OK;
}
