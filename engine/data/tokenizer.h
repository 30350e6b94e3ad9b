// SPDX-License-Identifier: Apache-2.0
// tokenizer.h: text to token ids and back: bytes, or a SentencePiece model with T5's sentinels.
//
// bytes:          0 pad, 1 eos, 2 unk, byte b = b + 3, sentinels at the top: <extra_id_N> = V − 1 − N. V = 384.
// SentencePiece:  the model's pieces, then 100 sentinels: <extra_id_N> = pieces + 99 − N (32099 − N for T5), unless the
//                 model has pieces of that name. Ids from there to V (T5 pads to 32128) are unused.
// Threads: an open tokenizer is read-only and may be shared.
// Layer:   engine.
#pragma once

#include "hostlib/status.h"

struct sy_tokenizer;

/// `source`: "bytes", a SentencePiece model file, or a directory with spiece.model in it.
/// `vocab_size`: the model's V; 0 takes the natural one (384, or pieces + sentinels rounded up to 128).
/// Errors: IO · FORMAT · INVALID V too small (both sizes named) · UNSUPPORTED built without SentencePiece.
SY_MUST_CHECK enum sy_status sy_tokenizer_open(struct sy_ctx *ctx, const char *source, uint32_t vocab_size,
                                               struct sy_tokenizer **out_tokenizer);
void sy_tokenizer_close(struct sy_tokenizer **tokenizer);

enum sy_encode_flags {
    SY_ENCODE_SENTINELS = 1, ///< "<extra_id_N>" in the text means the sentinel, not the characters.
    SY_ENCODE_EOS = 2,       ///< End with eos.
};
/// Encodes UTF-8 (bytes: anything). `*out_ids` is malloc'ed, never NULL on success.
SY_MUST_CHECK enum sy_status sy_tokenizer_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                                 const char *text, size_t bytes, uint32_t flags, int32_t **out_ids,
                                                 size_t *out_count);
/// Decodes to malloc'ed, NUL-terminated, valid UTF-8. Padding and eos vanish, sentinels show as "<extra_id_N>",
/// unused ids and broken byte sequences as U+FFFD. Errors: INVALID id outside the vocabulary.
SY_MUST_CHECK enum sy_status sy_tokenizer_decode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                                 const int32_t *ids, size_t count, char **out_text);

uint32_t sy_tokenizer_vocab(const struct sy_tokenizer *tokenizer);
uint32_t sy_tokenizer_sentinels(const struct sy_tokenizer *tokenizer); ///< How many there are.
/// Id of <extra_id_index>, or −1 beyond the last.
int32_t sy_tokenizer_sentinel(const struct sy_tokenizer *tokenizer, uint32_t index);
int32_t sy_tokenizer_pad(const struct sy_tokenizer *tokenizer); ///< 0 when the model names none.
int32_t sy_tokenizer_eos(const struct sy_tokenizer *tokenizer);
int32_t sy_tokenizer_unk(const struct sy_tokenizer *tokenizer);
bool sy_tokenizer_is_bytes(const struct sy_tokenizer *tokenizer);
