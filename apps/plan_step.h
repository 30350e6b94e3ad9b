// SPDX-License-Identifier: Apache-2.0
// plan_step.h: a training step of one rank, planned by the code that a run would go through, and what it adds up to.
#pragma once

#include "apps/plan_time.h"
#include "engine/assemble.h"
#include "engine/plan.h"

/// What steps are planned for.
struct plan_job {
    const struct sy_caps *caps;
    struct sy_session_params params;    ///< Those of any layout; slices are of the whole step.
    const struct plan_rates *rates;     ///< NULL: no time is asked for.
    const struct plan_network *network; ///< NULL: nothing is known of it.
};

struct plan_step {
    struct sy_layout layout; ///< Of one rank: 1 × 1.
    struct sy_session_params params;
    struct sy_graph *graph;
    struct sy_model *model; ///< malloc'ed
    struct sy_loss loss;
    struct sy_segments segments;
    uint64_t parameters, expert_parameters; ///< Of the whole model …
    uint64_t own_parameters, own_experts;   ///< … and of this rank.
    uint64_t arena[SY_ARENA_COUNT], bytes;
    double forward, backward, update; ///< FLOPs, with every place for an expert's rows taken.
    size_t nodes;
    uint32_t heaviest; ///< Of the places with as many experts, the one that updates most, where that is more than this
                       ///< one does; else this one …
    uint64_t most_bytes;   ///< … and the more of the two's bytes.
    struct plan_time time; ///< Of the slower of the two. Zeros where none is asked for.
};

/// `*out` must be finished in any case. Errors: INVALID slices that cannot be shared out · those of graph and plan.
SY_MUST_CHECK enum sy_status plan_step_make(struct sy_ctx *ctx, const struct plan_job *job,
                                            const struct sy_layout *layout, struct plan_step *out);
/// The same of the layout's own rank alone, whoever updates most.
SY_MUST_CHECK enum sy_status plan_step_own(struct sy_ctx *ctx, const struct plan_job *job,
                                           const struct sy_layout *layout, struct plan_step *out);
void plan_step_finish(struct plan_step *p);
/// NULL for one rank.
static inline const struct sy_layout *plan_step_ranks(const struct plan_step *p)
{
    return sy_layout_world(&p->layout) > 1 ? &p->layout : NULL;
}
static inline uint32_t plan_job_machine(const struct plan_job *job)
{
    return job->network != NULL ? job->network->machine : 1;
}
/// Experts of a layer; 0: no layer is sparse.
uint32_t plan_job_experts(const struct plan_job *job);
/// Tokens of a whole step, on all ranks.
double plan_step_tokens(const struct plan_step *p);
/// Bytes of the rank's process, with the messages' and, where the device is a processor, the device's. The rates are
/// measured ones.
double plan_step_resident(const struct plan_job *job, const struct plan_step *p);

/// Plans every layout of `ranks` ranks, prints a line for each, and gives the one with the shortest step among those
/// that `memory` (0: any) can hold. Errors: what the last one cannot be, when none can.
SY_MUST_CHECK enum sy_status plan_layouts_try(struct sy_ctx *ctx, const struct plan_job *job, uint32_t ranks,
                                              uint64_t memory, bool quiet, struct sy_layout *best);
