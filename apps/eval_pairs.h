// SPDX-License-Identifier: Apache-2.0
// eval_pairs.h: switchyard-eval on the rows of a table: answers, their scores, and a file of predictions.
#pragma once

#include "apps/pairs.h"
#include "apps/ranks.h"

struct eval_pairs {
    const char *file, *predictions;
    struct pairs_options form;
    uint64_t max_tokens, examples, src_len, sequences; ///< 0: not given.
    bool json;
};

/// Answers all rows, prints the scores. The model is open; `device` stays NULL where the run ends before it is opened.
SY_MUST_CHECK enum sy_status eval_pairs_run(struct sy_ctx *ctx, const struct eval_pairs *o,
                                            const struct cli_common *common, struct sy_bundle *model,
                                            struct ranks *ranks, struct sy_device **device);
