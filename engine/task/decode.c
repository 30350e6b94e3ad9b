// SPDX-License-Identifier: Apache-2.0
#include "engine/task/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session_private.h"
#include "kernels/philox.h"

/// A call of sy_decode() under way; the arrays have an entry for each row of the session's batch.
struct decoding {
    struct sy_session *s;
    const struct sy_decode_params *p;
    int32_t *tokens; ///< What each sequence said last.
    int32_t *going;  ///< 0: at its end, or no prompt. The decoder's mask: such a row takes no expert's time.
    float *logits;   ///< [batch, V], and V more to sort in.
};

static enum sy_status check(const struct decoding *d)
{
    const struct sy_session *s = d->s;
    const struct sy_decode_params *p = d->p;
    if (p->count == 0 || p->count > s->params.batch || p->max_tokens > s->params.tgt_len)
        return sy_fail(s->ctx, SY_INVALID,
                       "decode: %u prompts and %u output tokens do not fit a session of %u sequences and %u tokens",
                       p->count, p->max_tokens, s->params.batch, s->params.tgt_len);
    for (uint32_t i = 0; i < p->count; ++i) {
        const struct sy_prompt *prompt = &p->prompts[i];
        if (prompt->count == 0 || prompt->count > s->params.src_len)
            return sy_fail(s->ctx, SY_INVALID,
                           "decode: the %u source tokens of prompt %u do not fit a session of 1 to %u", prompt->count,
                           p->first + i, s->params.src_len);
        for (uint32_t k = 0; k < prompt->count; ++k)
            if (prompt->ids[k] < 0 || (uint32_t)prompt->ids[k] >= s->config.vocab_size)
                return sy_fail(s->ctx, SY_INVALID,
                               "decode: source token %u of prompt %u is %d, outside the vocabulary of %u", k,
                               p->first + i, prompt->ids[k], s->config.vocab_size);
    }
    return SY_OK;
}

