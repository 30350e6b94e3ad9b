// SPDX-License-Identifier: Apache-2.0
// backend.h: what a backend implements. Private to hostlib.
//
// Callers have validated every argument (device.c, buffer.c, kernel.c, program.c); a backend checks only what its
// driver says. Each backend folder has device.c, buffer.c, kernel.c and program.c, and others where its API needs them;
// stub.c takes their place when the backend is compiled out (`ref` never is).
//
// The generic objects below are embedded as the FIRST member of a backend's own structs.
#pragma once

#include <stdatomic.h>

#include "hostlib/event.h"
#include "hostlib/kernel.h"
#include "hostlib/pace.h"

struct sy_backend {
    enum sy_backend_id id;
    /// Appends this backend's devices to a malloc'ed array. A missing driver is no error: zero devices.
    enum sy_status (*list)(struct sy_ctx *ctx, struct sy_caps **list, size_t *count);
    /// Opens device `index` of the same order as list(). `*out` is allocated by the backend.
    enum sy_status (*open)(struct sy_ctx *ctx, uint32_t index, struct sy_device **out);
    void (*close)(struct sy_device *device); ///< Frees the struct.
    enum sy_status (*wait)(struct sy_device *device);

    enum sy_status (*buffer_create)(struct sy_device *device, uint64_t bytes, struct sy_buffer **out); ///< Zeroed.
    void (*buffer_destroy)(struct sy_buffer *buffer);
    enum sy_status (*buffer_write)(struct sy_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes);
    enum sy_status (*buffer_read)(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes);
    enum sy_status (*buffer_read_start)(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes,
                                        struct sy_event **out);
    enum sy_status (*buffer_copy)(struct sy_buffer *source, uint64_t source_offset, struct sy_buffer *target,
                                  uint64_t target_offset, uint64_t bytes);
    enum sy_status (*buffer_zero)(struct sy_buffer *buffer, uint64_t offset, uint64_t bytes);

    // Called while the event is not done; destroyed when it is, or when the device is lost.
    enum sy_status (*event_wait)(struct sy_event *event);
    enum sy_status (*event_done)(struct sy_event *event, bool *out);
    void (*event_destroy)(struct sy_event *event);

    /// Called by several threads at once: it changes nothing of the device but `lost`.
    enum sy_status (*kernel_create)(struct sy_device *device, const struct sy_kernel_params *params,
                                    struct sy_kernel **out);
    void (*kernel_destroy)(struct sy_kernel *kernel);
    // Where other processes can compile ahead (ahead.h); else NULL.
    /// The file (room for PATH_MAX bytes) that says that one has; false when it cannot for this kernel.
    bool (*kernel_mark)(struct sy_device *device, const struct sy_kernel_params *params, char *out_path);
    /// Makes the driver compile all that launching the kernel takes. Only in switchyard-compile, where none runs.
    enum sy_status (*kernel_finish)(struct sy_kernel *kernel);
    // NULL where drivers say nothing. Only called on kernels made with `inspect`.
    enum sy_status (*kernel_statistics)(const struct sy_kernel *kernel, struct sy_kernel_stat **out, size_t *count);
    enum sy_status (*kernel_assembly)(const struct sy_kernel *kernel, char **out_text);

    /// Without submissions: program->pace is set afterwards, then comes program_cut().
    enum sy_status (*program_create)(struct sy_device *device, const struct sy_dispatch *dispatches, size_t count,
                                     struct sy_program **out);
    void (*program_destroy)(struct sy_program *program);
    size_t submission_dispatches; ///< At most in one submission; 0: programs are not cut.
    /// Makes the submissions that program->pace says; the program is not running. NULL where nothing is made ahead.
    enum sy_status (*program_cut)(struct sy_program *program);
    /// Queues `count` submissions from `first` on.
    enum sy_status (*program_submit)(struct sy_program *program, size_t first, size_t count);
    enum sy_status (*program_profile)(struct sy_program *program, uint64_t *out_ns);
};

/// Backends in this build; a compiled-out one is a stub that lists nothing and says so when opened.
extern const struct sy_backend sy_backend_ref, sy_backend_opencl, sy_backend_vulkan;
const struct sy_backend *sy_backend_get(enum sy_backend_id id);

struct sy_device {
    const struct sy_backend *backend;
    struct sy_ctx *ctx;
    struct sy_caps caps;
    struct sy_choices *choices; ///< Owned; also caps.choices.
    void (*destroy_choices)(struct sy_choices *choices);
    uint64_t allocated_bytes;
    struct sy_buffer *buffers; ///< Live children, newest first (linked through `next`).
    uint32_t kernel_count, program_count, event_count;
    double submit_seconds; ///< What a submission shall take (pace.h).
    atomic_bool lost;      ///< Sticky: set on the first driver failure, on whichever thread.
};

struct sy_buffer {
    struct sy_device *device;
    struct sy_buffer *next, *previous;
    char *name;
    uint64_t bytes;
};

struct sy_event {
    struct sy_device *device;
    bool done;
};

struct sy_kernel {
    struct sy_device *device;
    struct sy_kernel_params params; ///< cl_defines is copied by the generic layer.
};

struct sy_program {
    struct sy_device *device;
    char *name;
    size_t count, waves;
    struct sy_pace pace;
};
