// SPDX-License-Identifier: Apache-2.0
// bench.c: measures: where the time of a step goes, one op in all its variants, matrix products against their rivals.
#include "apps/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char doc[] =
    "Measure: `step` shows where the time of a training step goes, op by op; `op` times one op in every variant the "
    "device can run; `matmul` compares matrix products with OpenBLAS and CLBlast, `grouped` products of many experts "
    "with a dense one.\v"
    "Timings on a shared machine are noisy: rivals are measured in turns in one run; medians and ratios are printed. "
    "GFLOP/s and GB/s count what the op must compute and move at least. A wave is a group of dispatches none of which "
    "waits for another.\n\n"
    "`op` takes the fields of the op's struct in kernels/op_args.h in order; its inputs are zeros.\n\n"
    "Examples:\n"
    "  switchyard-bench matmul --device opencl:0 --size 1024\n"
    "  switchyard-bench matmul --device opencl:0 --variant base\n"
    "  switchyard-bench op --op relu --args 4096,3072,0,1.0,0,0,0,1\n"
    "  switchyard-bench grouped --device opencl:0\n"
    "  switchyard-bench step --model configs/quickstart-switch.json --batch 32\n";

enum { OPT_SIZE = 256, OPT_REPEAT, OPT_BATCH, OPT_SRC, OPT_TGT, OPT_VARIANT, OPT_OP, OPT_ARGS };

static const struct argp_option options[] = {
    CLI_DEVICE_OPTION(0),
    {"size", OPT_SIZE, "N", 0, "matmul: n of an n×n×n product (default 1024)", 0},
    {"variant", OPT_VARIANT, "NAME", 0, "matmul, grouped, op: this variant only (switchyard-devices --ops)", 0},
    {"op", OPT_OP, "NAME", 0, "op: which", 0},
    {"args", OPT_ARGS, "A,B,…", 0, "op: its arguments; floats have a point", 0},
    {"repeat", OPT_REPEAT, "N", 0, "measurements per figure (default 9)", 0},
    CLI_MODEL_OPTION("step: ", ", or a config.json", 0),
    {"batch", OPT_BATCH, "N", 0, "step: sequences (default 32)", 0},
    {"src-len", OPT_SRC, "N", 0, "step: source length (default 128)", 0},
    {"tgt-len", OPT_TGT, "N", 0, "step: target length (default 40)", 0},
    CLI_PRECISION_OPTION("", 0),
    {0}};

typedef enum sy_status bench_fn(struct sy_ctx *, struct sy_device *, const struct bench_options *, enum sy_precision);

/// f32 first, then what was asked for.
static enum sy_status both_matmuls(struct sy_ctx *ctx, struct sy_device *device, const struct bench_options *o,
                                   enum sy_precision precision)
{
    SY_TRY(bench_matmul(ctx, device, o, SY_PRECISION_F32));
    return precision == SY_PRECISION_F32 ? SY_OK : bench_matmul(ctx, device, o, precision);
}

static const struct {
    const char *name;
    bench_fn *run;
} kinds[] = {{"matmul", both_matmuls}, {"grouped", bench_grouped}, {"op", bench_op}, {"step", bench_step}};

static bench_fn *find(const char *name)
{
    for (size_t i = 0; i < SY_COUNT(kinds); ++i)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].run;
    return NULL;
}

static void check(const struct bench_options *o, struct argp_state *state)
{
    if (o->what == NULL || find(o->what) == NULL)
        argp_error(state, "what is to be measured: matmul, grouped, op or step?");
    const bool step = strcmp(o->what, "step") == 0, op = strcmp(o->what, "op") == 0;
    if (step && o->common.model == NULL)
        argp_error(state, "step needs --model");
    if (step && o->variant != NULL)
        argp_error(state, "step runs the variants that training would; SY_NO_VARIANT switches some off");
    if (op && (o->op == NULL || o->args == NULL))
        argp_error(state, "op needs --op and --args");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct bench_options *o = state->input;
    switch (key) {
    case OPT_SIZE: o->size = cli_count(state, "--size", arg, 1, 16384, false); break;
    case OPT_REPEAT: o->repeat = cli_count(state, "--repeat", arg, 1, 1000, false); break;
    case OPT_BATCH: o->batch = cli_count(state, "--batch", arg, 1, 1u << 20, false); break;
    case OPT_SRC: o->src_len = cli_count(state, "--src-len", arg, 2, 1u << 20, false); break;
    case OPT_TGT: o->tgt_len = cli_count(state, "--tgt-len", arg, 2, 1u << 20, false); break;
    case OPT_VARIANT: o->variant = cli_text(state, "--variant", arg); break;
    case OPT_OP: o->op = cli_text(state, "--op", arg); break;
    case OPT_ARGS: o->args = cli_text(state, "--args", arg); break;
    case ARGP_KEY_ARG:
        if (o->what != NULL)
            argp_error(state, "one of matmul, grouped, op and step at a time");
        o->what = arg;
        break;
    case ARGP_KEY_END: check(o, state); break;
    default: return cli_common_parse(state, key, arg, &o->common) ? 0 : ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return n % 2 != 0 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

enum sy_status bench_variant(struct sy_ctx *ctx, enum sy_op_id op, enum sy_op_types types, const struct sy_caps *caps,
                             const char *name, const struct sy_variant **out)
{
    if (name == NULL)
        return sy_variant_choose(ctx, op, types, caps, out);
    const struct sy_variant *v = sy_variant_find(op, name);
    if (v == NULL) {
        char known[256] = "";
        while ((v = sy_variant_next(op, v)) != NULL)
            snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", known[0] != '\0' ? ", " : "",
                     v->name);
        return sy_fail(ctx, SY_INVALID, "--variant: %s has no variant \"%s\"; it has %s", sy_op_info(op)->name, name,
                       known);
    }
    const char *missing = sy_variant_missing(v, types, caps);
    if (missing != NULL)
        return sy_fail(ctx, SY_INVALID, "variant %s of %s cannot run on %s: it %s", name, sy_op_info(op)->name,
                       caps->id, missing);
    *out = v;
    return SY_OK;
}

enum sy_status bench_run(struct sy_runtime *runtime, double *out)
{
    const double from = cli_seconds();
    SY_TRY(sy_runtime_run(runtime, SY_PHASE_MICRO));
    SY_TRY(sy_device_wait(sy_runtime_device(runtime)));
    *out = cli_seconds() - from;
    return SY_OK;
}

int main(int argc, char **argv)
{
    cli_start();
    struct bench_options o = {
        .common = CLI_COMMON, .size = 1024, .repeat = 9, .batch = 32, .src_len = 128, .tgt_len = 40};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .args_doc = "matmul|grouped|op|step", .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-bench", SY_LOG_INFO);
    struct sy_device *device = NULL;
    enum sy_status status = ctx == NULL ? SY_NOMEM : SY_OK;
    if (status == SY_OK)
        status = cli_device_open(ctx, o.common.device, false, &device);
    if (status == SY_OK)
        status = find(o.what)(ctx, device, &o, o.common.precision);
    sy_device_close(&device);
    sy_ctx_destroy(&ctx);
    return status == SY_OK ? 0 : 1;
}
