// SPDX-License-Identifier: Apache-2.0
// held_out.h: switchyard-train's held-out rows: they are answered and scored while the model trains, and OUT/best keeps
// the checkpoint whose first score is the highest.
#pragma once

#include "apps/report.h"
#include "apps/replies.h"

/// A zeroed struct is empty.
struct held_out {
    struct sy_pairs pairs;
    struct sy_answerer *answerer;
    struct sy_reply *replies;
    size_t count; ///< Rows that are answered.
    double best;  ///< NaN: none yet.
};

/// Where the checkpoint of the best score is: OUT/best/step-N, named by OUT/best/latest. A run that goes on reads its
/// score; a new one must not find any. Errors: INVALID it does · IO.
SY_MUST_CHECK enum sy_status held_out_begin(struct sy_ctx *ctx, struct held_out *h, const char *out, bool resume);
/// Answers by the weights of a training session, whose lengths and batch it takes.
SY_MUST_CHECK enum sy_status held_out_open(struct sy_ctx *ctx, const struct sy_form *form, const struct sy_session *s,
                                           const struct sy_tokenizer *tokenizer, uint64_t most, struct held_out *h);
/// Scores them all. `*out_better`: the first score is the highest so far.
SY_MUST_CHECK enum sy_status held_out_score(struct sy_ctx *ctx, const struct sy_form *form, struct held_out *h,
                                            struct replies_scores *out, bool *out_better);
/// After the checkpoint is saved: which score it has. Errors: IO.
SY_MUST_CHECK enum sy_status held_out_keep(struct sy_ctx *ctx, const struct held_out *h, const char *out, uint64_t step,
                                           const struct replies_scores *scores);
/// A line, and one in metrics.jsonl.
SY_MUST_CHECK enum sy_status held_out_report(struct report *r, uint64_t step, const struct replies_scores *scores,
                                             bool better);
void held_out_close(struct held_out *h);
