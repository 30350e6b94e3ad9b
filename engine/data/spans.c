// SPDX-License-Identifier: Apache-2.0
// spans.c: T5's span corruption in exact integers.
#include "engine/data/spans.h"

#include <string.h>

#include "kernels/philox.h"

// Streams of their own; the device's streams are small numbers.
#define STREAM_KEPT 0xDA7A0001u
#define STREAM_NOISE 0xDA7A0002u

#define NOISE_PER_100 15u
#define MEAN_SPAN 3u

static uint64_t divide_half_even(uint64_t a, uint64_t b)
{
    uint64_t whole = a / b, twice_rest = 2 * (a % b);
    return whole + (twice_rest > b || (twice_rest == b && whole % 2 == 1));
}

void sy_spans_count(uint32_t length, uint32_t *out_noise, uint32_t *out_spans)
{
    uint64_t noise = divide_half_even((uint64_t)length * NOISE_PER_100, 100);
    noise = noise < 1 ? 1 : noise > length - 1 ? length - 1 : noise;
    uint64_t spans = divide_half_even(noise, MEAN_SPAN);
    *out_noise = (uint32_t)noise;
    *out_spans = spans < 1 ? 1 : (uint32_t)spans;
}

void sy_spans_lengths(uint32_t length, uint32_t *out_inputs, uint32_t *out_targets)
{
    uint32_t noise, spans;
    sy_spans_count(length, &noise, &spans);
    *out_inputs = length - noise + spans + 1;
    *out_targets = noise + spans + 1;
}

uint32_t sy_spans_raw_length(uint32_t src_len, uint32_t tgt_len, uint32_t sentinels)
{
    // Both lengths grow with the raw length, so the first that does not fit ends the search. Inputs hold at least 85 %
    // of the raw tokens, so it ends before 2·src_len.
    uint32_t best = 0;
    for (uint32_t n = 2; n / 2 <= src_len; ++n) {
        uint32_t noise, spans, inputs, targets;
        sy_spans_count(n, &noise, &spans);
        sy_spans_lengths(n, &inputs, &targets);
        if (inputs > src_len || targets > tgt_len || spans > sentinels)
            break;
        best = n;
    }
    return best;
}

// Chooses parts − 1 of the total − 1 gaps between items, all choices equally likely (selection sampling: a gap is taken
// with probability still needed / still to come). The bias of a 32-bit fraction is below 2^-32 · total.
static void partition(uint64_t seed, uint64_t example, uint32_t stream, uint32_t total, uint32_t parts,
                      uint32_t *lengths)
{
    uint32_t needed = parts - 1, run = 1, part = 0;
    struct sy_u4 r = {0, 0, 0, 0};
    for (uint32_t gap = 0; gap + 1 < total; ++gap) {
        if (gap % 4 == 0)
            r = sy_philox(gap / 4, (u32)example, stream, (u32)(example >> 32), (u32)seed, (u32)(seed >> 32));
        uint32_t bits = gap % 4 == 0 ? r.x : gap % 4 == 1 ? r.y : gap % 4 == 2 ? r.z : r.w;
        uint32_t to_come = total - 1 - gap;
        if (((uint64_t)bits * to_come) >> 32 < needed) {
            lengths[part++] = run;
            run = 0;
            --needed;
        }
        ++run;
    }
    lengths[part] = run;
}

void sy_spans_draw(uint64_t seed, uint64_t example, uint32_t length, uint32_t *kept, uint32_t *noise)
{
    uint32_t noise_tokens, spans;
    if (length == 1) { // nothing is left to keep
        kept[0] = 0;
        noise[0] = 1;
        return;
    }
    sy_spans_count(length, &noise_tokens, &spans);
    partition(seed, example, STREAM_KEPT, length - noise_tokens, spans, kept);
    partition(seed, example, STREAM_NOISE, noise_tokens, spans, noise);
}

void sy_spans_apply(const int32_t *tokens, uint32_t spans, const uint32_t *kept, const uint32_t *noise,
                    const int32_t *sentinels, int32_t eos, int32_t *inputs, int32_t *targets)
{
    for (uint32_t i = 0; i < spans; ++i) {
        memcpy(inputs, tokens, kept[i] * sizeof *tokens);
        inputs += kept[i];
        tokens += kept[i];
        *inputs++ = *targets++ = sentinels[i];
        memcpy(targets, tokens, noise[i] * sizeof *tokens);
        targets += noise[i];
        tokens += noise[i];
    }
    *inputs = *targets = eos;
}
