// SPDX-License-Identifier: Apache-2.0
// device.h: find and open a compute device.
//
// A device is named `ref:0`, `opencl:0`, `vulkan:1`, … everywhere: options, logs, tests, docs. The index
// counts the devices of one backend in the order its drivers report them; platforms without devices are
// skipped. `auto` takes the first real GPU (Vulkan before OpenCL), else an OpenCL CPU device, else a
// software Vulkan device, else `ref:0`.
//
// Lifetime: a device is owned by its context and must outlive its buffers, kernels and programs;
//           sy_device_close() names those left behind.
// Threads:  one thread per device at a time; devices are independent of each other.
// Layer:    hostlib. Implemented by opencl/, vulkan/ and ref/ behind backend.h.
#pragma once

#include "hostlib/status.h"

enum sy_backend_id { SY_BACKEND_REF, SY_BACKEND_OPENCL, SY_BACKEND_VULKAN, SY_BACKEND_COUNT };

/// What kind of kernel shape suits the device; chooses variants and the WG and VEC knobs.
enum sy_device_class {
    SY_CLASS_REF,  ///< Plain C.
    SY_CLASS_CPU,  ///< A CPU behind a GPU API that compiles whole work-groups (PoCL): WG=1, VEC=16.
    SY_CLASS_SIMT, ///< A GPU, or a software rasteriser that behaves like one (lavapipe, rusticl).
};

/// Shape of one product of matrix cores: [m, k] · [k, n] + [m, n]; m 0: there is none.
struct sy_coop_shape {
    uint32_t m, n, k;
};
enum { SY_COOP_NUMBERS = 6, SY_COOP_ATTENTION_NUMBERS = 3 };

/// Filled once when the device is opened (or listed); plain data.
struct sy_caps {
    char id[32];      ///< "opencl:0"
    char name[256];   ///< The driver's device name.
    char driver[256]; ///< Driver name and version.
    char api[64];     ///< "OpenCL 3.0", "Vulkan 1.3.230", "C11"
    char key[33];     ///< Hex digest of everything that makes compiled programs incompatible.
    enum sy_backend_id backend;
    enum sy_device_class device_class;
    bool software;                       ///< Runs on the CPU.
    bool unified_memory;                 ///< Host and device share memory.
    uint64_t memory_bytes;               ///< What may be allocated in all.
    char memory_from[128];               ///< What that number is made of, and what moves it, for people.
    uint64_t max_alloc_bytes;            ///< One allocation.
    uint64_t max_binding_bytes;          ///< One storage-buffer binding.
    uint64_t cache_bytes;                ///< The cache before the memory of all; 0: unknown.
    uint64_t logits_bytes;               ///< SY_LOGITS_BYTES (docs/env.md); 0: what suits the device class.
    uint32_t max_bindings;               ///< Storage buffers of one kernel.
    uint32_t max_args_bytes;             ///< Push constants or by-value argument struct.
    uint32_t shared_bytes;               ///< Local (shared) memory of one work-group.
    uint32_t max_wg;                     ///< Invocations of one work-group.
    uint32_t max_groups[3];              ///< Work-groups along x, y, z of one dispatch.
    uint32_t offset_align;               ///< Of a binding inside a buffer, bytes.
    uint32_t subgroup_min, subgroup_max; ///< 0 when the device has no subgroups.
    uint32_t compute_units;
    bool bf16; ///< Buffers can hold 16-bit elements; without it there is only f32 (some Vulkan drivers).
    bool fp16, coopmat, command_buffers; ///< Optional features, for the requirements of variants.
    bool avx512;                         ///< Of a CPU behind OpenCL: kernels may choose their blocks for its registers.
    bool avx512_bf16;                    ///< Of a CPU behind PoCL: products of pairs of bf16.
    bool amx;   ///< Of a CPU behind PoCL: tiles of bf16 (AMX), and the kernel gave this process their state.
    bool mma;   ///< NVIDIA behind OpenCL, sm_80 on: kernels may contain PTX for its matrix cores (-DPTX).
    bool cores; ///< Intel or AMD behind OpenCL, with matrix cores that their compiler has built-ins for.
    uint32_t cores_emulated; ///< Not so, but kernels shall compute what that kind of kernels/cores.cl.h would
                             ///< (SY_EMULATE_CORES); 0: none.
    bool mma_emulated;       ///< Not so, but kernels shall compute what that PTX would (SY_EMULATE_MMA), for tests.
    /// Products of a sub-group's cooperative matrices in f32 (Vulkan): of bf16 factors; of f16 factors, for tests only.
    struct sy_coop_shape coop_bf16, coop_f16;
    uint32_t coop_block[SY_COOP_NUMBERS]; ///< SY_COOP_BLOCK, to try out blocks for them; 0: as chosen for the device.
    uint32_t coop_attention[SY_COOP_ATTENTION_NUMBERS]; ///< SY_COOP_ATTENTION, likewise.
    uint64_t refused; ///< Bit i: the engine's variant i computed something wrong on it (engine/proof.h).
    bool proved;      ///< That was looked at.
    const struct sy_choices *choices; ///< What was measured to be fastest on it (engine/tune.h), or NULL.
    uint32_t quirks;                  ///< Bit i: the driver needs work-around i of quirk.h.
};

struct sy_device;
struct sy_choices;

/// Lists every device of every backend in this build. `*out_list` is owned by the caller (free()).
/// A backend whose loader or driver fails is logged as a warning and skipped.
SY_MUST_CHECK enum sy_status sy_device_list(struct sy_ctx *ctx, struct sy_caps **out_list, size_t *out_count);

/// Opens `id` ("auto", "ref:0", "opencl:0", …). Errors: INVALID unknown name (the message lists what
/// there is) · UNSUPPORTED the device lacks a mandatory feature (named) · DEVICE driver failure.
SY_MUST_CHECK enum sy_status sy_device_open(struct sy_ctx *ctx, const char *id, struct sy_device **out_device);
/// Waits for submitted work, then closes. Children still alive are logged by name.
void sy_device_close(struct sy_device **device);

const struct sy_caps *sy_device_caps(const struct sy_device *device);
/// What caps.refused is from now on; caps.proved becomes true.
void sy_device_set_refused(struct sy_device *device, uint64_t refused);
/// The device owns `choices` from now on (NULL: none) and frees it with `destroy` when others come or it is closed.
void sy_device_set_choices(struct sy_device *device, struct sy_choices *choices,
                           void (*destroy)(struct sy_choices *choices));
struct sy_choices *sy_device_choices(struct sy_device *device);
/// A device of that class that is not there, for planning: it can do what every device of the class can, and its
/// numbers are 0.
struct sy_caps sy_caps_imagined(enum sy_device_class device_class);
struct sy_ctx *sy_device_ctx(const struct sy_device *device);
const char *sy_backend_name(enum sy_backend_id backend);

/// Blocks until everything submitted to the device is done. Errors: DEVICE.
SY_MUST_CHECK enum sy_status sy_device_wait(struct sy_device *device);

/// Bytes now allocated through sy_buffer_create() on this device.
uint64_t sy_device_allocated_bytes(const struct sy_device *device);
