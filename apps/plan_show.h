// SPDX-License-Identifier: Apache-2.0
// plan_show.h: what switchyard-plan prints of a step that has been planned: its segments, or the way of one tensor.
#pragma once

#include "apps/plan_rates.h"
#include "engine/assemble.h"

/// Every segment, what it does and what it waits for, of a planned graph of that kind; with rates a time for each;
/// `ranks`, `rates`, `network`: NULL for one, for none. Errors: NOMEM.
SY_MUST_CHECK enum sy_status plan_show_schedule(struct sy_ctx *ctx, const struct sy_graph *g, const struct sy_model *m,
                                                const struct sy_loss *loss, enum sy_session_kind kind,
                                                const struct sy_layout *ranks, const struct plan_rates *rates,
                                                const struct plan_network *network);
/// Every tensor whose name is `name` (or, where none is, contains it), with its bytes and the ops that write and read
/// it, and its gradient. Errors: INVALID no tensor has such a name.
SY_MUST_CHECK enum sy_status plan_show_trace(struct sy_ctx *ctx, const struct sy_graph *g, const char *name);
