// SPDX-License-Identifier: Apache-2.0
// prompts.h: the prompts of switchyard-generate: where they come from, and what of them is printed.
#pragma once

#include "engine/data/tokenizer.h"

struct prompt {
    char *text;
    int32_t *ids; ///< Of the text, ended by eos; NULL before prompts_encode().
    uint32_t count;
};

/// A zeroed struct is empty.
struct prompts {
    struct prompt *items;
    size_t count;
};

/// Errors: NOMEM.
enum sy_status prompts_add(struct sy_ctx *ctx, const char *text, struct prompts *p);
/// Adds the lines of a file, or of standard input ("-"). Errors: IO · INVALID a NUL byte, or not one line.
enum sy_status prompts_read(struct sy_ctx *ctx, const char *path, struct prompts *p);
/// Makes the ids; warns about marks that the vocabulary lacks. Errors: INVALID too long · those of the tokenizer.
enum sy_status prompts_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, struct prompts *p);
uint32_t prompts_longest(const struct prompts *p); ///< Tokens.
void prompts_finish(struct prompts *p);

/// The prompt with every mark replaced by the model's words for it, in brackets; malloc'ed, NULL when out of memory.
char *prompts_fill(const char *prompt, const char *output);
