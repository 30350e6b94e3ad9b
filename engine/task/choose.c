// SPDX-License-Identifier: Apache-2.0
#include "engine/task/choose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/philox.h"

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

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/// How many of `x`, which are sorted from the largest on, reach the share top_p of their sum; at least one. Counted
/// from the least, so that what is left out never exceeds 1 − top_p.
static uint32_t reach(const float *x, uint32_t n, const struct sy_decode_params *p)
{
    double sum = 0.0, out = 0.0;
    for (uint32_t i = 0; i < n; ++i)
        sum += exp(((double)x[i] - x[0]) / p->temperature);
    while (n > 1) {
        out += exp(((double)x[n - 1] - x[0]) / p->temperature);
        if (out > (1.0 - p->top_p) * sum)
            break;
        --n;
    }
    return n;
}

uint32_t sy_choose_sample(const float *x, uint32_t n, const struct sy_decode_params *p, uint32_t index,
                          uint32_t position, float *work)
{
    uint32_t k = p->top_k != 0 && p->top_k < n ? p->top_k : n;
    const bool share = p->top_p > 0.0 && p->top_p < 1.0;
    const double top = x[sy_choose_best(x, n)];
    float least = -INFINITY;
    uint32_t above = 0; // candidates beyond `least`; k − above of those equal to it are candidates, too
    if (top == -INFINITY)
        return 0; // nothing may be said
    if (k < n || share) {
        memcpy(work, x, n * sizeof *work);
        qsort(work, n, sizeof *work, descending);
        k = share ? reach(work, k, p) : k;
        least = work[k - 1];
        while (work[above] > least)
            ++above;
    }
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
