// SPDX-License-Identifier: Apache-2.0
// tokenizer_state.h: what an open tokenizer is. Private to engine/data/tokenizer*.c.
#pragma once

#include "engine/data/added.h"
#include "engine/data/sentencepiece.h"
#include "engine/data/tokenizer.h"

#define SY_BYTES_VOCAB 384u
#define SY_BYTES_SPECIAL 3 // pad, eos, unk
#define SY_BYTES_PIECES (SY_BYTES_SPECIAL + 256)
#define SY_BYTES_SENTINELS 125u
#define SY_BYT5_SENTINELS 100u // the last bytes double as masks
#define SY_MAX_SENTINELS 1024u
#define SY_SENTINEL_HEAD "<extra_id_"

enum sy_id_kind {
    SY_ID_UNUSED,
    SY_ID_PLAIN, ///< A piece or a byte.
    SY_ID_SENTINEL,
    SY_ID_ADDED,
    SY_ID_HIDDEN, ///< Padding and eos: no part of a text.
};

struct sy_tokenizer {
    char *source;
    struct sy_spm *spm; ///< NULL: bytes.
    char *model;        ///< The bytes of its file, to be written beside a checkpoint.
    size_t model_bytes;
    uint32_t vocab, pieces; ///< pieces: ids with a text of their own (bytes: 259).
    uint32_t used;          ///< All ids from here to vocab are unused.
    int32_t pad, eos, unk;
    bool names_pad;
    enum sy_sentinels numbering; ///< Of bytes.
    uint32_t sentinel_count;
    int32_t sentinels[SY_MAX_SENTINELS];
    struct sy_added_list added;
    uint8_t *kinds; ///< [vocab] enum sy_id_kind
};

/// N of a text that is exactly "<extra_id_N>" (no leading zeros, at most 4 digits) and its length, or 0.
size_t sy_sentinel_name(const char *text, size_t bytes, uint32_t *out_index);
