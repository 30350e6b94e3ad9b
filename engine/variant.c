// SPDX-License-Identifier: Apache-2.0
// variant.c: which variant of an op a device runs, and how it is launched.
#include "engine/variant.h"

#include <stdio.h>
#include <string.h>

#include "engine/op_table.h"
#include "hostlib/names.h"
#include "kernels/tiles.h"

// ---- requirements of the rows --------------------------------------------------------------------------------------

const char *sy_requires_any(const struct sy_caps *caps, enum sy_op_types types)
{
    (void)caps, (void)types;
    return NULL;
}

const char *sy_requires_cpu(const struct sy_caps *caps, enum sy_op_types types)
{
    (void)types;
    return caps->device_class == SY_CLASS_CPU ? NULL : "needs a CPU that compiles whole work-groups";
}

const char *sy_requires_amx(const struct sy_caps *caps, enum sy_op_types types)
{
    if (!caps->amx)
        return "needs PoCL on an x86 CPU with AMX for bf16";
    return types == SY_TYPES_B || types == SY_TYPES_M ? NULL : "needs bf16 factors";
}

const char *sy_requires_dot(const struct sy_caps *caps, enum sy_op_types types)
{
    if (!caps->avx512 || !caps->avx512_bf16)
        return "needs PoCL on an x86 CPU with AVX-512 for bf16";
    return types == SY_TYPES_B || types == SY_TYPES_M ? NULL : "needs bf16 factors";
}

const char *sy_requires_mma(const struct sy_caps *caps, enum sy_op_types types)
{
    if (!caps->mma && !caps->mma_emulated)
        return "needs SY_MMA=1 (not seen on a GPU yet) and NVIDIA's matrix cores through OpenCL";
    if (types != SY_TYPES_B && types != SY_TYPES_M)
        return "needs bf16 factors";
    if ((caps->mma && caps->shared_bytes < 48 << 10) || caps->max_wg < 64)
        return "needs 48 KiB of local memory and work-groups of 64";
    return NULL;
}

const char *sy_requires_cores(const struct sy_caps *caps, enum sy_op_types types)
{
    if (!caps->cores && caps->cores_emulated == 0)
        return "needs SY_MMA=1 (not seen on a GPU yet) and matrix cores of Intel or AMD through OpenCL";
    if (types != SY_TYPES_B && types != SY_TYPES_M)
        return "needs bf16 factors";
    return caps->shared_bytes < 32 << 10 || caps->max_wg < SY_CORES_WG
               ? "needs 32 KiB of local memory and work-groups of 128"
               : NULL;
}

// ---- the table -----------------------------------------------------------------------------------------------------

const struct sy_variant *sy_variant_get(enum sy_variant_id id)
{
    assert((unsigned)id < SY_VARIANT_COUNT);
    return &sy_variants[id];
}

enum sy_variant_id sy_variant_index(const struct sy_variant *v) { return (enum sy_variant_id)(v - sy_variants); }

const struct sy_variant *sy_variant_next(enum sy_op_id op, const struct sy_variant *previous)
{
    size_t i = previous == NULL ? 0 : (size_t)(previous - sy_variants) + 1;
    while (i < SY_VARIANT_COUNT && sy_variants[i].op != op)
        ++i;
    return i < SY_VARIANT_COUNT ? &sy_variants[i] : NULL;
}

const struct sy_variant *sy_variant_find(enum sy_op_id op, const char *name)
{
    const struct sy_variant *v = NULL;
    while ((v = sy_variant_next(op, v)) != NULL && strcmp(v->name, name) != 0) {
    }
    return v;
}

static enum sy_spirv_index spirv_index(enum sy_op_types types)
{
    return types == SY_TYPES_F ? SY_SPIRV_F : types == SY_TYPES_B ? SY_SPIRV_B : SY_SPIRV_M;
}

// ---- choosing ------------------------------------------------------------------------------------------------------

const char *sy_variant_missing(const struct sy_variant *v, enum sy_op_types types, const struct sy_caps *caps)
{
    if (caps->backend == SY_BACKEND_REF && v->impl != NULL)
        return "is not for ref, which computes an op in one way";
    if (caps->backend == SY_BACKEND_OPENCL && (v->languages & SY_LANGUAGE_cl) == 0)
        return "needs Vulkan";
    if (caps->backend == SY_BACKEND_VULKAN && (v->languages & SY_LANGUAGE_comp) == 0)
        return "needs OpenCL";
    const char *missing = v->requires(caps, types);
    const enum sy_variant_id index = sy_variant_index(v);
    if (missing == NULL && index < 64 && (caps->refused >> index & 1u) != 0)
        return "computed a small case wrong";
    if (missing == NULL && caps->backend == SY_BACKEND_VULKAN && v->impl != NULL &&
        sy_variant_spirvs[index][spirv_index(types)].words == NULL)
        return "needs a build with a glslc that knows its extensions (docs/drivers.md)";
    return missing;
}

