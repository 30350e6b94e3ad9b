// SPDX-License-Identifier: Apache-2.0
// ref/program.c: a program is a copy of its dispatches, run one after the other.
#include "hostlib/ref/ref.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct sy_ref_program *from_base(struct sy_program *program) { return (struct sy_ref_program *)program; }

enum sy_status sy_ref_program_create(struct sy_device *device, const struct sy_dispatch *dispatches, size_t count,
                                     struct sy_program **out)
{
    struct sy_ref_program *program = calloc(1, sizeof *program);
    struct sy_dispatch *copy = calloc(count, sizeof *copy);
    if (program == NULL || copy == NULL) {
        free(program);
        free(copy);
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for a program of %zu dispatches", count);
    }
    memcpy(copy, dispatches, count * sizeof *copy);
    program->dispatches = copy;
    *out = &program->base;
    return SY_OK;
}

void sy_ref_program_destroy(struct sy_program *program)
{
    free(from_base(program)->dispatches);
    free(program);
}

static void run_dispatch(const struct sy_dispatch *dispatch)
{
    const struct sy_kernel_params *params = &dispatch->kernel->params;
    struct sy_ref_tensor tensors[SY_MAX_BINDINGS] = {0};
    for (uint32_t i = 0; i < params->binding_count; ++i) {
        const struct sy_binding *binding = &dispatch->bindings[i];
        const struct sy_ref_buffer *buffer = (const struct sy_ref_buffer *)binding->buffer;
        tensors[i].data = buffer->data + binding->offset_bytes;
        tensors[i].dtype = params->types[i];
        tensors[i].count = binding->bytes / sy_dtype_bytes(params->types[i]);
    }
    params->source.ref(dispatch->args, tensors);
}

enum sy_status sy_ref_program_submit(struct sy_program *program, size_t first, size_t count)
{
    (void)first; // one submission, all of it
    (void)count;
    for (size_t i = 0; i < program->count; ++i)
        run_dispatch(&from_base(program)->dispatches[i]);
    return SY_OK;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

enum sy_status sy_ref_program_profile(struct sy_program *program, uint64_t *out_ns)
{
    for (size_t i = 0; i < program->count; ++i) {
        const uint64_t start = now_ns();
        run_dispatch(&from_base(program)->dispatches[i]);
        out_ns[i] = now_ns() - start;
    }
    return SY_OK;
}
