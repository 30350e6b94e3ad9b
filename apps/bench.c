// SPDX-License-Identifier: Apache-2.0
// bench.c: where the time of a step goes, and matrix products against OpenBLAS and CLBlast in the same run.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"
#include "apps/bench_blas.h"
#include "engine/lower.h"

static const char doc[] =
    "Measure: `step` shows where the time of a training step goes, op by op; `matmul` compares matrix products with "
    "OpenBLAS and CLBlast.\v"
    "Timings on a shared machine are noisy: rivals are measured in turns in one run; medians and ratios are "
    "printed.\n\n"
    "Examples:\n"
    "  switchyard-bench matmul --device opencl:0 --size 1024\n"
    "  switchyard-bench grouped --device opencl:0\n"
    "  switchyard-bench step --model configs/quickstart-switch.json --batch 32\n";

enum { OPT_DEVICE = 256, OPT_SIZE, OPT_REPEAT, OPT_MODEL, OPT_BATCH, OPT_SRC, OPT_TGT, OPT_PRECISION };

static const struct argp_option options[] = {
    {"device", OPT_DEVICE, "ID", 0, "auto (default), opencl:0, …", 0},
    {"size", OPT_SIZE, "N", 0, "matmul: n of an n×n×n product (default 1024)", 0},
    {"repeat", OPT_REPEAT, "N", 0, "measurements per figure (default 9)", 0},
    {"model", OPT_MODEL, "PATH", 0, "step: a config.json", 0},
    {"batch", OPT_BATCH, "N", 0, "step: sequences (default 32)", 0},
    {"src-len", OPT_SRC, "N", 0, "step: source length (default 128)", 0},
    {"tgt-len", OPT_TGT, "N", 0, "step: target length (default 40)", 0},
    {"precision", OPT_PRECISION, "NAME", 0, "selective (default), f32 or bf16", 0},
    {0}};

