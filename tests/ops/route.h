// SPDX-License-Identifier: Apache-2.0
// route.h: made-up routings for the cases of the routing ops: masks, probabilities, choices, places.
#pragma once

#include <stdlib.h>

#include "tests/ops.h"

/// What a case's routing looks like.
enum sy_case_pattern {
    SY_CASE_ANY,        ///< No padding.
    SY_CASE_PADDED,     ///< A fifth of the rows is padding, among them the first.
    SY_CASE_ALL_PADDED, ///< Nothing to route at all.
    SY_CASE_NO_GROUP_0, ///< The first group holds padding only.
    SY_CASE_ONE_EXPERT, ///< Everything goes to the last expert; the others are empty.
    SY_CASE_TIES,       ///< Many probabilities are equal.
};

static inline bool sy_case_is_padding(enum sy_case_pattern pattern, uint32_t row, uint32_t group, struct sy_rng *rng)
{
    switch (pattern) {
    case SY_CASE_PADDED: return row == 0 || sy_rng_u32(rng) % 5 == 0;
    case SY_CASE_ALL_PADDED: return true;
    case SY_CASE_NO_GROUP_0: return row < group;
    default: return false;
    }
}

static inline void sy_case_mask(enum sy_case_pattern pattern, uint32_t rows, uint32_t group, double *mask,
                                struct sy_rng *rng)
{
    for (uint32_t row = 0; row < rows; ++row)
        mask[row] = sy_case_is_padding(pattern, row, group, rng) ? 0 : 1;
}

/// p [rows, experts]: each row sums to 1. With TIES few different values appear (the weights are 1, 2 or 4).
static inline void sy_case_probabilities(enum sy_case_pattern pattern, uint32_t rows, uint32_t experts, double *p,
                                         struct sy_rng *rng)
{
    for (uint32_t row = 0; row < rows; ++row) {
        double *x = p + (uint64_t)row * experts, sum = 0;
        for (uint32_t e = 0; e < experts; ++e) {
            x[e] = pattern == SY_CASE_TIES ? (double)(1u << sy_rng_u32(rng) % 3) : exp(sy_rng_normal(rng));
            if (pattern == SY_CASE_ONE_EXPERT && e == experts - 1)
                x[e] = 1000;
            sum += x[e];
        }
        for (uint32_t e = 0; e < experts; ++e)
            x[e] /= sum;
    }
}

/// expert [rows, k]: k different experts a row (k ≤ 2), −1 for padding; column form (r or −1) for k > 2.
static inline void sy_case_experts(enum sy_case_pattern pattern, uint32_t rows, uint32_t experts, uint32_t k,
                                   const double *mask, double *expert, struct sy_rng *rng)
{
    for (uint32_t row = 0; row < rows; ++row) {
        const uint32_t e = pattern == SY_CASE_ONE_EXPERT ? experts - 1 : sy_rng_u32(rng) % experts;
        const uint32_t step = experts > 1 ? 1 + sy_rng_u32(rng) % (experts - 1) : 0;
        for (uint32_t r = 0; r < k; ++r) {
            double *out = expert + (uint64_t)row * k + r;
            if (mask[row] == 0)
                *out = -1;
            else if (k > 2)
                *out = sy_rng_u32(rng) % 3 == 0 ? r : -1.0;
            else
                *out = (e + r * step) % experts;
        }
    }
}

/// slot [rows, k] and src [slots]: a random one-to-one match of some choices with the first slots; the rest is −1.
static inline void sy_case_match(uint32_t rows, uint32_t k, uint32_t slots, double *slot, double *src,
                                 struct sy_rng *rng)
{
    const uint32_t choices = rows * k;
    uint32_t used = (choices < slots ? choices : slots) * 3 / 4, *order = malloc(choices * sizeof *order);
    if (order == NULL)
        abort();
    for (uint32_t i = 0; i < choices; ++i) { // a shuffle, built from the inside out
        const uint32_t j = sy_rng_u32(rng) % (i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; slot != NULL && i < choices; ++i)
        slot[order[i]] = i < used ? i : -1.0;
    for (uint32_t s = 0; src != NULL && s < slots; ++s)
        src[s] = s < used ? order[s] : -1.0;
    free(order);
}
