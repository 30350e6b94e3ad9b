// SPDX-License-Identifier: Apache-2.0
// beams.h: the search for the best sequence of one prompt. Private to engine/task.
//
// A row is a sequence that goes on. Every position gives each row's candidates; the best of all that do not end are the
// rows of the next position, and the best that end are kept. A row that goes on from its own past stays where it is;
// one that goes on from another's takes the place of a row from which nobody goes on, so the device copies pasts in
// place (kernels/kv_fork.cl).
#pragma once

#include "engine/task/decode.h"

struct sy_beams;

struct sy_beams_params {
    const struct sy_decode_params *decode;
    const struct sy_config *config;
    uint32_t beams;
};

/// Of one prompt; `*out` is malloc'ed. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_beams_create(struct sy_ctx *ctx, const struct sy_beams_params *params,
                                             struct sy_beams **out);
void sy_beams_destroy(struct sy_beams **beams);

/// Which rows have a past worth going on from: at first the first alone, since all would say the same; none when the
/// search is over.
bool sy_beams_going(const struct sy_beams *b, uint32_t row);

/// What is known of the next position: of each row the `count` largest log-probabilities and the tokens they belong to,
/// from the largest on, −1 behind the last (kernels/top.cl) …
struct sy_beams_top {
    const float *values;   ///< [beams, count]
    const int32_t *tokens; ///< [beams, count]
    uint32_t count;        ///< At least 2 · beams + 1. 0: nothing, but …
    float *logits;         ///< … all logits [beams, V], which are spoilt.
};

/// Whether the device's choice will do for the next position: nothing limits tokens, but that a sequence may not end.
bool sy_beams_free(const struct sy_decode_params *p);
/// Writes each row's next token, and which of the rows its past is. False: the search is over.
bool sy_beams_step(struct sy_beams *b, const struct sy_beams_top *top, int32_t *tokens, int32_t *parents);
/// The best sequence, without its eos; returns its length.
uint32_t sy_beams_best(const struct sy_beams *b, int32_t *out);
