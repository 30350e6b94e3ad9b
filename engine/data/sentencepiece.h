// SPDX-License-Identifier: Apache-2.0
// sentencepiece.h: the C face of libsentencepiece, which is C++ only. Private to engine/data.
//
// sentencepiece.cc implements it; sentencepiece_stub.c takes its place in a build without the library.
// sentencepiece_check.c refuses model files that would make the library read outside its tables.
#pragma once

#include "hostlib/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sy_spm;

/// Checks the bytes of a model file (protobuf frame, normalisation table). sy_spm_load() begins with it. Errors:
/// FORMAT.
SY_MUST_CHECK enum sy_status sy_spm_check(struct sy_ctx *ctx, const void *data, size_t bytes, const char *name);

/// Checks and loads a model. Errors: FORMAT · NOMEM · UNSUPPORTED built without the library.
SY_MUST_CHECK enum sy_status sy_spm_load(struct sy_ctx *ctx, const void *data, size_t bytes, const char *name,
                                         struct sy_spm **out_spm);
void sy_spm_free(struct sy_spm *spm);

uint32_t sy_spm_pieces(const struct sy_spm *spm);
/// −1 when the model has none.
int32_t sy_spm_pad(const struct sy_spm *spm);
int32_t sy_spm_eos(const struct sy_spm *spm);
int32_t sy_spm_unk(const struct sy_spm *spm);
/// Id of the piece of exactly this text, or −1.
int32_t sy_spm_find(const struct sy_spm *spm, const char *piece);
/// The text of piece `id` (0 … pieces − 1), which lives as long as the model.
const char *sy_spm_piece(const struct sy_spm *spm, int32_t id);

/// Whether "a b" has the ids of "a" and of "b" behind each other: no piece spans a space, and the space before a text's
/// first word is put there.
bool sy_spm_words_alone(const struct sy_spm *spm);

/// A piece that is found in texts: no control, unknown, unused or byte piece.
bool sy_spm_is_normal(const struct sy_spm *spm, int32_t id);
float sy_spm_score(const struct sy_spm *spm, int32_t id);
/// A unigram model whose normaliser is one of the library's own that look at no more than one word, without
/// user-defined pieces or bytes for unknown characters, and for which many spaces are as one.
bool sy_spm_plain(const struct sy_spm *spm);
/// What of that the bytes of a checked model file say.
bool sy_spm_says_plain(const void *data, size_t bytes);

/// Results are malloc'ed, never NULL on success; text is NUL-terminated.
SY_MUST_CHECK enum sy_status sy_spm_encode(struct sy_ctx *ctx, const struct sy_spm *spm, const char *text, size_t bytes,
                                           int32_t **out_ids, size_t *out_count);
SY_MUST_CHECK enum sy_status sy_spm_decode(struct sy_ctx *ctx, const struct sy_spm *spm, const int32_t *ids,
                                           size_t count, char **out_text, size_t *out_bytes);

#ifdef __cplusplus
}
#endif
