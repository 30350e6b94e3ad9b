// SPDX-License-Identifier: Apache-2.0
// rows.h: rows of named values out of a table: JSON lines, TSV, a JSON array of objects, or SQuAD's nested JSON.
//
// What a file is, is told by what it begins with: '{' or '[' is JSON, anything else TSV, whose first line names the
// columns. A task's rows are few and each counts, so nothing odd is skipped: the first odd line is an error with its
// number. A byte order mark at the start is passed over, CR before a line end too; lines without a character are
// nothing. TSV knows no quotes. Of SQuAD's JSON a row is a question: its own keys (answers: the texts), with the
// context and title above it.
// Layer: engine.
#pragma once

#include <jansson.h>

#include "hostlib/status.h"

struct sy_row {
    const char *path;     ///< As messages call it.
    uint64_t number;      ///< Of the line; in a JSON document of the row. From 1.
    bool document;        ///< It is the latter.
    const json_t *values; ///< An object; strings alone from TSV.
};

typedef enum sy_status (*sy_row_fn)(void *user, const struct sy_row *row);

/// `columns`: a TSV's, separated by commas, where the file does not name them; NULL. "-" is standard input; gzip is
/// unpacked. Errors: IO · FORMAT naming file and line: a NUL byte, not UTF-8, more or fewer values than columns, a name
/// twice, not JSON, no row at all · NOMEM · whatever `fn` returns.
SY_MUST_CHECK enum sy_status sy_rows_read(struct sy_ctx *ctx, const char *path, const char *columns, sy_row_fn fn,
                                          void *user);
/// The same from memory.
SY_MUST_CHECK enum sy_status sy_rows_parse(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name,
                                           const char *columns, sy_row_fn fn, void *user);
/// "FILE:12", or "FILE, row 12".
void sy_row_where(const struct sy_row *row, char out[300]);
