// SPDX-License-Identifier: Apache-2.0
// plan_layouts.c: which layout of so many ranks is the fastest.
#include <stdio.h>

#include "apps/plan_step.h"

/// "2x4", or "2x4x2" where the model is split.
static const char *name_of(const struct sy_layout *l, char text[24])
{
    const int length = snprintf(text, 24, "%ux%u", l->data, l->expert);
    if (sy_layout_parts(l) > 1)
        snprintf(text + length, 24 - (size_t)length, "x%u", sy_layout_parts(l));
    return text;
}

static void print_row(const struct plan_step *p, uint64_t memory)
{
    const struct plan_time *t = &p->time;
    char name[24];
    printf("  %-12s  %9.2f GiB%s  %10.4f s  %12.0f tokens/s  %s\n", name_of(&p->layout, name),
           (double)p->most_bytes / 0x1p30, memory != 0 && p->most_bytes > memory ? " too much" : "", t->total,
           plan_step_tokens(p) / t->total, plan_time_bound(t));
}

/// What is the best so far.
struct search {
    struct sy_layout *best;
    double speed; ///< Tokens/s: as many parts as a layout has work on the same sequences.
    bool found, held;
};

static enum sy_status try_one(struct sy_ctx *silent, const struct plan_job *job, const struct sy_layout *layout,
                              uint64_t memory, bool quiet, struct search *s)
{
    struct plan_step p;
    char name[24];
    const enum sy_status status = plan_step_make(silent, job, layout, &p);
    if (status == SY_OK && !quiet)
        print_row(&p, memory);
    else if (status != SY_OK && !quiet)
        printf("  %-12s  not possible: %s\n", name_of(layout, name), sy_error(silent));
    if (status == SY_OK) {
        const bool fits = memory == 0 || p.most_bytes <= memory;
        const double speed = plan_step_tokens(&p) / p.time.total;
        if (!s->found || (fits && !s->held) || (fits == s->held && speed > s->speed)) {
            *s->best = *layout;
            *s = (struct search){.best = s->best, .speed = speed, .found = true, .held = fits};
        }
    }
    plan_step_finish(&p);
    return status;
}

enum sy_status plan_layouts_try(struct sy_ctx *ctx, const struct plan_job *job, uint32_t ranks, uint64_t memory,
                                bool quiet, struct sy_layout *best)
{
    const uint32_t heads = job->params.config->heads, experts = plan_job_experts(job);
    enum sy_status status = SY_OK;
    struct search s = {.best = best};
    struct sy_ctx *silent = sy_ctx_create(NULL, NULL, SY_LOG_ERROR); // a layout that cannot be is no error
    if (silent == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (!quiet)
        printf("layouts of %u ranks, data x expert x model: memory of a rank, time of a step, speed, what bounds it\n",
               ranks);
    for (uint32_t model = 1; model <= ranks && heads % model == 0; model *= 2)
        for (uint32_t expert = 1; expert <= ranks / model && (expert == 1 || expert <= experts); expert *= 2)
            status = try_one(silent, job,
                             &(struct sy_layout){.data = ranks / model / expert, .expert = expert, .model = model},
                             memory, quiet, &s);
    if (!s.found)
        status = sy_fail(ctx, status, "no layout of %u ranks is possible; the last one: %s", ranks, sy_error(silent));
    sy_ctx_destroy(&silent);
    return s.found ? SY_OK : status;
}
