// SPDX-License-Identifier: Apache-2.0
// texts.h: the options that say how text files are read, and opening them: shared by train and eval. docs/texts.md
// explains them.
#pragma once

#include "apps/cli.h"

struct texts {
    enum sy_text_format format;
    const char *key;
    enum sy_documents documents;
    bool strict, column;
    const char *given; ///< The last of these options on the command line; NULL: none.
};

enum { TEXTS_FORMAT = 0x5400, TEXTS_KEY, TEXTS_COLUMN, TEXTS_END, TEXTS_PACK, TEXTS_STRICT };

/// Rows of an argp table, in its group `group`.
#define TEXTS_OPTIONS(group)                                                                                           \
    {                                                                                                                  \
        "format", TEXTS_FORMAT, "NAME", 0, "text, jsonl, tsv, or auto (default): told by what a file begins with",     \
        group},                                                                                                        \
        {"text-key", TEXTS_KEY, "KEY", 0, "of JSON lines: where the text is (default \"text\"; a.b: b inside a)",      \
         group},                                                                                                       \
        {"column",                                                                                                     \
         TEXTS_COLUMN,                                                                                                 \
         "NAME",                                                                                                       \
         0,                                                                                                            \
         "tab-separated rows: the text is under this title of the first line, or, when "                               \
         "there are no titles, in this column, counted from 1",                                                        \
         group},                                                                                                       \
        {"document-end", TEXTS_END, "NAME", 0, "what follows a file, or a row's text: none (default), or eos", group}, \
        {"pack",                                                                                                       \
         TEXTS_PACK,                                                                                                   \
         "NAME",                                                                                                       \
         0,                                                                                                            \
         "stream (default): documents follow each other and are cut into examples; none: "                             \
         "each is an example alone, cut or padded",                                                                    \
         group},                                                                                                       \
    {                                                                                                                  \
        "strict", TEXTS_STRICT, NULL, 0, "stop at an odd JSON line or an empty file instead of skipping it", group     \
    }

/// Whether `key` is one of these options; it is then in `t`.
bool texts_parse(struct argp_state *state, int key, const char *arg, struct texts *t);
/// Ends the program with a usage message when standard input ("-") is named twice, or when an option says how files are
/// read that are not given. `valid` may be NULL.
void texts_check(struct argp_state *state, const struct texts *t, const struct cli_list *data,
                 const struct cli_list *valid);

/// Opens the files as one source (and prepared corpora as one each), or all as a source each when `apart`, for span
/// corruption. `rates`: of each when apart, for SY_MIX_RATE; else NULL. `p` has what the program decides: tokenizer,
/// lengths, seed, order, mixing.
enum sy_status texts_open(struct sy_ctx *ctx, const struct texts *t, const struct cli_list *files, bool apart,
                          const double *rates, struct sy_dataset_params p, struct sy_dataset **out);
/// "22.6 k tokens of text in 20 documents: 40 examples of at most 568"
void texts_describe(const struct sy_dataset *data, char out[160]);
