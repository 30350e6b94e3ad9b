// SPDX-License-Identifier: Apache-2.0
// json.h: JSON files through jansson, with messages that name the file, and reals written as short as they read back.
//
// Duplicate keys are errors: two readers would disagree about them. Object order is kept.
// Layer: engine.
#pragma once

#include <jansson.h>

#include "hostlib/status.h"

/// Parses `bytes` of text whose root must be an object. `name` is what messages call it. Release with json_decref().
SY_MUST_CHECK enum sy_status sy_json_parse(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name,
                                           json_t **out_root);
/// Reads and parses a file of at most 64 MiB.
SY_MUST_CHECK enum sy_status sy_json_load(struct sy_ctx *ctx, const char *path, json_t **out_root);
/// Formats with two spaces of indentation and a final newline. malloc'ed; NULL when out of memory.
char *sy_json_format(const json_t *root);
/// Writes atomically (file.h).
SY_MUST_CHECK enum sy_status sy_json_save(struct sy_ctx *ctx, const json_t *root, const char *path);
