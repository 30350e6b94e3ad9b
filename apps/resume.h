// SPDX-License-Identifier: Apache-2.0
// resume.h: what an --out may hold when training starts, and whether a run goes on the way it began.
#pragma once

#include "engine/checkpoint.h"

/// Errors: INVALID when OUT holds checkpoints and `resume` is false, or has none to resume from.
SY_MUST_CHECK enum sy_status resume_check_out(struct sy_ctx *ctx, const char *out, bool resume);
/// Compares the state in OUT/latest with the one this run would begin with. Other data or another optimizer is an
/// error; what a person may want to change (learning rate, schedule, precision, model settings) is a warning.
SY_MUST_CHECK enum sy_status resume_check_state(struct sy_ctx *ctx, const char *out, const struct sy_train_state *was,
                                                const struct sy_train_state *now, const struct sy_config *config);
