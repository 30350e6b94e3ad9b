// SPDX-License-Identifier: Apache-2.0
#include "engine/task/choose.h"

#include <math.h>
#include <string.h>

static bool penalised(const struct sy_decode_params *p)
{
    return p->repetition_penalty != 0.0 && p->repetition_penalty != 1.0;
}

bool sy_choose_free(const struct sy_decode_params *p, uint32_t count)
{
    return !penalised(p) && p->no_repeat_ngram == 0 && count > p->min_tokens;
}

/// Once for each token, however often it came.
static void penalise(double penalty, const int32_t *said, uint32_t count, float *scores, float *work)
{
    for (uint32_t i = 0; i < count; ++i) {
        const float x = scores[said[i]];
        work[i] = x < 0.0f ? x * (float)penalty : x / (float)penalty;
    }
    for (uint32_t i = 0; i < count; ++i)
        scores[said[i]] = work[i];
}

/// What would end an n-gram that is there already.
static void ban_repeats(uint32_t n, const int32_t *said, uint32_t count, float *scores)
{
    const int32_t *last = said + count - (n - 1);
    for (uint32_t i = 0; i + n <= count; ++i)
        if (memcmp(said + i, last, (n - 1) * sizeof *said) == 0)
            scores[said[i + n - 1]] = -INFINITY;
}

void sy_choose_limit(const struct sy_decode_params *p, const struct sy_config *c, const int32_t *said, uint32_t count,
                     float *scores, float *work)
{
    if (penalised(p))
        penalise(p->repetition_penalty, said, count, scores, work);
    if (p->no_repeat_ngram != 0 && p->no_repeat_ngram <= count)
        ban_repeats(p->no_repeat_ngram, said, count, scores);
    if (count <= p->min_tokens)
        scores[c->eos_id] = -INFINITY;
}

uint32_t sy_choose_best(const float *scores, uint32_t count)
{
    // The largest first, side by side, which compilers do in vectors, then where it is: a decoder's logits are half a
    // million a position.
    enum { LANES = 16 };
    float top[LANES], largest = -INFINITY;
    size_t i = 0;
    for (size_t lane = 0; lane < LANES; ++lane)
        top[lane] = -INFINITY;
    for (; i + LANES <= count; i += LANES)
        for (size_t lane = 0; lane < LANES; ++lane)
            top[lane] = scores[i + lane] > top[lane] ? scores[i + lane] : top[lane];
    for (; i < count; ++i)
        top[0] = scores[i] > top[0] ? scores[i] : top[0];
    for (size_t lane = 0; lane < LANES; ++lane)
        largest = top[lane] > largest ? top[lane] : largest;
    for (i = 0; i < count && scores[i] != largest; ++i) {
    }
    return i < count ? (uint32_t)i : 0; // nothing but NaN
}

void sy_choose_words(const struct sy_decode_params *p, u32 out[SY_DRAW_WORDS])
{
    memset(out, 0, SY_DRAW_WORDS * sizeof *out);
    if (p->temperature > 0.0)
        sy_draw_words(p->temperature, p->top_k, p->top_p, p->seed, p->first, out);
}

uint32_t sy_choose_sample(const float *scores, uint32_t count, const struct sy_decode_params *p, uint32_t index,
                          uint32_t position)
{
    const uint32_t top = sy_choose_best(scores, count);
    u32 words[SY_DRAW_WORDS];
    sy_choose_words(p, words);
    return sy_draw(scores, count, top, words, index, position);
}
