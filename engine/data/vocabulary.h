// SPDX-License-Identifier: Apache-2.0
// vocabulary.h: a model's config and a vocabulary must speak of the same ids.
#pragma once

#include "engine/data/tokenizer.h"

/// Compares eos, padding and size. A model that is yet to be drawn (`trained` false) takes eos and padding from the
/// vocabulary, and starts its decoder with that padding where it started with the old. A trained one learnt its eos: a
/// vocabulary that ends with another is an error. Its padding is masked, so it takes the vocabulary's with a warning.
/// A byte vocabulary's masks are written into the config. `source` and `name`: the vocabulary and the model in
/// messages. Errors: INVALID naming both ids.
SY_MUST_CHECK enum sy_status sy_vocabulary_agree(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                                 const char *source, bool trained, const char *name,
                                                 struct sy_config *config);
