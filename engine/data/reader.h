// SPDX-License-Identifier: Apache-2.0
// reader.h: text out of files: plain text, JSON lines, and either of them gzipped.
//
// Plain text is one continuous stream: lines and blank lines stay as they are, nothing marks a document's end.
// JSON lines (.jsonl, .jsonl.gz): one object a line; its string under "text" is a document, which gets a final newline
// if it has none. gzip is known by its magic number. A UTF-8 byte order mark at the start is skipped.
// Layer: engine.
#pragma once

#include "hostlib/status.h"

/// Receives consecutive pieces of text: whole lines of plain text (about 1 MiB at a time), or one document.
typedef enum sy_status (*sy_text_fn)(void *user, const char *text, size_t bytes);

/// Errors: IO · FORMAT naming file and remedy: empty, binary (NUL bytes), not UTF-8 (more than 1 % of a block; fewer
/// wrong bytes are only a warning), a line that is no such object · UNSUPPORTED gzip in a build without zlib ·
/// whatever `fn` returns.
SY_MUST_CHECK enum sy_status sy_text_read(struct sy_ctx *ctx, const char *path, sy_text_fn fn, void *user);

/// One supervised example.
typedef enum sy_status (*sy_pair_fn)(void *user, const char *inputs, size_t inputs_bytes, const char *targets,
                                     size_t targets_bytes);
/// JSON lines with the strings "inputs" and "targets". Errors as above.
SY_MUST_CHECK enum sy_status sy_pairs_read(struct sy_ctx *ctx, const char *path, sy_pair_fn fn, void *user);

/// Length of the valid UTF-8 sequence at the start of `text`, or 0.
size_t sy_utf8_length(const char *text, size_t bytes);
