// SPDX-License-Identifier: Apache-2.0
// variant.h: the ways to compute an op (from ops.def and variants.def), and which of them a device runs.
//
// All variants of an op take the same inputs and give the same outputs, within the error class of their row. One may
// want another op to prepare an input (`before`): lower.c puts it into the graph, the op test runs it.
//
// Layer:  engine. Uses hostlib; includes no OpenCL, Vulkan or MPI header.
#pragma once

#include "engine/op.h"

enum sy_variant_id {
#define SY_VARIANT(op, name, requires, source, languages, before, errors) SY_VARIANT_##op##_##name,
#include "engine/variants.def"
#undef SY_VARIANT
#define SY_OP(name, bindings, args, types) SY_VARIANT_##name##_base,
#include "engine/ops.def"
#undef SY_OP
    SY_VARIANT_COUNT
};

/// How far a variant's results may be from those of `base`, whose tolerances stand in tests/ops/NAME.c.
enum sy_errors {
    SY_ERRORS_chain,     ///< The same chains of additions: the op's own tolerances.
    SY_ERRORS_reordered, ///< The same products in f32, summed in another order.
    SY_ERRORS_weights,   ///< Reordered, and weights made on the way (probabilities) are rounded to bf16 to multiply.
    SY_ERRORS_bf16,      ///< f32 inputs are rounded to bf16 before they are multiplied.
    SY_ERRORS_COUNT
};

/// What a variant's C file provides. What is left out is as in the op's own file.
struct sy_variant_impl {
    const char *what; ///< A few words on how it computes, for switchyard-devices.
    /// Whether it is right, and faster than those after it, with these arguments. NULL: with any. Where it is not, and
    /// where no arguments are known, the next variant is taken.
    bool (*suits)(const void *args);
    uint64_t (*groups)(const void *args, const struct sy_knobs *knobs);
    uint32_t wg, vec;            ///< Launch knobs: powers of two; the work-group is cut to what the device takes.
    struct sy_settings settings; ///< Beside the usual one.
    /// Launch knobs that depend on more of the device than its class: changes what is set already.
    void (*tune)(const struct sy_caps *caps, struct sy_knobs *knobs);
    /// What its shader asks of a pipeline besides the work-group's size: constants, sub-groups.
    void (*special)(const struct sy_caps *caps, struct sy_kernel_params *out);
    /// For a row with `before`: that op's arguments, and which binding of ours its output replaces. Its input is what
    /// is bound there. False: with these arguments nothing is to be prepared.
    bool (*before_args)(const void *args, void *out);
    uint32_t before_binding;
    const void *proof; ///< Arguments of a small case that must come out right first (proof.h). NULL: it is trusted.
};

/// NULL when the device can run the variant for these element types, else what it lacks ("needs …").
typedef const char *sy_requires_fn(const struct sy_caps *caps, enum sy_op_types types);

enum sy_language { SY_LANGUAGE_cl = 1, SY_LANGUAGE_comp = 2 };

struct sy_variant {
    enum sy_op_id op;
    const char *name;   ///< "base", "packed"
    const char *source; ///< Of its files; the entry point of its OpenCL C.
    uint32_t languages; ///< Set of enum sy_language.
    sy_requires_fn *requires;
    enum sy_op_id before; ///< SY_OP_COUNT: none.
    enum sy_errors errors;
    const struct sy_variant_impl *impl; ///< NULL: `base`.
};

/// The op a variant wants run before it.
struct sy_before {
    enum sy_op_id op;
    uint32_t binding; ///< Its input is what is bound here; its output is bound in that place.
    uint32_t args[SY_MAX_ARGS_BYTES / 4];
};

const struct sy_variant *sy_variant_get(enum sy_variant_id id);
enum sy_variant_id sy_variant_index(const struct sy_variant *v);
/// The op's variants in order of preference: the first after `previous`, or of all when that is NULL; NULL at the end.
const struct sy_variant *sy_variant_next(enum sy_op_id op, const struct sy_variant *previous);
/// The op's variant of that name, or NULL.
const struct sy_variant *sy_variant_find(enum sy_op_id op, const char *name);

/// NULL when the device can run it, else why not ("needs …").
const char *sy_variant_missing(const struct sy_variant *v, enum sy_op_types types, const struct sy_caps *caps);
/// Whether SY_NO_VARIANT=op:name,… names it. Errors: INVALID a name there is unknown (the message lists the known
/// ones).
SY_MUST_CHECK enum sy_status sy_variant_killed(struct sy_ctx *ctx, const struct sy_variant *v, bool *out);
/// The first variant that the device can run and that is not killed. Errors: INVALID no such is left; a name in
/// SY_NO_VARIANT is unknown.
SY_MUST_CHECK enum sy_status sy_variant_choose(struct sy_ctx *ctx, enum sy_op_id op, enum sy_op_types types,
                                               const struct sy_caps *caps, const struct sy_variant **out);
/// The same for known arguments: what is made for few shapes has its turn. Errors: as above.
SY_MUST_CHECK enum sy_status sy_variant_choose_for(struct sy_ctx *ctx, enum sy_op_id op, enum sy_op_types types,
                                                   const void *args, const struct sy_caps *caps,
                                                   const struct sy_variant **out);
/// Whether it may run with these arguments; NULL: with any.
bool sy_variant_suits(const struct sy_variant *v, const void *args);

/// The next one after `v` that needs nothing prepared and runs with any arguments, for a device whose compiler refuses
/// `v`. Errors: as above; `v` itself needs something prepared, and the graph has it.
SY_MUST_CHECK enum sy_status sy_variant_instead(struct sy_ctx *ctx, const struct sy_variant *v, enum sy_op_types types,
                                                const struct sy_caps *caps, const struct sy_variant **out);

/// What must run before it with these arguments; false: nothing.
bool sy_variant_before(const struct sy_variant *v, const void *args, struct sy_before *out);
/// Whether both make the same of the same input.
bool sy_before_same(const struct sy_before *a, const struct sy_before *b);

// ---- launching one: a `choice` is 0, as usual, or 1 + the number of a setting (tune.h) ------------------------------

/// Choices there are, on whatever device: 1 where nothing can be chosen.
uint32_t sy_variant_choices(const struct sy_variant *v);
/// Whether the device can run it, and it is another than those before it.
bool sy_variant_can(const struct sy_variant *v, uint32_t choice, const struct sy_caps *caps);
/// "wg 128"; "as usual" of choice 0.
const char *sy_variant_choice_name(const struct sy_variant *v, uint32_t choice, char out[48]);
struct sy_knobs sy_variant_knobs(const struct sy_variant *v, uint32_t choice, const struct sy_caps *caps);
/// Work-groups to launch.
uint64_t sy_variant_groups(const struct sy_variant *v, uint32_t choice, const void *args, const struct sy_caps *caps);
/// Fills everything sy_kernel_create() needs.
void sy_variant_kernel_params(const struct sy_variant *v, enum sy_op_types types, uint32_t choice,
                              const struct sy_caps *caps, struct sy_kernel_params *out);

// ---- what the rows name --------------------------------------------------------------------------------------------

/// Any device.
sy_requires_fn sy_requires_any;
#define SY_VARIANT(op, name, requires, source, languages, before, errors) \
    extern sy_requires_fn sy_requires_##requires;                         \
    extern const struct sy_variant_impl sy_variant_impl_##source;
#include "engine/variants.def"
#undef SY_VARIANT
