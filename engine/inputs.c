// SPDX-License-Identifier: Apache-2.0
#include "engine/inputs.h"

#include <math.h>
#include <stdlib.h>

#include "engine/message.h"
#include "engine/session_private.h"

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

/// Elements of a stack's index: one block a slice (embed_bwd).
static uint64_t index_count(const struct sy_graph *g, sy_tid index, uint32_t rows)
{
    return index == SY_NONE || sy_graph_tensor(g, index)->first < 0 ? 0 : 3 * (uint64_t)rows + 2 * (uint64_t)g->slices;
}

enum sy_status sy_inputs_create(const struct sy_session *s, struct sy_inputs **out)
{
    const struct sy_session_params *p = &s->params;
    const sy_tid index[2] = {s->model.enc_index, s->model.dec_index};
    struct sy_inputs *in = calloc(1, sizeof *in);
    bool good = in != NULL;
    for (int k = 0; k < 2 && good; ++k) {
        in->rows[k] = p->batch * (k == 0 ? p->src_len : p->tgt_len);
        in->index_count[k] = index_count(s->graph, index[k], in->rows[k]);
        in->ids[k] = malloc(in->rows[k] * sizeof(int32_t));
        in->mask[k] = malloc(in->rows[k] * sizeof(int32_t));
        in->index[k] = in->index_count[k] != 0 ? malloc(in->index_count[k] * sizeof(int32_t)) : NULL;
        good = in->ids[k] != NULL && in->mask[k] != NULL && (in->index[k] != NULL || in->index_count[k] == 0);
    }
    if (good)
        in->labels = malloc(in->rows[1] * sizeof(int32_t));
    if (!good || in->labels == NULL) {
        sy_inputs_destroy(&in);
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory for the token ids of a batch");
    }
    *out = in;
    return SY_OK;
}

void sy_inputs_destroy(struct sy_inputs **inputs)
{
    struct sy_inputs *in = *inputs;
    if (in == NULL)
        return;
    for (int k = 0; k < 2; ++k) {
        free(in->ids[k]);
        free(in->mask[k]);
        free(in->index[k]);
    }
    free(in->labels);
    free(in);
    *inputs = NULL;
}

static enum sy_status check_ids(const struct sy_session *s, const int32_t *ids, uint32_t rows, const char *what)
{
    for (uint32_t r = 0; r < rows; ++r)
        if (ids[r] < 0 || (uint32_t)ids[r] >= s->config.vocab_size)
            return sy_fail(s->ctx, SY_INVALID, "%s %d at position %u is outside the vocabulary of %u", what, ids[r], r,
                           s->config.vocab_size);
    return SY_OK;
}

enum sy_status sy_inputs_prepare(struct sy_session *s, const struct sy_batch *b)
{
    struct sy_inputs *in = s->inputs;
    const uint32_t vocab = s->config.vocab_size, dec = in->rows[1];
    for (uint32_t r = 0; r < dec; ++r) { // the last of a row is no decoder input, so nothing else would look at it
        in->mask[1][r] = sy_batch_is_token(b, true, r);
        in->labels[r] = b->labels[r] == SY_IGNORE ? -1 : b->labels[r];
        if (in->mask[1][r] != 0)
            SY_TRY(check_ids(s, &b->labels[r], 1, "label"));
    }
    memcpy(in->ids[0], b->input_ids, in->rows[0] * sizeof(int32_t));
    memcpy(in->mask[0], b->attention_mask, in->rows[0] * sizeof(int32_t));
    sy_shift_right(b->labels, b->batch, b->tgt_len, (int32_t)s->config.start_id, (int32_t)s->config.pad_id, in->ids[1]);
    for (int k = 0; k < 2; ++k) {
        SY_TRY(check_ids(s, in->ids[k], in->rows[k], "token id"));
        const uint32_t slices = s->graph->slices, each = in->rows[k] / slices;
        const uint64_t block = 3 * (uint64_t)each + 2;
        for (uint32_t i = 0; in->index[k] != NULL && i < slices; ++i)
            SY_TRY(sy_embed_index(s->ctx, in->ids[k] + (size_t)i * each, each, vocab, in->index[k] + i * block));
    }
    return SY_OK;
}

enum sy_status sy_inputs_write(struct sy_session *s)
{
    struct sy_runtime *rt = s->runtime;
    const struct sy_model *m = &s->model;
    const struct sy_inputs *in = s->inputs;
    const sy_tid ids[2] = {m->enc_ids, m->dec_ids}, mask[2] = {m->enc_mask, m->dec_mask};
    const sy_tid index[2] = {m->enc_index, m->dec_index};
    for (int k = 0; k < 2; ++k) {
        SY_TRY(sy_runtime_write_part(rt, ids[k], 0, in->rows[k], in->ids[k]));
        SY_TRY(sy_runtime_write_part(rt, mask[k], 0, in->rows[k], in->mask[k]));
        if (in->index[k] != NULL)
            SY_TRY(sy_runtime_write_part(rt, index[k], 0, in->index_count[k], in->index[k]));
    }
    SY_TRY(sy_runtime_write_part(rt, s->loss.labels, 0, in->rows[1], in->labels));
    return sy_runtime_write(rt, s->graph->step_constants, &s->step, sizeof s->step);
}

uint64_t sy_inputs_bytes(const struct sy_graph *g, const struct sy_model *m, const struct sy_loss *loss)
{
    const sy_tid all[] = {m->enc_ids,   m->enc_mask,  m->dec_ids,   m->dec_mask,
                          m->enc_index, m->dec_index, loss->labels, g->step_constants};
    uint64_t bytes = 0;
    for (size_t i = 0; i < SY_COUNT(all); ++i)
        bytes += all[i] == SY_NONE ||
                         (sy_graph_tensor(g, all[i])->first < 0 && (all[i] == m->enc_index || all[i] == m->dec_index))
                     ? 0
                     : sy_graph_tensor(g, all[i])->count * 4;
    return bytes;
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

enum sy_status sy_inputs_step(const struct sy_session *s, const struct sy_batch *batches, uint32_t count, uint64_t t,
                              double lr, uint64_t seed, struct sy_step *step, struct sy_metrics *out)
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
    uint64_t all[] = {enc.tokens, enc.groups, dec.tokens, dec.groups};
    SY_TRY(sy_layout_add(s->ctx, s->graph->ranks, all, SY_COUNT(all)));
    enc = (struct counts){.tokens = all[0], .groups = all[1]};
    dec = (struct counts){.tokens = all[2], .groups = all[3]};
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
    return SY_OK;
}
