// SPDX-License-Identifier: Apache-2.0
// ops_run.h: runs one case of one op on one device (ops_run.c) and judges the result (ops_judge.c, ops_epilogue.c), for
// ops_main.c.
//
// Every tensor lies alone in a buffer between two guards of a known pattern; outputs start out poisoned, so
// that a write outside, a changed input and an element never written all show.
#pragma once

#include <stdio.h>

#include "engine/variant.h"
#include "tests/ops.h"

#define OPS_GUARD_BYTE 0xA5u

/// The content of one buffer, guards included.
struct ops_image {
    uint8_t *bytes;
    uint64_t total, offset, data_bytes; ///< The tensor is bytes[offset … offset + data_bytes).
};

/// One op × element types × case, filled from its seed.
struct ops_case {
    const struct sy_op_cases *cases;
    const struct sy_op_info *info;
    enum sy_op_types types;
    size_t index;
    const void *args;
    uint64_t elements[SY_MAX_BINDINGS]; ///< What the op asks for; 0 = a dummy is bound.
    double *values[SY_MAX_BINDINGS];    ///< Initial values, already rounded to the element type.
    struct sy_step step;
};

/// The buffers after a run.
struct ops_result {
    struct ops_image images[SY_MAX_BINDINGS];
};

const char *ops_types_name(enum sy_op_types types); ///< "f32", "bf16", "bf16→f32"

/// Fills `out` from a seed that depends on op and case only. False when out of memory.
bool ops_case_create(const struct sy_op_cases *cases, enum sy_op_types types, size_t index, struct ops_case *out);
void ops_case_destroy(struct ops_case *test);

/// A variant compiled for a device, with the op it wants run before.
struct ops_kernel {
    struct sy_device *device;
    const struct sy_caps *caps; ///< As which it is launched: the device's, or borrowed ones.
    const struct sy_variant *variant;
    uint32_t choice; ///< How it is launched (variant.h).
    enum sy_op_types types;
    struct sy_kernel *kernel;
    const struct sy_variant *before_variant; ///< NULL: nothing runs before.
    enum sy_op_types before_types;
    struct sy_kernel *before;
};

enum sy_status ops_kernel_create(struct sy_device *device, const struct sy_variant *v, enum sy_op_types types,
                                 struct ops_kernel *out);
/// The same, launched as one of its choices and as on a device with `caps`.
enum sy_status ops_kernel_create_as(struct sy_device *device, const struct sy_caps *caps, const struct sy_variant *v,
                                    enum sy_op_types types, uint32_t choice, struct ops_kernel *out);
void ops_kernel_destroy(struct ops_kernel *k);

/// Runs the case once. The kernel's types may differ from the case's: the same values, stored otherwise.
enum sy_status ops_run(const struct ops_case *test, const struct ops_kernel *kernel, struct ops_result *out);
void ops_result_destroy(struct ops_result *result);

/// Binding i as it is before a run: guard, tensor, guard, with the tensor at a multiple of `align`. bytes: free().
bool ops_image_create(const struct ops_case *test, uint32_t i, enum sy_dtype t, uint32_t align, struct ops_image *out);
/// First byte of the guards that changed, relative to the tensor's start; false when none did.
bool ops_guard_damage(const struct ops_image *image, int64_t *out_at);
/// Whether the element still is what outputs are filled with before a run.
bool ops_is_poison(const uint8_t *at, enum sy_dtype t);

static inline bool ops_is_float(enum sy_dtype t) { return t == SY_F32 || t == SY_BF16 || t == SY_F64; }

static inline struct sy_ref_tensor ops_tensor_of(const struct ops_image *image, enum sy_dtype t)
{
    return (struct sy_ref_tensor){image->bytes + image->offset, t, image->data_bytes / sy_dtype_bytes(t)};
}

/// What a comparison found.
struct ops_verdict {
    bool good;
    double worst;      ///< Largest error as a share of the tolerance, over all outputs.
    char message[512]; ///< When bad: binding, first bad element, got, want, largest error.
};

/// Guards and inputs untouched, every output element written.
struct ops_verdict ops_check_integrity(const struct ops_case *test, const struct ops_result *result);
/// Outputs of `got` against `want`, which may hold another element type; `loosest` widens the tolerance, and so do the
/// errors of the variant.
struct ops_verdict ops_compare(const struct ops_case *test, const struct ops_kernel *by, const struct ops_result *got,
                               enum sy_op_types want_types, const struct ops_result *want, double loosest);
/// Changes inputs one element at a time on `ref` and looks whether the outputs change as little as the op's epilogue
/// class says (ops_epilogue.c). `worst`: how many elements changed in all.
struct ops_verdict ops_check_epilogue(struct ops_case *test, const struct ops_kernel *kernel);
/// Two runs of one kernel must agree in every bit.
struct ops_verdict ops_same_bits(const struct ops_case *test, const struct ops_result *a, const struct ops_result *b);
/// Prints "#   args: …", every word as an integer and, where it looks like one, as a float.
void ops_print_args(const struct ops_case *test);
