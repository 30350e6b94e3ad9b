// SPDX-License-Identifier: Apache-2.0
// spans.h: T5's span corruption: 15 % of the tokens in runs of 3 on average are cut out and become the targets.
//
// Counts are computed in integers: round(0.15 · n) and round(noise / 3), halves to even.
// The runs depend on (seed, example, n) alone, so that a resumed run sees the same examples.
// Layer: engine.
#pragma once

#include "hostlib/status.h"

/// Noise tokens and noise runs of `length` ≥ 1 raw tokens; a single one is noise.
void sy_spans_count(uint32_t length, uint32_t *out_noise, uint32_t *out_spans);

/// Lengths with eos of the inputs and targets made of `length` raw tokens.
void sy_spans_lengths(uint32_t length, uint32_t *out_inputs, uint32_t *out_targets);

/// The largest raw length whose inputs fit `src_len` and whose targets fit `tgt_len`, needing at most `sentinels`
/// runs; 0 when even two tokens do not fit. 512 and 114 give 568.
uint32_t sy_spans_raw_length(uint32_t src_len, uint32_t tgt_len, uint32_t sentinels);

/// Draws the `spans` lengths of kept and noise runs (kept first), uniformly over all partitions into positive parts.
void sy_spans_draw(uint64_t seed, uint64_t example, uint32_t length, uint32_t *kept, uint32_t *noise);

/// Cuts the runs out: run i becomes `sentinels[i]` in the inputs and sentinel + run in the targets; eos ends both.
/// `inputs` and `targets` have room for sy_spans_lengths() of the sum of all runs.
void sy_spans_apply(const int32_t *tokens, uint32_t spans, const uint32_t *kept, const uint32_t *noise,
                    const int32_t *sentinels, int32_t eos, int32_t *inputs, int32_t *targets);
