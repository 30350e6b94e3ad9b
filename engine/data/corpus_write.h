// SPDX-License-Identifier: Apache-2.0
// corpus_write.h: the files of a corpus, one token behind another. Private to engine/data.
//
// The index is written last. What was flushed can be gone on with: files are cut back to the tokens and documents that
// an index of then tells of, so that bytes written after it leave no trace.
#pragma once

#include "engine/data/corpus_index.h"

struct sy_corpus_writer;

/// `index` has width, shard_tokens, kind, vocabulary and made_of; of a corpus that is gone on with also what
/// sy_corpus_write_flush() left in it. It must outlive the writer, which keeps it up to date.
/// Errors: IO · FORMAT files that are shorter than the index says · NOMEM.
SY_MUST_CHECK enum sy_status sy_corpus_write_open(struct sy_ctx *ctx, const char *directory,
                                                  struct sy_corpus_index *index, struct sy_corpus_writer **out_writer);
/// `starts`: where documents begin among these tokens, each below `count` and above the one before. Errors: IO.
SY_MUST_CHECK enum sy_status sy_corpus_write_add(struct sy_corpus_writer *writer, const int32_t *ids, uint64_t count,
                                                 const uint64_t *starts, uint64_t start_count);
/// Brings everything to the disk. Errors: IO.
SY_MUST_CHECK enum sy_status sy_corpus_write_flush(struct sy_corpus_writer *writer);
/// Flushes, and writes the index. Errors: IO · INVALID no token at all.
SY_MUST_CHECK enum sy_status sy_corpus_write_finish(struct sy_corpus_writer *writer);
void sy_corpus_write_close(struct sy_corpus_writer **writer);
