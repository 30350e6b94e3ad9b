// SPDX-License-Identifier: Apache-2.0
// choose.h: one token out of the scores of all. Private to engine/task.
#pragma once

#include "engine/draw.h"
#include "engine/task/decode.h"

/// Whether `scores` can be chosen from as they are: nothing limits a sequence of `count` tokens, the start token among
/// them.
bool sy_choose_free(const struct sy_decode_params *p, uint32_t count);
/// Changes the scores (logits, or log-probabilities) of tokens that `said` makes less likely or impossible: the `count`
/// tokens so far, the start token first. `work` has room for as many.
void sy_choose_limit(const struct sy_decode_params *p, const struct sy_config *c, const int32_t *said, uint32_t count,
                     float *scores, float *work);
/// The largest, lowest index on ties.
uint32_t sy_choose_best(const float *scores, uint32_t count);
/// How p->prompts' sequences are drawn (engine/draw.h): what a sample is on the device and on the host alike. All zero:
/// they are not, temperature is 0.
void sy_choose_words(const struct sy_decode_params *p, u32 out[SY_DRAW_WORDS]);
/// Draws from softmax(scores / temperature) over the candidates that top_k and top_p leave (of equal scores those of
/// lowest id), for sequence `index` of the prompts.
uint32_t sy_choose_sample(const float *scores, uint32_t count, const struct sy_decode_params *p, uint32_t index,
                          uint32_t position);
