// SPDX-License-Identifier: Apache-2.0
// pairs.c: a table's rows as a task: teacher-forced cross-entropy on the tokens of each target.
#include "engine/task/task.h"

const struct sy_task sy_task_pairs = {
    .name = "pairs",
    .objective = SY_OBJECTIVE_PAIRS,
    .src_len = 512, // at most: the longest example's, where it is shorter
    .tgt_len = 512,
    .emit_loss = sy_cross_entropy_emit,
    .metrics = sy_cross_entropy_metrics,
};
