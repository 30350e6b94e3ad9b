// SPDX-License-Identifier: Apache-2.0
// corpus_index.h: what corpus.json says, and the first bytes of the files it lists. Private to engine/data.
#pragma once

#include "engine/data/corpus.h"
#include "engine/json.h"

#define SY_CORPUS_INDEX "corpus.json"
#define SY_CORPUS_UNFINISHED "unfinished.json"
#define SY_CORPUS_DOCUMENTS "documents.bin"
#define SY_CORPUS_VERSION 1u
#define SY_CORPUS_MOST_TOKENS (UINT64_C(1) << 48)
#define SY_CORPUS_LEAST_SHARD 16u ///< Tokens.

/// The beginning of every file, little-endian.
struct sy_corpus_head {
    char magic[8];    ///< "SYTOKENS" or "SYSTARTS"
    uint32_t version; ///< 1
    uint32_t width;   ///< Bytes of an entry: 2 or 4; of documents.bin 8.
    uint64_t first;   ///< The number of the file's first token; of documents.bin 0.
    uint64_t zero;
};
_Static_assert(sizeof(struct sy_corpus_head) == 32, "is written as it is");
struct sy_corpus_head sy_corpus_head_of_tokens(uint32_t width, uint64_t first);
struct sy_corpus_head sy_corpus_head_of_documents(void);

struct sy_corpus_index {
    uint64_t tokens, documents, shard_tokens; ///< Every shard but the last has shard_tokens.
    uint32_t width;
    enum sy_documents kind;
    uint32_t used;       ///< No id from here on has a meaning.
    char vocabulary[33]; ///< sy_tokenizer_sum()
    char made_of[33];    ///< Digest of options and input files: whether a command would make the same.
    uint64_t files;
    char documents_sum[33];
    char (*sums)[33]; ///< Of the shards that are whole.
    uint64_t sum_count, sum_room;
};
uint64_t sy_corpus_shards(const struct sy_corpus_index *index); ///< All, the last one too.
uint64_t sy_corpus_shard_tokens(const struct sy_corpus_index *index, uint64_t shard);
/// Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_corpus_index_add_sum(struct sy_ctx *ctx, struct sy_corpus_index *index,
                                                     const char sum[33]);
void sy_corpus_index_finish(struct sy_corpus_index *index);
/// NULL: out of memory.
json_t *sy_corpus_index_json(const struct sy_corpus_index *index);
/// `whole`: a finished corpus, with all its sums. `name`: of the file in messages. Errors: FORMAT · NOMEM.
SY_MUST_CHECK enum sy_status sy_corpus_index_parse(struct sy_ctx *ctx, const json_t *root, const char *name, bool whole,
                                                   struct sy_corpus_index *out);
/// XXH3-128 of the index's JSON in its shortest form, keys in their order. False: out of memory.
bool sy_corpus_index_sum(const json_t *root, char out_hex[33]);

/// "tokens-00012.bin"
void sy_corpus_shard_name(uint64_t shard, char out[32]);

/// A corpus of what is in memory already, which must outlive it: for tests. `documents` and shards[i] hold whole files
/// whose sizes are those that the index asks for.
struct sy_corpus_map {
    const uint8_t *data;
    uint64_t bytes;
};
SY_MUST_CHECK enum sy_status sy_corpus_from_memory(struct sy_ctx *ctx, const char *name, struct sy_corpus_index *index,
                                                   const struct sy_corpus_map *shards, struct sy_corpus_map documents,
                                                   struct sy_corpus **out_corpus);
