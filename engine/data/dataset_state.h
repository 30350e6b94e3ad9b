// SPDX-License-Identifier: Apache-2.0
// dataset_state.h: what an open dataset is. Private to engine/data/dataset*.c.
#pragma once

#include "engine/data/batch.h"
#include "engine/data/ids.h"

struct sy_dataset_source {
    const char *name;         ///< Borrowed.
    struct sy_ids ids;        ///< In memory,
    struct sy_corpus *corpus; ///< or mapped (else NULL).
    enum sy_documents documents;
    uint64_t count;                      ///< Tokens of the stream, eos between documents included.
    uint64_t *ends, pairs, pairs_room;   ///< Pairs: end of inputs and of targets of each example.
    uint64_t *starts, begun, begun_room; ///< Documents alone, in memory: where each begins.
    uint64_t examples;
    uint64_t share, share_start; ///< Of the dataset's block.
};

struct sy_dataset {
    const struct sy_tokenizer *tokenizer;
    enum sy_objective objective;
    uint32_t src_len, tgt_len, segment;
    uint64_t seed, examples, tokens, fingerprint, block;
    bool in_order;
    enum sy_documents documents; ///< As asked for.
    struct sy_reading reading;
    int32_t *sentinels;
    struct sy_dataset_source *sources;
    size_t source_count;
};
