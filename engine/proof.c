// SPDX-License-Identifier: Apache-2.0
// proof.c: a small case on a device and on the reference, compared.
#include "engine/proof.h"

#include <stdlib.h>
#include <string.h>

#include "engine/op_table.h"
#include "kernels/philox.h"

static const double wrong = 0x1p-5; // of a tensor's largest value: far beyond any rounding, far below another number

/// What a binding holds: on the device, and in host memory for the reference.
struct side {
    struct sy_ref_tensor tensors[SY_MAX_BINDINGS]; ///< data: owned.
    struct sy_binding bindings[SY_MAX_BINDINGS];   ///< Buffers: owned.
};

static uint64_t bytes_of(const struct sy_ref_tensor *x)
{
    return sy_ceil_div(x->count * sy_dtype_bytes(x->dtype), 4) * 4;
}

/// Numbers of the activations' type in [−1/2, 1/2), others in [4, 5): as a log-sum-exp these are above every score, as
/// it has to be. Integers are 1.
static void fill(const struct sy_ref_tensor *x, uint32_t binding, bool activation)
{
    for (uint64_t i = 0; i < x->count; ++i) {
        const double u = sy_random_bits(1, 2, 3, binding, 0, (uint32_t)i, 0) * 0x1p-32;
        if (x->dtype == SY_I32)
            sy_sti(x, i, 1);
        else
            sy_st(x, i, activation ? u - 0.5 : 4 + u);
    }
}

static enum sy_status prepare(struct sy_device *device, const struct sy_op_info *info, enum sy_op_types types,
                              const void *args, struct side *s)
{
    const struct sy_step step = {.step = 1, .seed_lo = 4, .seed_hi = 5};
    for (uint32_t i = 0; i < info->binding_count; ++i) {
        struct sy_ref_tensor *x = &s->tensors[i];
        x->dtype = sy_op_dtype(info, i, types);
        x->count = i == info->const_binding ? sizeof step / 4 : info->impl->elements(args, i);
        x->count = x->count < 4 ? 4 : x->count; // what an op does not use is bound all the same
        x->data = calloc(1, bytes_of(x));
        if (x->data == NULL)
            return sy_fail(sy_device_ctx(device), SY_NOMEM, "out of host memory");
        if (i == info->const_binding)
            memcpy(x->data, &step, sizeof step);
        else
            fill(x, i, x->dtype == sy_op_dtype(info, 0, types));
        s->bindings[i].bytes = bytes_of(x);
        SY_TRY(sy_buffer_create(device, info->binding_names[i], bytes_of(x), &s->bindings[i].buffer));
        SY_TRY(sy_buffer_write(s->bindings[i].buffer, 0, x->data, bytes_of(x)));
    }
    return SY_OK;
}

static enum sy_status run(struct sy_device *device, const struct sy_variant *v, struct sy_kernel *kernel,
                          const void *args, const struct side *s)
{
    const struct sy_op_info *info = sy_op_info(v->op);
    struct sy_dispatch d = {.kernel = kernel,
                            .write_mask = info->write_mask,
                            .groups = sy_variant_groups(v, 0, args, sy_device_caps(device)),
                            .label = info->name};
    struct sy_program *program = NULL;
    memcpy(d.args, args, info->args_bytes);
    memcpy(d.bindings, s->bindings, sizeof d.bindings);
    enum sy_status status = sy_program_create(device, "proof", &d, 1, &program);
    if (status == SY_OK)
        status = sy_program_submit(program);
    const enum sy_status waited = sy_device_wait(device);
    sy_program_destroy(&program);
    return status != SY_OK ? status : waited;
}

/// Whether the device's output is the reference's: no larger error than `wrong` allows, and every number a number.
static bool same(const struct sy_ref_tensor *got, const struct sy_ref_tensor *want)
{
    double largest = 0, error = 0;
    for (uint64_t i = 0; i < want->count; ++i) {
        const double difference = fabs(sy_ld(got, i) - sy_ld(want, i));
        largest = fmax(largest, fabs(sy_ld(want, i)));
        error = isnan(difference) ? INFINITY : fmax(error, difference);
    }
    return error <= wrong * largest;
}

