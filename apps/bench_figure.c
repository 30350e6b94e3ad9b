// SPDX-License-Identifier: Apache-2.0
// bench_figure.c: what was measured, for people and as JSON.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/bench.h"

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return n % 2 != 0 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

double bench_least(const double *values, size_t n)
{
    double least = values[0];
    for (size_t i = 1; i < n; ++i)
        least = values[i] < least ? values[i] : least;
    return least;
}

enum sy_status bench_tell(struct bench *b, const struct bench_figure *figure)
{
    struct bench_figure *more = realloc(b->figures, (b->figure_count + 1) * sizeof *more);
    if (more == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    b->figures = more;
    b->figures[b->figure_count++] = *figure;
    return SY_OK;
}

static double rate(const struct bench_figure *f) { return (f->memory ? f->bytes : f->flops) / f->seconds; }

/// The figure's share of the best rate of its kind.
static double share(const struct bench *b, const struct bench_figure *f)
{
    double best = 0.0;
    for (size_t i = 0; i < b->figure_count; ++i)
        if (b->figures[i].memory == f->memory && rate(&b->figures[i]) > best)
            best = rate(&b->figures[i]);
    return best > 0.0 ? rate(f) / best : 0.0;
}

static void print_line(const struct bench *b, const struct bench_figure *f)
{
    printf("%s on %s, %s%s: %.3f ms", f->what, b->caps->id, f->rival ? "" : "variant ", f->by, 1e3 * f->seconds);
    if (f->flops > 0.0)
        printf(" %.1f GFLOP/s", f->flops / f->seconds / 1e9);
    if (f->bytes > 0.0)
        printf(" %.1f GB/s", f->bytes / f->seconds / 1e9);
    if (f->tokens > 0.0)
        printf(" %.0f tokens/s", f->tokens / f->seconds);
    if (f->ratio > 0.0)
        printf("; %.2f of %s", f->ratio, f->to);
    if (rate(f) > 0.0)
        printf("; %.0f %% of the best %s here", 100.0 * share(b, f), f->memory ? "GB/s" : "GFLOP/s");
    printf("\n");
}

static json_t *figure_json(const struct bench *b, const struct bench_figure *f)
{
    json_t *j =
        json_pack("{s:s, s:s, s:b, s:f}", "what", f->what, "by", f->by, "rival", (int)f->rival, "ms", 1e3 * f->seconds);
    const struct {
        const char *key;
        double value;
    } more[] = {{"gflops", f->flops / f->seconds / 1e9},
                {"gbs", f->bytes / f->seconds / 1e9},
                {"tokens_per_second", f->tokens / f->seconds},
                {"ratio", f->ratio},
                {"of_best", share(b, f)},
                {"count", f->count},
                {"checked", f->checked}};
    for (size_t i = 0; i < SY_COUNT(more); ++i)
        if (more[i].value > 0.0)
            json_object_set_new(j, more[i].key, json_real(more[i].value));
    if (f->ratio > 0.0)
        json_object_set_new(j, "to", json_string(f->to));
    return j;
}

enum sy_status bench_print(const struct bench *b)
{
    if (!b->o->json) {
        for (size_t i = 0; i < b->figure_count; ++i)
            if (!b->figures[i].json_only)
                print_line(b, &b->figures[i]);
        return SY_OK;
    }
    json_t *figures = json_array();
    for (size_t i = 0; i < b->figure_count; ++i)
        json_array_append_new(figures, figure_json(b, &b->figures[i]));
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "bench", b->o->what, "device", b->caps->id, "name", b->caps->name,
                  "driver", b->caps->driver, "repeat", (json_int_t)b->o->repeat, "figures", figures);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    if (text == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    puts(text);
    free(text);
    return SY_OK;
}
