// SPDX-License-Identifier: Apache-2.0
// ref.h: the objects of the `ref` backend. Private to hostlib/ref.
#pragma once

#include "hostlib/backend.h"

struct sy_ref_buffer {
    struct sy_buffer base;
    unsigned char *data;
};

struct sy_ref_program {
    struct sy_program base;
    struct sy_dispatch *dispatches;
};

enum sy_status sy_ref_buffer_create(struct sy_device *device, uint64_t bytes, struct sy_buffer **out);
void sy_ref_buffer_destroy(struct sy_buffer *buffer);
enum sy_status sy_ref_buffer_write(struct sy_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes);
enum sy_status sy_ref_buffer_read(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes);
enum sy_status sy_ref_buffer_read_start(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes,
                                        struct sy_event **out);
enum sy_status sy_ref_buffer_copy(struct sy_buffer *source, uint64_t source_offset, struct sy_buffer *target,
                                  uint64_t target_offset, uint64_t bytes);
enum sy_status sy_ref_buffer_zero(struct sy_buffer *buffer, uint64_t offset, uint64_t bytes);

enum sy_status sy_ref_event_wait(struct sy_event *event);
enum sy_status sy_ref_event_done(struct sy_event *event, bool *out);
void sy_ref_event_destroy(struct sy_event *event);

enum sy_status sy_ref_kernel_create(struct sy_device *device, const struct sy_kernel_params *params,
                                    struct sy_kernel **out);
void sy_ref_kernel_destroy(struct sy_kernel *kernel);

enum sy_status sy_ref_program_create(struct sy_device *device, const struct sy_dispatch *dispatches, size_t count,
                                     struct sy_program **out);
void sy_ref_program_destroy(struct sy_program *program);
enum sy_status sy_ref_program_submit(struct sy_program *program, size_t first, size_t count);
enum sy_status sy_ref_program_profile(struct sy_program *program, uint64_t *out_ns);
