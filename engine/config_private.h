// SPDX-License-Identifier: Apache-2.0
// config_private.h: what the files that read and write config.json share. Private to engine/config*.c.
#pragma once

#include "engine/config.h"
#include "engine/json.h"

/// The value of a key. null counts as absent: Hugging Face writes it for "use the default".
const json_t *sy_config_key(const json_t *object, const char *key);
/// FORMAT: the key's value is not what was expected.
enum sy_status sy_config_wrong(struct sy_ctx *ctx, const char *name, const char *key, const json_t *found,
                               const char *expected);
SY_MUST_CHECK enum sy_status sy_config_maybe(struct sy_ctx *ctx, const json_t *object, const char *name,
                                             const char *key, enum sy_maybe *out);
/// These give non-zero when out of memory.
int sy_config_put(json_t *object, const char *key, json_t *value);
int sy_config_put_string(json_t *object, const char *key, const char *text);

/// `gated` and `activation` of a config whose is_switch and family are set. Errors: FORMAT an unknown name, keys that
/// contradict each other.
SY_MUST_CHECK enum sy_status sy_config_read_activation(struct sy_ctx *ctx, const json_t *root, const char *name,
                                                       struct sy_config *config);
/// Writes them, unless the keys that are there say the same. `quiet` takes the errors of reading those.
int sy_config_put_activation(struct sy_ctx *quiet, json_t *root, const struct sy_config *config);
