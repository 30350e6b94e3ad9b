// SPDX-License-Identifier: Apache-2.0
#include "engine/draw.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/// A row, and the candidates in it: what has a key above `least`, and the first `spare` of those that have it.
struct row {
    const float *x;
    uint32_t n, least, spare;
    float top, scale;
};

static u32 bits_of(float x)
{
    u32 bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(u32 bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static u32 key_at(const struct row *r, uint32_t i) { return sy_key(bits_of(r->x[i])); }
static u32 weight(const struct row *r, float x) { return sy_weigh(r->top - x, r->scale); }

static uint32_t count_from(const struct row *r, u32 key)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->n; ++i)
        count += key_at(r, i) >= key;
    return count;
}

/// What the candidates below a key weigh.
static uint64_t weight_under(const struct row *r, uint64_t key)
{
    uint64_t sum = r->least < key ? (uint64_t)r->spare * weight(r, float_of(sy_unkey(r->least))) : 0;
    for (uint32_t i = 0; i < r->n; ++i)
        if (key_at(r, i) > r->least && key_at(r, i) < key)
            sum += weight(r, r->x[i]);
    return sum;
}

/// share / 2^32 of it.
static uint64_t part_of(uint64_t sum, u32 share) { return (sum >> 32) * share + ((sum & UINT32_MAX) * share >> 32); }

static void keep_most(struct row *r, uint32_t k)
{
    r->least = 0;
    for (uint32_t bit = 32; bit-- > 0;)
        if (count_from(r, r->least | 1u << bit) >= k)
            r->least |= 1u << bit;
    r->spare = k - (r->least < UINT32_MAX ? count_from(r, r->least + 1) : 0);
}

/// Of those with the least probable ones go, of equal ones the last.
static void leave_out(struct row *r, u32 share)
{
    const uint64_t room = part_of(weight_under(r, UINT64_MAX), share);
    u32 edge = 0;
    for (uint32_t bit = 32; bit-- > 0;)
        if (weight_under(r, edge | 1u << bit) <= room)
            edge |= 1u << bit;
    const uint64_t rest = room - weight_under(r, edge), each = weight(r, float_of(sy_unkey(edge)));
    const uint32_t equal = edge == r->least ? r->spare : count_from(r, edge) - count_from(r, edge + 1);
    const uint64_t left = each != 0 ? rest / each : 0;
    r->least = edge;
    r->spare = left < equal ? equal - (uint32_t)left : 1; // something is always kept
}

void sy_draw_words(double temperature, uint32_t top_k, double top_p, uint64_t seed, uint32_t index,
                   u32 out[SY_DRAW_WORDS])
{
    const double share = top_p > 0.0 && top_p < 1.0 ? (1.0 - top_p) * 4294967296.0 : 0.0;
    out[SY_DRAW_SCALE] = bits_of((float)(1.4426950408889634 / temperature));
    out[SY_DRAW_K] = top_k;
    out[SY_DRAW_OUT] = share < 4294967295.0 ? (u32)share : UINT32_MAX;
    out[SY_DRAW_SEED_LO] = (u32)seed;
    out[SY_DRAW_SEED_HI] = (u32)(seed >> 32);
    out[SY_DRAW_INDEX] = index;
}

uint32_t sy_draw(const float *x, uint32_t n, uint32_t top, const u32 words[SY_DRAW_WORDS], uint32_t index,
                 uint32_t position)
{
    struct row r = {.x = x, .n = n, .spare = n, .top = x[top], .scale = float_of(words[SY_DRAW_SCALE])};
    if (words[SY_DRAW_K] != 0 && words[SY_DRAW_K] < n)
        keep_most(&r, words[SY_DRAW_K]);
    if (words[SY_DRAW_OUT] != 0)
        leave_out(&r, words[SY_DRAW_OUT]);
    const u32 bits = sy_random_bits(words[SY_DRAW_SEED_LO], words[SY_DRAW_SEED_HI], 0, SY_DRAW_STREAM,
                                    words[SY_DRAW_INDEX] + index, position, 0);
    const uint64_t want = part_of(weight_under(&r, UINT64_MAX), bits);
    uint64_t seen = 0;
    for (uint32_t i = 0, equal = 0; i < n; ++i) {
        const u32 key = key_at(&r, i);
        if (key > r.least || (key == r.least && equal++ < r.spare))
            seen += weight(&r, x[i]);
        if (seen > want)
            return i;
    }
    return top;
}
