// SPDX-License-Identifier: Apache-2.0
// devices.c: lists what was found: devices, limits, and which variant of each op would run.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"
#include "apps/devices_kernels.h"
#include "engine/variant.h"
#include "hostlib/quirk.h"

static const char doc[] =
    "List compute devices: names, drivers, limits, features, and with --ops the variant of each op that runs and why.\v"
    "A device is chosen elsewhere by the name in the first column (--device opencl:0).\n"
    "An op runs the first of its variants that the device can run and that SY_NO_VARIANT does "
    "not name (SY_NO_VARIANT=matmul:packed,…).\n\n"
    "Examples:\n"
    "  switchyard-devices\n"
    "  switchyard-devices --device vulkan:0 --ops\n"
    "  switchyard-devices --device opencl:0 --kernels --op matmul\n";

struct options {
    bool json, ops, kernels;
    const char *device, *assembly;
    struct cli_list only; // ops
};

enum { OPT_KERNELS = 256, OPT_OP, OPT_ASSEMBLY };

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "print JSON", 0},
    {"ops", 'o', NULL, 0, "list every op: launch knobs, the variant that runs, why those before it do not", 0},
    {"device", 'd', "ID", 0, "this device only", 0},
    {"kernels", OPT_KERNELS, NULL, 0, "compile every kernel; print what the driver's compiler says about each", 0},
    {"op", OPT_OP, "NAME", 0, "with --kernels: this op only (may be given several times)", 0},
    {"assembly", OPT_ASSEMBLY, "DIR", 0, "with --kernels: write each kernel's assembly to DIR/SOURCE.TYPES.txt", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case 'j': o->json = true; break;
    case 'o': o->ops = true; break;
    case 'd': o->device = cli_text(state, "--device", arg); break;
    case OPT_KERNELS: o->kernels = true; break;
    case OPT_OP:
        if (sy_op_find(arg) == SY_OP_COUNT)
            argp_error(state, "--op: no op is called '%s'; --ops lists them", arg);
        cli_list_add(&o->only, arg);
        break;
    case OPT_ASSEMBLY: o->assembly = cli_text(state, "--assembly", arg); break;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); break;
    case ARGP_KEY_END:
        if ((o->assembly != NULL || o->only.count != 0) && !o->kernels)
            argp_error(state, "--assembly and --op need --kernels");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const char *class_name(enum sy_device_class c)
{
    static const char *const names[] = {"reference", "cpu", "simt"};
    return names[c];
}

/// One variant of an op on a device: NULL when it could run there, else why not.
static enum sy_status why_not(struct sy_ctx *ctx, const struct sy_variant *v, enum sy_op_types types,
                              const struct sy_caps *c, const char **out)
{
    bool killed = false;
    SY_TRY(sy_variant_killed(ctx, v, &killed));
    *out = killed ? "is switched off by SY_NO_VARIANT" : sy_variant_missing(v, types, c);
    if (*out == NULL && !sy_variant_suits(v, NULL))
        *out = "is for some shapes only";
    return SY_OK;
}

static bool has_bf16(enum sy_op_id op, const struct sy_caps *c)
{
    return c->bf16 && (sy_op_info(op)->types & SY_TYPES_B) != 0;
}

/// Adds {"variant": "base", "wg": 64, "vec": 4, "not": {"wide": "needs …"}} to `j`.
static enum sy_status choice_json(struct sy_ctx *ctx, enum sy_op_id op, enum sy_op_types types, const struct sy_caps *c,
                                  json_t *j)
{
    const struct sy_variant *chosen;
    json_t *others = json_object();
    json_object_set_new(j, "not", others);
    SY_TRY(sy_variant_choose(ctx, op, types, c, &chosen));
    for (const struct sy_variant *v = NULL; (v = sy_variant_next(op, v)) != NULL;) {
        const char *why;
        SY_TRY(why_not(ctx, v, types, c, &why));
        if (why != NULL)
            json_object_set_new(others, v->name, json_string(why));
    }
    const struct sy_knobs k = sy_variant_knobs(chosen, 0, c);
    json_object_update_new(j,
                           json_pack("{s:s, s:i, s:i}", "variant", chosen->name, "wg", (int)k.wg, "vec", (int)k.vec));
    return SY_OK;
}

