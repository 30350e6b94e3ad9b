// SPDX-License-Identifier: Apache-2.0
// choices.c: the settings of kernels (engine/tune.h) change no bit: every choice of every variant runs the cases of its
// op, and a tiny model trains with each, beside the usual launch. On every device; CPUs that compile whole work-groups
// run them as a GPU would.
#include <stdlib.h>
#include <string.h>

#include "engine/tune.h"
#include "tests/ops_run.h"
#include "tests/tiny.h"

#define SY_OP(name, bindings, args, types) extern const struct sy_op_cases sy_cases_##name;
#include "engine/ops.def"
#undef SY_OP
static const struct sy_op_cases *const all_cases[SY_OP_COUNT] = {
#define SY_OP(name, bindings, args, types) [SY_OP_##name] = &sy_cases_##name,
#include "engine/ops.def"
#undef SY_OP
};

static const double most_work = 2e6; // of a case

// ---- ops -----------------------------------------------------------------------------------------------------------

/// Runs the cases of an op both ways. Gives how many gave the same bits; *out_failed: how many did not.
static unsigned compare(const struct ops_kernel *usual, const struct ops_kernel *other, unsigned *out_failed)
{
    const struct sy_op_cases *cases = all_cases[usual->variant->op];
    unsigned same = 0;
    for (size_t i = 0; i < cases->count; ++i) {
        const void *args = (const char *)cases->args + i * cases->args_bytes;
        struct ops_case test;
        struct ops_result a = {0}, b = {0};
        if (sy_op_info(cases->op)->impl->flops(args) > most_work || !sy_variant_suits(usual->variant, args) ||
            !ops_case_create(cases, usual->types, i, &test))
            continue;
        const bool ran = ops_run(&test, usual, &a) == SY_OK && ops_run(&test, other, &b) == SY_OK;
        const bool good = ran && ops_check_integrity(&test, &b).good && ops_same_bits(&test, &a, &b).good;
        if (!good) {
            printf("# %s case %zu: %s\n", test.info->name, i,
                   ran ? "other bits" : sy_error(sy_device_ctx(usual->device)));
            ops_print_args(&test);
        }
        same += good;
        *out_failed += !good;
        ops_result_destroy(&a);
        ops_result_destroy(&b);
        ops_case_destroy(&test);
    }
    return same;
}

static unsigned check_types(struct tiny *t, struct sy_device *device, const struct sy_caps *caps,
                            const struct sy_variant *v, enum sy_op_types types)
{
    struct ops_kernel usual = {0}, other = {0};
    unsigned checks = 0;
    char name[48];
    if (!tiny_try(t, ops_kernel_create_as(device, caps, v, types, 0, &usual), "compiling the usual one", device))
        return 0;
    for (uint32_t c = 1; c < sy_variant_choices(v); ++c) {
        unsigned failed = 0;
        if (!sy_variant_can(v, c, caps))
            continue;
        if (!tiny_try(t, ops_kernel_create_as(device, caps, v, types, c, &other), sy_variant_choice_name(v, c, name),
                      device))
            continue;
        const unsigned same = compare(&usual, &other, &failed);
        tap_ok(&t->tap, same != 0 && failed == 0, "%s: %s:%s, %s, %s: %u cases, the same bits", caps->id,
               sy_op_info(v->op)->name, v->name, ops_types_name(types), sy_variant_choice_name(v, c, name), same);
        ops_kernel_destroy(&other);
        ++checks;
    }
    ops_kernel_destroy(&usual);
    return checks;
}

/// As a GPU: a device's own class would give some of them no choice.
static struct sy_caps as_gpu(const struct sy_device *device)
{
    struct sy_caps caps = *sy_device_caps(device);
    caps.device_class = SY_CLASS_SIMT;
    return caps;
}

