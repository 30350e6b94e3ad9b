// SPDX-License-Identifier: Apache-2.0
// prepare_jobs.h: blocks of text become ids on several threads and come back in order. Private to engine/data.
#pragma once

#include "engine/data/ids.h"
#include "engine/data/text_file.h"

/// A block of whole lines, and what becomes of it.
struct sy_job {
    // Set by who reads.
    char *text;
    size_t bytes, room;
    uint64_t offset;        ///< In its file.
    struct sy_records rows; ///< content, column, titles and line as in its file; a part of it.
    uint64_t read;          ///< Bytes of the file as it is on the disk.
    // Set by who works.
    struct sy_reading reading; ///< Of this block.
    struct sy_ids ids;
    uint64_t *starts; ///< Where documents begin among the ids.
    uint64_t start_count, start_room;
    bool pending; ///< A document began that has no token yet.
    enum sy_status status;
    char warning[512]; ///< The first, or "".
    struct sy_ctx *ctx;
};

struct sy_jobs;
/// `threads` workers, or as many as can be had. `reading` says how (format, key, strict). Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_jobs_create(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                            const struct sy_reading *reading, unsigned threads,
                                            struct sy_jobs **out_jobs);
/// A job that is free, to be filled; NULL: all are under way, take one first.
struct sy_job *sy_jobs_free(struct sy_jobs *jobs);
/// Hands the job of the last sy_jobs_free() to the workers.
void sy_jobs_give(struct sy_jobs *jobs);
/// The oldest job under way, when it is done; NULL: none is under way. It is free again at the next call.
struct sy_job *sy_jobs_take(struct sy_jobs *jobs);
void sy_jobs_destroy(struct sy_jobs **jobs);
