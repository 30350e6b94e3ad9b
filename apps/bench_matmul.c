// SPDX-License-Identifier: Apache-2.0
// bench_matmul.c: matrix products, dense against OpenBLAS and CLBlast in the same run, grouped against dense.
#include <stdio.h>
#include <stdlib.h>

#include "apps/bench.h"
#include "apps/bench_blas.h"

/// A graph of one product c [m,n] = a [m,k] · Bᵀ with `experts` of b [n,k], ready to run.
struct product {
    struct sy_graph *graph;
    struct sy_runtime *runtime;
    const struct sy_variant *variant;
    sy_tid a, b, c;
};

/// Rows, columns and depth, and how many rows each expert gets.
struct product_size {
    uint32_t m, n, k, experts;
    const uint32_t *rows;
};

/// The table of row tiles.
static sy_tid emit_tiles(struct sy_graph *g, const struct product_size *size, uint32_t count)
{
    int32_t *off = calloc(size->experts + 1, sizeof *off);
    if (off == NULL) {
        sy_graph_no_memory(g);
        return SY_NONE;
    }
    for (uint32_t e = 0; e < size->experts; ++e)
        off[e + 1] = off[e] + (int32_t)size->rows[e];
    sy_tid offsets = sy_tensor_const(g, SY_I32, size->experts + 1, off, "off");
    free(off);
    sy_tid tiles = sy_act_i(g, count, 4, "tiles");
    struct sy_route_tiles_args t = {.experts = size->experts, .tile_rows = sy_graph_tile_rows(g), .tiles = count};
    SY_EMIT(g, route_tiles, &t, offsets, tiles);
    return tiles;
}

static enum sy_status product_open(struct sy_ctx *ctx, struct sy_device *device, enum sy_precision precision,
                                   const char *variant, const struct product_size *size, struct product *p)
{
    const struct sy_caps *caps = sy_device_caps(device);
    SY_TRY(sy_graph_create(ctx, precision, caps, &p->graph));
    struct sy_graph *g = p->graph;
    p->a = sy_tensor_new(g, SY_KIND_KEEP, sy_graph_storage(g), size->m, size->k, 1, "a");
    p->b = sy_tensor_new(g, SY_KIND_KEEP, sy_graph_storage(g), size->experts, size->n, size->k, "b");
    p->c = sy_tensor_new(g, SY_KIND_KEEP, sy_graph_storage(g), size->m, size->n, 1, "c");
    struct sy_matmul_args args = {.m = size->m,
                                  .n = size->n,
                                  .k = size->k,
                                  .experts = size->experts,
                                  .bt = 1,
                                  .alpha = 1.0f,
                                  .tile_rows = sy_graph_tile_rows(g)};
    args.tiles = (u32)sy_ceil_div(size->m, sy_graph_tile_rows(g)) + (size->experts > 1 ? size->experts : 0);
    sy_tid tiles = size->experts > 1 ? emit_tiles(g, size, args.tiles) : SY_NONE;
    struct sy_node *node = SY_EMIT(g, matmul, &args, p->a, p->b, tiles, p->c);
    SY_TRY(sy_graph_status(g));
    SY_TRY(bench_variant(ctx, SY_OP_matmul, node->types, caps, variant, &p->variant));
    node->variant = p->variant;
    sy_lower(g, caps);
    SY_TRY(sy_graph_status(g));
    return sy_runtime_create(device, g, NULL, &p->runtime);
}

static void product_close(struct product *p)
{
    sy_runtime_destroy(&p->runtime);
    sy_graph_destroy(&p->graph);
}

/// One line about a rival: `times` are its seconds, `ours` our median. Nothing is known of a rival that is not there.
static void print_rival(const char *name, const char *package, double flops, double ours, double *times, uint64_t count)
{
    double theirs = bench_median(times, count);
    if (theirs > 0.0)
        printf("%s in the same run: %.1f GFLOP/s; ratio %.2f (medians of %llu)\n", name, flops / theirs / 1e9,
               theirs / ours, (unsigned long long)count);
    else
        printf("%s: not in this run (%s)\n", name, package);
}

