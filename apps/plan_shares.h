// SPDX-License-Identifier: Apache-2.0
// plan_shares.h: what --share means for each rank of a plan.
#pragma once

#include <jansson.h>

#include "apps/plan_step.h"

/// One place (layout.h): each of its ranks has these figures.
struct plan_share {
    uint32_t rank, experts;
    uint64_t sequences, bytes; ///< Of a step; allocated.
    double sent;               ///< Bytes, with even loads of the experts.
    double seconds;            ///< Of a step; 0: no rates were given.
};

/// All places; zeros: --share was not given.
struct plan_shares {
    uint32_t *experts, *turns; ///< What the layout points to (layout.h).
    struct plan_share *list;
    uint32_t places;
};

/// Gives the layout its shares (share.h). Errors: INVALID not as many as there are places · sequences without
/// --micro-batches.
SY_MUST_CHECK enum sy_status plan_shares_read(struct sy_ctx *ctx, const char *text, uint32_t micro_count,
                                              struct plan_shares *s, struct sy_layout *layout);
/// Plans every place of a layout that has them. Errors: those of plan_step_own().
SY_MUST_CHECK enum sy_status plan_shares_make(struct sy_ctx *ctx, const struct plan_job *job,
                                              const struct sy_layout *layout, struct plan_shares *s);
void plan_shares_print(const struct plan_shares *s);
json_t *plan_shares_json(const struct plan_shares *s);
void plan_shares_finish(struct plan_shares *s);
