// SPDX-License-Identifier: Apache-2.0
// prepare.h: texts into a prepared corpus (corpus.h), on several threads, in memory that does not grow with the texts.
//
// The bytes of the result depend on texts, vocabulary and options alone, not on threads or on where a run was
// interrupted: DIR/unfinished.json says how far it came, and the same call goes on from there. Layer: engine.
#pragma once

#include "engine/data/corpus.h"
#include "engine/data/reader.h"

#define SY_PREPARE_SHARD (UINT64_C(1) << 26) ///< Tokens of a shard, unless said.

struct sy_prepare_progress {
    uint64_t bytes_read, bytes; ///< Of the files as they are on the disk; bytes 0: unknown (a pipe).
    uint64_t tokens, documents;
    const char *file;
};

struct sy_prepare_params {
    const char *directory; ///< Made when it is not there.
    const char *const *files;
    size_t file_count;
    const struct sy_tokenizer *tokenizer;
    enum sy_text_format format; ///< These three as struct sy_reading.
    const char *text_key;
    bool strict;
    enum sy_documents kind; ///< What training does unless it is told; UNSAID: FOLLOW.
    uint64_t shard_tokens;  ///< 0: SY_PREPARE_SHARD.
    unsigned threads;       ///< 0: one for each processor.
    double save_seconds;    ///< Between points that can be gone on from; 0: always.
    bool (*progress)(void *user, const struct sy_prepare_progress *now); ///< False: stop at a point. May be NULL.
    void *user;
};

enum sy_prepare_end {
    SY_PREPARE_DONE,
    SY_PREPARE_ALREADY, ///< The corpus was there, made of the same.
    SY_PREPARE_STOPPED, ///< `progress` said so; the same call goes on.
};
struct sy_prepare_result {
    enum sy_prepare_end end;
    bool gone_on; ///< Another run had begun.
    struct sy_reading reading;
    uint64_t tokens, documents, shards;
};

/// Errors: as sy_text_read() and sy_tokenizer_encode() · IO · INVALID the directory holds something else, or is in use
/// · NOMEM. What was made before a failure can be gone on with.
SY_MUST_CHECK enum sy_status sy_prepare(struct sy_ctx *ctx, const struct sy_prepare_params *params,
                                        struct sy_prepare_result *out_result);
