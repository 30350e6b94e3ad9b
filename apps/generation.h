// SPDX-License-Identifier: Apache-2.0
// generation.h: how switchyard-generate chooses tokens: options, and what a model's generation_config.json says where
// no option does.
#pragma once

#include "apps/cli.h"
#include "engine/task/decode.h"

/// What was given; the rest is NaN.
struct generation {
    double max_tokens, min_tokens, temperature, top_k, top_p, repetition_penalty, no_repeat_ngram;
    double beams, length_penalty, early_stop; ///< early_stop: enum sy_early_stop.
    uint64_t seed;
};
#define GENERATION_NOTHING_GIVEN ((struct generation){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0})

enum {
    GENERATION_MAX = 0x4700,
    GENERATION_MIN,
    GENERATION_TEMPERATURE,
    GENERATION_TOP_K,
    GENERATION_TOP_P,
    GENERATION_REPETITION,
    GENERATION_NGRAM,
    GENERATION_BEAMS,
    GENERATION_LENGTH,
    GENERATION_EARLY,
    GENERATION_SEED
};

/// An argp table of its own: a child of the program's.
extern const struct argp generation_argp;

/// Fills what was not given: from generation_config.json in the model's directory `path`, if there is one, in one line
/// that says what was taken; else with defaults. The start token that it names goes into `config`. Errors: FORMAT
/// naming file and key · INVALID sampling among beams.
enum sy_status generation_settle(struct sy_ctx *ctx, const char *path, struct sy_config *config, struct generation *g);
/// Of settled ones; prompts are the caller's.
struct sy_decode_params generation_params(const struct generation *g);
/// All of them in a line, to compare ranks by.
void generation_describe(const struct generation *g, char *out, size_t room);