/// {"relu": {"variant": …, "bf16": {"variant": …}}}: what runs each op, in f32 and, where that can be stored, bf16.
static enum sy_status ops_json(struct sy_ctx *ctx, const struct sy_caps *c, json_t **out)
{
    json_t *list = json_object();
    *out = list;
    for (int op = 0; op < SY_OP_COUNT; ++op) {
        json_t *wide = json_object();
        json_object_set_new(list, sy_op_info((enum sy_op_id)op)->name, wide);
        SY_TRY(choice_json(ctx, (enum sy_op_id)op, SY_TYPES_F, c, wide));
        if (!has_bf16((enum sy_op_id)op, c))
            continue;
        json_t *narrow = json_object();
        json_object_set_new(wide, "bf16", narrow);
        SY_TRY(choice_json(ctx, (enum sy_op_id)op, SY_TYPES_B, c, narrow));
    }
    return SY_OK;
}

/// One line per op: what runs it, and why nothing better does.
static enum sy_status print_ops(struct sy_ctx *ctx, const struct sy_caps *c)
{
    for (int op = 0; op < SY_OP_COUNT; ++op) {
        const struct sy_variant *chosen;
        SY_TRY(sy_variant_choose(ctx, (enum sy_op_id)op, SY_TYPES_F, c, &chosen));
        const struct sy_knobs k = sy_variant_knobs(chosen, 0, c);
        printf("           %-18s WG %-3u VEC %-2u %s", sy_op_info((enum sy_op_id)op)->name, k.wg, k.vec, chosen->name);
        if (chosen->impl != NULL && chosen->impl->what != NULL)
            printf(" (%s)", chosen->impl->what);
        for (const struct sy_variant *v = sy_variant_next((enum sy_op_id)op, NULL); v != chosen;
             v = sy_variant_next((enum sy_op_id)op, v)) {
            const char *why;
            SY_TRY(why_not(ctx, v, SY_TYPES_F, c, &why));
            printf("; %s %s", v->name, why);
        }
        const struct sy_variant *narrow = chosen;
        if (has_bf16((enum sy_op_id)op, c))
            SY_TRY(sy_variant_choose(ctx, (enum sy_op_id)op, SY_TYPES_B, c, &narrow));
        if (narrow != chosen)
            printf("; bf16: %s, WG %u", narrow->name, sy_variant_knobs(narrow, 0, c).wg);
        putchar('\n');
    }
    return SY_OK;
}

static json_t *quirks_json(const struct sy_caps *c)
{
    json_t *list = json_array();
    for (int q = 0; q < SY_QUIRK_COUNT; ++q)
        if (sy_has_quirk(c, (enum sy_quirk)q))
            json_array_append_new(list, json_string(sy_quirk_info((enum sy_quirk)q)->name));
    return list;
}

/// Optional features that it has, by the names SY_DISABLE takes.
static json_t *features_json(const struct sy_caps *c)
{
    json_t *list = json_array();
    const struct {
        const char *name;
        bool has;
    } features[] = {{"bf16", c->bf16},
                    {"fp16", c->fp16},
                    {"coopmat", c->coopmat},
                    {"command_buffers", c->command_buffers},
                    {"avx512", c->avx512},
                    {"avx512_bf16", c->avx512_bf16},
                    {"amx", c->amx},
                    {"mma", c->mma},
                    {"subgroups", c->subgroup_max != 0}};
    for (size_t i = 0; i < SY_COUNT(features); ++i)
        if (features[i].has)
            json_array_append_new(list, json_string(features[i].name));
    return list;
}

