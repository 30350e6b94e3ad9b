// SPDX-License-Identifier: Apache-2.0
// spans.c: span corruption as a task.
#include "engine/data/spans.h"
#include "engine/task/task.h"

const struct sy_task sy_task_spans = {
    .name = "spans",
    .objective = SY_OBJECTIVE_SPANS,
    .src_len = 512, // the paper's
    .tgt_len = 114,
    .raw_length = sy_spans_raw_length,
    .lengths = sy_spans_lengths,
    .emit_loss = sy_cross_entropy_emit,
    .metrics = sy_cross_entropy_metrics,
};