/// Whether the variant SY_NO_VARIANT is read for is in it.
struct kill_list {
    const struct sy_variant *wanted;
    bool found;
};

/// One "op:name" of SY_NO_VARIANT.
static bool take_name(void *user, const char *text, size_t length)
{
    struct kill_list *list = user;
    for (size_t i = 0; i < SY_VARIANT_COUNT; ++i) {
        char name[128];
        snprintf(name, sizeof name, "%s:%s", sy_op_info(sy_variants[i].op)->name, sy_variants[i].name);
        if (!sy_name_is(text, length, name))
            continue;
        list->found |= &sy_variants[i] == list->wanted;
        return true;
    }
    return false;
}

enum sy_status sy_variant_killed(struct sy_ctx *ctx, const struct sy_variant *v, bool *out)
{
    struct kill_list list = {.wanted = v};
    static const char known[] = ""
#define SY_VARIANT(op, name, requires, source, languages, before, errors) #op ":" #name ", "
#include "engine/variants.def"
#undef SY_VARIANT
                                "and OP:base for every op that switchyard-devices --ops lists";
    SY_TRY(sy_names_each(ctx, "SY_NO_VARIANT", "variant", known, take_name, &list));
    *out = list.found;
    return SY_OK;
}

/// The error of an op with nothing left to run it: each variant and what is wrong with it.
static enum sy_status none_left(struct sy_ctx *ctx, enum sy_op_id op, enum sy_op_types types,
                                const struct sy_caps *caps)
{
    char why[512] = "";
    for (const struct sy_variant *v = NULL; (v = sy_variant_next(op, v)) != NULL;) {
        const char *missing = sy_variant_missing(v, types, caps);
        const size_t used = strlen(why);
        snprintf(why + used, sizeof why - used, "%s%s %s", used != 0 ? "; " : "", v->name,
                 missing != NULL ? missing : "is switched off by SY_NO_VARIANT");
    }
    return sy_fail(ctx, SY_INVALID, "no variant of %s is left that could run on %s (%s): %s", sy_op_info(op)->name,
                   caps->id, caps->name, why);
}

bool sy_variant_suits(const struct sy_variant *v, const void *args)
{
    return v->impl == NULL || v->impl->suits == NULL || (args != NULL && v->impl->suits(args));
}

enum sy_status sy_variant_choose(struct sy_ctx *ctx, enum sy_op_id op, enum sy_op_types types,
                                 const struct sy_caps *caps, const struct sy_variant **out)
{
    return sy_variant_choose_for(ctx, op, types, NULL, caps, out);
}

enum sy_status sy_variant_choose_for(struct sy_ctx *ctx, enum sy_op_id op, enum sy_op_types types, const void *args,
                                     const struct sy_caps *caps, const struct sy_variant **out)
{
    for (const struct sy_variant *v = NULL; (v = sy_variant_next(op, v)) != NULL;) {
        bool killed = false;
        SY_TRY(sy_variant_killed(ctx, v, &killed));
        if (killed || sy_variant_missing(v, types, caps) != NULL || !sy_variant_suits(v, args))
            continue;
        *out = v;
        return SY_OK;
    }
    return none_left(ctx, op, types, caps);
}

enum sy_status sy_variant_instead(struct sy_ctx *ctx, const struct sy_variant *v, enum sy_op_types types,
                                  const struct sy_caps *caps, const struct sy_variant **out)
{
    const struct sy_variant *next = v->before == SY_OP_COUNT ? v : NULL;
    while (next != NULL && (next = sy_variant_next(v->op, next)) != NULL) {
        bool killed = false;
        SY_TRY(sy_variant_killed(ctx, next, &killed));
        if (killed || next->before != SY_OP_COUNT || sy_variant_missing(next, types, caps) != NULL ||
            !sy_variant_suits(next, NULL))
            continue;
        *out = next;
        return SY_OK;
    }
    return sy_fail(ctx, SY_INVALID, "nothing can run %s on %s (%s) instead of %s", sy_op_info(v->op)->name, caps->id,
                   caps->name, v->name);
}

// ---- running one ---------------------------------------------------------------------------------------------------

bool sy_variant_before(const struct sy_variant *v, const void *args, struct sy_before *out)
{
    if (v->before == SY_OP_COUNT)
        return false;
    *out = (struct sy_before){.op = v->before, .binding = v->impl->before_binding};
    return v->impl->before_args(args, out->args);
}

