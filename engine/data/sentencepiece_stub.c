// SPDX-License-Identifier: Apache-2.0
// sentencepiece_stub.c: takes the place of sentencepiece.cc in a build without libsentencepiece.
#include "engine/data/sentencepiece.h"

enum sy_status sy_spm_load(struct sy_ctx *ctx, const void *data, size_t bytes, const char *name,
                           struct sy_spm **out_spm)
{
    (void)data, (void)bytes, (void)out_spm;
    return sy_fail(ctx, SY_UNSUPPORTED,
                   "%s: this build has no SentencePiece; install libsentencepiece-dev and build with "
                   "-Dsentencepiece=enabled, or use the byte vocabulary (\"bytes\")",
                   name);
}

// No sy_spm can exist, so these are never reached; they answer like an empty model.
void sy_spm_free(struct sy_spm *spm) { (void)spm; }
uint32_t sy_spm_pieces(const struct sy_spm *spm) { return (void)spm, 0; }
int32_t sy_spm_pad(const struct sy_spm *spm) { return (void)spm, -1; }
int32_t sy_spm_eos(const struct sy_spm *spm) { return (void)spm, -1; }
int32_t sy_spm_unk(const struct sy_spm *spm) { return (void)spm, -1; }
int32_t sy_spm_find(const struct sy_spm *spm, const char *piece) { return (void)spm, (void)piece, -1; }
const char *sy_spm_piece(const struct sy_spm *spm, int32_t id) { return (void)spm, (void)id, ""; }
bool sy_spm_is_normal(const struct sy_spm *spm, int32_t id) { return (void)spm, (void)id, false; }
float sy_spm_score(const struct sy_spm *spm, int32_t id) { return (void)spm, (void)id, 0.0f; }
bool sy_spm_plain(const struct sy_spm *spm) { return (void)spm, false; }

bool sy_spm_words_alone(const struct sy_spm *spm)
{
    (void)spm;
    return false;
}

enum sy_status sy_spm_encode(struct sy_ctx *ctx, const struct sy_spm *spm, const char *text, size_t bytes,
                             int32_t **out_ids, size_t *out_count)
{
    (void)spm, (void)text, (void)bytes, (void)out_ids, (void)out_count;
    return sy_fail(ctx, SY_UNSUPPORTED, "this build has no SentencePiece");
}

enum sy_status sy_spm_decode(struct sy_ctx *ctx, const struct sy_spm *spm, const int32_t *ids, size_t count,
                             char **out_text, size_t *out_bytes)
{
    (void)spm, (void)ids, (void)count, (void)out_text, (void)out_bytes;
    return sy_fail(ctx, SY_UNSUPPORTED, "this build has no SentencePiece");
}
