// SPDX-License-Identifier: Apache-2.0
// batch.h: batches of examples out of text, by example number, with no state in between.
//
// A dataset holds its tokens in memory. Example i of a run is a function of (files, tokenizer, lengths, seed, i) alone:
// any batch can be made at any time, in any order, on any rank; a resumed run sees the same examples.
//
// Span corruption: each source is one stream of tokens, its documents one after the other in the order given, with
//   nothing between them or eos. The stream is cut into segments of the raw length that fills src_len and tgt_len best
//   (sy_spans_raw_length); the rest at its end is an example too, padded, so that every token is in one.
//   Pass e over the data visits every segment once in an order drawn from (seed, e), with new noise.
// Several sources: examples come in blocks of 65,536 (16 a source when there are more than 4,096) in which each source
// has its exact share, in drawn order. Threads: an open dataset is read-only and may be shared. Layer:   engine.
#pragma once

#include "engine/data/corpus.h"
#include "engine/data/pairs.h"
#include "engine/data/reader.h"
#include "engine/data/tokenizer.h"

#define SY_IGNORE (-100) ///< A label that does not count.

/// [batch, src_len] and [batch, tgt_len], row-major. A zeroed struct is an empty batch.
struct sy_batch {
    uint32_t batch, src_len, tgt_len;
    int32_t *input_ids;      ///< pad behind the end
    int32_t *attention_mask; ///< 1 token, 0 padding
    int32_t *labels;         ///< SY_IGNORE behind the end
};
/// Whether a row, of the encoder or of the decoder, is a token: not padding, or a label that counts.
static inline bool sy_batch_is_token(const struct sy_batch *b, bool decoder, uint64_t row)
{
    return decoder ? b->labels[row] != SY_IGNORE : b->attention_mask[row] != 0;
}
/// Allocates, or reuses the arrays when the shape is the same. All padding afterwards. Errors: NOMEM · INVALID a zero.
SY_MUST_CHECK enum sy_status sy_batch_resize(struct sy_ctx *ctx, uint32_t batch, uint32_t src_len, uint32_t tgt_len,
                                             int32_t pad, struct sy_batch *out_batch);
void sy_batch_finish(struct sy_batch *batch);
/// Reads input_ids, attention_mask and labels of a safetensors file, of any integer element type, the mask also BOOL;
/// ids must be in [0, vocab), labels too or SY_IGNORE, the mask 0 or 1. Errors: IO · FORMAT naming the tensor and the
/// place.
SY_MUST_CHECK enum sy_status sy_batch_load(struct sy_ctx *ctx, const char *path, uint32_t vocab,
                                           struct sy_batch *out_batch);

enum sy_objective {
    SY_OBJECTIVE_SPANS, ///< Span corruption of running text (reader.h: sy_text_read).
    SY_OBJECTIVE_PAIRS, ///< Supervised "inputs" → "targets" (reader.h: sy_pairs_read), cut to src_len and tgt_len with
                        ///< eos.
};

/// What one source contributes when there are several.
enum sy_mixing {
    SY_MIX_SIZE, ///< Share ∝ size^exponent: 1 = as large as they are, 0.3 = mT5, 0 = equal.
    SY_MIX_RATE, ///< Share ∝ its `rate`.
};

struct sy_data_source {
    const char *name; ///< For messages; NULL: the first file's. Borrowed, as that, by the dataset.
    const char *const *files;
    size_t file_count;
    double rate; ///< For SY_MIX_RATE; > 0.
};

/// Called after each file, and at the end. Borrowed strings.
typedef void (*sy_progress_fn)(void *user, const char *path, size_t files_done, size_t files, uint64_t tokens);

struct sy_dataset_params {
    const struct sy_data_source *sources;
    size_t source_count;
    const struct sy_tokenizer *tokenizer; ///< Must outlive the dataset.
    enum sy_objective objective;
    const struct sy_pairs
        *pairs; ///< PAIRS: encoded examples in place of the one source's files. Borrowed while opening.
    enum sy_mixing mixing;
    double exponent; ///< For SY_MIX_SIZE.
    uint32_t src_len, tgt_len;
    uint64_t seed;
    enum sy_text_format format;
    const char *text_key;        ///< Of JSON lines; NULL: "text". Borrowed while opening.
    bool strict;                 ///< Odd lines and empty files are errors (reader.h).
    enum sy_documents documents; ///< How they go into examples of span corruption.
    bool in_order; ///< Held-out data: no shuffling, no mixing: sources one after the other, the same noise every time.
    sy_progress_fn progress; ///< May be NULL.
    void *user;
};

struct sy_dataset;

/// Reads and tokenises everything, one file after the other. Empty files, sources of a single token and odd lines of
/// JSON are skipped; the log has the first of each and how many. Errors: as the reader · INVALID lengths too short, no
/// data · NOMEM.
SY_MUST_CHECK enum sy_status sy_dataset_open(struct sy_ctx *ctx, const struct sy_dataset_params *params,
                                             struct sy_dataset **out_dataset);
void sy_dataset_close(struct sy_dataset **dataset);

/// Examples in one pass over all sources; tokens held; raw tokens of one segment (0 for pairs).
uint64_t sy_dataset_count(const struct sy_dataset *dataset);
uint64_t sy_dataset_tokens(const struct sy_dataset *dataset);
uint32_t sy_dataset_segment(const struct sy_dataset *dataset);
/// Files of plain text and lines of JSON that held text.
uint64_t sy_dataset_documents(const struct sy_dataset *dataset);
/// Digest of everything that decides the examples: a resumed run compares it.
uint64_t sy_dataset_fingerprint(const struct sy_dataset *dataset);
/// How many sources there are, and what messages call one. Borrowed: the names must live as long as the dataset.
size_t sy_dataset_sources(const struct sy_dataset *dataset);
const char *sy_dataset_source_name(const struct sy_dataset *dataset, size_t index);
/// Fraction of examples that comes from source `index`: for who mixes sources and wants to see the result.
double sy_dataset_share(const struct sy_dataset *dataset, size_t index);

/// Examples first … first + batch − 1 of the run (wrapping into the next pass). in_order: example count is 0 again.
SY_MUST_CHECK enum sy_status sy_dataset_batch(struct sy_ctx *ctx, const struct sy_dataset *dataset, uint64_t first,
                                              uint32_t batch, struct sy_batch *out_batch);
