// SPDX-License-Identifier: Apache-2.0
// replies.h: what a program makes of a model's answers to rows: scores, and a file of predictions.
#pragma once

#include <jansson.h>

#include "engine/data/pairs.h"
#include "engine/metric/metric.h"
#include "engine/task/answer.h"

enum { REPLIES_SCORES = 16 };

struct replies_scores {
    struct sy_score items[REPLIES_SCORES];
    size_t count;
    double majority; ///< Accuracy of always saying the commonest target, or, where each example has options of its
                     ///< own, of always taking the commonest place among them; NaN where accuracy is not asked for.
};

/// The metrics that a form asks for; "accuracy" where it says nothing.
const char *replies_metrics(const struct sy_form *form);
/// The scores of the first `count` examples. Errors: INVALID no such metric, too many · NOMEM.
SY_MUST_CHECK enum sy_status replies_score(struct sy_ctx *ctx, const struct sy_form *form, const struct sy_pairs *pairs,
                                           size_t count, const struct sy_reply *replies, struct replies_scores *out);
/// Writes a line of JSON for each: number (of its line or row), id, input, targets, prediction; score: the
/// log-probability of the option taken (with `options` and all their `scores`), or of what was generated its own first
/// metric. Errors: IO · NOMEM.
SY_MUST_CHECK enum sy_status replies_write(struct sy_ctx *ctx, const char *path, const struct sy_form *form,
                                           const struct sy_pairs *pairs, size_t count, const struct sy_reply *replies);
/// The scores as an object: {"accuracy": 0.5, …}; what is not defined is null. NULL when out of memory.
json_t *replies_json(const struct replies_scores *scores);
