// SPDX-License-Identifier: Apache-2.0
// bench_matmul.c: matrix products, dense against OpenBLAS and CLBlast in the same run, grouped against dense.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"
#include "apps/bench_blas.h"

/// Rows, columns and depth, and how many rows each expert gets (one expert: all).
struct product_size {
    uint32_t m, n, k, experts;
    const uint32_t *rows;
    bool
        kept; ///< The weights are parameters: what a device wants made of them (panels) is made before, as in training.
};

/// The tensors of a product c [m,n] = a [m,k] · Bᵀ with `experts` of b [n,k].
struct product {
    sy_tid a, b, c;
};

enum sy_op_types bench_types(const struct bench *b)
{
    const char *name = b->o->dtype;
    if (name != NULL)
        return name[0] == 'f' ? SY_TYPES_F : name[4] == '\0' ? SY_TYPES_B : SY_TYPES_M;
    return b->o->common.precision == SY_PRECISION_F32 || !b->caps->bf16 ? SY_TYPES_F : SY_TYPES_B;
}

/// The table of row tiles.
static sy_tid emit_tiles(struct bench_entrant *e, const struct product_size *size, uint32_t count)
{
    struct sy_graph *g = e->graph;
    int32_t *off = calloc(size->experts + 1, sizeof *off);
    if (off == NULL) {
        sy_graph_no_memory(g);
        return SY_NONE;
    }
    for (uint32_t i = 0; i < size->experts; ++i)
        off[i + 1] = off[i] + (int32_t)size->rows[i];
    sy_tid offsets = sy_tensor_const(g, SY_I32, size->experts + 1, off, "off");
    free(off);
    sy_tid tiles = bench_tensor(e, SY_I32, count, 4, "tiles");
    struct sy_route_tiles_args t = {
        .experts = size->experts, .tile_rows = sy_graph_tile_rows(g), .tiles = count, .slices = 1};
    SY_EMIT(g, route_tiles, &t, offsets, tiles);
    return tiles;
}

static sy_tid parameter(struct bench_entrant *e, const struct product_size *size)
{
    char(*names)[112] = calloc(size->experts, sizeof *names);
    if (names == NULL) {
        sy_graph_no_memory(e->graph);
        return SY_NONE;
    }
    for (uint32_t i = 0; i < size->experts; ++i)
        snprintf(names[i], sizeof names[i], "b.%u", i);
    const sy_tid t = sy_param_new(e->graph, size->experts, size->n, size->k, (const char(*)[112])names, SY_INIT_NORMAL,
                                  1.0f, SY_PARAM_EXPERT);
    free(names);
    sy_graph_refresh(e->graph);
    return t;
}

static enum sy_status product_open(const struct bench *b, enum sy_op_types types, const struct product_size *size,
                                   const struct sy_variant *variant, struct bench_entrant *e, struct product *p)
{
    const struct sy_op_info *info = sy_op_info(SY_OP_matmul);
    const enum sy_dtype in = sy_op_dtype(info, 0, types), out = sy_op_dtype(info, 3, types);
    struct sy_matmul_args args = {
        .m = size->m, .n = size->n, .k = size->k, .experts = size->experts, .bt = 1, .alpha = 1.0f};
    e->figure.flops = 2.0 * size->m * size->n * size->k;
    e->figure.bytes = sy_op_bytes(info, types, &args);
    e->copies = bench_copies(b, e->figure.flops, e->figure.bytes);
    if (size->kept)
        SY_TRY(sy_graph_create(b->ctx, types == SY_TYPES_F ? SY_PRECISION_F32 : SY_PRECISION_SELECTIVE, b->caps,
                               &e->graph));
    else
        SY_TRY(bench_entrant_graph(b, e));
    args.tile_rows = sy_graph_tile_rows(e->graph);
    args.tiles = (u32)sy_ceil_div(size->m, args.tile_rows) + (size->experts > 1 ? size->experts : 0);
    p->a = bench_tensor(e, in, size->m, size->k, "a");
    p->b = size->kept ? parameter(e, size) : bench_tensor(e, in, (uint64_t)size->experts * size->n, size->k, "b");
    p->c = bench_tensor(e, out, size->m, size->n, "c");
    const sy_tid tiles = size->experts > 1 ? emit_tiles(e, size, args.tiles) : SY_NONE;
    for (uint32_t i = 0; i < e->copies; ++i)
        SY_EMIT(e->graph, matmul, &args, p->a, p->b, tiles, p->c)->variant = variant;
    return bench_entrant_open_op(b, e, SY_OP_matmul);
}

