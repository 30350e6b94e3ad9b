// SPDX-License-Identifier: Apache-2.0
// input.h: a stream of bytes from a plain or packed file, or from standard input ("-"). Private to engine/data.
#pragma once

#include "hostlib/status.h"

struct sy_input;
/// What messages call a path: "-" is standard input.
const char *sy_input_name(const char *path);
SY_MUST_CHECK enum sy_status sy_input_open(struct sy_ctx *ctx, const char *path, struct sy_input **out_input);
/// Up to `bytes` bytes; 0 at the end. Errors: IO · FORMAT damaged or cut-off gzip or zstd · UNSUPPORTED one that this
/// build cannot unpack.
SY_MUST_CHECK enum sy_status sy_input_read(struct sy_input *input, char *data, size_t bytes, size_t *out_bytes);
/// Goes on behind the next `bytes` bytes of a plain file; false: it cannot without reading them.
bool sy_input_seek(struct sy_input *input, uint64_t bytes);
/// Bytes read of the file as it is on the disk, for who shows progress.
uint64_t sy_input_position(const struct sy_input *input);
void sy_input_close(struct sy_input **input);
