// SPDX-License-Identifier: Apache-2.0
#include "engine/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/philox.h"

static enum sy_status encode(struct sy_session *s, const struct sy_decode_params *p)
{
    uint32_t rows = s->params.src_len;
    for (uint32_t i = 0; i < p->count; ++i)
        if (p->ids[i] < 0 || (uint32_t)p->ids[i] >= s->config.vocab_size)
            return sy_fail(s->ctx, SY_INVALID, "decode: source token %u is %d, outside the vocabulary of %u", i,
                           p->ids[i], s->config.vocab_size);
    int32_t *ids = calloc(2 * (size_t)rows, sizeof *ids);
    if (ids == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: prompt");
    int32_t *mask = ids + rows;
    for (uint32_t i = 0; i < rows; ++i) {
        ids[i] = i < p->count ? p->ids[i] : (int32_t)s->config.pad_id;
        mask[i] = i < p->count;
    }
    struct sy_step step = {.step = 1};
    enum sy_status status = sy_runtime_write_part(&s->runtime, s->model.enc_ids, 0, rows, ids);
    if (status == SY_OK)
        status = sy_runtime_write_part(&s->runtime, s->model.enc_mask, 0, rows, mask);
    if (status == SY_OK)
        status = sy_runtime_write(&s->runtime, s->graph.step, &step, sizeof step);
    if (status == SY_OK)
        status = sy_runtime_run(&s->runtime, SY_PHASE_ENCODE);
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
static uint32_t sample(const float *x, uint32_t n, const struct sy_decode_params *p, uint32_t position, float *work)
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
    double u = sy_random_bits((u32)p->seed, (u32)(p->seed >> 32), 0, 0x73616d70u, 0, position, 0) / 4294967296.0 * sum;
    uint32_t last = 0;
    for (uint32_t i = 0; i < n && seen <= u; ++i) {
        if (work[i] == 0.0f)
            continue;
        seen += work[i];
        last = i;
    }
    return last;
}

enum sy_status sy_decode(struct sy_session *s, const struct sy_decode_params *p, int32_t *out, uint32_t *out_count)
{
    *out_count = 0;
    if (p->count == 0 || p->count > s->params.src_len || p->max_tokens > s->params.tgt_len || s->params.batch != 1)
        return sy_fail(s->ctx, SY_INVALID,
                       "decode: %u source tokens and %u output tokens do not fit a session of %u and %u", p->count,
                       p->max_tokens, s->params.src_len, s->params.tgt_len);
    SY_TRY(encode(s, p));
    uint32_t v = s->config.vocab_size;
    float *logits = malloc(2 * (size_t)v * sizeof *logits);
    if (logits == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: logits");
    int32_t token = (int32_t)s->config.start_id, real = 1;
    enum sy_status status = sy_runtime_write_part(&s->runtime, s->model.dec_mask, 0, 1, &real);
    for (uint32_t t = 0; t < p->max_tokens && status == SY_OK; ++t) {
        struct sy_step step = {.step = 1, .position = t};
        status = sy_runtime_write_part(&s->runtime, s->model.dec_ids, 0, 1, &token);
        if (status == SY_OK)
            status = sy_runtime_write(&s->runtime, s->graph.step, &step, sizeof step);
        if (status == SY_OK)
            status = sy_runtime_run(&s->runtime, SY_PHASE_MICRO);
        if (status == SY_OK)
            status = sy_runtime_read_f32(&s->runtime, s->model.logits, 0, v, logits);
        if (status != SY_OK)
            break;
        token = (int32_t)(p->temperature > 0.0 ? sample(logits, v, p, t, logits + v) : argmax(logits, v));
        if ((uint32_t)token == s->config.eos_id)
            break;
        out[(*out_count)++] = token;
    }
    free(logits);
    return status;
}
