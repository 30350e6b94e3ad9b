// SPDX-License-Identifier: Apache-2.0
#include "engine/task/decode.h"

#include <stdlib.h>
#include <string.h>

#include "engine/message.h"
#include "engine/session_private.h"
#include "engine/task/beams.h"
#include "engine/task/choose.h"

/// A call of sy_decode() under way. A row is a sequence of the output: one for each of the session's batch, or one for
/// each beam of it.
struct decoding {
    struct sy_session *s;
    const struct sy_decode_params *p;
    int32_t *out;
    uint32_t *out_counts;
    uint32_t rows;
    uint32_t position, left; ///< left: prompts whose answer is not at its end.
    int32_t *ids, *mask;     ///< [batch, src_len]
    int32_t *tokens;         ///< What each row said last.
    int32_t *going;          ///< 0: at its end, or no prompt. The decoder's mask: such a row takes no expert's time.
    int32_t *parents;        ///< With beams: the row whose past each takes over; mostly itself.
    int32_t *said;           ///< Without: [count, max_tokens + 1], from the start token on.
    struct sy_beams **beams; ///< With: of each prompt.
    float *logits;           ///< [rows, V], or, where the most probable tokens will do, …
    int32_t *best; ///< … these: [rows] (plain()), or with beams the model's `top` of each row (searched()), …
    float *values; ///< … and their log-probabilities.
    float *work;   ///< [max_tokens + 1], to choose with.
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
    if (s->params.beams > 1 && p->temperature > 0.0)
        return sy_fail(s->ctx, SY_INVALID, "decode: beams are searched, not sampled; temperature is %g, expected 0",
                       p->temperature);
    if (s->params.beams > s->config.vocab_size / 2)
        return sy_fail(s->ctx, SY_INVALID, "decode: %u beams, expected at most half the vocabulary of %u",
                       s->params.beams, s->config.vocab_size);
    return SY_OK;
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
    const uint32_t k = d->rows / s->params.batch;
    for (uint32_t r = 0; r < d->rows; ++r) {
        d->going[r] = r / k < d->p->count && r % k == 0; // the first of a prompt's beams: the others would say the same
        d->tokens[r] = (int32_t)(d->going[r] ? s->config.start_id : s->config.pad_id);
        d->parents[r] = (int32_t)r;
    }
    for (uint32_t i = 0; i < d->p->count && k == 1; ++i)
        d->said[(size_t)i * (d->p->max_tokens + 1)] = (int32_t)s->config.start_id;
    d->left = d->p->count;
}

/// Whether whatever was said limits nothing: the device then chooses a position's tokens.
static bool plain(const struct decoding *d) { return d->beams == NULL && sy_choose_free(d->p, d->position + 1); }

/// The same of beams: the device finds what each row may go on with.
static bool searched(const struct decoding *d)
{
    return d->beams != NULL && d->s->model.top != 0 && sy_beams_free(d->p);
}

/// The next token of one sequence, from its logits.
static uint32_t choose(struct decoding *d, uint32_t i, float *x)
{
    const struct sy_decode_params *p = d->p;
    const uint32_t v = d->s->config.vocab_size;
    if (plain(d))
        return (uint32_t)d->best[i];
    sy_choose_limit(p, &d->s->config, d->said + (size_t)i * (p->max_tokens + 1), d->position + 1, x, d->work);
    return p->temperature > 0.0 ? sy_choose_sample(x, v, p, i, d->position) : sy_choose_best(x, v);
}

static void choose_tokens(struct decoding *d)
{
    const struct sy_decode_params *p = d->p;
    const struct sy_config *c = &d->s->config;
    for (uint32_t i = 0; i < p->count; ++i) {
        if (!d->going[i])
            continue;
        const uint32_t token = choose(d, i, d->logits + (size_t)i * c->vocab_size);
        d->going[i] = token != c->eos_id;
        d->left -= token == c->eos_id;
        d->tokens[i] = (int32_t)(d->going[i] ? token : c->pad_id);
        d->said[(size_t)i * (p->max_tokens + 1) + d->position + 1] = d->tokens[i];
        if (!d->going[i])
            continue;
        d->out[(size_t)i * p->max_tokens + d->out_counts[i]++] = d->tokens[i];
        if (p->heard != NULL)
            p->heard(p->user, i, d->tokens[i]);
    }
}

/// The same for the beams of every prompt; a row that goes nowhere is padding, and its own parent.
static void choose_beams(struct decoding *d)
{
    const uint32_t k = d->s->params.beams;
    const size_t v = d->s->config.vocab_size, top = searched(d) ? d->s->model.top : 0;
    for (uint32_t i = 0; i < d->p->count; ++i) {
        const uint32_t first = i * k;
        if (!sy_beams_going(d->beams[i], 0))
            continue;
        const struct sy_beams_top x = {.values = d->values + first * top,
                                       .tokens = d->best + first * top,
                                       .count = (uint32_t)top,
                                       .logits = d->logits + first * v};
        const bool on = sy_beams_step(d->beams[i], &x, d->tokens + first, d->parents + first);
        d->left -= !on;
        for (uint32_t r = first; r < first + k; ++r) {
            d->going[r] = on;
            d->tokens[r] = on ? d->tokens[r] : (int32_t)d->s->config.pad_id;
            d->parents[r] = on ? d->parents[r] + (int32_t)first : (int32_t)r;
        }
    }
}

