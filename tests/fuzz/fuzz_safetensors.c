// SPDX-License-Identifier: Apache-2.0
#include "engine/safetensors.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_tensors *t = NULL;
    if (ctx != NULL && sy_tensors_parse(ctx, data, bytes, "fuzz", &t) == SY_OK) {
        for (size_t i = 0; i < sy_tensors_count(t); ++i) { // every byte that is promised must be there
            const struct sy_tensor_view *v = sy_tensors_at(t, i);
            volatile uint8_t sink = v->bytes != 0 ? ((const uint8_t *)v->data)[v->bytes - 1] : 0;
            (void)sink;
        }
    }
    sy_tensors_close(&t);
    sy_ctx_destroy(&ctx);
    return 0;
}
