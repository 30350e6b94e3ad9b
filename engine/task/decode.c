// SPDX-License-Identifier: Apache-2.0
#include "engine/task/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/message.h"
#include "engine/session_private.h"
#include "kernels/philox.h"

/// A call of sy_decode() under way; most arrays have an entry for each row of the session's batch.
struct decoding {
    struct sy_session *s;
    const struct sy_decode_params *p;
    int32_t *out;
    uint32_t *out_counts;
    uint32_t position, left; ///< left: sequences that are not at their end.
    int32_t *ids, *mask;     ///< [batch, src_len]
    int32_t *tokens;         ///< What each sequence said last.
    int32_t *going;          ///< 0: at its end, or no prompt. The decoder's mask: such a row takes no expert's time.
    float *logits;           ///< [batch, V], and V more to sort in.
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

// ---- the segments (segments.h) -------------------------------------------------------------------------------------

/// What the prompts are to the encoder, and that every sequence begins with the start token.
static void pad_prompts(struct decoding *d)
{
    const struct sy_session *s = d->s;
    const uint32_t length = s->params.src_len, rows = s->params.batch * length;
    for (uint32_t r = 0; r < rows; ++r) {
        const uint32_t i = r / length, at = r % length;
        d->mask[r] = i < d->p->count && at < d->p->prompts[i].count;
        d->ids[r] = d->mask[r] ? d->p->prompts[i].ids[at] : (int32_t)s->config.pad_id;
    }
    for (uint32_t i = 0; i < s->params.batch; ++i) {
        d->going[i] = i < d->p->count;
        d->tokens[i] = (int32_t)(i < d->p->count ? s->config.start_id : s->config.pad_id);
    }
    d->left = d->p->count;
}

/// The next token of every sequence, from its logits.
static void choose_tokens(struct decoding *d)
{
    const struct sy_decode_params *p = d->p;
    const struct sy_config *c = &d->s->config;
    const uint32_t v = c->vocab_size;
    float *room = d->logits + (size_t)d->s->params.batch * v;
    for (uint32_t i = 0; i < p->count; ++i) {
        const float *x = d->logits + (size_t)i * v;
        if (!d->going[i])
            continue;
        const uint32_t token = p->temperature > 0.0 ? sample(x, v, p, p->first + i, d->position, room) : argmax(x, v);
        d->going[i] = token != c->eos_id;
        d->left -= token == c->eos_id;
        d->tokens[i] = (int32_t)(d->going[i] ? token : c->pad_id);
        if (d->going[i])
            d->out[(size_t)i * p->max_tokens + d->out_counts[i]++] = d->tokens[i];
    }
}

static enum sy_status upload(const struct decoding *d, bool prompts)
{
    struct sy_session *s = d->s;
    const struct sy_model *m = &s->model;
    const uint32_t rows = prompts ? s->params.batch * s->params.src_len : s->params.batch;
    const struct sy_step step = {.step = 1, .position = d->position};
    SY_TRY(sy_runtime_write_part(s->runtime, prompts ? m->enc_ids : m->dec_ids, 0, rows, prompts ? d->ids : d->tokens));
    SY_TRY(
        sy_runtime_write_part(s->runtime, prompts ? m->enc_mask : m->dec_mask, 0, rows, prompts ? d->mask : d->going));
    return sy_runtime_write(s->runtime, s->graph->step_constants, &step, sizeof step);
}

static enum sy_status run_segments(struct decoding *d, size_t first, size_t end)
{
    struct sy_session *s = d->s;
    for (size_t i = first; i < end; ++i) {
        const struct sy_segment *x = &s->segments.list[i];
        const bool prompts = x->phase == SY_PHASE_ENCODE;
        switch (x->kind) {
        case SY_SEGMENT_HOST: prompts ? pad_prompts(d) : choose_tokens(d); break;
        case SY_SEGMENT_UPLOAD: SY_TRY(upload(d, prompts)); break;
        case SY_SEGMENT_PROGRAM: SY_TRY(sy_runtime_run_leg(s->runtime, x->leg)); break;
        case SY_SEGMENT_MESSAGE: SY_TRY(sy_message_start(s, x)); break;
        case SY_SEGMENT_ARRIVAL: SY_TRY(sy_message_await(s, x)); break;
        case SY_SEGMENT_DOWNLOAD:
            SY_TRY(sy_runtime_read_f32(s->runtime, s->model.logits, 0, (uint64_t)s->params.batch * s->config.vocab_size,
                                       d->logits));
            break;
        }
    }
    return SY_OK;
}

static enum sy_status generate(struct decoding *d)
{
    const struct sy_segments *segments = &d->s->segments;
    SY_TRY(run_segments(d, 0, segments->again));
    for (; d->position < d->p->max_tokens && d->left != 0; ++d->position)
        SY_TRY(run_segments(d, segments->again, segments->count));
    return SY_OK;
}

enum sy_status sy_decode(struct sy_session *s, const struct sy_decode_params *p, int32_t *out, uint32_t *out_counts)
{
    const size_t batch = s->params.batch, rows = batch * s->params.src_len, v = s->config.vocab_size;
    struct decoding d = {.s = s, .p = p, .out = out, .out_counts = out_counts};
    memset(out_counts, 0, p->count * sizeof *out_counts);
    SY_TRY(check(&d));
    d.ids = calloc(2 * rows + 2 * batch, sizeof *d.ids);
    d.logits = malloc((batch + 1) * v * sizeof *d.logits);
    enum sy_status status = SY_OK;
    if (d.ids == NULL || d.logits == NULL) {
        status = sy_fail(s->ctx, SY_NOMEM, "out of host memory: prompts and logits");
    } else {
        d.mask = d.ids + rows;
        d.tokens = d.mask + rows;
        d.going = d.tokens + batch;
        status = generate(&d);
    }
    if (status != SY_OK)
        memset(out_counts, 0, p->count * sizeof *out_counts);
    free(d.ids);
    free(d.logits);
    return status;
}
