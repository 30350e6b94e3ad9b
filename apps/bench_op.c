// SPDX-License-Identifier: Apache-2.0
// bench_op.c: one op on its own, in every variant that the device can run, in turns.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"

/// One variant, ready to run.
struct contestant {
    const struct sy_variant *variant;
    struct sy_graph *graph;
    struct sy_runtime *runtime;
    double *times;
};

/// "4096,3072,0,1.0": the fields of the op's argument struct in order; one with a point is a float.
static enum sy_status read_args(struct sy_ctx *ctx, const struct sy_op_info *info, const char *text,
                                uint32_t args[SY_MAX_ARGS_BYTES / 4])
{
    const uint32_t want = info->args_bytes / 4;
    uint32_t count = 0;
    for (const char *at = text; at != NULL; ++count) {
        char *end;
        const size_t length = strcspn(at, ",");
        const bool point = memchr(at, '.', length) != NULL;
        errno = 0;
        const float real = strtof(at, &end);
        const unsigned long long whole = point ? 0 : strtoull(at, &end, 0);
        if (length == 0 || end != at + length || (!point && whole > UINT32_MAX) || errno != 0 || *at == '-')
            return sy_fail(ctx, SY_INVALID, "--args: \"%.*s\" is no number from 0 to 2^32 - 1, nor one with a point",
                           (int)length, at);
        if (count < want)
            memcpy(&args[count], point ? (const void *)&real : &(uint32_t){(uint32_t)whole}, 4);
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    if (count != want)
        return sy_fail(ctx, SY_INVALID, "--args: %s takes %u numbers (its struct in kernels/op_args.h), here are %u",
                       info->name, want, count);
    return SY_OK;
}

/// A graph of the op alone, its inputs zeros.
static enum sy_status contestant_open(struct sy_ctx *ctx, struct sy_device *device, enum sy_precision precision,
                                      enum sy_op_types types, const void *args, struct contestant *c)
{
    const struct sy_op_info *info = sy_op_info(c->variant->op);
    const struct sy_caps *caps = sy_device_caps(device);
    sy_tid bind[SY_MAX_BINDINGS] = {0};
    SY_TRY(sy_graph_create(ctx, precision, caps, &c->graph));
    struct sy_graph *g = c->graph;
    for (uint32_t i = 0; i < info->binding_count; ++i) {
        const uint64_t count = info->impl->elements(args, i);
        if (i == info->const_binding)
            bind[i] = sy_graph_step_constants(g);
        else if (count != 0)
            bind[i] = sy_tensor_new(g, SY_KIND_KEEP, sy_op_dtype(info, i, types), count, 1, 1, info->binding_names[i]);
    }
    SY_TRY(sy_graph_status(g));
    sy_emit(g, c->variant->op, args, bind)->variant = c->variant;
    sy_lower(g, caps);
    SY_TRY(sy_graph_status(g));
    SY_TRY(sy_runtime_create(device, g, NULL, &c->runtime));
    double warm;
    return bench_run(c->runtime, &warm);
}

static void contestant_close(struct contestant *c)
{
    sy_runtime_destroy(&c->runtime);
    sy_graph_destroy(&c->graph);
    free(c->times);
}

/// Those the device can run, or the one named.
static enum sy_status choose(struct sy_ctx *ctx, const struct bench_options *o, enum sy_op_id op,
                             enum sy_op_types types, const struct sy_caps *caps,
                             struct contestant list[SY_VARIANT_COUNT], size_t *count)
{
    *count = 0;
    if (o->variant != NULL) {
        *count = 1;
        return bench_variant(ctx, op, types, caps, o->variant, &list[0].variant);
    }
    for (const struct sy_variant *v = NULL; (v = sy_variant_next(op, v)) != NULL;) {
        bool killed = false;
        SY_TRY(sy_variant_killed(ctx, v, &killed));
        if (!killed && sy_variant_missing(v, types, caps) == NULL)
            list[(*count)++].variant = v;
    }
    return *count != 0 ? SY_OK : bench_variant(ctx, op, types, caps, NULL, &list[0].variant); // says why none is left
}

static enum sy_status run(struct contestant *list, size_t count, uint64_t repeat)
{
    for (uint64_t r = 0; r < repeat; ++r)
        for (size_t i = 0; i < count; ++i)
            SY_TRY(bench_run(list[i].runtime, &list[i].times[r]));
    return SY_OK;
}

enum sy_status bench_op(struct sy_ctx *ctx, struct sy_device *device, const struct bench_options *o,
                        enum sy_precision precision)
{
    const enum sy_op_id op = sy_op_find(o->op);
    if (op == SY_OP_COUNT)
        return sy_fail(ctx, SY_INVALID, "--op: no op is called \"%s\"; switchyard-devices --ops lists them", o->op);
    const struct sy_op_info *info = sy_op_info(op);
    const struct sy_caps *caps = sy_device_caps(device);
    const bool wide = precision == SY_PRECISION_F32 || (info->types & SY_TYPES_B) == 0;
    const enum sy_op_types types = wide ? SY_TYPES_F : SY_TYPES_B;
    uint32_t args[SY_MAX_ARGS_BYTES / 4] = {0};
    SY_TRY(read_args(ctx, info, o->args, args));
    struct contestant *list = calloc(SY_VARIANT_COUNT, sizeof *list);
    size_t count = 0;
    enum sy_status status =
        list == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory") : choose(ctx, o, op, types, caps, list, &count);
    for (size_t i = 0; i < count && status == SY_OK; ++i) {
        list[i].times = calloc(o->repeat, sizeof(double));
        status = list[i].times == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory")
                                       : contestant_open(ctx, device, precision, types, args, &list[i]);
    }
    if (status == SY_OK)
        status = run(list, count, o->repeat);
    for (size_t i = 0; i < count && status == SY_OK; ++i) {
        const double t = bench_median(list[i].times, o->repeat);
        printf("%s %s on %s, variant %-10s %10.3f ms (median of %llu) %8.1f GFLOP/s %7.1f GB/s\n", info->name,
               wide ? "f32" : "bf16", caps->id, list[i].variant->name, 1e3 * t, (unsigned long long)o->repeat,
               info->impl->flops(args) / t / 1e9, sy_op_bytes(info, types, args) / t / 1e9);
    }
    for (size_t i = 0; i < count; ++i)
        contestant_close(&list[i]);
    free(list);
    return status;
}