enum sy_status bench_product(const struct bench *b, enum sy_op_types types, uint32_t m, uint32_t n, uint32_t k,
                             const struct sy_variant *variant, struct bench_entrant *e)
{
    const struct product_size size = {.m = m, .n = n, .k = k, .experts = 1};
    struct product p;
    snprintf(e->figure.what, sizeof e->figure.what, "matmul %u×%u×%u %s", m, n, k, bench_types_name(types));
    return product_open(b, types, &size, variant, e, &p);
}

static uint32_t expert_of(const struct product_size *size, uint32_t row)
{
    uint32_t e = 0;
    if (size->experts > 1)
        for (uint32_t end = size->rows[0]; row >= end; end += size->rows[e])
            ++e;
    return e;
}

/// A kernel that does nothing is the fastest: some elements of the product, against sums in double.
static enum sy_status product_check(const struct bench *b, struct bench_entrant *e, const struct product *p,
                                    const struct product_size *size)
{
    enum { CHECKED = 64 };
    float *x = malloc(2 * (size_t)size->k * sizeof *x), *y = x + size->k;
    enum sy_status status = x == NULL ? sy_fail(b->ctx, SY_NOMEM, "out of host memory") : SY_OK;
    for (uint32_t i = 0; i < CHECKED && status == SY_OK; ++i) {
        const uint32_t row = (uint32_t)((uint64_t)i * (size->m - 1) / (CHECKED - 1)), col = (i * 2654435761u) % size->n;
        const uint64_t weight = (uint64_t)expert_of(size, row) * size->n + col;
        float got = NAN;
        double want = 0.0, squares = 0.0;
        status = sy_runtime_read_f32(e->runtime, p->a, (uint64_t)row * size->k, size->k, x);
        if (status == SY_OK)
            status = sy_runtime_read_f32(e->runtime, p->b, weight * size->k, size->k, y);
        if (status == SY_OK)
            status = sy_runtime_read_f32(e->runtime, p->c, (uint64_t)row * size->n + col, 1, &got);
        for (uint32_t k = 0; k < size->k && status == SY_OK; ++k) {
            want += (double)x[k] * (double)y[k];
            squares += (double)x[k] * (double)y[k] * (double)x[k] * (double)y[k];
        }
        // Inputs that are rounded to bf16 are off by 1/512 each, and so is such an output.
        if (status == SY_OK && !(fabs((double)got - want) <= 0.05 * sqrt(squares) + 0.01 * fabs(want)))
            status = sy_fail(b->ctx, SY_INTERNAL, "%s on %s, variant %s: element (%u, %u) is %g, not %g",
                             e->figure.what, b->caps->id, e->figure.by, row, col, (double)got, want);
    }
    free(x);
    e->figure.checked = CHECKED;
    return status;
}

static double openblas(void *of)
{
    const struct bench *b = of;
    return bench_blas_seconds((uint32_t)b->o->size, b->clock);
}

static double clblast(void *of) { return bench_clblast_seconds(of); }

static bool beside(const struct bench *b, const char *rival)
{
    return b->o->rival == NULL || strcmp(b->o->rival, rival) == 0;
}

/// OpenBLAS where the device is the same CPU, then CLBlast. Returns how many there are.
static size_t add_rivals(struct bench *b, struct bench_entrant *list, struct bench_clblast **cl)
{
    const uint32_t n = (uint32_t)b->o->size;
    size_t count = 0;
    if (beside(b, "OpenBLAS") && b->caps->software && bench_blas_seconds(2, b->clock) > 0.0)
        list[count++] = (struct bench_entrant){.figure.by = "OpenBLAS sgemm", .rival = openblas, .of = b};
    if (beside(b, "CLBlast") && bench_clblast_open(b->ctx, b->caps, n, cl) != SY_OK)
        sy_log(b->ctx, SY_LOG_WARN, "%s", sy_error(b->ctx)); // a broken rival is no reason not to measure
    if (*cl != NULL)
        list[count++] = (struct bench_entrant){.figure.by = "CLBlast sgemm", .rival = clblast, .of = *cl};
    for (size_t i = 0; i < count; ++i) {
        struct bench_figure *f = &list[i].figure;
        f->rival = true;
        f->flops = 2.0 * n * n * n;
        f->bytes = 12.0 * n * n;
        snprintf(f->what, sizeof f->what, "matmul %u×%u×%u f32", n, n, n);
    }
    return count;
}