static enum sy_status encode(const struct decoding *d)
{
    struct sy_session *s = d->s;
    const uint32_t length = s->params.src_len, rows = s->params.batch * length;
    int32_t *ids = calloc(2 * (size_t)rows, sizeof *ids);
    if (ids == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: prompts");
    int32_t *mask = ids + rows;
    for (uint32_t r = 0; r < rows; ++r) {
        const uint32_t i = r / length, at = r % length;
        mask[r] = i < d->p->count && at < d->p->prompts[i].count;
        ids[r] = mask[r] ? d->p->prompts[i].ids[at] : (int32_t)s->config.pad_id;
    }
    struct sy_step step = {.step = 1};
    enum sy_status status = sy_runtime_write_part(s->runtime, s->model.enc_ids, 0, rows, ids);
    if (status == SY_OK)
        status = sy_runtime_write_part(s->runtime, s->model.enc_mask, 0, rows, mask);
    if (status == SY_OK)
        status = sy_runtime_write(s->runtime, s->graph->step_constants, &step, sizeof step);
    if (status == SY_OK)
        status = sy_runtime_run(s->runtime, SY_PHASE_ENCODE);
    free(ids);
    return status;
}

static uint32_t argmax(const float *x, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; ++i)
        best = x[i] > x[best] ? i : best;
    return best;
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/// Draws from softmax(x / temperature) over the top_k largest (of equal ones those of lowest id). `work` has room for
/// n.
static uint32_t sample(const float *x, uint32_t n, const struct sy_decode_params *p, uint32_t index, uint32_t position,
                       float *work)
{
    const uint32_t k = p->top_k != 0 && p->top_k < n ? p->top_k : n;
    float least = -INFINITY;
    uint32_t above = 0; // candidates beyond `least`; k − above of those equal to it are candidates, too
    if (k < n) {
        memcpy(work, x, n * sizeof *work);
        qsort(work, n, sizeof *work, descending);
        least = work[k - 1];
        while (work[above] > least)
            ++above;
    }
    const double top = x[argmax(x, n)];
    double sum = 0.0, seen = 0.0;
    for (uint32_t i = 0, equal = 0; i < n; ++i) {
        const bool candidate = x[i] > least || (x[i] == least && equal++ < k - above);
        work[i] = candidate ? (float)exp((x[i] - top) / p->temperature) : 0.0f;
        sum += work[i];
    }
    const u32 bits = sy_random_bits((u32)p->seed, (u32)(p->seed >> 32), 0, 0x73616d70u, index, position, 0);
    const double u = bits / 4294967296.0 * sum;
    uint32_t last = 0;
    for (uint32_t i = 0; i < n && seen <= u; ++i) {
        if (work[i] == 0.0f)
            continue;
        seen += work[i];
        last = i;
    }
    return last;
}

/// Logits of the next position of every sequence.
static enum sy_status position(const struct decoding *d, uint32_t t)
{
    struct sy_session *s = d->s;
    const uint32_t batch = s->params.batch;
    const struct sy_step step = {.step = 1, .position = t};
    SY_TRY(sy_runtime_write_part(s->runtime, s->model.dec_ids, 0, batch, d->tokens));
    SY_TRY(sy_runtime_write_part(s->runtime, s->model.dec_mask, 0, batch, d->going));
    SY_TRY(sy_runtime_write(s->runtime, s->graph->step_constants, &step, sizeof step));
    SY_TRY(sy_runtime_run(s->runtime, SY_PHASE_MICRO));
    return sy_runtime_read_f32(s->runtime, s->model.logits, 0, (uint64_t)batch * s->config.vocab_size, d->logits);
}

static enum sy_status generate(const struct decoding *d, int32_t *out, uint32_t *out_counts)
{
    const struct sy_decode_params *p = d->p;
    const struct sy_config *c = &d->s->config;
    const uint32_t batch = d->s->params.batch, v = c->vocab_size;
    uint32_t left = p->count;
    for (uint32_t i = 0; i < batch; ++i) {
        d->going[i] = i < p->count;
        d->tokens[i] = (int32_t)(i < p->count ? c->start_id : c->pad_id);
    }
    for (uint32_t t = 0; t < p->max_tokens && left != 0; ++t) {
        SY_TRY(position(d, t));
        for (uint32_t i = 0; i < p->count; ++i) {
            const float *x = d->logits + (size_t)i * v;
            if (!d->going[i])
                continue;
            const uint32_t token =
                p->temperature > 0.0 ? sample(x, v, p, p->first + i, t, d->logits + (size_t)batch * v) : argmax(x, v);
            d->going[i] = token != c->eos_id;
            left -= token == c->eos_id;
            d->tokens[i] = (int32_t)(d->going[i] ? token : c->pad_id);
            if (d->going[i])
                out[(size_t)i * p->max_tokens + out_counts[i]++] = d->tokens[i];
        }
    }
    return SY_OK;
}

enum sy_status sy_decode(struct sy_session *s, const struct sy_decode_params *p, int32_t *out, uint32_t *out_counts)
{
    const size_t batch = s->params.batch, v = s->config.vocab_size;
    struct decoding d = {.s = s, .p = p};
    memset(out_counts, 0, p->count * sizeof *out_counts);
    SY_TRY(check(&d));
    d.tokens = calloc(2 * batch, sizeof *d.tokens);
    d.logits = malloc((batch + 1) * v * sizeof *d.logits);
    enum sy_status status = SY_OK;
    if (d.tokens == NULL || d.logits == NULL) {
        status = sy_fail(s->ctx, SY_NOMEM, "out of host memory: logits");
    } else {
        d.going = d.tokens + batch;
        status = encode(&d);
    }
    if (status == SY_OK)
        status = generate(&d, out, out_counts);
    if (status != SY_OK)
        memset(out_counts, 0, p->count * sizeof *out_counts);
    free(d.tokens);
    free(d.logits);
    return status;
}
