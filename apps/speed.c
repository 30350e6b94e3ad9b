// SPDX-License-Identifier: Apache-2.0
#include "apps/speed.h"

#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"
#include "engine/lower.h"
#include "engine/variant.h"

static const double enough_s = 0.5;

/// Rows of an expert, and its matrix: `ff` wide, and on the way in twice as wide where it is gated.
struct shape {
    uint32_t rows, d, in, ff;
};

/// The model's own expert, or as much of it as the device does in a fraction of a second.
static struct shape shape_of(const struct sy_caps *caps, const struct sy_config *c)
{
    const bool ref = caps->device_class == SY_CLASS_REF;
    const double most = ref ? 8e7 : caps->software ? 8e8 : 1e11;
    struct shape s = {.rows = ref ? 16 : caps->software ? 128 : 1024, .d = c->d_model, .ff = c->d_ff};
    while (12.0 * s.rows * s.d * s.ff > most && (s.d > 64 || s.ff > 64)) {
        uint32_t *larger = s.d > s.ff ? &s.d : &s.ff;
        *larger = (*larger / 2 + 31) / 32 * 32;
    }
    s.in = c->gated ? 2 * s.ff : s.ff;
    return s;
}

static enum sy_dtype storage(const struct sy_caps *caps, enum sy_precision precision)
{
    return precision == SY_PRECISION_F32 || !caps->bf16 ? SY_F32 : SY_BF16;
}

enum sy_status speed_kind(struct sy_ctx *ctx, const struct sy_caps *caps, const struct sy_config *config,
                          enum sy_precision precision, uint8_t out[SY_CACHE_KEY_BYTES])
{
    enum { FIRST = 6 };
    static const enum sy_op_id ops[] = {SY_OP_matmul, SY_OP_matmul_dw};
    const enum sy_op_types types = storage(caps, precision) == SY_F32 ? SY_TYPES_F : SY_TYPES_B;
    const struct shape shape = shape_of(caps, config);
    const bool can[] = {caps->avx512, caps->avx512_bf16, caps->amx, caps->mma, caps->cores, caps->fp16, caps->coopmat};
    struct sy_kernel_params kernels[SY_COUNT(ops)];
    struct sy_cache_part parts[FIRST + 2 * SY_COUNT(ops)] = {{SY_VERSION, sizeof SY_VERSION},
                                                             {caps->name, strlen(caps->name)},
                                                             {caps->key, strlen(caps->key)},
                                                             {&caps->compute_units, sizeof caps->compute_units},
                                                             {can, sizeof can},
                                                             {&shape, sizeof shape}};
    for (size_t i = 0; i < SY_COUNT(ops); ++i) {
        const struct sy_variant *v;
        SY_TRY(sy_variant_choose(ctx, ops[i], types, caps, &v));
        sy_variant_kernel_params(v, types, 0, caps, &kernels[i]);
        const struct sy_kernel_source *s = &kernels[i].source;
        const bool shader = caps->backend == SY_BACKEND_VULKAN;
        parts[FIRST + 2 * i] = (struct sy_cache_part){v->name, strlen(v->name)};
        if (shader && s->spirv != NULL)
            parts[FIRST + 1 + 2 * i] = (struct sy_cache_part){s->spirv, s->spirv_bytes};
        else if (!shader && s->cl_text != NULL)
            parts[FIRST + 1 + 2 * i] = (struct sy_cache_part){s->cl_text, strlen(s->cl_text)};
    }
    sy_cache_key(out, parts, SY_COUNT(parts));
    return SY_OK;
}

double speed_kept(struct sy_ctx *ctx, const uint8_t key[SY_CACHE_KEY_BYTES])
{
    void *data;
    size_t bytes;
    double rate = 0.0;
    if (!sy_cache_load(ctx, "speed", key, &data, &bytes))
        return 0.0;
    if (bytes == sizeof rate)
        memcpy(&rate, data, sizeof rate);
    free(data);
    return rate > 0.0 ? rate : 0.0;
}

void speed_keep(struct sy_ctx *ctx, const uint8_t key[SY_CACHE_KEY_BYTES], double rate)
{
    sy_cache_store(ctx, "speed", key, &rate, sizeof rate);
}

static sy_tid tensor(struct speed *s, enum sy_dtype type, uint64_t rows, uint64_t cols, const char *name)
{
    return sy_tensor_new(s->graph, SY_KIND_KEEP, type, rows, cols, 1, name);
}

