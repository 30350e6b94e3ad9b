// SPDX-License-Identifier: Apache-2.0
// draw.h: a token drawn from a row of logits, on the host: the truth of op `draw`, and what decoding calls where logits
// are changed before one is drawn.
// Layer: engine.
#pragma once

#include <stdint.h>

#include "kernels/weigh.h"

/// The words of the op (op_args.h). temperature > 0; top_k 0 and top_p outside of (0, 1): all.
void sy_draw_words(double temperature, uint32_t top_k, double top_p, uint64_t seed, uint32_t index,
                   u32 out[SY_DRAW_WORDS]);
/// Draws from x[n], of which x[top] is the largest, for sequence `index` (from the words' on) at `position`; top, where
/// nothing weighs anything.
uint32_t sy_draw(const float *x, uint32_t n, uint32_t top, const u32 words[SY_DRAW_WORDS], uint32_t index,
                 uint32_t position);