struct options {
    const char *what, *device, *model, *precision;
    uint64_t size, repeat, batch, src_len, tgt_len;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case OPT_DEVICE: o->device = cli_text(state, "--device", arg); break;
    case OPT_SIZE: o->size = cli_count(state, "--size", arg, 1, 16384, false); break;
    case OPT_REPEAT: o->repeat = cli_count(state, "--repeat", arg, 1, 1000, false); break;
    case OPT_MODEL: cli_once(state, "--model", arg, &o->model); break;
    case OPT_BATCH: o->batch = cli_count(state, "--batch", arg, 1, 1u << 20, false); break;
    case OPT_SRC: o->src_len = cli_count(state, "--src-len", arg, 2, 1u << 20, false); break;
    case OPT_TGT: o->tgt_len = cli_count(state, "--tgt-len", arg, 2, 1u << 20, false); break;
    case OPT_PRECISION: o->precision = cli_text(state, "--precision", arg); break;
    case ARGP_KEY_ARG:
        if (o->what != NULL)
            argp_error(state, "one of matmul, grouped and step at a time");
        o->what = arg;
        break;
    case ARGP_KEY_END:
        if (o->what == NULL ||
            (strcmp(o->what, "matmul") != 0 && strcmp(o->what, "grouped") != 0 && strcmp(o->what, "step") != 0))
            argp_error(state, "what is to be measured: matmul, grouped or step?");
        if (strcmp(o->what, "step") == 0 && o->model == NULL)
            argp_error(state, "step needs --model");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return n % 2 != 0 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/// A graph of one product c [m,n] = a [m,k] · Bᵀ with `experts` of b [n,k], ready to run.
struct product {
    struct sy_graph graph;
    struct sy_runtime runtime;
    sy_tid a, b, c;
};

static enum sy_status product_open(struct sy_ctx *ctx, struct sy_device *device, enum sy_precision precision,
                                   uint32_t m, uint32_t n, uint32_t k, uint32_t experts, const uint32_t *rows,
                                   struct product *p)
{
    struct sy_graph *g = &p->graph;
    sy_graph_init(g, ctx, precision, sy_device_caps(device)->device_class);
    p->a = sy_tensor_new(g, SY_KIND_KEEP, g->t, m, k, 1, "a");
    p->b = sy_tensor_new(g, SY_KIND_KEEP, g->t, experts, n, k, "b");
    p->c = sy_tensor_new(g, SY_KIND_KEEP, g->t, m, n, 1, "c");
    struct sy_matmul_args args = {
        .m = m, .n = n, .k = k, .experts = experts, .bt = 1, .alpha = 1.0f, .tile_rows = g->tile_rows};
    args.tiles = (u32)sy_ceil_div(m, g->tile_rows) + (experts > 1 ? experts : 0);
    sy_tid tiles = SY_NONE;
    if (experts > 1) {
        int32_t *off = calloc(experts + 1, sizeof *off);
        if (off == NULL)
            return sy_fail(ctx, SY_NOMEM, "out of host memory");
        for (uint32_t e = 0; e < experts; ++e)
            off[e + 1] = off[e] + (int32_t)rows[e];
        sy_tid offsets = sy_tensor_const(g, SY_I32, experts + 1, off, "off");
        free(off);
        tiles = sy_act_i(g, args.tiles, 4, "tiles");
        struct sy_route_tiles_args t = {.experts = experts, .tile_rows = g->tile_rows, .tiles = args.tiles};
        SY_EMIT(g, route_tiles, &t, offsets, tiles);
    }
    SY_EMIT(g, matmul, &args, p->a, p->b, tiles, p->c);
    sy_lower(g);
    SY_TRY(sy_graph_status(g));
    return sy_runtime_create(device, g, NULL, &p->runtime);
}

static void product_close(struct product *p)
{
    if (p->runtime.device != NULL)
        sy_runtime_finish(&p->runtime);
    sy_graph_finish(&p->graph);
}

/// Seconds of one run, packing included.
static enum sy_status product_time(struct product *p, struct sy_device *device, double *out)
{
    double from = cli_seconds();
    SY_TRY(sy_runtime_run(&p->runtime, SY_PHASE_MICRO, false));
    SY_TRY(sy_device_wait(device));
    *out = cli_seconds() - from;
    return SY_OK;
}

/// One line about a rival: `times` are its seconds, `ours` our median. Nothing is known of a rival that is not there.
static void print_rival(const char *name, const char *package, double flops, double ours, double *times, uint64_t count)
{
    double theirs = median(times, count);
    if (theirs > 0.0)
        printf("%s in the same run: %.1f GFLOP/s; ratio %.2f (medians of %llu)\n", name, flops / theirs / 1e9,
               theirs / ours, (unsigned long long)count);
    else
        printf("%s: not in this run (%s)\n", name, package);
}

/// Our product and the rivals' in turns, so that noise hits all; `times` holds three rows of `repeat` seconds.
static enum sy_status matmul_turns(struct sy_device *device, const struct options *o, struct product *p,
                                   struct bench_clblast *clblast, double *times)
{
    double warm;
    SY_TRY(product_time(p, device, &warm));
    for (uint64_t i = 0; i < o->repeat; ++i) {
        SY_TRY(product_time(p, device, &times[i]));
        times[o->repeat + i] = bench_blas_seconds((uint32_t)o->size);
        times[2 * o->repeat + i] = clblast != NULL ? bench_clblast_seconds(clblast) : 0.0;
    }
    return SY_OK;
}

static enum sy_status bench_matmul(struct sy_ctx *ctx, struct sy_device *device, const struct options *o,
                                   enum sy_precision precision)
{
    struct product p = {0};
    struct bench_clblast *clblast = NULL;
    uint32_t n = (uint32_t)o->size;
    const struct sy_caps *caps = sy_device_caps(device);
    double *times = calloc(3 * o->repeat, sizeof *times);
    enum sy_status status = times == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory")
                                          : product_open(ctx, device, precision, n, n, n, 1, NULL, &p);
    if (status == SY_OK && bench_clblast_open(ctx, caps, n, &clblast) != SY_OK)
        printf("CLBlast: %s\n", sy_error(ctx)); // a broken rival is no reason not to measure
    if (status == SY_OK)
        status = matmul_turns(device, o, &p, clblast, times);
    if (status == SY_OK) {
        double flops = 2.0 * n * n * n, ours = median(times, o->repeat);
        printf("%u×%u×%u %s on %s: %.1f GFLOP/s, packing included\n", n, n, n, cli_precision_name(precision), caps->id,
               flops / ours / 1e9);
        print_rival("OpenBLAS sgemm", "libopenblas-dev", flops, ours, times + o->repeat, o->repeat);
        print_rival("CLBlast sgemm", "libclblast-dev; OpenCL devices only", flops, ours, times + 2 * o->repeat,
                    o->repeat);
    }
    bench_clblast_close(&clblast);
    product_close(&p);
    free(times);
    return status;
}

static enum sy_status bench_grouped(struct sy_ctx *ctx, struct sy_device *device, const struct options *o,
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
        status = product_open(ctx, device, precision, ROWS, N, K, i == 0 ? 1 : EXPERTS, sizes[i], &p[i]);
        if (status == SY_OK)
            status = product_time(&p[i], device, &warm);
    }
    for (uint64_t r = 0; r < o->repeat && status == SY_OK; ++r)
        for (int i = 0; i < KINDS && status == SY_OK; ++i)
            status = product_time(&p[i], device, &times[i * o->repeat + r]);
    double dense = status == SY_OK ? median(times, o->repeat) : 0.0;
    for (int i = 0; i < KINDS && status == SY_OK; ++i) {
        double t = median(times + i * o->repeat, o->repeat);
        printf("%-20s %7.1f GFLOP/s, packing all weights included; %.2f of the dense product\n", names[i],
               2.0 * ROWS * N * K / t / 1e9, dense / t);
    }
    for (int i = 0; i < KINDS; ++i)
        product_close(&p[i]);
    free(times);
    return status;
}

