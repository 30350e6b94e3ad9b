// SPDX-License-Identifier: Apache-2.0
#include "engine/task/answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session_private.h"
#include "engine/task/decode.h"

#define SHORTEST 16u // of a session's source
#define ROW 4u       // numbers of a row of the loss, and which of them is its cross-entropy
#define ROW_CE 1u

struct sy_answerer {
    struct sy_ctx *ctx;
    struct sy_answer_params p;
    struct sy_config config;
    struct sy_session *sessions[SY_ANSWER_LENGTHS]; ///< Of src_len, half of it, …
    int owner;                                      ///< Which of them has the weights; −1: none yet, or the lender.
};

/// An input, with one of its options where there are any.
struct item {
    const struct sy_pair *pair;
    size_t index, option;
    uint32_t length; ///< Of its input, cut.
    int32_t *ids;    ///< Of the option.
    uint32_t count;
};

struct work {
    struct sy_answerer *a;
    struct item *items;
    size_t count, done;
    struct sy_reply *out;
};

enum sy_status sy_answerer_create(struct sy_ctx *ctx, const struct sy_answer_params *params, struct sy_answerer **out)
{
    if (params->src_len < 2 || params->max_tokens < 1 || params->batch == 0)
        return sy_fail(ctx, SY_INVALID,
                       "answers: a batch of %u inputs of %u tokens and answers of %u; expected at least 1, 2, 1",
                       params->batch, params->src_len, params->max_tokens);
    struct sy_answerer *a = calloc(1, sizeof *a);
    if (a == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory for answers");
    a->ctx = ctx;
    a->p = *params;
    a->owner = -1;
    enum sy_status status = sy_config_copy(ctx, params->config, &a->config);
    a->config.capacity_factor_eval = 0.0; // as in decoding: what drops a token depends on its neighbours
    a->config.z_loss = a->config.label_smoothing = 0.0;
    if (status != SY_OK)
        sy_answerer_destroy(&a);
    *out = a;
    return status;
}

void sy_answerer_destroy(struct sy_answerer **answerer)
{
    struct sy_answerer *a = *answerer;
    if (a == NULL)
        return;
    for (int i = 0; i < SY_ANSWER_LENGTHS; ++i)
        if (i != a->owner)
            sy_session_destroy(&a->sessions[i]);
    if (a->owner >= 0)
        sy_session_destroy(&a->sessions[a->owner]);
    sy_config_finish(&a->config);
    free(a);
    *answerer = NULL;
}

// ---- sessions -------------------------------------------------------------------------------------------------------

static uint32_t length_of(const struct sy_answerer *a, int which)
{
    const uint32_t half = (a->p.src_len + (1u << which) - 1) >> which;
    return which > 0 && half < SHORTEST ? SHORTEST : half;
}

/// The shortest session that an input fits.
static int which_for(const struct sy_answerer *a, uint32_t length)
{
    int which = 0;
    while (which + 1 < SY_ANSWER_LENGTHS && length <= length_of(a, which + 1) &&
           length_of(a, which + 1) < length_of(a, which))
        ++which;
    return which;
}

static uint32_t batch_of(const struct sy_answerer *a, int which) { return a->p.batch << which; }

static enum sy_status take_session(struct sy_answerer *a, int which, struct sy_session **out)
{
    struct sy_session **s = &a->sessions[which];
    const struct sy_session *lender = a->p.tensors == NULL ? a->p.lender : a->owner >= 0 ? a->sessions[a->owner] : NULL;
    const struct sy_session_params p = {.kind = a->p.rank ? SY_SESSION_EVAL : SY_SESSION_DECODE,
                                        .config = &a->config,
                                        .task = &sy_task_pairs,
                                        .precision = a->p.precision,
                                        .batch = batch_of(a, which),
                                        .src_len = length_of(a, which),
                                        .tgt_len = a->p.max_tokens,
                                        .ranks = a->p.ranks,
                                        .lender = lender};
    *out = *s;
    if (*s != NULL)
        return SY_OK;
    SY_TRY(sy_session_create(a->ctx, a->p.device, &p, s));
    *out = *s;
    if (lender != NULL || a->p.tensors == NULL)
        return SY_OK;
    a->owner = which;
    return sy_weights_load(sy_session_runtime(*s), a->p.tensors);
}

// ---- options --------------------------------------------------------------------------------------------------------

static void put_row(struct sy_batch *b, uint32_t row, const struct item *x, int32_t eos)
{
    int32_t *ids = b->input_ids + (size_t)row * b->src_len, *mask = b->attention_mask + (size_t)row * b->src_len;
    memcpy(ids, x->pair->input_ids, x->length * sizeof *ids);
    if (x->length < x->pair->input_count)
        ids[x->length - 1] = eos;
    for (uint32_t i = 0; i < x->length; ++i)
        mask[i] = 1;
    memcpy(b->labels + (size_t)row * b->tgt_len, x->ids, x->count * sizeof *x->ids);
}

static enum sy_status rank_batch(struct work *w, struct sy_session *s, size_t first, uint32_t count)
{
    struct sy_answerer *a = w->a;
    const uint32_t tgt = s->params.tgt_len, rows = count * tgt;
    struct sy_metrics m;
    struct sy_batch b = {0};
    float *losses = malloc((size_t)rows * ROW * sizeof *losses);
    enum sy_status status = losses != NULL ? SY_OK : sy_fail(a->ctx, SY_NOMEM, "out of host memory for answers");
    if (status == SY_OK)
        status = sy_batch_resize(a->ctx, s->params.batch, s->params.src_len, tgt, (int32_t)a->config.pad_id, &b);
    for (uint32_t i = 0; i < count && status == SY_OK; ++i)
        put_row(&b, i, &w->items[first + i], sy_tokenizer_eos(a->p.tokenizer));
    if (status == SY_OK)
        status = sy_session_evaluate(s, &b, 1, &m);
    if (status == SY_OK)
        status = sy_runtime_read_f32(s->runtime, s->loss.rows, 0, (uint64_t)rows * ROW, losses);
    for (uint32_t i = 0; i < count && status == SY_OK; ++i) {
        const struct item *x = &w->items[first + i];
        double sum = 0.0;
        for (uint32_t k = 0; k < x->count; ++k)
            sum -= losses[((size_t)i * tgt + k) * ROW + ROW_CE];
        w->out[x->index].options[x->option] = sum;
    }
    sy_batch_finish(&b);
    free(losses);
    return status;
}

static enum sy_status choose(struct sy_ctx *ctx, const struct sy_pair *pair, struct sy_reply *reply)
{
    for (size_t k = 1; k < pair->option_count; ++k)
        if (reply->options[k] > reply->options[reply->chosen])
            reply->chosen = k;
    if (!isfinite(reply->options[reply->chosen]))
        return sy_fail(ctx, SY_INVALID,
                       "the likelihood of an answer to example %llu is %g: the weights overflow; try --precision f32",
                       (unsigned long long)pair->number, reply->options[reply->chosen]);
    reply->text = strdup(pair->options[reply->chosen]);
    return reply->text != NULL ? SY_OK : sy_fail(ctx, SY_NOMEM, "out of host memory for answers");
}

// ---- generating -----------------------------------------------------------------------------------------------------

static enum sy_status generate_batch(struct work *w, struct sy_session *s, size_t first, uint32_t count)
{
    struct sy_answerer *a = w->a;
    const uint32_t most = a->p.max_tokens, src = s->params.src_len;
    struct sy_prompt *prompts = calloc(count, sizeof *prompts);
    int32_t *output = malloc((size_t)count * (most + src) * sizeof *output);
    uint32_t *counts = malloc(count * sizeof *counts);
    enum sy_status status = prompts != NULL && output != NULL && counts != NULL
                                ? SY_OK
                                : sy_fail(a->ctx, SY_NOMEM, "out of host memory for answers");
    for (uint32_t i = 0; i < count && status == SY_OK; ++i) {
        const struct item *x = &w->items[first + i];
        int32_t *cut = output + (size_t)count * most + (size_t)i * src;
        memcpy(cut, x->pair->input_ids, x->length * sizeof *cut);
        cut[x->length - 1] = sy_tokenizer_eos(a->p.tokenizer);
        prompts[i] = (struct sy_prompt){cut, x->length};
    }
    if (status == SY_OK) {
        const struct sy_decode_params d = {.prompts = prompts, .count = count, .max_tokens = most};
        status = sy_decode(s, &d, output, counts);
    }
    for (uint32_t i = 0; i < count && status == SY_OK; ++i) {
        struct sy_reply *reply = &w->out[w->items[first + i].index];
        reply->tokens = counts[i];
        status = sy_tokenizer_decode(a->ctx, a->p.tokenizer, output + (size_t)i * most, counts[i], &reply->text);
    }
    free(prompts);
    free(output);
    free(counts);
    return status;
}

// ---- all of them ----------------------------------------------------------------------------------------------------

static int by_length(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return (x->option > y->option) - (x->option < y->option);
}

static enum sy_status encode_option(struct sy_answerer *a, const char *text, struct item *x)
{
    size_t n;
    SY_TRY(sy_tokenizer_encode(a->ctx, a->p.tokenizer, text, strlen(text), SY_ENCODE_SENTINELS | SY_ENCODE_EOS, &x->ids,
                               &n));
    x->count = n > a->p.max_tokens ? a->p.max_tokens : (uint32_t)n;
    if (x->count < n)
        x->ids[x->count - 1] = sy_tokenizer_eos(a->p.tokenizer);
    return SY_OK;
}

static enum sy_status list_items(struct work *w, const struct sy_pairs *pairs, size_t count)
{
    struct sy_answerer *a = w->a;
    size_t all = 0;
    for (size_t i = 0; i < count; ++i)
        all += a->p.rank ? pairs->items[i].option_count : 1;
    w->items = calloc(all + 1, sizeof *w->items);
    if (w->items == NULL)
        return sy_fail(a->ctx, SY_NOMEM, "out of host memory for answers");
    for (size_t i = 0; i < count; ++i) {
        const struct sy_pair *p = &pairs->items[i];
        const size_t options = a->p.rank ? p->option_count : 1;
        const uint32_t length = p->input_count < a->p.src_len ? p->input_count : a->p.src_len;
        if (a->p.rank && (w->out[i].options = calloc(options, sizeof *w->out[i].options)) == NULL)
            return sy_fail(a->ctx, SY_NOMEM, "out of host memory for answers");
        for (size_t k = 0; k < options; ++k) {
            struct item *x = &w->items[w->count++];
            *x = (struct item){.pair = p, .index = i, .option = k, .length = length};
            if (a->p.rank)
                SY_TRY(encode_option(a, p->options[k], x));
        }
    }
    qsort(w->items, w->count, sizeof *w->items, by_length);
    return SY_OK;
}

static enum sy_status run(struct work *w)
{
    struct sy_answerer *a = w->a;
    while (w->done < w->count) {
        struct sy_session *s = NULL;
        const int which = which_for(a, w->items[w->done].length);
        uint32_t count = 1;
        while (count < batch_of(a, which) && w->done + count < w->count &&
               which_for(a, w->items[w->done + count].length) == which)
            ++count;
        SY_TRY(take_session(a, which, &s));
        SY_TRY(a->p.rank ? rank_batch(w, s, w->done, count) : generate_batch(w, s, w->done, count));
        w->done += count;
        if (a->p.progress != NULL && sy_layout_rank(a->p.ranks) == 0)
            a->p.progress(a->p.user, w->done, w->count);
    }
    return SY_OK;
}

enum sy_status sy_answer_all(struct sy_answerer *a, const struct sy_pairs *pairs, size_t count, struct sy_reply *out)
{
    struct work w = {.a = a, .out = out};
    enum sy_status status = list_items(&w, pairs, count);
    if (status == SY_OK)
        status = run(&w);
    for (size_t i = 0; a->p.rank && i < count && status == SY_OK; ++i)
        status = choose(a->ctx, &pairs->items[i], &out[i]);
    for (size_t i = 0; i < w.count; ++i)
        free(w.items[i].ids);
    free(w.items);
    return status;
}

void sy_replies_free(struct sy_reply *replies, size_t count)
{
    for (size_t i = 0; replies != NULL && i < count; ++i) {
        free(replies[i].text);
        free(replies[i].options);
    }
    free(replies);
}
