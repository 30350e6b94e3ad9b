// SPDX-License-Identifier: Apache-2.0
// resume.h: what an --out may hold when training starts, and whether a run goes on the way it began.
#pragma once

#include "engine/checkpoint.h"
#include "engine/file.h"

/// Takes --out for this process before anything takes time: creates and locks it, finds out whether it can be written,
/// removes what an interrupted save left. `resume`: brings OUT/latest into order; `from` is the checkpoint to go on
/// from. Errors: INVALID when OUT holds checkpoints and `resume` is false, has none to resume from, or is another
/// process's · IO.
SY_MUST_CHECK enum sy_status resume_take_out(struct sy_ctx *ctx, const char *out, bool resume, struct sy_lock *lock,
                                             char from[SY_PATH_ROOM]);
/// Errors: IO when the disk has no room for one checkpoint of the session; a warning when it has none for `keep` and
/// the one being written.
SY_MUST_CHECK enum sy_status resume_check_room(struct sy_ctx *ctx, const char *out, const struct sy_session *s,
                                               uint64_t keep);
/// Compares the state in the checkpoint DIR with the one this run would begin with. Other data or another optimizer is
/// an error; what a person may want to change (learning rate, schedule, precision, model settings) is a warning.
SY_MUST_CHECK enum sy_status resume_check_state(struct sy_ctx *ctx, const char *dir, const struct sy_train_state *was,
                                                const struct sy_train_state *now, const struct sy_config *config);
