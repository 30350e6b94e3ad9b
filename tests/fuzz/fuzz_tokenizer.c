// SPDX-License-Identifier: Apache-2.0
#include "engine/data/sentencepiece.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    if (ctx != NULL) {
        enum sy_status status = sy_spm_check(ctx, data, bytes, "fuzz");
        (void)status;
    }
    sy_ctx_destroy(&ctx);
    return 0;
}
