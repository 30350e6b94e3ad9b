// SPDX-License-Identifier: Apache-2.0
// bundle.h: a model as it is named by a path: its config, its weights, its vocabulary.
//
// The path is a Hugging Face directory, OUT/latest of a training run, or a config.json, whose weights are drawn.
// Ownership: a bundle owns what it opened; a zeroed one is empty.   Layer: engine.
#pragma once

#include "engine/data/tokenizer.h"
#include "engine/safetensors.h"

/// A model given as a directory or a config.json.
struct sy_bundle {
    struct sy_config config;
    struct sy_tensors *tensors;     ///< NULL: drawn weights.
    struct sy_tokenizer *tokenizer; ///< NULL until sy_bundle_tokenizer().
};

enum sy_weights_wanted {
    SY_WEIGHTS_UNREAD,        ///< A directory's weights are not opened (--draw-weights).
    SY_WEIGHTS_IF_ANY,        ///< A directory may do without: only sizes are asked for.
    SY_WEIGHTS_UNLESS_CONFIG, ///< A directory must have them; a config.json stands for drawn ones.
    SY_WEIGHTS_NEEDED,        ///< A config.json is an error, too.
};
/// Opens config and weights. A directory whose weights are missing is an error that says what was found.
SY_MUST_CHECK enum sy_status sy_bundle_open(struct sy_ctx *ctx, const char *path, enum sy_weights_wanted wanted,
                                            struct sy_bundle *out);
/// One line on where the weights come from: "weights: DIR/model.safetensors (12 tensors)", "weights: drawn from seed
/// 0".
void sy_bundle_origin(const struct sy_bundle *m, const char *path, uint64_t seed, char *out, size_t room);
/// Chooses and opens the vocabulary: `wanted` ("bytes", a file, a directory), else the model directory's own, else
/// bytes when V fits. Afterwards config and vocabulary agree (see vocabulary.h).
SY_MUST_CHECK enum sy_status sy_bundle_tokenizer(struct sy_ctx *ctx, const char *path, const char *wanted,
                                                 struct sy_bundle *m);
void sy_bundle_close(struct sy_bundle *m);
