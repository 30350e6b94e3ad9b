// SPDX-License-Identifier: Apache-2.0
// config_private.h: what the files that read and write config.json share. Private to engine/config*.c.
#pragma once

#include "engine/config.h"
#include "engine/json.h"

// ---- config.c: the table of plain keys -----------------------------------------------------------------------------

enum sy_config_kind { SY_CONFIG_U32, SY_CONFIG_REAL, SY_CONFIG_BOOL };
enum {
    SY_CONFIG_REQUIRED = 1, // the model cannot be without
    SY_CONFIG_SWITCH = 2,   // only for switch_transformers
    SY_CONFIG_OURS = 4,     // inside "switchyard"; written only when it differs from the default
    SY_CONFIG_OPEN_LOW = 8, // min itself is not allowed
    SY_CONFIG_OPEN_HIGH = 16,
};

struct sy_config_field {
    const char *name;
    enum sy_config_kind kind;
    uint32_t flags;
    size_t offset;
    double min, max;
};

extern const struct sy_config_field sy_config_fields[];
extern const size_t sy_config_field_count;
extern const char *const sy_config_families[];   ///< By enum sy_family: model_type of dense models.
extern const char *const sy_config_step_keys[2]; ///< Of the encoder, of the decoder.

double sy_config_field_get(const struct sy_config *config, const struct sy_config_field *field);
/// Hugging Face derives encoder_sparse_step and decoder_sparse_step from the counts, but believes a file that has them.
uint32_t sy_config_sparse_step(const struct sy_config *config, bool decoder);

// ---- reading and writing -------------------------------------------------------------------------------------------

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
