// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_train_state state;
    if (ctx != NULL) {
        enum sy_status status = sy_checkpoint_parse_state(ctx, (const char *)data, bytes, "fuzz", &state);
        (void)status;
    }
    sy_ctx_destroy(&ctx);
    return 0;
}
