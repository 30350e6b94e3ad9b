// SPDX-License-Identifier: Apache-2.0
// reader.h: documents out of files: plain text, JSON lines, and either of them gzipped; "-" is standard input.
//
// Plain text is one document: lines and blank lines stay as they are. JSON lines: one object a line, whose string under
// "text" is a document, taken as it is. What a file is, is told by its content (content.h), gzip by its magic number. A
// UTF-8 byte order mark at the start is skipped. docs/texts.md has the rules for a person.
// Layer: engine.
#pragma once

#include "hostlib/status.h"

enum sy_text_format {
    SY_TEXT_AUTO,  ///< By content.
    SY_TEXT_PLAIN, ///< Whatever is in it.
    SY_TEXT_JSONL,
    SY_TEXT_TABLE, ///< Rows of cells between tabs: a document is the cell under the title `text_key`.
};

/// How files are read, and what was met in them: one for all files that are read together. Zeroed: the defaults.
struct sy_reading {
    enum sy_text_format format;
    const char *text_key; ///< NULL: "text". "a.b": the key b of the object under a. Of tables a title, or a number.
    bool strict;          ///< What is skipped or let pass with a warning is an error.
    uint64_t files, empty_files;
    uint64_t documents, lines,
        skipped; ///< Rows (of JSON, of tables), blank ones not counted, and the odd ones among them.
    bool warned; ///< Of bytes that are not UTF-8.
};

/// Receives consecutive pieces of text, never empty: whole lines of plain text (about 1 MiB at a time), or one JSON
/// document. `begins`: it is the first of its document.
typedef enum sy_status (*sy_text_fn)(void *user, const char *text, size_t bytes, bool begins);

/// A file without text is counted as empty. A line of JSON that is odd (not valid, no such key, no string, half a
/// surrogate pair, not UTF-8) is skipped: the first one with a warning, all counted.
/// Errors: IO · FORMAT naming file and remedy: binary (NUL bytes), plain text that is not UTF-8 (more than 1 % of a
/// block; fewer wrong bytes are only a warning), one JSON document, JSON lines of which none has the key, what `strict`
/// makes one · UNSUPPORTED gzip in a build without zlib · whatever `fn` returns.
SY_MUST_CHECK enum sy_status sy_text_read(struct sy_ctx *ctx, struct sy_reading *reading, const char *path,
                                          sy_text_fn fn, void *user);

/// One supervised example.
typedef enum sy_status (*sy_pair_fn)(void *user, const char *inputs, size_t inputs_bytes, const char *targets,
                                     size_t targets_bytes);
/// JSON lines with the strings "inputs" and "targets"; odd lines and errors as above.
SY_MUST_CHECK enum sy_status sy_pairs_read(struct sy_ctx *ctx, struct sy_reading *reading, const char *path,
                                           sy_pair_fn fn, void *user);

/// Length of the valid UTF-8 sequence at the start of `text`, or 0.
size_t sy_utf8_length(const char *text, size_t bytes);
