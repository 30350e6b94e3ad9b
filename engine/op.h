// SPDX-License-Identifier: Apache-2.0
// op.h: the op registry (from ops.def), and what engine/ops/NAME.c provides for each op. variant.h: what runs it.
//
// Layer:  engine. Uses hostlib; includes no OpenCL, Vulkan or MPI header.
#pragma once

#include <assert.h>
#include <math.h>

#include "hostlib/kernel.h"
#include "kernels/op_args.h"

enum sy_op_id {
#define SY_OP(name, bindings, args, types) SY_OP_##name,
#include "engine/ops.def"
#undef SY_OP
    SY_OP_COUNT, ///< Ops that devices run. What follows are messages between ranks: the host's work (message.h).
    SY_OP_exchange_routes,
    SY_OP_exchange_rows,
    SY_OP_sum_ranks,
    SY_OP_gather_norms,
    SY_OP_share_ranks,
    SY_OP_sum_parts,
    SY_OP_mean_parts,
    SY_OP_END
};

static inline bool sy_op_is_message(enum sy_op_id op) { return op > SY_OP_COUNT; }

/// Element types of an op: what `t` and `o` bindings hold.
enum sy_op_types { SY_TYPES_F = 1, SY_TYPES_B = 2, SY_TYPES_M = 4, SY_TYPES_D = 8 /* f64, `ref` only: t, o and f */ };

/// Launch knobs chosen per device (variant.h: sy_variant_knobs).
struct sy_knobs {
    enum sy_device_class device_class;
    uint32_t wg, vec;
    uint32_t rows, cols; ///< Outputs of one group, where a variant chooses them by device; else 0.
};

/// Another way to launch a kernel (tune.h): as right as the usual one, to the same bits, and on some devices faster.
/// For SIMT devices. What is 0 is as usual.
struct sy_setting {
    uint32_t wg; ///< A power of two.
};
struct sy_settings {
    const struct sy_setting *list;
    uint32_t count; ///< At most SY_MAX_SETTINGS.
};
enum { SY_MAX_SETTINGS = 7 };
#define SY_SETTINGS(...)                                                                       \
    {                                                                                          \
        .list = (const struct sy_setting[]){__VA_ARGS__},                                      \
        .count = sizeof((const struct sy_setting[]){__VA_ARGS__}) / sizeof(struct sy_setting), \
    }

/// Where the op can be computed: at the end of the kernel that makes its input, in registers, or only on its own.
enum sy_epilogue {
    SY_EPILOGUE_NONE,    ///< It looks at other elements (sums, gathers), or is such a kernel.
    SY_EPILOGUE_ELEMENT, ///< Element i of the output depends on element i of each input alone (and on its place).
    SY_EPILOGUE_GATED,   ///< A row has two halves: element i goes with element i of the other half (geglu).
};

/// How the work of one dispatch can be done by several: its units lie along one axis, and each dispatch does some of
/// them. No sum goes along the axis, so the bits are the same.
struct sy_axis {
    /// Elements of one unit in binding `i`, of which each of *planes (1 unless it says otherwise) has as many; 0: every
    /// dispatch takes all of it.
    uint64_t (*unit)(const void *args, uint32_t i, uint64_t *planes);
    /// Makes the arguments those of `count` units from `first` on.
    void (*some)(void *args, uint64_t first, uint64_t count);
};

/// What an op's C file provides. Of messages: elements and flops.
struct sy_op_impl {
    /// The reference: computes the whole dispatch with plain loops, sums in double.
    sy_ref_fn ref;
    /// Work-groups to launch (linear; folded by hostlib). Must match the kernels' GROUP_ID use.
    uint64_t (*groups)(const void *args, const struct sy_knobs *knobs);
    /// Elements binding `i` needs at least; 0 = this binding is not read for these args (a dummy may be bound).
    uint64_t (*elements)(const void *args, uint32_t i);
    /// Elements of binding `i` that are read or written, where that is fewer than it holds (a gather, a part of each
    /// row); NULL: all of them.
    uint64_t (*moved)(const void *args, uint32_t i);
    uint32_t only_written; ///< Set of bindings marked `+` in ops.def that are written in part and never read.
    /// Floating-point operations, for submissions, benchmarks and the planner: each addition, product, comparison and
    /// function is one; copies, conversions and integers are none (sy_no_flops).
    double (*flops)(const void *args);
    /// Work-group size the kernel wants on SIMT devices (power of two); 0 = 64. CPU class always gets 1.
    uint32_t wg_simt;
    struct sy_settings settings; ///< Of `base`, beside the usual one.
    /// Whole numbers for binding `i`, as many as elements() says, to measure settings with: equal loads. NULL: the op
    /// reads none.
    void (*sample)(const void *args, uint32_t i, int32_t *out);
    enum sy_epilogue epilogue;
    const struct sy_axis *axis; ///< NULL: it has none.
};

