// SPDX-License-Identifier: Apache-2.0
// opencl.h: what the files of this folder share. Private to hostlib/opencl; <CL/cl.h> is included here only.
//
// OpenCL 1.2 and nothing newer: one in-order queue per device, so that order is the only synchronisation.
#pragma once

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "hostlib/backend.h"
#include "hostlib/cache.h"
#include "hostlib/ring.h"

#define SY_CL_SUBMISSION_DISPATCHES 64u

struct sy_cl_staging {
    struct sy_ring ring;
    cl_mem memory;
    unsigned char *map;
    cl_event written[SY_RING_PIECES]; ///< Of the write that reads a piece.
};

struct sy_cl_device {
    struct sy_device base;
    cl_platform_id platform;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    cl_command_queue profiling; ///< Made on the first sy_program_profile(); NULL until then.
    bool no_fma;                ///< No fma() in hardware: kernels are compiled with NO_FMA (kernels/common.cl.h).
    struct sy_cl_staging staging;
};

/// A range of a buffer that some dispatch binds.
struct sy_cl_view {
    cl_mem memory;
    size_t offset, bytes;
};

struct sy_cl_views {
    struct sy_cl_view *list; ///< In the order of their making.
    uint32_t *index;         ///< Hash table of 2 · room places: 1 + the position in `list`, or 0.
    size_t count, room;      ///< `room` is 0 or a power of two.
};

struct sy_cl_buffer {
    struct sy_buffer base;
    cl_mem memory;
    struct sy_cl_views views;
};

struct sy_cl_event {
    struct sy_event base;
    cl_event handle;
};

struct sy_cl_kernel {
    struct sy_kernel base;
    cl_program program; ///< Each dispatch makes its own cl_kernel from it: arguments belong to those.
};

/// Declarations of the built-in functions that kernels call: builtins.c.
extern const char sy_cl_builtins[];

/// Keeps the names of OpenCL errors in one place: "CL_OUT_OF_RESOURCES".
const char *sy_cl_error_name(cl_int error);
/// DEVICE "opencl:0 (name): what: CL_…", and the device counts as lost from then on.
SY_PRINTF(3, 4) enum sy_status sy_cl_lost(struct sy_cl_device *device, cl_int error, const char *format, ...);
/// Whether `error` says that memory is short.
bool sy_cl_is_nomem(cl_int error);

/// Blocks until the queue is empty.
SY_MUST_CHECK enum sy_status sy_cl_finish(struct sy_cl_device *device, const char *what);

SY_MUST_CHECK enum sy_status sy_cl_staging_create(struct sy_cl_device *device);
/// Of a device whose opening failed half-way, too.
void sy_cl_staging_destroy(struct sy_cl_device *device);
/// Queues a write of a copy of `source`; waits only when the ring is full.
SY_MUST_CHECK enum sy_status sy_cl_staging_write(struct sy_buffer *buffer, uint64_t offset, const unsigned char *source,
                                                 uint64_t bytes);

enum sy_status sy_cl_buffer_create(struct sy_device *device, uint64_t bytes, struct sy_buffer **out);
void sy_cl_buffer_destroy(struct sy_buffer *buffer);
/// The memory object that a kernel is given for a range; it stays the buffer's.
cl_int sy_cl_view(struct sy_cl_buffer *buffer, size_t offset, size_t bytes, cl_mem *out);
void sy_cl_views_release(struct sy_cl_buffer *buffer);
enum sy_status sy_cl_buffer_write(struct sy_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes);
enum sy_status sy_cl_buffer_read(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes);
enum sy_status sy_cl_buffer_read_start(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes,
                                       struct sy_event **out);
enum sy_status sy_cl_buffer_copy(struct sy_buffer *source, uint64_t source_offset, struct sy_buffer *target,
                                 uint64_t target_offset, uint64_t bytes);
enum sy_status sy_cl_buffer_zero(struct sy_buffer *buffer, uint64_t offset, uint64_t bytes);

enum sy_status sy_cl_event_wait(struct sy_event *event);
enum sy_status sy_cl_event_done(struct sy_event *event, bool *out);
void sy_cl_event_destroy(struct sy_event *event);

enum sy_status sy_cl_kernel_create(struct sy_device *device, const struct sy_kernel_params *params,
                                   struct sy_kernel **out);
/// The name of what comes out of compiling it. Errors: INVALID options too long.
enum sy_status sy_cl_kernel_key(struct sy_device *device, const struct sy_kernel_params *params,
                                uint8_t out_key[SY_CACHE_KEY_BYTES]);
void sy_cl_kernel_destroy(struct sy_kernel *kernel);
bool sy_cl_kernel_mark(struct sy_device *device, const struct sy_kernel_params *params, char *out_path);
enum sy_status sy_cl_kernel_finish(struct sy_kernel *kernel);
enum sy_status sy_cl_kernel_statistics(const struct sy_kernel *kernel, struct sy_kernel_stat **out, size_t *count);

enum sy_status sy_cl_program_create(struct sy_device *device, const struct sy_dispatch *dispatches, size_t count,
                                    struct sy_program **out);
void sy_cl_program_destroy(struct sy_program *program);
enum sy_status sy_cl_program_submit(struct sy_program *program, size_t first, size_t count);
enum sy_status sy_cl_program_profile(struct sy_program *program, uint64_t *out_ns);
