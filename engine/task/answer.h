// SPDX-License-Identifier: Apache-2.0
// answer.h: what a model says to the inputs of examples: by generating, or by choosing the most likely of each
// example's options.
//
// Examples go in the order of their lengths, in batches of about as many tokens each: up to SY_ANSWER_LENGTHS sessions
// of src_len, half of it, and so on, made when they are first needed, so that short inputs do not pay for long ones. No
// capacity drops a token and padding is masked, so an answer depends neither on its neighbours nor on the session (but
// under expert choice, where experts choose among the tokens of a group). Options are compared by the sum of their
// tokens' log-probabilities, eos included. Layer: engine; threads: one.
#pragma once

#include "engine/data/pairs.h"
#include "engine/task/evaluate.h"

enum { SY_ANSWER_LENGTHS = 4 };

struct sy_answer_params {
    struct sy_device *device;
    const struct sy_config *config;       ///< Copied.
    const struct sy_tokenizer *tokenizer; ///< Borrowed.
    const struct sy_tensors *tensors;     ///< Weights; NULL: those of …
    const struct sy_session *lender;      ///< … this session, which must outlive the answerer.
    enum sy_precision precision;
    const struct sy_layout *ranks; ///< All ranks answer everything.
    bool rank;                     ///< Choose among options.
    uint32_t src_len;              ///< Longer inputs are cut.
    uint32_t max_tokens;           ///< Of an answer; of options what is longer is cut.
    uint32_t batch;                ///< Inputs (with options: input and option) of src_len at a time.
    sy_evaluate_fn progress;       ///< May be NULL.
    void *user;
};

struct sy_answerer;
/// Nothing is allocated on the device yet. Malloc'ed. Errors: INVALID sizes · NOMEM.
SY_MUST_CHECK enum sy_status sy_answerer_create(struct sy_ctx *ctx, const struct sy_answer_params *params,
                                                struct sy_answerer **out);
void sy_answerer_destroy(struct sy_answerer **answerer);

struct sy_reply {
    char *text;
    double *options; ///< Log-probability of each of the example's options; NULL: generated.
    uint32_t tokens; ///< Generated.
    size_t chosen;   ///< Which option.
};

/// Replies to the first `count` examples, which are encoded: `out` has room for as many, zeroed. Blocks.
/// Errors: those of sessions and decoding.
SY_MUST_CHECK enum sy_status sy_answer_all(struct sy_answerer *a, const struct sy_pairs *pairs, size_t count,
                                           struct sy_reply *out);
void sy_replies_free(struct sy_reply *replies, size_t count);