static enum sy_status fill_batch(struct sy_ctx *ctx, const struct sy_session_params *p, uint32_t vocab,
                                 struct sy_batch *b)
{
    SY_TRY(sy_batch_resize(ctx, p->batch, p->src_len, p->tgt_len, 0, b));
    for (uint32_t i = 0; i < p->batch * p->src_len; ++i) {
        b->input_ids[i] = (int32_t)((i * 2654435761u >> 7) % vocab);
        b->attention_mask[i] = 1;
    }
    for (uint32_t i = 0; i < p->batch * p->tgt_len; ++i)
        b->labels[i] = (int32_t)((i * 2246822519u >> 7) % vocab);
    return SY_OK;
}

struct op_time {
    enum sy_op_id op;
    double ms, flops;
    unsigned count;
};

static int slowest_first(const void *a, const void *b)
{
    double x = ((const struct op_time *)a)->ms, y = ((const struct op_time *)b)->ms;
    return (x < y) - (x > y);
}

static enum sy_status profile_phase(struct sy_session *s, enum sy_phase phase, const char *name)
{
    size_t count = s->runtime.dispatch_count[phase], k = 0;
    uint64_t *ns = calloc(count + 1, sizeof *ns);
    struct op_time ops[SY_OP_COUNT] = {0};
    double total = 0.0;
    if (ns == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    enum sy_status status = sy_program_profile(s->runtime.programs[phase], ns);
    for (size_t i = 0; i < s->graph.node_count && status == SY_OK; ++i) {
        const struct sy_node *n = &s->graph.nodes[i];
        const struct sy_op_impl *impl = sy_op_info(n->op)->impl;
        struct sy_knobs knobs = sy_op_knobs(n->op, sy_device_caps(s->device));
        if (n->phase != phase || impl->groups(n->args, &knobs) == 0)
            continue;
        ops[n->op].op = n->op;
        ops[n->op].ms += (double)ns[k] / 1e6;
        ops[n->op].flops += impl->flops != NULL ? impl->flops(n->args) : 0.0;
        ops[n->op].count++;
        total += (double)ns[k++] / 1e6;
    }
    free(ns);
    SY_TRY(status);
    qsort(ops, SY_OP_COUNT, sizeof *ops, slowest_first);
    printf("%s: %zu dispatches, %.2f ms on the device\n", name, count, total);
    for (size_t i = 0; i < SY_OP_COUNT && ops[i].count != 0; ++i)
        printf("  %-18s %5u times %9.3f ms %5.1f %% %8.1f GFLOP/s\n", sy_op_info(ops[i].op)->name, ops[i].count,
               ops[i].ms, 100.0 * ops[i].ms / total, ops[i].flops / ops[i].ms / 1e6);
    return SY_OK;
}

static enum sy_status bench_step(struct sy_ctx *ctx, struct sy_device *device, const struct options *o,
                                 enum sy_precision precision)
{
    struct cli_model model;
    struct sy_session *s = NULL;
    struct sy_batch batch = {0};
    struct sy_metrics m;
    double *times = calloc(o->repeat, sizeof *times);
    if (times == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    SY_TRY(cli_model_open(ctx, o->model, false, &model));
    struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                  .config = &model.config,
                                  .precision = precision,
                                  .batch = (uint32_t)o->batch,
                                  .src_len = (uint32_t)o->src_len,
                                  .tgt_len = (uint32_t)o->tgt_len};
    enum sy_status status = sy_session_create(ctx, device, &p, &s);
    if (status == SY_OK)
        status = sy_weights_init(&s->runtime, 0);
    if (status == SY_OK)
        status = fill_batch(ctx, &p, model.config.vocab_size, &batch);
    for (uint64_t i = 0; i <= o->repeat && status == SY_OK; ++i) { // the first one compiles and warms up
        double from = cli_seconds();
        status = sy_session_step(s, &batch, 1, i + 1, 0.001, 0, &m);
        if (i != 0)
            times[i - 1] = cli_seconds() - from;
    }
    if (status == SY_OK) {
        double t = median(times, o->repeat);
        printf("one step: %.1f ms (median of %llu), %.0f tokens/s\n", 1e3 * t, (unsigned long long)o->repeat,
               (double)m.tokens / t);
        status = profile_phase(s, SY_PHASE_MICRO, "forward and backward");
    }
    if (status == SY_OK)
        status = profile_phase(s, SY_PHASE_UPDATE, "update");
    sy_batch_finish(&batch);
    sy_session_destroy(&s);
    cli_model_close(&model);
    free(times);
    return status;
}

int main(int argc, char **argv)
{
    cli_start();
    struct options o = {.device = "auto",
                        .precision = "selective",
                        .size = 1024,
                        .repeat = 9,
                        .batch = 32,
                        .src_len = 128,
                        .tgt_len = 40};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .args_doc = "matmul|grouped|step", .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-bench", SY_LOG_INFO);
    struct sy_device *device = NULL;
    enum sy_precision precision;
    enum sy_status status = ctx == NULL ? SY_NOMEM : cli_precision(ctx, o.precision, &precision);
    if (status == SY_OK)
        status = sy_device_open(ctx, o.device, &device);
    if (status == SY_OK && strcmp(o.what, "matmul") == 0) {
        status = bench_matmul(ctx, device, &o, SY_PRECISION_F32);
        if (status == SY_OK && precision != SY_PRECISION_F32)
            status = bench_matmul(ctx, device, &o, precision);
    } else if (status == SY_OK) {
        status = strcmp(o.what, "grouped") == 0 ? bench_grouped(ctx, device, &o, precision)
                                                : bench_step(ctx, device, &o, precision);
    }
    sy_device_close(&device);
    sy_ctx_destroy(&ctx);
    return status == SY_OK ? 0 : 1;
}
