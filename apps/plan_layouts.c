// SPDX-License-Identifier: Apache-2.0
// plan_layouts.c: which layout of so many ranks is the fastest.
#include <stdio.h>

#include "apps/plan_step.h"

static void print_row(const struct plan_step *p, uint64_t memory)
{
    const struct plan_time *t = &p->time;
    printf("  %5ux%-5u  %9.2f GiB%s  %10.4f s  %12.0f tokens/s  %s\n", p->layout.data, p->layout.expert,
           (double)p->most_bytes / 0x1p30, memory != 0 && p->most_bytes > memory ? " too much" : "", t->total,
           plan_step_tokens(p) / t->total, plan_time_bound(t));
}

enum sy_status plan_layouts_try(struct sy_ctx *ctx, const struct plan_job *job, uint32_t ranks, uint64_t memory,
                                bool quiet, struct sy_layout *best)
{
    enum sy_status status = SY_OK;
    double seconds = 0.0;
    bool found = false, held = false;
    struct sy_ctx *silent = sy_ctx_create(NULL, NULL, SY_LOG_ERROR); // a layout that cannot be is no error
    if (silent == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (!quiet)
        printf("layouts of %u ranks, data x expert: memory of a rank, time of a step, speed, what bounds it\n", ranks);
    for (uint32_t expert = 1; expert <= ranks && (expert == 1 || expert <= plan_job_experts(job)); expert *= 2) {
        const struct sy_layout layout = {.data = ranks / expert, .expert = expert};
        struct plan_step p;
        status = plan_step_make(silent, job, &layout, &p);
        if (status == SY_OK && !quiet)
            print_row(&p, memory);
        else if (status != SY_OK && !quiet)
            printf("  %5ux%-5u  not possible: %s\n", layout.data, layout.expert, sy_error(silent));
        const bool fits = memory == 0 || p.most_bytes <= memory;
        if (status == SY_OK && (!found || (fits && !held) || (fits == held && p.time.total < seconds))) {
            *best = layout;
            seconds = p.time.total;
            found = true;
            held = fits;
        }
        plan_step_finish(&p);
    }
    if (!found)
        status = sy_fail(ctx, status, "no layout of %u ranks is possible; the last one: %s", ranks, sy_error(silent));
    sy_ctx_destroy(&silent);
    return found ? SY_OK : status;
}
