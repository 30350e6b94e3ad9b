// SPDX-License-Identifier: Apache-2.0
// bench.c: measures: where the time of a step goes, one op in all its variants, matrix products against their rivals.
#include "apps/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char doc[] =
    "Measure: `matmul` compares matrix products with OpenBLAS and CLBlast, `grouped` products of many experts with a "
    "dense one; `copy` the memory, `bandwidth` what ops that compute little reach of that, `transfer` the way from and "
    "to the host; `expert-ffn`, `attention` and `xent` (the "
    "loss over a vocabulary) forward and "
    "backward; `step` shows where the time of a training step goes, op by op; `decode` decoding, greedy or with "
    "--beams; `op` times one "
    "op in every variant the device can run; `ranks`, started by mpirun, what messages between ranks take, and how "
    "much of it the devices' work hides; `rates` and `network` what a device reaches, kernel by kernel, and what two "
    "ranks send each other: for switchyard-plan --rates FILE --network TEXT; `tune` chooses, for the kernels of a "
    "model's training step, the work-groups that are fastest on a GPU, and keeps the choice.\v"
    "Timings on a shared machine are noisy: rivals are measured in turns in one run; medians and ratios are printed, "
    "and "
    "each figure's share of the best rate in the run. GFLOP/s and GB/s count what the ops must compute and move at "
    "least. On a CPU a product's time has the packing of its weights in it. Inputs are random numbers. A wave is a "
    "group of dispatches none of which waits for another.\n\n"
    "`tune` times every setting of each kernel in turns (medians; what is far behind drops out), those that take most "
    "of a step first, until --budget is over, and keeps what it found in the cache folder, for this device, driver and "
    "these kernels; programs read it when they start. It changes speed only: results keep their bits. On a GPU of "
    "which nothing is kept, training, evaluation and generation do a short one (2 s) before their first step; "
    "SY_TUNE=0 switches both off. Without --model it is of a --size product.\n\n"
    "`op` takes the fields of the op's struct in kernels/op_args.h in order; its whole numbers are zeros.\n\n"
    "Examples:\n"
    "  switchyard-bench matmul --device opencl:0 --size 1024\n"
    "  switchyard-bench matmul --device vulkan:0 --size 4096 --dtype bf16 --variant all --json\n"
    "  switchyard-bench op --op relu --args 4096,3072,0,1.0,0,0,0,1,0,0\n"
    "  switchyard-bench grouped --device opencl:0\n"
    "  switchyard-bench expert-ffn --experts 8 --rows 512 --d-model 512 --d-ff 2048 --dtype bf16\n"
    "  switchyard-bench attention --heads 8 --d-kv 64 --src-len 512 --batch 8\n"
    "  switchyard-bench step --model configs/quickstart-switch.json --batch 32\n"
    "  switchyard-bench decode --model configs/bench-small.json --batch 16\n"
    "  switchyard-bench decode --model configs/bench-small.json --batch 4 --beams 4\n"
    "  mpirun -n 2 switchyard-bench ranks --model configs/quickstart-switch.json --batch 8\n"
    "  switchyard-bench rates --model configs/quickstart-switch.json --batch 8 >rates.json\n"
    "  mpirun -n 2 switchyard-bench network\n"
    "  switchyard-bench tune --device vulkan:0 --model configs/quickstart-switch.json --batch 32 --budget 60\n"
    "  switchyard-bench tune --device vulkan:0 --show\n";

enum {
    OPT_SIZE = 256,
    OPT_REPEAT,
    OPT_BATCH,
    OPT_SRC,
    OPT_TGT,
    OPT_VARIANT,
    OPT_OP,
    OPT_ARGS,
    OPT_RIVAL,
    OPT_DTYPE,
    OPT_EXPERTS,
    OPT_ROWS,
    OPT_D_MODEL,
    OPT_D_FF,
    OPT_HEADS,
    OPT_D_KV,
    OPT_VOCAB,
    OPT_BEAMS,
    OPT_CPU_TIME,
    OPT_BUDGET,
    OPT_SHOW,
    OPT_FORGET,
    OPT_JSON
};

