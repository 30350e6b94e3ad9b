// SPDX-License-Identifier: Apache-2.0
// records.h: documents and pairs out of the lines of a file: JSON objects, or a column of a table. Private to
// engine/data.
//
// A block of lines can be read alone, by any thread, with rows of its own that take note of what is odd;
// sy_records_add() adds them up in the file's order.
#pragma once

#include "engine/data/content.h"
#include "engine/data/reader.h"

/// What is kept between blocks of lines. The first group is set by who begins, the rest is zeroed.
struct sy_records {
    struct sy_ctx *ctx;
    const char *path;
    struct sy_reading *reading;
    sy_text_fn text; // one of the two
    sy_pair_fn pair;
    void *user;
    enum sy_content content;
    size_t column;   ///< Of a table, from 0.
    uint64_t titles; ///< Lines of a table before its rows: 1 when it names its columns.
    bool patient;    ///< Part of a file: whether all of it is wrong is not decided here.

    uint64_t line, good, broken; ///< broken: no objects, or without the key: it may be that no line is right
    char first_broken[400];
    char *room; ///< For unescaped strings.
    size_t room_bytes;
};

/// A block of whole lines of JSON objects. Errors: as sy_text_read().
SY_MUST_CHECK enum sy_status sy_json_lines_add(struct sy_records *r, const char *text, size_t bytes);

/// Finds the column `key` (a title in the first line; a number counts from 1, and then there are no titles).
SY_MUST_CHECK enum sy_status sy_table_begin(struct sy_records *r, const char *text, size_t bytes, const char *key);
/// A block of whole lines of a table: cells between tabs, taken as they are.
SY_MUST_CHECK enum sy_status sy_table_add(struct sy_records *r, const char *text, size_t bytes);

/// Skips the line, or ends the run. `broken`: so odd that the file may be another one than it was taken for.
SY_MUST_CHECK enum sy_status sy_records_odd(struct sy_records *r, bool broken, const char *format, ...) SY_PRINTF(3, 4);
/// Takes a part of the same file in. Errors: FORMAT when the file's beginning is hopeless.
SY_MUST_CHECK enum sy_status sy_records_add(struct sy_records *r, const struct sy_records *part);
/// After the last block. Errors: FORMAT when no line was right.
SY_MUST_CHECK enum sy_status sy_records_end(struct sy_records *r);
void sy_records_finish(struct sy_records *r);