struct sy_op_info {
    const char *name;
    uint32_t types; ///< Set of enum sy_op_types.
    uint32_t args_bytes;
    uint32_t binding_count, input_count;
    const char *binding_names[SY_MAX_BINDINGS];
    char binding_types[SY_MAX_BINDINGS]; ///< 't', 'o', 'f', 'i' or 'c'
    uint32_t write_mask, read_mask;      ///< `+` outputs are in both.
    uint32_t const_binding;              ///< UINT32_MAX when there is none.
    const struct sy_op_impl *impl;
};

const struct sy_op_info *sy_op_info(enum sy_op_id op);
/// The op of that name, or SY_OP_COUNT.
enum sy_op_id sy_op_find(const char *name);
/// Element type of binding `i` for these element types.
enum sy_dtype sy_op_dtype(const struct sy_op_info *info, uint32_t i, enum sy_op_types types);
/// Bytes one dispatch moves between memory and the device, each counted once; `+` outputs are read and written.
double sy_op_bytes(const struct sy_op_info *info, enum sy_op_types types, const void *args);

// ---- helpers for engine/ops/*.c ------------------------------------------------------------------------------------

#define SY_DECLARE_OP(name) extern const struct sy_op_impl sy_op_impl_##name
#define SY_OP(name, bindings, args, types) SY_DECLARE_OP(name);
#include "engine/ops.def"
#undef SY_OP

static inline uint64_t sy_ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

static inline double sy_no_flops(const void *args)
{
    (void)args;
    return 0.0;
}

/// What sample() gives where rows are found through a table: 0, 1, 2 …, each below `below`.
static inline void sy_sample_rows(int32_t *out, uint64_t count, uint64_t below)
{
    for (uint64_t i = 0; i < count; ++i)
        out[i] = (int32_t)(below != 0 ? i % below : 0);
}

/// Axis of an op whose bindings all have the elements that its only argument, `n`, counts.
extern const struct sy_axis sy_axis_elements;

static inline double sy_ld(const struct sy_ref_tensor *x, uint64_t i)
{
    assert(i < x->count);
    switch (x->dtype) {
    case SY_F32: return ((const float *)x->data)[i];
    case SY_BF16: return sy_bf16_to_f32(((const uint16_t *)x->data)[i]);
    case SY_F64: return ((const double *)x->data)[i];
    default: return ((const int32_t *)x->data)[i];
    }
}

static inline void sy_st(const struct sy_ref_tensor *x, uint64_t i, double v)
{
    assert(i < x->count);
    switch (x->dtype) {
    case SY_F32: ((float *)x->data)[i] = (float)v; break;
    case SY_BF16: ((uint16_t *)x->data)[i] = sy_f32_to_bf16((float)v); break;
    case SY_F64: ((double *)x->data)[i] = v; break;
    default: ((int32_t *)x->data)[i] = (int32_t)v; break;
    }
}

static inline int32_t sy_ldi(const struct sy_ref_tensor *x, uint64_t i)
{
    assert(i < x->count);
    return ((const int32_t *)x->data)[i];
}

static inline void sy_sti(const struct sy_ref_tensor *x, uint64_t i, int32_t v)
{
    assert(i < x->count);
    ((int32_t *)x->data)[i] = v;
}

static inline const struct sy_step *sy_step_of(const struct sy_ref_tensor *x) { return x->data; }