/// Our product and the rivals' in turns, so that noise hits all; `times` holds three rows of `repeat` seconds.
static enum sy_status matmul_turns(const struct bench_options *o, struct product *p, struct bench_clblast *clblast,
                                   double *times)
{
    double warm;
    SY_TRY(bench_run(p->runtime, &warm));
    for (uint64_t i = 0; i < o->repeat; ++i) {
        SY_TRY(bench_run(p->runtime, &times[i]));
        times[o->repeat + i] = bench_blas_seconds((uint32_t)o->size);
        times[2 * o->repeat + i] = clblast != NULL ? bench_clblast_seconds(clblast) : 0.0;
    }
    return SY_OK;
}

enum sy_status bench_matmul(struct sy_ctx *ctx, struct sy_device *device, const struct bench_options *o,
                            enum sy_precision precision)
{
    struct product p = {0};
    struct bench_clblast *clblast = NULL;
    const uint32_t n = (uint32_t)o->size;
    const struct product_size size = {.m = n, .n = n, .k = n, .experts = 1};
    const struct sy_caps *caps = sy_device_caps(device);
    double *times = calloc(3 * o->repeat, sizeof *times);
    enum sy_status status = times == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory")
                                          : product_open(ctx, device, precision, o->variant, &size, &p);
    if (status == SY_OK && bench_clblast_open(ctx, caps, n, &clblast) != SY_OK)
        printf("CLBlast: %s\n", sy_error(ctx)); // a broken rival is no reason not to measure
    if (status == SY_OK)
        status = matmul_turns(o, &p, clblast, times);
    if (status == SY_OK) {
        double flops = 2.0 * n * n * n, ours = bench_median(times, o->repeat);
        printf("%u×%u×%u %s on %s, variant %s: %.1f GFLOP/s, packing included\n", n, n, n,
               cli_precision_name(precision), caps->id, p.variant->name, flops / ours / 1e9);
        print_rival("OpenBLAS sgemm", "libopenblas-dev", flops, ours, times + o->repeat, o->repeat);
        print_rival("CLBlast sgemm", "libclblast-dev; OpenCL devices only", flops, ours, times + 2 * o->repeat,
                    o->repeat);
    }
    bench_clblast_close(&clblast);
    product_close(&p);
    free(times);
    return status;
}

enum sy_status bench_grouped(struct sy_ctx *ctx, struct sy_device *device, const struct bench_options *o,
                             enum sy_precision precision)
{
    enum { ROWS = 4096, EXPERTS = 64, N = 512, K = 512, KINDS = 3 };
    static const char *const names[KINDS] = {"one dense product", "64 experts, equal", "64 experts, Zipf"};
    uint32_t rows[EXPERTS], zipf[EXPERTS], left = ROWS;
    double harmonic = 0.0;
    for (uint32_t e = 0; e < EXPERTS; ++e)
        harmonic += 1.0 / (e + 1);
    for (uint32_t e = EXPERTS; e-- > 0;) {
        rows[e] = ROWS / EXPERTS;
        zipf[e] = e == 0 ? left : (uint32_t)(ROWS / harmonic / (e + 1));
        left -= zipf[e];
    }
    const uint32_t *sizes[KINDS] = {NULL, rows, zipf};
    struct product p[KINDS] = {0};
    double *times = calloc(KINDS * o->repeat, sizeof *times), warm;
    enum sy_status status = times == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory") : SY_OK;
    for (int i = 0; i < KINDS && status == SY_OK; ++i) {
        const struct product_size size = {.m = ROWS, .n = N, .k = K, .experts = i == 0 ? 1 : EXPERTS, .rows = sizes[i]};
        status = product_open(ctx, device, precision, o->variant, &size, &p[i]);
        if (status == SY_OK)
            status = bench_run(p[i].runtime, &warm);
    }
    for (uint64_t r = 0; r < o->repeat && status == SY_OK; ++r)
        for (int i = 0; i < KINDS && status == SY_OK; ++i)
            status = bench_run(p[i].runtime, &times[i * o->repeat + r]);
    if (status == SY_OK)
        printf("variant %s\n", p[0].variant->name);
    double dense = status == SY_OK ? bench_median(times, o->repeat) : 0.0;
    for (int i = 0; i < KINDS && status == SY_OK; ++i) {
        double t = bench_median(times + i * o->repeat, o->repeat);
        printf("%-20s %7.1f GFLOP/s, packing all weights included; %.2f of the dense product\n", names[i],
               2.0 * ROWS * N * K / t / 1e9, dense / t);
    }
    for (int i = 0; i < KINDS; ++i)
        product_close(&p[i]);
    free(times);
    return status;
}
