// SPDX-License-Identifier: Apache-2.0
// numbers.c: texts as numbers.
#include <math.h>
#include <stdlib.h>

#include "engine/metric/scores.h"

/// What is no number is −1, which no scale of the field has.
static double number_of(const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    while (*end == ' ' || *end == '\t' || *end == '\n')
        ++end;
    return end != text && *end == '\0' && isfinite(value) ? value : -1.0;
}

static double correlate(const double *x, const double *y, size_t n)
{
    double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n; ++i) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; ++i) {
        xy += (x[i] - mx) * (y[i] - my);
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx) / sqrt(yy) : NAN;
}

struct place {
    double value;
    size_t at;
};

static int ascending(const void *a, const void *b)
{
    const double x = ((const struct place *)a)->value, y = ((const struct place *)b)->value;
    return (x > y) - (x < y);
}

/// Ranks in place of values; equal ones share the mean of theirs.
static bool rank(double *x, size_t n)
{
    struct place *order = malloc(n * sizeof *order);
    if (order == NULL)
        return false;
    for (size_t i = 0; i < n; ++i)
        order[i] = (struct place){x[i], i};
    qsort(order, n, sizeof *order, ascending);
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first; end < n && order[end].value == order[first].value; ++end)
            ;
        for (size_t i = first; i < end; ++i)
            x[order[i].at] = 0.5 * (double)(first + end - 1);
    }
    free(order);
    return true;
}

static bool score(const struct sy_scoring *s, bool ranks, double *out)
{
    double *x = malloc(2 * s->count * sizeof *x), *y = x + s->count;
    if (x == NULL)
        return false;
    for (size_t i = 0; i < s->count; ++i) {
        x[i] = number_of(s->answers[i].said);
        y[i] = number_of(s->answers[i].golds[0]);
    }
    const bool good = !ranks || (rank(x, s->count) && rank(y, s->count));
    *out = correlate(x, y, s->count);
    free(x);
    return good;
}

bool sy_score_pearson(const struct sy_scoring *s, double *out) { return score(s, false, out); }
bool sy_score_spearman(const struct sy_scoring *s, double *out) { return score(s, true, out); }
