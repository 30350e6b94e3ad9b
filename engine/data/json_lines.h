// SPDX-License-Identifier: Apache-2.0
// json_lines.h: documents and pairs out of lines of JSON objects. Private to engine/data.
#pragma once

#include "engine/data/reader.h"

/// What is kept between blocks of lines. The first five are set by who begins, the rest is zeroed.
struct sy_json_lines {
    struct sy_ctx *ctx;
    const char *path;
    struct sy_reading *reading;
    sy_text_fn text; // one of the two
    sy_pair_fn pair;
    void *user;
    uint64_t line, good, broken; ///< broken: no objects, or without the key: it may be that no line is right
    char first_broken[400];
    char *room; ///< For unescaped strings.
    size_t room_bytes;
};

/// A block of whole lines. Errors: as sy_text_read().
SY_MUST_CHECK enum sy_status sy_json_lines_add(struct sy_json_lines *j, const char *text, size_t bytes);
/// After the last block. Errors: FORMAT when no line was right.
SY_MUST_CHECK enum sy_status sy_json_lines_end(struct sy_json_lines *j);
void sy_json_lines_finish(struct sy_json_lines *j);
