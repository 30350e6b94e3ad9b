// SPDX-License-Identifier: Apache-2.0
// ids.h: a growing list of token ids, and texts as such. Private to engine/data.
#pragma once

#include "engine/data/tokenizer.h"

struct sy_ids {
    int32_t *data;
    uint64_t count, room;
};

/// Room for `more` ids. Errors: NOMEM naming what `name` is.
SY_MUST_CHECK enum sy_status sy_ids_reserve(struct sy_ctx *ctx, struct sy_ids *ids, uint64_t more, const char *name);
/// Appends the ids of one line. Errors: as sy_tokenizer_encode().
SY_MUST_CHECK enum sy_status sy_ids_add_line(struct sy_ctx *ctx, struct sy_ids *ids,
                                             const struct sy_tokenizer *tokenizer, const char *text, size_t bytes,
                                             const char *name);
struct sy_words;
/// Appends the ids of whole lines, each encoded alone: SentencePiece works on one sentence. `words` (words.h) may be
/// NULL. Errors: as sy_tokenizer_encode().
SY_MUST_CHECK enum sy_status sy_ids_add_text(struct sy_ctx *ctx, struct sy_ids *ids,
                                             const struct sy_tokenizer *tokenizer, struct sy_words *words,
                                             const char *text, size_t bytes, const char *name);