/// Our variants and the rivals in turns. The first rival is what ours are compared with.
static enum sy_status matmul_of(struct bench *b, enum sy_op_types types)
{
    enum { RIVALS = 2 };
    const uint32_t n = (uint32_t)b->o->size;
    const struct product_size size = {.m = n, .n = n, .k = n, .experts = 1};
    const struct sy_variant *variants[SY_VARIANT_COUNT];
    struct bench_entrant list[RIVALS + SY_VARIANT_COUNT] = {0};
    struct product products[RIVALS + SY_VARIANT_COUNT];
    struct bench_clblast *cl = NULL;
    size_t ours = 1;
    if (b->o->variant != NULL && strcmp(b->o->variant, "all") == 0)
        SY_TRY(bench_variants(b, SY_OP_matmul, types, NULL, variants, &ours));
    else
        SY_TRY(bench_variant(b, SY_OP_matmul, types, b->o->variant, &variants[0]));
    const size_t rivals = add_rivals(b, list, &cl), all = rivals + ours;
    enum sy_status status = SY_OK;
    for (size_t i = rivals; i < all && status == SY_OK; ++i) {
        snprintf(list[i].figure.what, sizeof list[i].figure.what, "matmul %u×%u×%u %s", n, n, n,
                 bench_types_name(types));
        status = product_open(b, types, &size, variants[i - rivals], &list[i], &products[i]);
        if (status == SY_OK)
            status = product_check(b, &list[i], &products[i], &size);
    }
    if (status == SY_OK)
        status = bench_contest(b, list, all, rivals != 0 ? list[0].figure.by : NULL);
    for (size_t i = 0; i < all; ++i)
        bench_entrant_close(&list[i]);
    bench_clblast_close(&cl);
    return status;
}

enum sy_status bench_matmul(struct bench *b)
{
    const enum sy_op_types types = bench_types(b);
    if (b->o->dtype == NULL && types != SY_TYPES_F)
        SY_TRY(matmul_of(b, SY_TYPES_F));
    return matmul_of(b, types);
}

enum sy_status bench_grouped(struct bench *b)
{
    enum { KINDS = 3 };
    static const char *const names[KINDS] = {"one dense product", "%u experts, equal", "%u experts, Zipf"};
    const uint32_t experts = bench_given(b->o->experts, 64), each = bench_given(b->o->rows, 64), all = experts * each;
    const uint32_t n = bench_given(b->o->d_ff, 512), k = bench_given(b->o->d_model, 512);
    const enum sy_op_types types = bench_types(b);
    const struct sy_variant *variant;
    SY_TRY(bench_variant(b, SY_OP_matmul, types, b->o->variant, &variant));
    uint32_t *rows = calloc(2 * (size_t)experts, sizeof *rows), left = all;
    if (rows == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    double harmonic = 0.0;
    for (uint32_t e = 0; e < experts; ++e)
        harmonic += 1.0 / (e + 1);
    for (uint32_t e = experts; e-- > 0;) {
        rows[e] = each;
        rows[experts + e] = e == 0 ? left : (uint32_t)(all / harmonic / (e + 1));
        left -= rows[experts + e];
    }
    const uint32_t *loads[KINDS] = {NULL, rows, rows + experts};
    struct product_size size[KINDS];
    struct bench_entrant list[KINDS] = {0};
    struct product products[KINDS];
    enum sy_status status = SY_OK;
    for (int i = 0; i < KINDS && status == SY_OK; ++i) {
        char *what = list[i].figure.what;
        size[i] = (struct product_size){
            .m = all, .n = n, .k = k, .experts = i == 0 ? 1 : experts, .rows = loads[i], .kept = true};
        int length = snprintf(what, sizeof list[i].figure.what, "%u×%u×%u %s, ", all, n, k, bench_types_name(types));
        snprintf(what + length, sizeof list[i].figure.what - (size_t)length, names[i], experts);
        status = product_open(b, types, &size[i], variant, &list[i], &products[i]);
        if (status == SY_OK)
            status = product_check(b, &list[i], &products[i], &size[i]);
    }
    if (status == SY_OK)
        status = bench_contest(b, list, KINDS, names[0]);
    for (int i = 0; i < KINDS; ++i)
        bench_entrant_close(&list[i]);
    free(rows);
    return status;
}
