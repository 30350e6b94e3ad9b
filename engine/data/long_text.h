// SPDX-License-Identifier: Apache-2.0
// long_text.h: SentencePiece on lines of any length. Private to engine/data.
#pragma once

#include "engine/data/sentencepiece.h"

/// Up to this many bytes a text is given to the library whole, as spm_encode would.
#define SY_LONG_TEXT_BYTES ((size_t)64 << 10)

/// As sy_spm_encode(). A longer text is encoded word by word, cut at single spaces, where the model's words do not
/// depend on each other (sy_spm_words_alone); else, and where it has no spaces, it stays whole.
SY_MUST_CHECK enum sy_status sy_long_text_encode(struct sy_ctx *ctx, const struct sy_spm *spm, const char *text,
                                                 size_t bytes, int32_t **out_ids, size_t *out_count);
