// SPDX-License-Identifier: Apache-2.0
// input.h: a stream of bytes from a plain or gzipped file, or from standard input ("-"). Private to engine/data.
//
// input.c knows gzip (zlib); input_plain.c takes its place in a build without it and refuses gzip by name.
#pragma once

#include "hostlib/status.h"

struct sy_input;
/// What messages call a path: "-" is standard input.
const char *sy_input_name(const char *path);
SY_MUST_CHECK enum sy_status sy_input_open(struct sy_ctx *ctx, const char *path, struct sy_input **out_input);
/// Up to `bytes` bytes; 0 at the end. Errors: IO · FORMAT damaged or cut-off gzip.
SY_MUST_CHECK enum sy_status sy_input_read(struct sy_input *input, char *data, size_t bytes, size_t *out_bytes);
void sy_input_close(struct sy_input **input);
