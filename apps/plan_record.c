// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_record.h"

#include <string.h>

#include "engine/variant.h"

enum sy_status plan_record(struct sy_ctx *ctx, struct sy_device *device, const struct sy_session_params *params,
                           struct plan_recorded *out)
{
    struct sy_session *session = NULL;
    SY_TRY(sy_session_create(ctx, device, params, &session));
    const struct sy_runtime *rt = &session->runtime;
    memset(out, 0, sizeof *out);
    for (uint32_t p = 0; p < session->graph.phase_count; ++p)
        out->dispatches += rt->dispatch_count[p];
    for (size_t i = 0; i < (size_t)SY_VARIANT_COUNT * 16; ++i)
        out->kernels += rt->kernels[i] != NULL;
    out->bytes = sy_device_allocated_bytes(device);
    const enum sy_status status = sy_device_wait(device); // where validation reports its errors
    sy_session_destroy(&session);
    return status;
}