static json_t *caps_json(const struct sy_caps *c)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b}", "id", c->id, "name", c->name, "driver", c->driver,
                          "api", c->api, "class", class_name(c->device_class), "software", c->software,
                          "unified_memory", c->unified_memory);
    json_object_set_new(j, "memory_from", json_string(c->memory_from));
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"memory_bytes", c->memory_bytes},
                   {"max_alloc_bytes", c->max_alloc_bytes},
                   {"max_binding_bytes", c->max_binding_bytes},
                   {"max_bindings", c->max_bindings},
                   {"shared_bytes", c->shared_bytes},
                   {"max_work_group", c->max_wg},
                   {"offset_align", c->offset_align},
                   {"subgroup_min", c->subgroup_min},
                   {"subgroup_max", c->subgroup_max},
                   {"compute_units", c->compute_units},
                   {"cache_bytes", c->cache_bytes}};
    for (size_t i = 0; i < SY_COUNT(numbers); ++i)
        json_object_set_new(j, numbers[i].key,
                            json_integer((json_int_t)(numbers[i].value > INT64_MAX ? INT64_MAX : numbers[i].value)));
    json_object_set_new(j, "features", features_json(c));
    json_object_set_new(j, "quirks", quirks_json(c));
    return j;
}

static void print_caps(const struct sy_caps *c)
{
    printf("%-10s %s\n", c->id, c->name);
    printf("           %s, %s\n", c->api, c->driver);
    printf("           class %s%s\n", class_name(c->device_class), c->software ? ", in software" : "");
    printf("           memory %.1f GiB, one allocation %.1f GiB, one binding %.0f MiB, local %u KiB, work-group %u, ",
           (double)c->memory_bytes / 0x1p30, (double)c->max_alloc_bytes / 0x1p30, (double)c->max_binding_bytes / 0x1p20,
           c->shared_bytes / 1024, c->max_wg);
    if (c->subgroup_max != 0)
        printf("subgroup %u to %u\n", c->subgroup_min, c->subgroup_max);
    else
        printf("no subgroups\n");
    printf("           that memory is %s\n", c->memory_from);
    for (int q = 0; q < SY_QUIRK_COUNT; ++q)
        if (sy_has_quirk(c, (enum sy_quirk)q))
            printf("           works around %s: %s\n", sy_quirk_info((enum sy_quirk)q)->name,
                   sy_quirk_info((enum sy_quirk)q)->why);
    json_t *features = features_json(c);
    size_t i;
    const json_t *name;
    printf("           features:");
    json_array_foreach(features, i, name) printf(" %s", json_string_value(name));
    printf("%s\n", i == 0 ? " none" : "");
    json_decref(features);
}

/// Prints one device, or adds it to `all`.
static enum sy_status show(struct sy_ctx *ctx, const struct options *o, const struct sy_caps *caps, json_t *all)
{
    json_t *j = o->json ? caps_json(caps) : NULL;
    if (!o->json)
        print_caps(caps);
    enum sy_status status = SY_OK;
    json_t *ops = NULL;
    if (o->json)
        status = ops_json(ctx, caps, &ops);
    else if (o->ops)
        status = print_ops(ctx, caps);
    if (ops != NULL)
        json_object_set_new(j, "ops", ops);
    if (status == SY_OK && o->kernels)
        status = devices_kernels(ctx, caps, &o->only, o->assembly, j);
    if (o->json)
        json_array_append_new(all, j);
    return status;
}

int main(int argc, char **argv)
{
    cli_start();
    struct options o = {0};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-devices", SY_LOG_INFO);
    struct sy_caps *list = NULL;
    size_t count = 0, shown = 0;
    if (ctx != NULL)
        cli_drivers_prepare(ctx);
    enum sy_status status = ctx == NULL ? SY_NOMEM : sy_device_list(ctx, &list, &count), worst = status;
    json_t *all = json_array();
    for (size_t i = 0; i < count; ++i) {
        if (o.device != NULL && strcmp(o.device, list[i].id) != 0)
            continue;
        const enum sy_status one = show(ctx, &o, &list[i], all);
        worst = worst != SY_OK ? worst : one;
        ++shown;
    }
    if (status == SY_OK && o.device != NULL && shown == 0)
        worst = sy_fail(ctx, SY_INVALID, "no device is called %s; without --device all are listed", o.device);
    if (o.json && status == SY_OK) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(all);
    free(list);
    free(o.only.items);
    sy_ctx_destroy(&ctx);
    return worst == SY_OK ? 0 : 1;
}