static enum sy_status upload(const struct decoding *d, bool prompts)
{
    struct sy_session *s = d->s;
    const struct sy_model *m = &s->model;
    const uint32_t rows = prompts ? s->params.batch * s->params.src_len : d->rows;
    const struct sy_step step = {.step = 1, .position = d->position};
    SY_TRY(sy_runtime_write_part(s->runtime, prompts ? m->enc_ids : m->dec_ids, 0, rows, prompts ? d->ids : d->tokens));
    SY_TRY(
        sy_runtime_write_part(s->runtime, prompts ? m->enc_mask : m->dec_mask, 0, rows, prompts ? d->mask : d->going));
    if (prompts && m->how != SY_NONE) {
        u32 how[SY_DRAW_WORDS];
        sy_choose_words(d->p, how);
        SY_TRY(sy_runtime_write_part(s->runtime, m->how, 0, SY_DRAW_WORDS, how));
    }
    if (!prompts && m->parents != SY_NONE)
        SY_TRY(sy_runtime_write_part(s->runtime, m->parents, 0, rows, d->parents));
    return sy_runtime_write(s->runtime, s->graph->step_constants, &step, sizeof step);
}

static enum sy_status download(struct decoding *d)
{
    struct sy_session *s = d->s;
    if (plain(d))
        return sy_runtime_read_part(s->runtime, s->model.best, 0, d->rows, d->best);
    if (searched(d)) {
        const uint64_t count = (uint64_t)d->rows * s->model.top;
        SY_TRY(sy_runtime_read_part(s->runtime, s->model.top_place, 0, count, d->best));
        return sy_runtime_read_part(s->runtime, s->model.top_value, 0, count, d->values);
    }
    return sy_runtime_read_f32(s->runtime, s->model.logits, 0, (uint64_t)d->rows * s->config.vocab_size, d->logits);
}

static enum sy_status run_segments(struct decoding *d, size_t first, size_t end)
{
    struct sy_session *s = d->s;
    for (size_t i = first; i < end; ++i) {
        const struct sy_segment *x = &s->segments.list[i];
        const bool prompts = x->phase == SY_PHASE_ENCODE;
        switch (x->kind) {
        case SY_SEGMENT_HOST: prompts ? pad_prompts(d) : d->beams != NULL ? choose_beams(d) : choose_tokens(d); break;
        case SY_SEGMENT_UPLOAD: SY_TRY(upload(d, prompts)); break;
        case SY_SEGMENT_PROGRAM: SY_TRY(sy_runtime_run_leg(s->runtime, x->leg)); break;
        case SY_SEGMENT_MESSAGE: SY_TRY(sy_message_start(s, x)); break;
        case SY_SEGMENT_ARRIVAL: SY_TRY(sy_message_await(s, x)); break;
        case SY_SEGMENT_DOWNLOAD: SY_TRY(download(d)); break;
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

static enum sy_status allocate(struct decoding *d)
{
    const struct sy_session *s = d->s;
    const size_t sources = (size_t)s->params.batch * s->params.src_len, v = s->config.vocab_size,
                 n = d->p->max_tokens + 1;
    const size_t best = d->rows * (s->model.top != 0 ? s->model.top : 1);
    d->ids = calloc(2 * sources + 3 * d->rows + best + (s->params.beams > 1 ? 0 : d->p->count * n), sizeof *d->ids);
    d->logits = malloc((d->rows * v + best + n) * sizeof *d->logits);
    if (d->ids == NULL || d->logits == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: prompts and logits");
    d->mask = d->ids + sources;
    d->tokens = d->mask + sources;
    d->going = d->tokens + d->rows;
    d->parents = d->going + d->rows;
    d->best = d->parents + d->rows;
    d->said = d->best + best;
    d->values = d->logits + d->rows * v;
    d->work = d->values + best;
    if (s->params.beams <= 1)
        return SY_OK;
    const struct sy_beams_params p = {.decode = d->p, .config = &s->config, .beams = s->params.beams};
    d->beams = calloc(d->p->count, sizeof(struct sy_beams *));
    if (d->beams == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: beams");
    for (uint32_t i = 0; i < d->p->count; ++i)
        SY_TRY(sy_beams_create(s->ctx, &p, &d->beams[i]));
    return SY_OK;
}

enum sy_status sy_decode(struct sy_session *s, const struct sy_decode_params *p, int32_t *out, uint32_t *out_counts)
{
    const uint32_t rows = s->params.batch * (s->params.beams > 1 ? s->params.beams : 1);
    struct decoding d = {.s = s, .p = p, .out = out, .out_counts = out_counts, .rows = rows};
    memset(out_counts, 0, p->count * sizeof *out_counts);
    SY_TRY(check(&d));
    enum sy_status status = allocate(&d);
    if (status == SY_OK)
        status = generate(&d);
    for (uint32_t i = 0; i < p->count && d.beams != NULL && status == SY_OK; ++i)
        out_counts[i] = sy_beams_best(d.beams[i], out + (size_t)i * p->max_tokens);
    if (status != SY_OK)
        memset(out_counts, 0, p->count * sizeof *out_counts);
    for (uint32_t i = 0; i < p->count && d.beams != NULL; ++i)
        sy_beams_destroy(&d.beams[i]);
    free(d.beams);
    free(d.ids);
    free(d.logits);
    return status;
}
