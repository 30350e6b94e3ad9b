// SPDX-License-Identifier: Apache-2.0
// pairs.c: a table's rows as a task: teacher-forced cross-entropy on the tokens of each target.
#include "engine/task/task.h"

/// In evaluation each row's loss stays: what an option is worth is that of its own tokens (answer.h).
static void emit_loss(struct sy_graph *g, const struct sy_model *model, struct sy_loss *out)
{
    sy_cross_entropy_emit(g, model, out);
    if (model->params.mode == SY_MODEL_EVAL)
        sy_keep(g, out->rows);
}

const struct sy_task sy_task_pairs = {
    .name = "pairs",
    .objective = SY_OBJECTIVE_PAIRS,
    .src_len = 512, // at most: the longest example's, where it is shorter
    .tgt_len = 512,
    .emit_loss = emit_loss,
    .metrics = sy_cross_entropy_metrics,
};
