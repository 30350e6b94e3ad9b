// SPDX-License-Identifier: Apache-2.0
// A task file (configs/tasks/*.json), and what it makes of rows that have what the seeds ask for.
#include <stdlib.h>
#include <string.h>

#include "engine/data/pairs.h"
#include "tests/fuzz/target.h"

static const char rows[] = "{\"sentence\": \"x\", \"label\": 1, \"answers\": [\"p\", \"q\"], \"number\": 0}\n"
                           "{\"sentence\": \"y\", \"label\": \"0\", \"answers\": [\"r\"], \"number\": \"0\"}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    char *copy = malloc(bytes + 1); // of its exact size: nothing may be read behind it
    struct sy_form form = {0};
    struct sy_pairs pairs = {0};
    if (ctx != NULL && copy != NULL) {
        memcpy(copy + 1, data, bytes);
        if (sy_form_parse(ctx, copy + 1, bytes, "fuzz", &form) == SY_OK && sy_form_check(ctx, &form) == SY_OK &&
            sy_pairs_parse(ctx, &form, rows, sizeof rows - 1, "rows", &pairs) == SY_OK && pairs.count != 2)
            abort();
    }
    sy_pairs_finish(&pairs);
    sy_form_finish(&form);
    free(copy);
    sy_ctx_destroy(&ctx);
    return 0;
}
