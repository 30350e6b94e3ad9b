// SPDX-License-Identifier: Apache-2.0
// kernel.h: one compiled compute kernel, and recorded lists of dispatches that are replayed.
//
// A kernel comes as OpenCL C text, SPIR-V and a C function at once; the device's backend takes its own.
// A program is a list of dispatches recorded once (descriptors bound, command buffers filled, arguments
// set) and submitted again and again: nothing is allocated or compiled while it runs. What changes per
// step lives in buffers.
//
// Ordering: everything on one device runs in submission order; a dispatch sees the writes of all earlier
//           ones (the backend inserts the barriers that the write masks ask for).
// Layer:    hostlib. Implemented by opencl/, vulkan/, ref/.
#pragma once

#include "hostlib/buffer.h"
#include "hostlib/dtype.h"

#define SY_MAX_BINDINGS 12
#define SY_MAX_ARGS_BYTES 128
#define SY_MAX_CONSTANTS 10

/// A tensor as the `ref` backend's functions see it. `count` is in elements of `dtype`.
struct sy_ref_tensor {
    void *data;
    enum sy_dtype dtype;
    uint64_t count;
};

/// The C twin of a kernel: computes the whole dispatch. `args` is the op's argument struct.
typedef void (*sy_ref_fn)(const void *args, const struct sy_ref_tensor *bindings);

/// The three spellings of one kernel. All borrowed, for the life of the program (static data).
struct sy_kernel_source {
    const char *name;      ///< Entry point of the OpenCL C text; SPIR-V uses "main".
    const char *cl_text;   ///< Includes already resolved; NULL when absent.
    const uint32_t *spirv; ///< For the wanted element types; NULL when absent.
    size_t spirv_bytes;
    sy_ref_fn ref;
};

struct sy_kernel_params {
    struct sy_kernel_source source;
    const char *cl_defines; ///< e.g. "-DT_BF16 -DO_BF16"; WG and VEC are added by the backend.
    uint32_t wg;            ///< Work-group size: -DWG= / spec constant 0. The kernel uses reqd_work_group_size.
    uint32_t vec;           ///< -DVEC=; shaders have no such constant.
    uint32_t binding_count; ///< ≤ SY_MAX_BINDINGS
    uint32_t const_binding; ///< Which binding is the step-constants block (a UBO in Vulkan), or UINT32_MAX.
    uint32_t args_bytes;    ///< Multiple of 4, 4 … SY_MAX_ARGS_BYTES.
    enum sy_dtype types[SY_MAX_BINDINGS]; ///< Element type of each binding, for `ref` and the validator.
    uint32_t constants[SY_MAX_CONSTANTS]; ///< Of a shader: specialisation constants 1, 2, …, as many as it has.
    uint32_t constant_count;
    uint32_t subgroup; ///< A shader's sub-groups must be whole and of this size; 0: any.
    bool inspect;      ///< Keep the compiler's statistics and assembly: slower to compile, never from the cache.
};

struct sy_kernel;

/// Compiles (or takes from the cache) one kernel. Errors: DEVICE with the compiler's log ·
/// UNSUPPORTED limits exceeded (named) or no source for this backend.
SY_MUST_CHECK enum sy_status sy_kernel_create(struct sy_device *device, const struct sy_kernel_params *params,
                                              struct sy_kernel **out_kernel);
/// Compiles `count` kernels on as many threads as there are cores, 16 at most; `out_kernels` gets one for each
/// `params`, or stays untouched when one of them fails. Logs how far it is (INFO) every two seconds. Errors: as above.
SY_MUST_CHECK enum sy_status sy_kernels_create(struct sy_device *device, const struct sy_kernel_params *params,
                                               size_t count, struct sy_kernel **out_kernels);
void sy_kernel_destroy(struct sy_kernel **kernel);
const struct sy_kernel_params *sy_kernel_params(const struct sy_kernel *kernel);

/// One figure of the driver's compiler, under the driver's own name for it.
struct sy_kernel_stat {
    char name[64];
    double value;
};

/// What the driver's compiler says about a kernel made with `inspect`: nothing (NULL and 0) where it does not tell.
/// `*out` is malloc'ed. Errors: INVALID made without `inspect` · NOMEM · DEVICE.
SY_MUST_CHECK enum sy_status sy_kernel_statistics(const struct sy_kernel *kernel, struct sy_kernel_stat **out,
                                                  size_t *count);
/// The machine code of a kernel made with `inspect` as text, after the compiler's last intermediate forms where a
/// driver gives those. Malloc'ed. Errors: as above · UNSUPPORTED the driver gives none.
SY_MUST_CHECK enum sy_status sy_kernel_assembly(const struct sy_kernel *kernel, char **out_text);

struct sy_binding {
    struct sy_buffer *buffer;
    uint64_t offset_bytes; ///< Multiple of caps.offset_align.
    uint64_t bytes;
};

struct sy_dispatch {
    struct sy_kernel *kernel;
    struct sy_binding bindings[SY_MAX_BINDINGS];
    uint32_t write_mask; ///< Bit i: the kernel writes binding i.
    uint32_t args[SY_MAX_ARGS_BYTES / 4];
    /// Linear count of work-groups. Vulkan folds it into x·y, and both may launch a part of them: kernels read GROUP_ID
    /// (kernels/common.cl.h, shaders/common.glsl).
    uint64_t groups;
    const char *label; ///< For profiles and "device lost" reports; borrowed for the life of the program.
    double flops;      ///< Predicted: where submissions are cut until their times have been measured.
};

struct sy_program;

/// Records `count` dispatches. Everything is validated here (ranges, alignment, limits), once.
/// Errors: INVALID naming the dispatch and the binding · NOMEM · DEVICE.
SY_MUST_CHECK enum sy_status sy_program_create(struct sy_device *device, const char *name,
                                               const struct sy_dispatch *dispatches, size_t count,
                                               struct sy_program **out_program);
void sy_program_destroy(struct sy_program **program);
/// Waves of dispatches: inside one none waits for another (at most 256 dispatches), between two stands a barrier.
size_t sy_program_waves(const struct sy_program *program);

/// Submissions that the list is handed over in: first by predicted FLOPs, later by measured time
/// (docs/architecture.md). A dispatch that takes too long for one is several, each of some of its work-groups.
size_t sy_program_submissions(const struct sy_program *program);

/// Queues the whole list; does not block. Only the first few times (8 at most), and then once in ten seconds, it waits,
/// to measure how long each submission takes. Errors: DEVICE (sticky: the device must be reopened).
SY_MUST_CHECK enum sy_status sy_program_submit(struct sy_program *program);

/// Runs the list once, alone, and writes each dispatch's device time. `out_ns` has `count` entries.
SY_MUST_CHECK enum sy_status sy_program_profile(struct sy_program *program, uint64_t *out_ns);
