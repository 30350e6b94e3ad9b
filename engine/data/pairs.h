// SPDX-License-Identifier: Apache-2.0
// pairs.h: supervised examples: what a task makes of the rows of a table (rows.h), as texts and as tokens.
//
// A form says how a row becomes an example: a template for the inputs, one for the target, how raw labels are
// verbalised, which options there are to choose from, and how answers are scored. It comes from a task file
// (configs/tasks/*.json), from options of a program, or from both. Layer: engine.
#pragma once

#include "engine/data/template.h"
#include "engine/data/tokenizer.h"

struct sy_label {
    char *raw;
    struct sy_template *text; ///< It may name columns ("{choice1}").
};

/// A zeroed struct is empty. `set` is how a key of a task file, and the option of that name, gets its value.
struct sy_form {
    char *name;
    struct sy_template *inputs, *target, *id;
    struct sy_label *labels;
    size_t label_count;
    struct sy_template **options;
    size_t option_count;
    bool id_if_there; ///< The id is a task file's: rows without its column have none.
    bool rank;        ///< There are options: "options" was set.
    char *columns, *metrics, *positive;
    double round;                 ///< Targets are numbers, rounded to a multiple of this; 0: as they are.
    uint32_t max_tokens, src_len; ///< 0: not said.
};

/// Reads a task file. Errors: IO · FORMAT an unknown key, a wrong type · INVALID a template.
SY_MUST_CHECK enum sy_status sy_form_load(struct sy_ctx *ctx, const char *path, struct sy_form *form);
/// The same from memory.
SY_MUST_CHECK enum sy_status sy_form_parse(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name,
                                           struct sy_form *form);
/// Sets one key from text, in place of what it was: template, target, labels ("0=entailment,1=neutral"), options
/// ("labels", "{list}", or texts with commas between), columns, metric, positive, id. `what` is what messages call it.
SY_MUST_CHECK enum sy_status sy_form_set(struct sy_ctx *ctx, struct sy_form *form, const char *key, const char *text,
                                         const char *what);
/// Whether it is whole: templates for inputs and target, and a `positive` that an answer can be. Errors: INVALID.
SY_MUST_CHECK enum sy_status sy_form_check(struct sy_ctx *ctx, const struct sy_form *form);
void sy_form_finish(struct sy_form *form);

struct sy_pair {
    uint64_t number; ///< Line or row.
    char *id, *inputs, *target;
    char **golds; ///< What is right; target is made of the first.
    size_t gold_count;
    char **options;
    size_t option_count;
    int32_t *input_ids, *target_ids; ///< With eos, of any length; NULL before sy_pairs_encode().
    uint32_t input_count, target_count;
};

/// A zeroed struct is empty.
struct sy_pairs {
    char *path;
    struct sy_pair *items;
    size_t count, room;
    uint32_t longest_input, longest_target; ///< Tokens.
};

/// Errors: those of rows and templates · FORMAT a label that no label is meant by, an answer outside the options.
SY_MUST_CHECK enum sy_status sy_pairs_load(struct sy_ctx *ctx, const struct sy_form *form, const char *path,
                                           struct sy_pairs *out);
/// The same from memory.
SY_MUST_CHECK enum sy_status sy_pairs_parse(struct sy_ctx *ctx, const struct sy_form *form, const char *text,
                                            size_t bytes, const char *name, struct sy_pairs *out);
SY_MUST_CHECK enum sy_status sy_pairs_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                             struct sy_pairs *pairs);
void sy_pairs_finish(struct sy_pairs *pairs);
