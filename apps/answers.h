// SPDX-License-Identifier: Apache-2.0
// answers.h: what switchyard-generate prints of an output: text, JSON, and a text that grows on a terminal.
#pragma once

#include "apps/prompts.h"

struct answers {
    struct sy_ctx *ctx;
    const struct sy_tokenizer *tokenizer;
    bool raw, json;
    bool growing; ///< Print tokens as they are told.
    // Of the output that grows:
    int32_t *ids;
    uint32_t count, room; ///< room: the longest output.
    char *shown;          ///< What is printed already; NULL: nothing.
    bool failed;
};

/// Whether prompts can be repeated in JSON. Errors: INVALID naming one that is not UTF-8 · NOMEM.
enum sy_status answers_check(const struct answers *a, const struct prompts *prompts);
/// Prints what a prompt yielded. Errors: NOMEM · those of the tokenizer.
enum sy_status answers_print(struct answers *a, const struct prompt *prompt, const int32_t *ids, uint32_t count);
/// The `heard` of sy_decode_params, with the answers as its user, for one prompt at a time.
void answers_hear(void *user, uint32_t prompt, int32_t token);
void answers_finish(struct answers *a);
