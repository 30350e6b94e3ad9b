// SPDX-License-Identifier: Apache-2.0
// text_file.h: the steps of sy_text_read() apart, for who reads the blocks of a file on several threads. Private to
// engine/data.
#pragma once

#include "engine/data/lines.h"
#include "engine/data/records.h"

/// Opens a file and tells what it is. `rows` has ctx, reading and text (or pair); its content, column and titles are
/// set. Close `lines` in any case. Errors: as sy_text_read().
SY_MUST_CHECK enum sy_status sy_text_file_open(struct sy_records *rows, const char *path, struct sy_lines *lines);
/// What is in a block of whole lines at `offset` of the unpacked file; of JSON and tables rows->line is the number of
/// lines before it.
SY_MUST_CHECK enum sy_status sy_text_file_block(struct sy_records *rows, const char *text, size_t bytes,
                                                uint64_t offset);
/// Counts a file that was read to its end. `before`: reading->documents when it began. Errors: FORMAT strict and empty.
SY_MUST_CHECK enum sy_status sy_text_file_end(struct sy_ctx *ctx, struct sy_reading *reading, const char *name,
                                              uint64_t before);