/// An expert's six products. What they are of does not matter: only zeros would be too little work for some devices.
static enum sy_status emit(struct speed *s, const struct shape *shape, enum sy_dtype t, sy_tid inputs[4])
{
    struct sy_graph *g = s->graph;
    const uint32_t rows = shape->rows, d = shape->d, in = shape->in, ff = shape->ff;
    const sy_tid x = tensor(s, t, rows, d, "x"), wi = tensor(s, t, in, d, "wi"), h = tensor(s, t, rows, ff, "h"),
                 wo = tensor(s, t, d, ff, "wo"), u = tensor(s, t, rows, in, "u"), y = tensor(s, t, rows, d, "y"),
                 dh = tensor(s, t, rows, ff, "dh"), dx = tensor(s, t, rows, d, "dx"),
                 dwi = tensor(s, SY_F32, in, d, "dwi"), dwo = tensor(s, SY_F32, d, ff, "dwo");
    const uint32_t tile_rows = sy_graph_tile_rows(g);
    const struct sy_matmul_args to_u = {.m = rows,
                                        .n = in,
                                        .k = d,
                                        .experts = 1,
                                        .bt = 1,
                                        .alpha = 1.0f,
                                        .tile_rows = tile_rows,
                                        .tiles = (u32)sy_ceil_div(rows, tile_rows)};
    struct sy_matmul_args to_y = to_u, to_h = to_u, to_x = to_u;
    to_y.n = to_x.n = to_h.k = d;
    to_y.k = to_h.n = ff;
    to_x.k = in;
    to_h.bt = to_x.bt = 0;
    const struct sy_matmul_dw_args for_wi = {.rows = rows, .m = in, .n = d, .experts = 1, .alpha = 1.0f, .slices = 1};
    struct sy_matmul_dw_args for_wo = for_wi;
    for_wo.m = d;
    for_wo.n = ff;
    SY_EMIT(g, matmul, &to_u, x, wi, SY_NONE, u);
    SY_EMIT(g, matmul, &to_y, h, wo, SY_NONE, y);
    SY_EMIT(g, matmul, &to_h, y, wo, SY_NONE, dh);
    SY_EMIT(g, matmul_dw, &for_wo, y, h, SY_NONE, dwo);
    SY_EMIT(g, matmul, &to_x, u, wi, SY_NONE, dx);
    SY_EMIT(g, matmul_dw, &for_wi, u, x, SY_NONE, dwi);
    SY_TRY(sy_graph_status(g));
    for (size_t i = 0; i < sy_graph_node_count(g); ++i)
        s->flops += sy_op_info(sy_graph_node(g, i)->op)->impl->flops(sy_graph_node(g, i)->args);
    memcpy(inputs, (const sy_tid[]){x, wi, h, wo}, 4 * sizeof *inputs);
    return SY_OK;
}

/// Numbers in [−1, 1).
static enum sy_status fill(struct sy_ctx *ctx, struct speed *s, sy_tid t)
{
    const uint64_t count = sy_graph_tensor(s->graph, t)->count;
    float *values = malloc(count * sizeof *values);
    uint32_t state = 1;
    if (values == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (uint64_t i = 0; i < count; ++i) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)state / 2147483648.0f;
    }
    const enum sy_status status = sy_runtime_write_f32(s->runtime, t, 0, count, values);
    free(values);
    return status;
}

static enum sy_status go(struct speed *s)
{
    SY_TRY(sy_runtime_run(s->runtime, SY_PHASE_MICRO));
    return sy_device_wait(sy_runtime_device(s->runtime));
}

enum sy_status speed_open(struct sy_ctx *ctx, struct sy_device *device, const struct sy_config *config,
                          enum sy_precision precision, struct speed *out)
{
    const struct sy_caps *caps = sy_device_caps(device);
    const struct shape shape = shape_of(caps, config);
    sy_tid inputs[4];
    *out = (struct speed){.flops = 0.0};
    SY_TRY(sy_graph_create(ctx, precision, caps, &out->graph));
    SY_TRY(emit(out, &shape, storage(caps, precision), inputs));
    sy_lower(out->graph, caps);
    SY_TRY(sy_graph_status(out->graph));
    SY_TRY(sy_runtime_create(device, out->graph, NULL, &out->runtime));
    for (size_t i = 0; i < SY_COUNT(inputs); ++i)
        SY_TRY(fill(ctx, out, inputs[i]));
    SY_TRY(go(out));
    return go(out); // some drivers compile again for what is recorded after the first
}

enum sy_status speed_take(struct speed *s, double *out_rate)
{
    const double from = cli_seconds();
    double took = 0.0;
    uint64_t count = 0;
    for (; count == 0 || took < enough_s; ++count) {
        SY_TRY(go(s));
        took = cli_seconds() - from;
    }
    *out_rate = (double)count * s->flops / took;
    return SY_OK;
}

void speed_close(struct speed *s)
{
    sy_runtime_destroy(&s->runtime);
    sy_graph_destroy(&s->graph);
}
