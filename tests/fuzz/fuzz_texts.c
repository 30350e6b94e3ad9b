// SPDX-License-Identifier: Apache-2.0
// fuzz_texts.c: what becomes of any bytes as JSON lines and as a table.
#include <stdlib.h>

#include "engine/data/content.h"
#include "engine/data/records.h"
#include "tests/fuzz/target.h"

static enum sy_status take(void *user, const char *text, size_t bytes, bool begins)
{
    uint8_t *sum = user;
    for (size_t i = 0; i < bytes; ++i) // a sanitizer sees what cannot be read
        *sum ^= (uint8_t)text[i];
    return begins ? SY_OK : SY_INTERNAL;
}

/// The same bytes as tab-separated rows: a column by its title, or by its number.
static enum sy_status read_table(struct sy_ctx *ctx, const char *text, size_t bytes, uint8_t *sum)
{
    struct sy_reading reading = {.format = SY_TEXT_TABLE};
    struct sy_records r = {.ctx = ctx, .path = "fuzz", .reading = &reading, .text = take, .user = sum};
    r.content = SY_CONTENT_TABLE;
    enum sy_status status = sy_table_begin(&r, text, bytes, bytes % 2 == 0 ? "text" : "2");
    if (status == SY_OK)
        status = sy_table_add(&r, text, bytes);
    sy_records_finish(&r);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_reading reading = {.text_key = bytes % 2 == 0 ? "text" : "a.text"};
    uint8_t sum = 0;
    char *copy = malloc(bytes + 1); // of its exact size: nothing may be read behind it
    if (ctx != NULL && copy != NULL) {
        char *text = copy + 1;
        for (size_t i = 0; i < bytes; ++i)
            text[i] = (char)data[i];
        const enum sy_content content = sy_content_of("fuzz", text, bytes, bytes % 3 == 0);
        struct sy_records r = {.ctx = ctx, .path = "fuzz", .reading = &reading, .text = take, .user = &sum};
        enum sy_status status = sy_json_lines_add(&r, text, bytes);
        if (status == SY_OK)
            status = sy_records_end(&r);
        sy_records_finish(&r);
        (void)content;
        if (status == SY_INTERNAL || read_table(ctx, text, bytes, &sum) == SY_INTERNAL)
            abort();
    }
    free(copy);
    sy_ctx_destroy(&ctx);
    return 0;
}