static const struct argp_option options[] = {
    CLI_DEVICE_OPTION(0),
    {"size", OPT_SIZE, "N", 0, "matmul, tune: n of an n×n×n product (default 1024)", 0},
    {"dtype", OPT_DTYPE, "TYPE", 0,
     "matmul, tune, grouped, copy, bandwidth, op, expert-ffn, attention, xent: f32, bf16, or bf16-f32, a product of "
     "bf16 in "
     "f32 "
     "(default: "
     "bf16, and matmul and tune f32 too)",
     0},
    {"variant", OPT_VARIANT, "NAME", 0,
     "matmul, grouped, op: this variant only (switchyard-devices --ops); matmul: `all` for every one in turns", 0},
    {"rival", OPT_RIVAL, "NAME", 0, "matmul: beside OpenBLAS or CLBlast alone (default: what is there of both)", 0},
    {"op", OPT_OP, "NAME", 0, "op: which", 0},
    {"args", OPT_ARGS, "A,B,…", 0, "op: its arguments; floats have a point", 0},
    {"experts", OPT_EXPERTS, "N", 0, "grouped, bandwidth (default 64), expert-ffn (8)", 0},
    {"rows", OPT_ROWS, "N", 0, "grouped (64), expert-ffn (512): rows of an expert; xent (1024): rows", 0},
    {"d-model", OPT_D_MODEL, "N", 0, "grouped, bandwidth, expert-ffn, xent: width of a row (512)", 0},
    {"d-ff", OPT_D_FF, "N", 0, "grouped (512), expert-ffn (2048): width inside an expert", 0},
    {"heads", OPT_HEADS, "N", 0, "attention: heads (8)", 0},
    {"d-kv", OPT_D_KV, "N", 0, "attention: width of a head (64)", 0},
    {"vocab", OPT_VOCAB, "N", 0, "xent: words (32128)", 0},
    {"repeat", OPT_REPEAT, "N", 0, "measurements per figure (default 9)", 0},
    CLI_MODEL_OPTION("step, decode, rates, ranks, tune: ", ", or a config.json", 0),
    {"batch", OPT_BATCH, "N", 0, "step, rates, ranks, tune (32), attention (8), decode (16): sequences", 0},
    {"src-len", OPT_SRC, "N", 0, "step, decode, tune (128), attention (512): source length", 0},
    {"tgt-len", OPT_TGT, "N", 0, "step, decode, tune (40): target length", 0},
    {"beams", OPT_BEAMS, "N", 0, "decode: search with so many beams (default: greedy)", 0},
    CLI_PRECISION_OPTION("", 0),
    RANKS_OPTIONS(0),
    {"cpu-time", OPT_CPU_TIME, NULL, 0,
     "time of the processors instead of the clock's, on a CPU: for a machine that others use, and for one thread "
     "(POCL_MAX_PTHREAD_COUNT=1)",
     0},
    {"budget", OPT_BUDGET, "SECONDS", 0, "tune: time for all of it (default 30)", 0},
    {"show", OPT_SHOW, NULL, 0, "tune: measure nothing, print what is kept of the device", 0},
    {"forget", OPT_FORGET, NULL, 0, "tune: measure nothing, remove what is kept of the device", 0},
    {"json", OPT_JSON, NULL, 0, "print JSON", 0},
    {0}};

static const struct {
    const char *name;
    bench_fn *run;
} kinds[] = {{"matmul", bench_matmul},       {"grouped", bench_grouped},   {"copy", bench_copy},
             {"bandwidth", bench_bandwidth}, {"transfer", bench_transfer}, {"expert-ffn", bench_expert_ffn},
             {"attention", bench_attention}, {"xent", bench_xent},         {"op", bench_op},
             {"step", bench_step},           {"decode", bench_decode},     {"rates", bench_rates},
             {"ranks", bench_ranks},         {"network", bench_network},   {"tune", bench_tune}};

static bench_fn *find(const char *name)
{
    for (size_t i = 0; i < SY_COUNT(kinds); ++i)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].run;
    return NULL;
}

static bool is(const struct bench_options *o, const char *what) { return strcmp(o->what, what) == 0; }

