// SPDX-License-Identifier: Apache-2.0
// pairs.h: the options that make examples of a table's rows, shared by train and eval, and opening such a table.
// docs/tasks.md explains them.
#pragma once

#include "apps/cli.h"
#include "engine/data/pairs.h"

enum {
    PAIRS_TASK = 0x5000,
    PAIRS_KEY_TEMPLATE,
    PAIRS_KEY_TARGET,
    PAIRS_KEY_LABELS,
    PAIRS_KEY_OPTIONS,
    PAIRS_KEY_COLUMNS,
    PAIRS_KEY_METRIC,
    PAIRS_KEY_POSITIVE,
    PAIRS_KEY_ID,
    PAIRS_KEYS_END
};

struct pairs_options {
    const char *task;
    const char *keys[PAIRS_KEYS_END - PAIRS_KEY_TEMPLATE]; ///< NULL: not given.
    const char *given; ///< The last of these options on the command line; NULL: none.
};

/// Rows of an argp table, in its group `group`.
#define PAIRS_OPTIONS(group)                                                                                           \
    {"task", PAIRS_TASK, "FILE", 0, "what the rows are: one of configs/tasks/*.json; the options below change it",     \
     group},                                                                                                           \
        {"template", PAIRS_KEY_TEMPLATE, "TEXT", 0, "the inputs: 'nli hypothesis: {b} premise: {a}', of columns a, b", \
         group},                                                                                                       \
        {"target", PAIRS_KEY_TARGET, "TEXT", 0, "what is to be said: '{label}'; of a list the first, any is right",    \
         group},                                                                                                       \
        {"labels", PAIRS_KEY_LABELS, "RAW=TEXT,…", 0, "words for raw labels: 0=entailment,1=neutral", group},          \
        {"options",                                                                                                    \
         PAIRS_KEY_OPTIONS,                                                                                            \
         "LIST",                                                                                                       \
         0,                                                                                                            \
         "choose among these texts by likelihood instead of generating: 'labels', 'yes,no', or '{list}'",              \
         group},                                                                                                       \
        {"columns", PAIRS_KEY_COLUMNS, "A,B,…", 0, "names of a TSV's columns, where its first line is a row", group},  \
        {"metric",                                                                                                     \
         PAIRS_KEY_METRIC,                                                                                             \
         "NAME,…",                                                                                                     \
         0,                                                                                                            \
         "accuracy (default), f1, macro_f1, matthews, pearson, spearman, squad, rouge, rouge_stem, bleu, chrf",        \
         group},                                                                                                       \
        {"positive", PAIRS_KEY_POSITIVE, "TEXT", 0, "the class that f1 is of (default: the last label)", group},       \
    {                                                                                                                  \
        "id", PAIRS_KEY_ID, "TEXT", 0, "of a row, for --predictions: '{idx}' (default: its number)", group             \
    }

/// Whether `key` is one of these options; it is then in `o`.
bool pairs_parse(struct argp_state *state, int key, const char *arg, struct pairs_options *o);
/// The task file with the options over it. Errors: those of the file and of templates.
SY_MUST_CHECK enum sy_status pairs_form(struct sy_ctx *ctx, const struct pairs_options *o, struct sy_form *form);

/// Reads the rows and makes tokens of them. Errors: those of sy_pairs_load().
SY_MUST_CHECK enum sy_status pairs_open(struct sy_ctx *ctx, const struct sy_form *form, const char *path,
                                        const struct sy_tokenizer *tokenizer, struct sy_pairs *out);
/// Warns of inputs and of targets that are longer, and will be cut.
void pairs_warn_cut(struct sy_ctx *ctx, const struct sy_pairs *pairs, uint64_t src_len, uint64_t tgt_len);
/// The longest input or target, rounded up to a multiple of 8, and at most `most`: a length for programs.
uint32_t pairs_length(uint32_t longest, uint32_t most);
/// Tokens of the longest option, eos included, at most those of a target.
SY_MUST_CHECK enum sy_status pairs_longest_option(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                                  const struct sy_pairs *pairs, uint32_t *out);
/// One source with all of them.
SY_MUST_CHECK enum sy_status pairs_dataset(struct sy_ctx *ctx, const struct sy_pairs *pairs,
                                           struct sy_dataset_params params, struct sy_dataset **out);
