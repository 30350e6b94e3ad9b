// SPDX-License-Identifier: Apache-2.0
// tokenizer_json.h: a SentencePiece model out of Hugging Face's tokenizer.json. Private to engine/data.
#pragma once

#include "hostlib/status.h"

/// Builds the bytes of a SentencePiece model (malloc'ed) that gives texts the ids that the file's unigram model does:
/// its pieces and scores, and its normaliser's table. Masks <extra_id_N> at the end of the vocabulary are left out, as
/// in T5's own spiece.model. Errors: FORMAT · UNSUPPORTED another kind of tokenizer, named.
SY_MUST_CHECK enum sy_status sy_tokenizer_json_model(struct sy_ctx *ctx, const char *text, size_t bytes,
                                                     const char *file, char **out_model, size_t *out_bytes);
