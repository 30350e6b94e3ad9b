// SPDX-License-Identifier: Apache-2.0
#include "engine/config.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_config config = {0};
    if (ctx != NULL && sy_config_parse(ctx, (const char *)data, bytes, "fuzz", &config) == SY_OK) {
        if (config.experts != 0)
            (void)sy_config_capacity(&config, true, 512);
        for (uint32_t i = 0; i < config.layers && i < 100; ++i)
            (void)sy_config_sparse(&config, false, i);
        sy_config_finish(&config);
    }
    sy_ctx_destroy(&ctx);
    return 0;
}