static void check_ops(struct tiny *t, struct sy_device *device)
{
    const struct sy_caps caps = as_gpu(device);
    // Elsewhere one storage is enough, and not those that take PoCL a minute to compile in groups of 64.
    const bool gpu = sy_device_caps(device)->device_class == SY_CLASS_SIMT;
    unsigned checks = 0;
    for (unsigned i = 0; i < SY_VARIANT_COUNT; ++i) {
        const struct sy_variant *v = sy_variant_get((enum sy_variant_id)i);
        if (!gpu && strncmp(sy_op_info(v->op)->name, "attention", 9) == 0)
            continue;
        for (unsigned types = SY_TYPES_F; types <= SY_TYPES_M; types *= 2)
            if (sy_variant_choices(v) > 1 && (sy_op_info(v->op)->types & types) != 0 &&
                (types == SY_TYPES_F || (caps.bf16 && gpu)) &&
                sy_variant_missing(v, (enum sy_op_types)types, &caps) == NULL)
                checks += check_types(t, device, &caps, v, (enum sy_op_types)types);
    }
    tap_ok(&t->tap, checks >= 10, "%s: %u choices of kernels were compared", caps.id, checks);
}

// ---- a model -------------------------------------------------------------------------------------------------------

/// The weights after two steps, with one choice for all kernels that have it. NULL: an error, reported.
static float *train(struct tiny *t, struct sy_device *device, uint32_t choice, uint64_t *count, unsigned *chosen)
{
    struct sy_config config = tiny_config(true);
    tiny_add_noise(&config);
    const struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                        .config = &config,
                                        .precision =
                                            sy_device_caps(device)->bf16 ? SY_PRECISION_SELECTIVE : SY_PRECISION_F32,
                                        .batch = 4,
                                        .src_len = 10,
                                        .tgt_len = 5,
                                        .optimizer = {.clip_norm = 1.0f}};
    struct sy_batch data;
    struct sy_metrics metrics;
    float *weights = NULL;
    struct sy_choices *choices = calloc(1, sizeof *choices);
    if (choices == NULL)
        return NULL;
    choices->forced = choice;
    sy_device_set_choices(device, choices, sy_choices_destroy);
    tiny_batch(t, &config, 4, 10, 5, 40, &data);
    struct sy_session *s = tiny_session(t, device, &p);
    for (uint64_t step = 1; s != NULL && step <= 2; ++step)
        if (!tiny_try(t, sy_session_step(s, &data, 1, step, 0.02, 7, &metrics), "a step", device))
            sy_session_destroy(&s);
    *chosen = 0;
    for (size_t i = 0; s != NULL && i < sy_graph_node_count(sy_session_graph(s)); ++i)
        *chosen += sy_graph_node(sy_session_graph(s), i)->choice == choice;
    if (s != NULL)
        (void)tiny_try(t, tiny_weights(s, &weights, count), "reading weights", device);
    sy_session_destroy(&s);
    sy_batch_finish(&data);
    sy_device_set_choices(device, NULL, NULL);
    return weights;
}

static void check_training(struct tiny *t, struct sy_device *device)
{
    uint64_t count = 0, others = 0;
    unsigned chosen;
    float *usual = train(t, device, 0, &count, &chosen);
    for (uint32_t c = 1; c <= SY_MAX_SETTINGS && usual != NULL; ++c) {
        bool any = false;
        for (unsigned i = 0; i < SY_VARIANT_COUNT && !any; ++i) {
            const struct sy_variant *v = sy_variant_get((enum sy_variant_id)i);
            any = c < sy_variant_choices(v) && sy_variant_can(v, c, sy_device_caps(device)) &&
                  sy_variant_missing(v, SY_TYPES_F, sy_device_caps(device)) == NULL;
        }
        if (!any)
            continue;
        float *other = train(t, device, c, &others, &chosen);
        tap_ok(&t->tap,
               other != NULL && chosen != 0 && others == count && memcmp(usual, other, count * sizeof *usual) == 0,
               "%s: two steps with choice %u of %u nodes: the same weights", sy_device_caps(device)->id, c, chosen);
        free(other);
    }
    free(usual);
}

int main(int argc, char **argv)
{
    struct tiny t;
    tiny_open(&t, "choices", argc, argv);
    for (size_t d = 0; d < t.device_count; ++d) {
        const struct sy_caps *caps = sy_device_caps(t.devices[d]);
        if (caps->backend == SY_BACKEND_REF)
            continue;
        check_ops(&t, t.devices[d]);
        if (caps->device_class == SY_CLASS_SIMT) // elsewhere there is nothing to choose
            check_training(&t, t.devices[d]);
    }
    return tiny_close(&t);
}