static void check(const struct bench_options *o, struct argp_state *state)
{
    if (o->what == NULL || find(o->what) == NULL)
        argp_error(
            state,
            "what is to be measured: matmul, grouped, copy, bandwidth, transfer, expert-ffn, attention, xent, op, "
            "step, decode, rates, ranks, network or tune?");
    if ((is(o, "step") || is(o, "decode") || is(o, "ranks") || is(o, "rates")) && o->common.model == NULL)
        argp_error(state, "%s needs --model", o->what);
    if ((o->show || o->forget || o->budget != 30.0) && !is(o, "tune"))
        argp_error(state, "--budget, --show and --forget are of tune");
    if (o->show && o->forget)
        argp_error(state, "--show or --forget, not both");
    if (o->variant != NULL && !is(o, "matmul") && !is(o, "grouped") && !is(o, "op"))
        argp_error(state, "%s runs the variants that training would; SY_NO_VARIANT switches some off", o->what);
    if (o->dtype != NULL && (is(o, "step") || is(o, "decode") || is(o, "ranks") || is(o, "rates") ||
                             (is(o, "tune") && o->common.model != NULL)))
        argp_error(state, "%s takes --precision, not --dtype", o->what);
    if (o->dtype != NULL && strcmp(o->dtype, "f32") != 0 && strcmp(o->dtype, "bf16") != 0 &&
        (strcmp(o->dtype, "bf16-f32") != 0 || (!is(o, "matmul") && !is(o, "tune"))))
        argp_error(state, "--dtype %s: expected f32 or bf16%s", o->dtype,
                   is(o, "matmul") || is(o, "tune") ? ", or bf16-f32" : "");
    if (o->rival != NULL &&
        (!is(o, "matmul") || (strcmp(o->rival, "OpenBLAS") != 0 && strcmp(o->rival, "CLBlast") != 0)))
        argp_error(state, "--rival is of matmul: OpenBLAS or CLBlast");
    if (o->cpu_time && is(o, "tune"))
        argp_error(state, "tune measures by the device's own clock, without --cpu-time");
    if (o->cpu_time && (is(o, "ranks") || is(o, "network") || is(o, "transfer")))
        argp_error(state, "%s waits more than it computes: --cpu-time says nothing of it", o->what);
    if (o->beams != 0 && !is(o, "decode"))
        argp_error(state, "--beams is of decode");
    if (is(o, "op") && (o->op == NULL || o->args == NULL))
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
    case OPT_EXPERTS: o->experts = cli_count(state, "--experts", arg, 1, 4096, false); break;
    case OPT_ROWS: o->rows = cli_count(state, "--rows", arg, 1, 1u << 20, false); break;
    case OPT_D_MODEL: o->d_model = cli_count(state, "--d-model", arg, 1, 65536, false); break;
    case OPT_D_FF: o->d_ff = cli_count(state, "--d-ff", arg, 1, 65536, false); break;
    case OPT_HEADS: o->heads = cli_count(state, "--heads", arg, 1, 1024, false); break;
    case OPT_D_KV: o->d_kv = cli_count(state, "--d-kv", arg, 1, SY_ATTENTION_MAX_DIM, false); break;
    case OPT_VOCAB: o->vocab = cli_count(state, "--vocab", arg, 1, 1u << 24, false); break;
    case OPT_BEAMS: o->beams = cli_count(state, "--beams", arg, 1, 1024, false); break;
    case OPT_VARIANT: o->variant = cli_text(state, "--variant", arg); break;
    case OPT_OP: o->op = cli_text(state, "--op", arg); break;
    case OPT_ARGS: o->args = cli_text(state, "--args", arg); break;
    case OPT_RIVAL: o->rival = cli_text(state, "--rival", arg); break;
    case OPT_DTYPE: o->dtype = cli_text(state, "--dtype", arg); break;
    case OPT_BUDGET: o->budget = cli_real(state, "--budget", arg, 0.1, 86400.0); break;
    case OPT_SHOW: o->show = true; break;
    case OPT_FORGET: o->forget = true; break;
    case OPT_CPU_TIME: o->cpu_time = true; break;
    case OPT_JSON: o->json = true; break;
    case ARGP_KEY_ARG:
        if (o->what != NULL)
            argp_error(state, "one thing to measure at a time: %s or %s", o->what, arg);
        o->what = arg;
        break;
    case ARGP_KEY_END: check(o, state); break;
    default:
        return cli_common_parse(state, key, arg, &o->common) || ranks_parse(state, key, arg, &o->ranks)
                   ? 0
                   : ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    cli_start();
    struct bench_options o = {
        .ranks = RANKS_NOTHING_GIVEN, .common = CLI_COMMON, .size = 1024, .repeat = 9, .budget = 30.0};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc =
            "matmul|grouped|copy|bandwidth|transfer|expert-ffn|attention|xent|op|step|decode|rates|ranks|network|tune",
        .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct bench b = {.ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-bench", SY_LOG_INFO), .o = &o};
    enum sy_status status = b.ctx == NULL ? SY_NOMEM : SY_OK;
    if (status == SY_OK && (is(&o, "ranks") || is(&o, "network")))
        status = find(o.what)(&b); // each rank opens its own device, or none
    else if (status == SY_OK)
        status = cli_device_open(b.ctx, o.common.device, o.json || is(&o, "rates"), &b.device);
    if (status == SY_OK && b.device != NULL) {
        b.caps = sy_device_caps(b.device);
        b.clock = o.cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
        if (o.cpu_time && !b.caps->software)
            status = sy_fail(b.ctx, SY_INVALID, "%s is no CPU: its work costs no processor time; leave --cpu-time out",
                             b.caps->id);
    }
    if (status == SY_OK && b.device != NULL)
        status = find(o.what)(&b);
    if (status == SY_OK && !is(&o, "tune")) // which has a table of its own
        status = bench_print(&b);
    free(b.figures);
    sy_device_close(&b.device);
    sy_ctx_destroy(&b.ctx);
    return status == SY_OK ? 0 : 1;
}
