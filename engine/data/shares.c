// SPDX-License-Identifier: Apache-2.0
// shares.c: shares are rounded down, but to 1 at least; what is left over goes to whom most is missing.
#include "engine/data/shares.h"

#include <stdlib.h>

/// A source that may give or take, and how much of a share it misses (or has too much of).
struct claim {
    size_t source;
    double error;
};

/// The largest error comes first; of two alike the earlier source.
static int compare_claims(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    if (x->error != y->error)
        return x->error > y->error ? -1 : 1;
    return x->source < y->source ? -1 : 1;
}

/// Hands `left` shares out one by one; negative: takes them, but nobody's last. In rounds: within one, nobody's turn
/// comes twice, so that sorting once a round is the same as searching each time.
static void even_out(const double *ideal, int64_t left, uint64_t *shares, struct claim *claims, size_t n)
{
    const int sign = left > 0 ? 1 : -1;
    while (left != 0) {
        size_t kept = 0;
        for (size_t i = 0; i < n; ++i) {
            const size_t source = claims[i].source;
            if (sign > 0 || shares[source] > 1)
                claims[kept++] = (struct claim){source, sign * (ideal[source] - (double)shares[source])};
        }
        n = kept;
        qsort(claims, n, sizeof *claims, compare_claims);
        for (size_t i = 0; i < n && left != 0; ++i, left -= sign)
            shares[claims[i].source] += (uint64_t)sign;
    }
}

enum sy_status sy_shares_of(struct sy_ctx *ctx, const double *weights, size_t count, uint64_t block, uint64_t *shares)
{
    double *ideal = calloc(count, sizeof *ideal), sum = 0;
    struct claim *claims = calloc(count, sizeof *claims);
    if (ideal == NULL || claims == NULL) {
        free(ideal);
        free(claims);
        return sy_fail(ctx, SY_NOMEM, "out of host memory for the shares of %zu sources", count);
    }
    for (size_t i = 0; i < count; ++i)
        sum += weights[i];
    int64_t left = (int64_t)block;
    size_t n = 0;
    for (size_t i = 0; i < count; ++i) {
        ideal[i] = weights[i] / sum * (double)block;
        shares[i] = weights[i] <= 0 ? 0 : ideal[i] < 1 ? 1 : (uint64_t)ideal[i];
        left -= (int64_t)shares[i];
        if (shares[i] > 0)
            claims[n++].source = i;
    }
    even_out(ideal, left, shares, claims, n);
    free(ideal);
    free(claims);
    return SY_OK;
}
