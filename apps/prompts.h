// SPDX-License-Identifier: Apache-2.0
// prompts.h: the prompts of switchyard-generate: where they come from, and what of them is printed.
#pragma once

#include "engine/data/tokenizer.h"

struct prompt {
    char *text;   ///< NULL: it came as ids.
    int32_t *ids; ///< Of the text, ended by eos; NULL before prompts_encode().
    uint32_t count;
};

/// A zeroed struct is empty.
struct prompts {
    struct prompt *items;
    size_t count;
    size_t lines; ///< That prompts_next() has read.
};

/// Errors: NOMEM.
enum sy_status prompts_add(struct sy_ctx *ctx, const char *text, struct prompts *p);
/// Adds the lines of a file, or of standard input ("-"): as they are, or, where `field` is not NULL, what the object of
/// JSON in each line has under it: a text, or an array of ids, taken as they are. Errors: IO · INVALID a NUL byte, no
/// such object, or not one line.
enum sy_status prompts_read(struct sy_ctx *ctx, const char *path, const char *field, struct prompts *p);
/// The next line of standard input as the only prompt; `*out_more` is false at its end. Errors: as above.
enum sy_status prompts_next(struct sy_ctx *ctx, const char *field, struct prompts *p, bool *out_more);
/// "prompt" where the name says that a file has lines of JSON, else NULL.
const char *prompts_field(const char *path);
/// Makes the ids; warns about marks that the vocabulary lacks. Errors: INVALID too long, empty, an id outside the
/// vocabulary (each names the prompt) · those of the tokenizer.
enum sy_status prompts_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, struct prompts *p);
uint32_t prompts_longest(const struct prompts *p); ///< Tokens.
void prompts_finish(struct prompts *p);

/// The prompt with every mark replaced by the model's words for it, in brackets; malloc'ed, NULL when out of memory.
char *prompts_fill(const char *prompt, const char *output);
