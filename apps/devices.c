// SPDX-License-Identifier: Apache-2.0
// devices.c: lists what was found: devices, limits, and which variant of each op would run.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"
#include "apps/devices_kernels.h"
#include "engine/op.h"
#include "hostlib/quirk.h"

static const char doc[] = "List compute devices: names, drivers, limits, and the variant of each op that would run.\v"
                          "A device is chosen elsewhere by the name in the first column (--device opencl:0).\n\n"
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
    {"ops", 'o', NULL, 0, "list every op with its launch knobs", 0},
    {"device", 'd', "ID", 0, "this device only", 0},
    {"kernels", OPT_KERNELS, NULL, 0, "compile every kernel; print what the driver's compiler says about each", 0},
    {"op", OPT_OP, "NAME", 0, "with --kernels: this op only (may be given several times)", 0},
    {"assembly", OPT_ASSEMBLY, "DIR", 0, "with --kernels: write each kernel's assembly to DIR/OP.TYPES.txt", 0},
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

/// Why this kind of kernel runs here.
static const char *class_reason(const struct sy_caps *c)
{
    switch (c->device_class) {
    case SY_CLASS_REF: return "plain C, the truth of every test";
    case SY_CLASS_CPU:
        return "a CPU that compiles whole work-groups: WG=1, VEC=16, register-block matmul on packed panels";
    default:
        return c->software ? "a software rasteriser: GPU kernels, for correctness only" : "a GPU: local-memory tiles";
    }
}

static const char *variant(enum sy_op_id op, const struct sy_caps *c)
{
    bool cpu = c->device_class == SY_CLASS_CPU;
    if (op == SY_OP_matmul)
        return cpu ? "replaced by pack_b + matmul_packed" : "tiles";
    if (op == SY_OP_matmul_dw)
        return cpu ? "replaced by pack_b + matmul_dw_packed" : "tiles";
    if (op == SY_OP_matmul_packed || op == SY_OP_matmul_dw_packed || op == SY_OP_pack_b)
        return cpu ? "register blocks" : "not used";
    return "generic";
}

static json_t *ops_json(const struct sy_caps *c)
{
    json_t *list = json_object();
    for (int op = 0; op < SY_OP_COUNT; ++op) {
        struct sy_knobs k = sy_op_knobs((enum sy_op_id)op, c);
        json_object_set_new(
            list, sy_op_info((enum sy_op_id)op)->name,
            json_pack("{s:s, s:i, s:i}", "variant", variant((enum sy_op_id)op, c), "wg", (int)k.wg, "vec", (int)k.vec));
    }
    return list;
}

static json_t *quirks_json(const struct sy_caps *c)
{
    json_t *list = json_array();
    for (int q = 0; q < SY_QUIRK_COUNT; ++q)
        if (sy_has_quirk(c, (enum sy_quirk)q))
            json_array_append_new(list, json_string(sy_quirk_info((enum sy_quirk)q)->name));
    return list;
}

static json_t *caps_json(const struct sy_caps *c)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b}", "id", c->id, "name", c->name, "driver", c->driver,
                          "api", c->api, "class", class_name(c->device_class), "software", c->software,
                          "unified_memory", c->unified_memory);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"memory_bytes", c->memory_bytes},           {"max_alloc_bytes", c->max_alloc_bytes},
                   {"max_binding_bytes", c->max_binding_bytes}, {"max_bindings", c->max_bindings},
                   {"shared_bytes", c->shared_bytes},           {"max_work_group", c->max_wg},
                   {"offset_align", c->offset_align},           {"subgroup_min", c->subgroup_min},
                   {"subgroup_max", c->subgroup_max},           {"compute_units", c->compute_units}};
    for (size_t i = 0; i < SY_COUNT(numbers); ++i)
        json_object_set_new(j, numbers[i].key,
                            json_integer((json_int_t)(numbers[i].value > INT64_MAX ? INT64_MAX : numbers[i].value)));
    json_object_set_new(j, "why", json_string(class_reason(c)));
    json_object_set_new(j, "quirks", quirks_json(c));
    json_object_set_new(j, "ops", ops_json(c));
    return j;
}

static void print_caps(const struct sy_caps *c, bool ops)
{
    printf("%-10s %s\n", c->id, c->name);
    printf("           %s, %s\n", c->api, c->driver);
    printf("           %s: %s\n", class_name(c->device_class), class_reason(c));
    printf("           memory %.1f GiB, one allocation %.1f GiB, one binding %.0f MiB, local %u KiB, work-group %u, ",
           (double)c->memory_bytes / 0x1p30, (double)c->max_alloc_bytes / 0x1p30, (double)c->max_binding_bytes / 0x1p20,
           c->shared_bytes / 1024, c->max_wg);
    if (c->subgroup_max != 0)
        printf("subgroup %u to %u\n", c->subgroup_min, c->subgroup_max);
    else
        printf("no subgroups\n");
    for (int q = 0; q < SY_QUIRK_COUNT; ++q)
        if (sy_has_quirk(c, (enum sy_quirk)q))
            printf("           works around %s: %s\n", sy_quirk_info((enum sy_quirk)q)->name,
                   sy_quirk_info((enum sy_quirk)q)->why);
    for (int op = 0; ops && op < SY_OP_COUNT; ++op) {
        struct sy_knobs k = sy_op_knobs((enum sy_op_id)op, c);
        printf("           %-18s WG %-3u VEC %-2u %s\n", sy_op_info((enum sy_op_id)op)->name, k.wg, k.vec,
               variant((enum sy_op_id)op, c));
    }
}

/// Prints one device, or adds it to `all`.
static enum sy_status show(struct sy_ctx *ctx, const struct options *o, const struct sy_caps *caps, json_t *all)
{
    json_t *j = o->json ? caps_json(caps) : NULL;
    if (!o->json)
        print_caps(caps, o->ops);
    enum sy_status status = o->kernels ? devices_kernels(ctx, caps, &o->only, o->assembly, j) : SY_OK;
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
