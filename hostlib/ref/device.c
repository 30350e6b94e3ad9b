// SPDX-License-Identifier: Apache-2.0
// ref/device.c: `ref:0`, the plain C device: the truth for every test, and what runs without any driver.
#include "hostlib/memory.h"
#include "hostlib/ref/ref.h"

#include <stdio.h>
#include <stdlib.h>

// Limits are as large as the contract allows: this device refuses nothing that any other accepts. It runs in
// the calling thread, so it counts as one compute unit.
static void fill_caps(struct sy_caps *caps)
{
    const struct sy_host_memory host = sy_host_memory("");
    const uint64_t memory = host.bytes;
    *caps = (struct sy_caps){
        .id = "ref:0",
        .name = "C reference",
        .driver = "switchyard",
        .api = "C11",
        .key = "ref",
        .backend = SY_BACKEND_REF,
        .device_class = SY_CLASS_REF,
        .software = true,
        .bf16 = true,
        .unified_memory = true,
        .memory_bytes = memory,
        .max_alloc_bytes = memory,
        .max_binding_bytes = memory,
        .max_bindings = SY_MAX_BINDINGS,
        .max_args_bytes = SY_MAX_ARGS_BYTES,
        .shared_bytes = UINT32_C(1) << 20,
        .max_wg = 1024,
        .max_groups = {UINT32_MAX, 1, 1},
        .offset_align = 256,
        .compute_units = 1,
    };
    snprintf(caps->memory_from, sizeof caps->memory_from, "%s", host.from);
}

static enum sy_status list_devices(struct sy_ctx *ctx, struct sy_caps **list, size_t *count)
{
    struct sy_caps *grown = realloc(*list, (*count + 1) * sizeof **list);
    if (grown == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory listing devices");
    fill_caps(&grown[*count]);
    *list = grown;
    ++*count;
    return SY_OK;
}

static enum sy_status open_device(struct sy_ctx *ctx, uint32_t index, struct sy_device **out)
{
    (void)index; // there is one
    struct sy_device *device = calloc(1, sizeof *device);
    if (device == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory opening ref:0");
    fill_caps(&device->caps);
    *out = device;
    return SY_OK;
}

static void close_device(struct sy_device *device) { free(device); }

static enum sy_status wait_device(struct sy_device *device)
{
    (void)device; // a submission has finished when it returns
    return SY_OK;
}

const struct sy_backend sy_backend_ref = {
    .id = SY_BACKEND_REF,
    .list = list_devices,
    .open = open_device,
    .close = close_device,
    .wait = wait_device,
    .buffer_create = sy_ref_buffer_create,
    .buffer_destroy = sy_ref_buffer_destroy,
    .buffer_write = sy_ref_buffer_write,
    .buffer_read = sy_ref_buffer_read,
    .buffer_read_start = sy_ref_buffer_read_start,
    .buffer_copy = sy_ref_buffer_copy,
    .buffer_zero = sy_ref_buffer_zero,
    .event_wait = sy_ref_event_wait,
    .event_done = sy_ref_event_done,
    .event_destroy = sy_ref_event_destroy,
    .kernel_create = sy_ref_kernel_create,
    .kernel_destroy = sy_ref_kernel_destroy,
    .program_create = sy_ref_program_create,
    .program_destroy = sy_ref_program_destroy,
    .program_submit = sy_ref_program_submit,
    .program_profile = sy_ref_program_profile,
};
