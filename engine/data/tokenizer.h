// SPDX-License-Identifier: Apache-2.0
// tokenizer.h: text to token ids and back: bytes, or a SentencePiece model with T5's sentinels.
//
// bytes:          0 pad, 1 eos, 2 unk, byte b = b + 3. V = 384. <extra_id_N> is V − 1 − N, 258 − N or 259 + N
//                 (enum sy_sentinels).
// SentencePiece:  the model's pieces, then 100 sentinels: <extra_id_N> = pieces + 99 − N (32099 − N for T5), unless the
//                 model has pieces of that name. Ids from there to V (T5 pads to 32128) are unused.
// A directory:    its spiece.model, or bytes when tokenizer_config.json says ByT5Tokenizer, or the unigram model
//                 inside its tokenizer.json; with the tokens that tokenizer_config.json, special_tokens_map.json,
//                 added_tokens.json and tokenizer.json add: they are found in a text before anything else, and they may
//                 say which token is pad, eos or unk, and which ids the sentinels have. A file called spiece.model
//                 stands for its directory.
// Threads: an open tokenizer is read-only and may be shared.
// Layer:   engine.
#pragma once

#include "engine/config.h"

struct sy_tokenizer;

struct sy_tokenizer_params {
    const char *source;          ///< "bytes", a SentencePiece model file, or a directory.
    uint32_t vocab_size;         ///< The model's V; 0 takes the natural one (384, or what is used rounded up to 128).
    enum sy_sentinels sentinels; ///< Of bytes; UNSAID is TOP.
    uint32_t pad;                ///< For a vocabulary that names no padding.
};
/// Errors: IO · FORMAT · INVALID V too small (both sizes named) · UNSUPPORTED built without SentencePiece.
SY_MUST_CHECK enum sy_status sy_tokenizer_open_as(struct sy_ctx *ctx, const struct sy_tokenizer_params *params,
                                                  struct sy_tokenizer **out_tokenizer);
/// The same with sentinels at the top and 0 for a padding that is not named.
SY_MUST_CHECK enum sy_status sy_tokenizer_open(struct sy_ctx *ctx, const char *source, uint32_t vocab_size,
                                               struct sy_tokenizer **out_tokenizer);
void sy_tokenizer_close(struct sy_tokenizer **tokenizer);
/// Writes the files with which Hugging Face loads the same vocabulary into a directory: those it came with, else a
/// tokenizer_config.json of ours. Errors: IO.
SY_MUST_CHECK enum sy_status sy_tokenizer_save(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                               const char *directory);

enum sy_encode_flags {
    SY_ENCODE_SENTINELS = 1, ///< "<extra_id_N>" in the text means the sentinel, not the characters. (Tokens that a
                             ///< directory adds are always meant; pad, eos and unk never come from a text.)
    SY_ENCODE_EOS = 2,       ///< End with eos.
};
/// Encodes UTF-8 (bytes: anything). `*out_ids` is malloc'ed, never NULL on success.
SY_MUST_CHECK enum sy_status sy_tokenizer_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                                 const char *text, size_t bytes, uint32_t flags, int32_t **out_ids,
                                                 size_t *out_count);
/// Decodes to malloc'ed, NUL-terminated, valid UTF-8. Padding and eos vanish, sentinels show as "<extra_id_N>",
/// added tokens as they are written, unused ids and broken byte sequences as U+FFFD. Errors: INVALID id outside the
/// vocabulary.
SY_MUST_CHECK enum sy_status sy_tokenizer_decode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                                 const int32_t *ids, size_t count, char **out_text);

// What it is, for programs that make batches of their own; these here ask for some of it.
uint32_t sy_tokenizer_vocab(const struct sy_tokenizer *tokenizer);
uint32_t sy_tokenizer_used(const struct sy_tokenizer *tokenizer);      ///< No id from here on has a meaning.
uint32_t sy_tokenizer_sentinels(const struct sy_tokenizer *tokenizer); ///< How many there are.
/// Id of <extra_id_index>, or −1 beyond the last.
int32_t sy_tokenizer_sentinel(const struct sy_tokenizer *tokenizer, uint32_t index);
int32_t sy_tokenizer_pad(const struct sy_tokenizer *tokenizer);
int32_t sy_tokenizer_eos(const struct sy_tokenizer *tokenizer);
int32_t sy_tokenizer_unk(const struct sy_tokenizer *tokenizer);
bool sy_tokenizer_is_bytes(const struct sy_tokenizer *tokenizer);
/// XXH3-128, in 32 hexadecimal digits, of what its ids mean in a text: equal for vocabularies that were read of
/// different files and have the same pieces and added tokens. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_tokenizer_sum(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                              char out_hex[33]);
/// How the masks of bytes are numbered; UNSAID for SentencePiece.
enum sy_sentinels sy_tokenizer_numbering(const struct sy_tokenizer *tokenizer);
