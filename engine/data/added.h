// SPDX-License-Identifier: Apache-2.0
// added.h: what a Hugging Face directory says of its tokenizer beside spiece.model. Private to engine/data.
//
// Read: tokenizer_config.json, special_tokens_map.json, added_tokens.json and the added tokens of tokenizer.json, where
// they are there. Two of them that give one token two ids, or one id two tokens, are an error.
#pragma once

#include "hostlib/status.h"

struct sy_added {
    char *text;
    size_t bytes;
    int32_t id;
    bool lstrip, rstrip; ///< Spaces before or behind it belong to it.
    bool whole;          ///< Only between what is no letter, digit or "_".
    bool silent;         ///< Never found in a text: pad, eos, unk, masks, and what the model has as a piece.
};

/// A file as it was read, to be written beside a checkpoint.
struct sy_kept_file {
    const char *name;
    char *data;
    size_t bytes;
};

enum { SY_ROLE_PAD, SY_ROLE_EOS, SY_ROLE_UNK, SY_ROLES };

struct sy_added_list {
    struct sy_added *items;
    size_t count;
    bool first[256];       ///< Bytes that one which is not silent begins with (after sy_added_seal()).
    char *roles[SY_ROLES]; ///< The texts of pad_token, eos_token, unk_token; NULL when unsaid.
    char **special;        ///< Other tokens that must have an id: additional_special_tokens.
    size_t special_count;
    char class_name[64]; ///< tokenizer_class; "" when unsaid.
    int64_t extra_ids;   ///< −1 when unsaid.
    struct sy_kept_file files[4];
    size_t file_count;
};

/// Reads what the directory has; an empty list when that is nothing. Errors: IO · FORMAT naming file and key.
SY_MUST_CHECK enum sy_status sy_added_read(struct sy_ctx *ctx, const char *directory, struct sy_added_list *out);
/// Call when every item's `silent` is known.
void sy_added_seal(struct sy_added_list *list);
void sy_added_finish(struct sy_added_list *list);

const struct sy_added *sy_added_find(const struct sy_added_list *list, const char *text);
const struct sy_added *sy_added_with_id(const struct sy_added_list *list, int32_t id);
/// The longest token at text[at], or NULL.
const struct sy_added *sy_added_match(const struct sy_added_list *list, const char *text, size_t bytes, size_t at);