bool sy_before_same(const struct sy_before *a, const struct sy_before *b)
{
    return a->op == b->op && memcmp(a->args, b->args, sizeof a->args) == 0;
}

static uint32_t floor_power_of_two(uint32_t n)
{
    uint32_t power = 1;
    while (power <= n / 2)
        power *= 2;
    return power;
}

static const struct sy_settings *settings_of(const struct sy_variant *v)
{
    return v->impl != NULL ? &v->impl->settings : &sy_op_info(v->op)->impl->settings;
}

static const struct sy_setting *setting_of(const struct sy_variant *v, uint32_t choice)
{
    static const struct sy_setting usual = {0};
    assert(choice < sy_variant_choices(v));
    return choice == 0 ? &usual : &settings_of(v)->list[choice - 1];
}

uint32_t sy_variant_choices(const struct sy_variant *v)
{
    assert(settings_of(v)->count <= SY_MAX_SETTINGS);
    return 1 + settings_of(v)->count;
}

bool sy_variant_can(const struct sy_variant *v, uint32_t choice, const struct sy_caps *caps)
{
    if (choice == 0)
        return true;
    const struct sy_setting *s = setting_of(v, choice);
    return caps->device_class == SY_CLASS_SIMT && s->wg <= caps->max_wg && s->wg != sy_variant_knobs(v, 0, caps).wg;
}

const char *sy_variant_choice_name(const struct sy_variant *v, uint32_t choice, char out[48])
{
    if (choice == 0)
        snprintf(out, 48, "as usual");
    else
        snprintf(out, 48, "wg %u", setting_of(v, choice)->wg);
    return out;
}

struct sy_knobs sy_variant_knobs(const struct sy_variant *v, uint32_t choice, const struct sy_caps *caps)
{
    struct sy_knobs knobs = {.device_class = caps->device_class, .wg = 1, .vec = 1};
    if (caps->device_class == SY_CLASS_CPU) {
        knobs.vec = 16;
    } else if (caps->device_class == SY_CLASS_SIMT) {
        const uint32_t wanted = sy_op_info(v->op)->impl->wg_simt;
        knobs.wg = wanted != 0 ? wanted : 64;
        knobs.vec = 4;
    }
    if (v->impl != NULL) {
        knobs.wg = v->impl->wg != 0 ? v->impl->wg : knobs.wg;
        knobs.vec = v->impl->vec != 0 ? v->impl->vec : knobs.vec;
    }
    if (v->impl != NULL && v->impl->tune != NULL)
        v->impl->tune(caps, &knobs);
    if (setting_of(v, choice)->wg != 0 && caps->device_class == SY_CLASS_SIMT)
        knobs.wg = setting_of(v, choice)->wg;
    if (caps->device_class != SY_CLASS_REF)
        knobs.wg = floor_power_of_two(knobs.wg < caps->max_wg ? knobs.wg : caps->max_wg);
    return knobs;
}

uint64_t sy_variant_groups(const struct sy_variant *v, uint32_t choice, const void *args, const struct sy_caps *caps)
{
    const struct sy_knobs knobs = sy_variant_knobs(v, choice, caps);
    const bool own = v->impl != NULL && v->impl->groups != NULL;
    return own ? v->impl->groups(args, &knobs) : sy_op_info(v->op)->impl->groups(args, &knobs);
}

void sy_variant_kernel_params(const struct sy_variant *v, enum sy_op_types types, uint32_t choice,
                              const struct sy_caps *caps, struct sy_kernel_params *out)
{
    const struct sy_op_info *info = sy_op_info(v->op);
    const struct sy_knobs knobs = sy_variant_knobs(v, choice, caps);
    *out = (struct sy_kernel_params){
        .source = {.name = v->source, .ref = info->impl->ref},
        .cl_defines = types == SY_TYPES_B   ? "-DT_BF16 -DO_BF16"
                      : types == SY_TYPES_M ? "-DT_BF16"
                                            : "",
        .wg = knobs.wg,
        .vec = knobs.vec,
        .binding_count = info->binding_count,
        .const_binding = info->const_binding,
        .args_bytes = info->args_bytes,
    };
    for (uint32_t i = 0; i < info->binding_count; ++i)
        out->types[i] = sy_op_dtype(info, i, types);
    if (v->impl != NULL && v->impl->special != NULL)
        v->impl->special(caps, out);
    if (types == SY_TYPES_D) // double exists in `ref` only
        return;
    const struct sy_spirv *spirv = &sy_variant_spirvs[sy_variant_index(v)][spirv_index(types)];
    out->source.cl_text = sy_variant_cl_texts[sy_variant_index(v)];
    out->source.spirv = spirv->words;
    out->source.spirv_bytes = spirv->bytes;
}