static enum sy_status compare(const struct sy_op_info *info, const void *args, const struct side *s, bool *out_good)
{
    info->impl->ref(args, s->tensors);
    *out_good = true;
    for (uint32_t i = 0; i < info->binding_count; ++i) {
        if ((info->write_mask >> i & 1u) == 0)
            continue;
        struct sy_ref_tensor got = s->tensors[i];
        got.data = malloc(bytes_of(&got));
        enum sy_status status =
            got.data == NULL ? SY_NOMEM : sy_buffer_read(s->bindings[i].buffer, 0, got.data, bytes_of(&got));
        if (status == SY_OK)
            *out_good = same(&got, &s->tensors[i]) && *out_good;
        free(got.data);
        SY_TRY(status);
    }
    return SY_OK;
}

enum sy_status sy_prove(struct sy_device *device, const struct sy_variant *v, enum sy_op_types types,
                        struct sy_kernel *kernel, const void *args, bool *out_good)
{
    const struct sy_op_info *info = sy_op_info(v->op);
    struct side s = {0};
    enum sy_status status = prepare(device, info, types, args, &s);
    if (status == SY_OK)
        status = run(device, v, kernel, args, &s);
    if (status == SY_OK)
        status = compare(info, args, &s, out_good);
    for (uint32_t i = 0; i < info->binding_count; ++i) {
        sy_buffer_destroy(&s.bindings[i].buffer);
        free(s.tensors[i].data);
    }
    return status;
}

/// Whether the device would run the variant with bf16, and it has a proof.
static enum sy_status wants_proof(struct sy_device *device, const struct sy_variant *v, bool *out)
{
    bool killed = false;
    *out = false;
    if (v->impl == NULL || v->impl->proof == NULL || sy_variant_missing(v, SY_TYPES_B, sy_device_caps(device)) != NULL)
        return SY_OK;
    SY_TRY(sy_variant_killed(sy_device_ctx(device), v, &killed));
    *out = !killed;
    return SY_OK;
}

enum {
#define SY_VARIANT(op, name, requires, source, languages, before, errors) +1
    NAMED = 0 // of variants.def: they come first; `base` is never in doubt
#include "engine/variants.def"
#undef SY_VARIANT
};
_Static_assert(NAMED <= 64, "caps.refused has a bit for each");

enum sy_status sy_prove_variants(struct sy_device *device)
{
    struct sy_ctx *ctx = sy_device_ctx(device);
    const struct sy_caps *caps = sy_device_caps(device);
    uint64_t refused = 0;
    if (caps->proved)
        return SY_OK;
    for (int i = 0; i < NAMED; ++i) {
        const struct sy_variant *v = sy_variant_get((enum sy_variant_id)i);
        struct sy_kernel_params params;
        struct sy_kernel *kernel = NULL;
        bool wanted, good = true;
        SY_TRY(wants_proof(device, v, &wanted));
        if (!wanted)
            continue;
        sy_variant_kernel_params(v, SY_TYPES_B, 0, caps, &params);
        sy_ctx_attempt(ctx, true);
        const bool compiled = sy_kernel_create(device, &params, &kernel) == SY_OK;
        sy_ctx_attempt(ctx, false);
        enum sy_status status = compiled ? sy_prove(device, v, SY_TYPES_B, kernel, v->impl->proof, &good) : SY_OK;
        sy_kernel_destroy(&kernel);
        SY_TRY(status);
        if (good)
            continue;
        refused |= UINT64_C(1) << i;
        sy_log(ctx, SY_LOG_WARN, "%s runs as another, not as %s: %s computes a small case of it wrong",
               sy_op_info(v->op)->name, v->name, caps->id);
    }
    sy_device_set_refused(device, refused);
    return SY_OK;
}
