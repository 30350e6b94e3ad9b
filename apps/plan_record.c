// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_record.h"

enum sy_status plan_record(struct sy_ctx *ctx, struct sy_device *device, const struct sy_session_params *params,
                           struct plan_recorded *out)
{
    struct sy_session *session = NULL;
    SY_TRY(sy_session_create(ctx, device, params, &session));
    const struct sy_runtime *rt = sy_session_runtime(session);
    *out = (struct plan_recorded){.dispatches = sy_runtime_dispatches_all(rt),
                                  .kernels = sy_runtime_kernel_count(rt),
                                  .bytes = sy_device_allocated_bytes(device)};
    const enum sy_status status = sy_device_wait(device); // where validation reports its errors
    sy_session_destroy(&session);
    return status;
}
