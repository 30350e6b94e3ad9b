// SPDX-License-Identifier: Apache-2.0
// corpus.h: prepared corpora: token ids in files that are mapped, not read. docs/data.md has the files byte by byte.
//
// DIR/tokens-NNNNN.bin hold the ids, DIR/documents.bin says where documents begin, DIR/corpus.json is the index, which
// comes last: a directory without it is no corpus. Opening takes a map for each file, whatever their size.
// Threads: an open corpus is read-only and may be shared. Layer: engine.
#pragma once

#include "engine/data/tokenizer.h"

/// How documents go into examples.
enum sy_documents {
    SY_DOCUMENTS_UNSAID, ///< As a corpus was prepared; of text FOLLOW.
    SY_DOCUMENTS_FOLLOW, ///< One stream, with nothing between two.
    SY_DOCUMENTS_EOS,    ///< One stream, with eos between two.
    SY_DOCUMENTS_ALONE,  ///< Each makes one example, cut or padded.
    SY_DOCUMENTS_KINDS
};
/// "follow", "eos", "alone".
const char *sy_documents_name(enum sy_documents documents);

struct sy_corpus;

/// Checks the index, the sizes of all files and their first bytes. Errors: IO · FORMAT naming file and remedy · NOMEM.
SY_MUST_CHECK enum sy_status sy_corpus_open(struct sy_ctx *ctx, const char *directory, struct sy_corpus **out_corpus);
void sy_corpus_close(struct sy_corpus **corpus);
/// Reads everything: checksums, that ids are below the vocabulary's end, that documents follow each other. `progress`
/// may be NULL; false from it ends the check with SY_INVALID.
SY_MUST_CHECK enum sy_status sy_corpus_verify(struct sy_ctx *ctx, const struct sy_corpus *corpus,
                                              bool (*progress)(void *user, uint64_t done, uint64_t bytes), void *user);

uint64_t sy_corpus_tokens(const struct sy_corpus *corpus);
uint64_t sy_corpus_documents(const struct sy_corpus *corpus);
enum sy_documents sy_corpus_kind(const struct sy_corpus *corpus); ///< As it was prepared.
const char *sy_corpus_sum(const struct sy_corpus *corpus);        ///< Of the index: 32 hexadecimal digits.
/// Whether its ids are those of a vocabulary. Errors: INVALID.
SY_MUST_CHECK enum sy_status sy_corpus_agree(struct sy_ctx *ctx, const struct sy_corpus *corpus,
                                             const struct sy_tokenizer *tokenizer);

/// Tokens first … first + count − 1, which must be there. Errors: FORMAT an id that the vocabulary has not.
SY_MUST_CHECK enum sy_status sy_corpus_read(struct sy_ctx *ctx, const struct sy_corpus *corpus, uint64_t first,
                                            uint64_t count, int32_t *out);
/// The same of the stream that has `eos` between two documents: tokens + documents − 1 of them.
SY_MUST_CHECK enum sy_status sy_corpus_read_joined(struct sy_ctx *ctx, const struct sy_corpus *corpus, int32_t eos,
                                                   uint64_t first, uint64_t count, int32_t *out);
/// Where document `number` begins, and its tokens: at least one. Errors: FORMAT.
SY_MUST_CHECK enum sy_status sy_corpus_document(struct sy_ctx *ctx, const struct sy_corpus *corpus, uint64_t number,
                                                uint64_t *out_first, uint64_t *out_count);
