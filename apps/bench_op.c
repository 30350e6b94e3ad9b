// SPDX-License-Identifier: Apache-2.0
// bench_op.c: one op on its own, in every variant that the device can run, in turns; a copy.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"

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

/// A graph of the op alone, its float inputs random, its whole numbers 0.
static enum sy_status op_open(const struct bench *b, const struct sy_variant *variant, enum sy_op_types types,
                              const void *args, struct bench_entrant *e)
{
    const struct sy_op_info *info = sy_op_info(variant->op);
    struct bench_figure *f = &e->figure;
    sy_tid bind[SY_MAX_BINDINGS] = {0};
    f->flops = info->impl->flops(args);
    f->bytes = sy_op_bytes(info, types, args);
    f->memory = f->flops < 2.0 * f->bytes; // too few operations a byte to keep any device busy
    e->copies = bench_copies(b, f->flops, f->bytes);
    SY_TRY(bench_entrant_graph(b, e));
    for (uint32_t i = 0; i < info->binding_count; ++i) {
        const uint64_t count = info->impl->elements(args, i);
        if (i == info->const_binding)
            bind[i] = sy_graph_step_constants(e->graph);
        else if (count != 0)
            bind[i] = bench_tensor(e, sy_op_dtype(info, i, types), count, 1, info->binding_names[i]);
    }
    for (uint32_t i = 0; i < e->copies; ++i)
        sy_emit(e->graph, variant->op, args, bind)->variant = variant;
    return bench_entrant_open_op(b, e, variant->op);
}

uint64_t bench_copy_elements(const struct bench *b, enum sy_op_types types)
{
    const bool gpu = !b->caps->software;
    const uint64_t each = types == SY_TYPES_F ? 4 : 2, binding = b->caps->max_binding_bytes / each,
                   memory = b->caps->memory_bytes / 8 / each;
    uint64_t most = gpu ? UINT64_C(1) << 29 : b->caps->device_class == SY_CLASS_REF ? 1 << 20 : 1 << 25;
    most = most < binding ? most : binding;
    return most < memory ? most : memory;
}

enum sy_status bench_copy_entrant(const struct bench *b, struct bench_entrant *e)
{
    enum { COLS = 1 << 12 };
    const enum sy_op_types types = bench_types(b) == SY_TYPES_F ? SY_TYPES_F : SY_TYPES_B;
    const uint64_t most = bench_copy_elements(b, types), each = types == SY_TYPES_F ? 4 : 2;
    const struct sy_variant *variant;
    SY_TRY(bench_variant(b, SY_OP_copy, types, NULL, &variant));
    const uint32_t rows = most > COLS ? (uint32_t)(most / COLS) : 1;
    const struct sy_copy_args args = {.rows = rows, .cols = COLS, .from_stride = COLS, .to_stride = COLS};
    snprintf(e->figure.what, sizeof e->figure.what, "copy of %.0f MiB, %s",
             (double)rows * COLS * (double)each / 1048576.0, bench_types_name(types));
    return op_open(b, variant, types, &args, e);
}

enum sy_status bench_copy(struct bench *b)
{
    struct bench_entrant e = {0};
    enum sy_status status = bench_copy_entrant(b, &e);
    if (status == SY_OK)
        status = bench_contest(b, &e, 1, NULL);
    bench_entrant_close(&e);
    return status;
}

enum sy_status bench_op(struct bench *b)
{
    const struct bench_options *o = b->o;
    const enum sy_op_id op = sy_op_find(o->op);
    if (op == SY_OP_COUNT)
        return sy_fail(b->ctx, SY_INVALID, "--op: no op is called \"%s\"; switchyard-devices --ops lists them", o->op);
    const struct sy_op_info *info = sy_op_info(op);
    enum sy_op_types types = bench_types(b);
    if ((info->types & types) == 0)
        types = SY_TYPES_F;
    uint32_t args[SY_MAX_ARGS_BYTES / 4] = {0};
    const struct sy_variant *variants[SY_VARIANT_COUNT];
    struct bench_entrant list[SY_VARIANT_COUNT + 1] = {0};
    size_t count = 0, all;
    SY_TRY(read_args(b->ctx, info, o->args, args));
    SY_TRY(bench_variants(b, op, types, o->variant, variants, &count));
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < count && status == SY_OK; ++i) {
        snprintf(list[i].figure.what, sizeof list[i].figure.what, "%s %s", info->name, bench_types_name(types));
        status = op_open(b, variants[i], types, args, &list[i]);
    }
    all = count;
    if (status == SY_OK && op != SY_OP_copy && list[0].figure.memory) // how far it is from the best
        status = bench_copy_entrant(b, &list[all++]);
    if (status == SY_OK)
        status = bench_contest(b, list, all, NULL);
    for (size_t i = 0; i < all; ++i)
        bench_entrant_close(&list[i]);
    return status;
}
