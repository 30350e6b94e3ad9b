// SPDX-License-Identifier: Apache-2.0
// bench_decode.c: decoding with random weights: greedy ones hardly ever end a sequence early, beams are kept from it.
#include <stdio.h>
#include <stdlib.h>

#include "apps/bench.h"
#include "engine/task/decode.h"

/// Random prompts of `length` tokens each.
static int32_t *draw_prompts(uint32_t count, uint32_t length, uint32_t vocab, struct sy_prompt *out)
{
    int32_t *ids = malloc((size_t)count * length * sizeof *ids);
    for (uint32_t i = 0; ids != NULL && i < count * length; ++i)
        ids[i] = i % length == length - 1 ? 1 : (int32_t)((i * 2654435761u >> 7) % vocab);
    for (uint32_t i = 0; ids != NULL && i < count; ++i)
        out[i] = (struct sy_prompt){ids + (size_t)i * length, length};
    return ids;
}

static enum sy_status time_decoding(struct bench *b, struct sy_session *s, const struct sy_decode_params *d)
{
    int32_t *out = malloc((size_t)d->count * d->max_tokens * sizeof *out);
    uint32_t *counts = calloc(d->count, sizeof *counts);
    double *times = calloc(b->o->repeat, sizeof *times);
    struct bench_figure f = {.by = "all"};
    const uint32_t beams = sy_session_built_with(s)->beams;
    enum sy_status status = out == NULL || counts == NULL || times == NULL
                                ? sy_fail(b->ctx, SY_NOMEM, "out of host memory")
                                : sy_decode(s, d, out, counts); // compiles and warms up
    for (uint64_t i = 0; i < b->o->repeat && status == SY_OK; ++i) {
        const double from = cli_clock(b->clock);
        status = sy_decode(s, d, out, counts);
        times[i] = cli_clock(b->clock) - from;
    }
    if (status == SY_OK) {
        for (uint32_t i = 0; i < d->count; ++i)
            f.tokens += counts[i];
        f.seconds = bench_median(times, b->o->repeat);
        char how[32] = "greedy decoding";
        if (beams > 1)
            snprintf(how, sizeof how, "decoding with %u beams", beams);
        snprintf(f.what, sizeof f.what, "%s, batch %u, %u → %u tokens", how, d->count, d->prompts[0].count,
                 d->max_tokens);
        status = bench_tell(b, &f);
    }
    free(out);
    free(counts);
    free(times);
    return status;
}

enum sy_status bench_decode(struct bench *b)
{
    const struct bench_options *o = b->o;
    struct sy_bundle model = {0};
    struct sy_session *s = NULL;
    SY_TRY(sy_bundle_open(b->ctx, o->common.model, SY_WEIGHTS_IF_ANY, &model));
    struct sy_session_params p = {.kind = SY_SESSION_DECODE,
                                  .config = &model.config,
                                  .precision = o->common.precision,
                                  .batch = bench_given(o->batch, 16),
                                  .beams = (uint32_t)o->beams,
                                  .src_len = bench_given(o->src_len, 128),
                                  .tgt_len = bench_given(o->tgt_len, 40)};
    struct sy_prompt *prompts = calloc(p.batch, sizeof *prompts);
    int32_t *ids = prompts != NULL ? draw_prompts(p.batch, p.src_len, model.config.vocab_size, prompts) : NULL;
    enum sy_status status = ids == NULL ? sy_fail(b->ctx, SY_NOMEM, "out of host memory") : SY_OK;
    if (status == SY_OK)
        status = sy_session_create(b->ctx, b->device, &p, &s);
    if (status == SY_OK)
        status = sy_weights_init(sy_session_runtime(s), 0);
    if (status == SY_OK) {
        const struct sy_decode_params d = {.prompts = prompts,
                                           .count = p.batch,
                                           .max_tokens = p.tgt_len,
                                           .min_tokens = p.beams > 1 ? p.tgt_len : 0,
                                           .length_penalty = 1.0};
        status = time_decoding(b, s, &d);
    }
    if (status == SY_OK)
        status = bench_profile(b, s, SY_PHASE_ENCODE, "the source");
    if (status == SY_OK)
        status = bench_profile(b, s, SY_PHASE_MICRO, "one position");
    sy_session_destroy(&s);
    sy_bundle_close(&model);
    free(prompts);
    free(ids);
    return status;
}
