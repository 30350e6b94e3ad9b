// SPDX-License-Identifier: Apache-2.0
// prepare_point.h: how far a corpus has come: DIR/unfinished.json. Private to engine/data.
#pragma once

#include "engine/data/corpus_index.h"
#include "engine/data/reader.h"

/// Everything before this was written; the next block begins here.
struct sy_prepare_point {
    char command[33];            ///< Digest of the options, the files' names, and the sizes of those that were begun.
    uint64_t file, offset, line; ///< The file's number, a place in it (unpacked), and the lines before that.
    uint64_t good, broken;       ///< Rows of this file, as struct sy_records.
    char first_broken[400];
    uint64_t documents_before; ///< reading.documents when this file began.
    bool pending;              ///< A document began that has no token yet.
    struct sy_reading reading;
};

/// Replaces the file in one moment. Errors: IO · NOMEM.
SY_MUST_CHECK enum sy_status sy_prepare_point_save(struct sy_ctx *ctx, const char *path,
                                                   const struct sy_corpus_index *index,
                                                   const struct sy_prepare_point *point);
/// format, text_key and strict of `reading` are not kept. Errors: IO · FORMAT.
SY_MUST_CHECK enum sy_status sy_prepare_point_load(struct sy_ctx *ctx, const char *path,
                                                   struct sy_corpus_index *out_index,
                                                   struct sy_prepare_point *out_point);
