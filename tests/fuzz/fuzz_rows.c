// SPDX-License-Identifier: Apache-2.0
// A table behind a line "template TAB target": both what the rows are and what is made of them may be anything.
#include <stdlib.h>
#include <string.h>

#include "engine/data/pairs.h"
#include "tests/fuzz/target.h"

static void run(struct sy_ctx *ctx, char *text, size_t bytes)
{
    struct sy_form form = {0};
    struct sy_pairs pairs = {0};
    char *newline = memchr(text, '\n', bytes);
    char *tab = newline != NULL ? memchr(text, '\t', (size_t)(newline - text)) : NULL;
    if (tab == NULL)
        return;
    *newline = *tab = '\0';
    const size_t left = bytes - (size_t)(newline + 1 - text);
    if (sy_form_set(ctx, &form, "template", text, "fuzz") == SY_OK &&
        sy_form_set(ctx, &form, "target", tab + 1, "fuzz") == SY_OK &&
        (left % 2 == 0 || sy_form_set(ctx, &form, "labels", "0=no,1={a}", "fuzz") == SY_OK) &&
        (left % 3 != 0 || sy_form_set(ctx, &form, "options", left % 2 == 0 ? "{b}" : "labels", "fuzz") == SY_OK) &&
        sy_pairs_parse(ctx, &form, newline + 1, left, "fuzz", &pairs) == SY_OK && pairs.count == 0)
        abort();
    sy_pairs_finish(&pairs);
    sy_form_finish(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    char *copy = malloc(bytes + 1); // of its exact size: nothing may be read behind it
    if (ctx != NULL && copy != NULL) {
        memcpy(copy + 1, data, bytes);
        run(ctx, copy + 1, bytes);
    }
    free(copy);
    sy_ctx_destroy(&ctx);
    return 0;
}
