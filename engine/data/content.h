// SPDX-License-Identifier: Apache-2.0
// content.h: what a file is by what it begins with: text, JSON lines, or one JSON document. Private to engine/data.
#pragma once

#include "hostlib/status.h"

enum sy_content {
    SY_CONTENT_TEXT,
    SY_CONTENT_LINES,    ///< One JSON object a line.
    SY_CONTENT_DOCUMENT, ///< An array, or an object over several lines.
    SY_CONTENT_TABLE,    ///< Cells between tabs; never guessed, only asked for.
};

/// `text` is how the file begins, unpacked, whole when `end`. Names of JSON lines (.jsonl, .ndjson, .json, also with
/// .gz, in any case) decide where the content leaves it open.
enum sy_content sy_content_of(const char *path, const char *text, size_t bytes, bool end);

/// Files that are known by their first bytes and are no text before somebody unpacks them. `option` is what takes the
/// text of a pipe in their place. Errors: FORMAT saying what it is.
SY_MUST_CHECK enum sy_status sy_content_refuse(struct sy_ctx *ctx, const char *name, const char *text, size_t bytes,
                                               const char *option);
