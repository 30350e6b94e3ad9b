// SPDX-License-Identifier: Apache-2.0
// lines.h: a file as blocks of whole lines. Private to engine/data.
#pragma once

#include "engine/data/input.h"

struct sy_lines {
    struct sy_ctx *ctx;
    const char *path; ///< As messages call it. Borrowed.
    struct sy_input *input;
    char *data;
    size_t bytes, room;
    size_t given;    ///< Bytes of `data` handed out last time: dropped at the next call.
    uint64_t offset; ///< Of data[0] in the unpacked file.
    bool end;
};

SY_MUST_CHECK enum sy_status sy_lines_open(struct sy_ctx *ctx, const char *path, struct sy_lines *out);
void sy_lines_close(struct sy_lines *lines);
/// Makes sure that data[0 … bytes − 1] is enough to tell what the file is (1 MiB, or all); only before the first block.
SY_MUST_CHECK enum sy_status sy_lines_look(struct sy_lines *lines);
/// Goes on behind the first `offset` bytes of the unpacked file, where a line begins. Errors: FORMAT the file ends
/// before.
SY_MUST_CHECK enum sy_status sy_lines_skip(struct sy_lines *lines, uint64_t offset);
/// The next whole lines, at least one (the last may lack its newline), as data[0 … given − 1]; given is 0 at the end.
/// Errors: IO · FORMAT what the packer says, or a line of more than 256 MiB.
SY_MUST_CHECK enum sy_status sy_lines_next(struct sy_lines *lines);
