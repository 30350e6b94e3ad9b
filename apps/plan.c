// SPDX-License-Identifier: Apache-2.0
// plan.c: parameters, bytes and FLOPs of a training step, from the real planner; a device is only needed to record it.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"
#include "apps/plan_record.h"
#include "apps/plan_show.h"
#include "engine/assemble.h"
#include "engine/runtime.h"

static const char doc[] = "Plan a training step without a device: exact parameters, bytes per arena and FLOPs.\v"
                          "The numbers come from the code that places tensors on a real device, so what is printed is "
                          "what a run allocates. With --device the step is also made ready there: memory allocated, "
                          "kernels compiled, every dispatch checked and recorded, and none submitted.\n\n"
                          "Examples:\n"
                          "  switchyard-plan --model configs/switch-base-128.json --device-memory 24G\n"
                          "  switchyard-plan --model configs/switch-base-128.json --device-binding 128M\n"
                          "  switchyard-plan --model configs/switch-c-2048.json --ranks 2048\n"
                          "  switchyard-plan --model configs/t5-base.json --micro-batches 4 --schedule\n"
                          "  switchyard-plan --model configs/quickstart-switch.json --trace shared.weight\n";

enum {
    OPT_BATCH = 256,
    OPT_SRC,
    OPT_TGT,
    OPT_MEMORY,
    OPT_BINDING,
    OPT_RANKS,
    OPT_CLASS,
    OPT_JSON,
    OPT_RECOMPUTE,
    OPT_MICRO,
    OPT_SLICES,
    OPT_SCHEDULE,
    OPT_TRACE
};

static const struct argp_option options[] = {
    CLI_MODEL_OPTION("", ", or a config.json", 0),
    {"batch", OPT_BATCH, "N", 0, "sequences of one micro-batch (default 8)", 0},
    {"src-len", OPT_SRC, "N", 0, "source length in tokens (default 512)", 0},
    {"tgt-len", OPT_TGT, "N", 0, "target length in tokens (default 114)", 0},
    {"micro-batches", OPT_MICRO, "N", 0, "micro-batches of a step, a power of two (default 1)", 0},
    {"slices", OPT_SLICES, "N", 0, "slices of a step (default: one for each micro-batch)", 0},
    CLI_PRECISION_OPTION("", 0),
    CLI_OPTIMIZER_OPTION(0),
    {"recompute", OPT_RECOMPUTE, NULL, 0, "recompute each block's activations in the backward pass", 0},
    {"class", OPT_CLASS, "NAME", 0, "kernels of a gpu (default) or a cpu device", 0},
    {"device", CLI_DEVICE, "ID", 0, "plan for this device's kernels and limits, and record the step there", 0},
    {"device-memory", OPT_MEMORY, "BYTES", 0, "say whether it fits (suffixes k, M, G)", 0},
    {"device-binding", OPT_BINDING, "BYTES", 0,
     "of an imagined device: what it allocates or binds at once (default: 2^32 elements); larger tensors are cut", 0},
    {"ranks", OPT_RANKS, "N", 0, "experts spread evenly over N ranks, the rest on every rank (default 1)", 0},
    {"schedule", OPT_SCHEDULE, NULL, 0,
     "print a training step, evaluation and decoding from top to bottom: segments and what each waits for", 0},
    {"trace", OPT_TRACE, "TENSOR", 0,
     "print which ops, kernel files, programs and bytes a tensor passes, and its gradient; a name, or a part of names",
     0},
    {"json", OPT_JSON, NULL, 0, "print JSON", 0},
    {0}};

struct options {
    struct cli_common common; ///< device NULL: none
    const char *device_class, *trace;
    uint64_t batch, src_len, tgt_len, memory, binding, ranks, micro, slices;
    bool json, recompute, schedule;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case OPT_BATCH: o->batch = cli_count(state, "--batch", arg, 1, 1u << 20, false); break;
    case OPT_SRC: o->src_len = cli_count(state, "--src-len", arg, 1, 1u << 20, false); break;
    case OPT_TGT: o->tgt_len = cli_count(state, "--tgt-len", arg, 1, 1u << 20, false); break;
    case OPT_MEMORY: o->memory = cli_count(state, "--device-memory", arg, 1, (uint64_t)1 << 60, true); break;
    case OPT_BINDING: o->binding = cli_count(state, "--device-binding", arg, 1u << 10, (uint64_t)1 << 60, true); break;
    case OPT_RANKS: o->ranks = cli_count(state, "--ranks", arg, 1, 1u << 20, false); break;
    case OPT_CLASS:
        if (strcmp(arg, "gpu") != 0 && strcmp(arg, "cpu") != 0)
            argp_error(state, "--class: '%s' is neither gpu nor cpu", arg);
        o->device_class = arg;
        break;
    case OPT_RECOMPUTE: o->recompute = true; break;
    case OPT_MICRO: o->micro = cli_count(state, "--micro-batches", arg, 1, 1u << 20, false); break;
    case OPT_SLICES: o->slices = cli_count(state, "--slices", arg, 1, 1u << 20, false); break;
    case OPT_SCHEDULE: o->schedule = true; break;
    case OPT_TRACE: cli_once(state, "--trace", arg, &o->trace); break;
    case OPT_JSON: o->json = true; break;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); break;
    case ARGP_KEY_END:
        if (o->common.model == NULL)
            argp_error(state, "--model is needed");
        if (o->json && (o->schedule || o->trace != NULL))
            argp_error(state, "--json prints the totals; --schedule and --trace are text");
        if (o->common.device != NULL && o->device_class != NULL)
            argp_error(state, "--class is the device's own where there is a --device");
        if (o->common.device != NULL && o->binding != 0)
            argp_error(state, "--device-binding is the device's own where there is a --device");
        break;
    default: return cli_common_parse(state, key, arg, &o->common) ? 0 : ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/// Totals of one rank. Expert parameters are divided over the ranks (the fullest rank is reported).
struct totals {
    uint64_t parameters, expert_parameters, rank_parameters;
    uint64_t arena[SY_ARENA_COUNT], bytes;
    double forward, backward, update;
    size_t nodes;
    const struct sy_caps *device; ///< NULL without --device.
    struct plan_recorded recorded;
};

/// Of a tensor that may be missing.
static uint64_t bytes_of(const struct sy_graph *g, sy_tid t)
{
    return t == SY_NONE ? 0 : sy_tensor_bytes(sy_graph_tensor(g, t));
}

static void add_up(const struct sy_graph *g, const struct sy_plan *plan, uint64_t ranks, struct totals *t)
{
    memset(t, 0, sizeof *t);
    memcpy(t->arena, plan->arena_bytes, sizeof t->arena);
    t->nodes = sy_graph_node_count(g);
    for (size_t i = 0; i < sy_graph_param_count(g); ++i) {
        const struct sy_param *p = sy_graph_param_at(g, i);
        uint64_t part = (uint64_t)p->rows * p->cols, all = part * p->parts, here = p->parts;
        t->parameters += all;
        if ((p->flags & SY_PARAM_EXPERT) != 0) {
            t->expert_parameters += all;
            here = (p->parts + ranks - 1) / ranks;
            uint64_t away = p->parts - here;
            t->arena[SY_ARENA_PARAMS] -= bytes_of(g, p->master) / p->parts * away;
            if (p->weight != p->master)
                t->arena[SY_ARENA_WEIGHTS] -= bytes_of(g, p->weight) / p->parts * away;
            t->arena[SY_ARENA_PREPARED] -= sy_graph_prepared_bytes(g, p->weight) / p->parts * away;
            t->arena[SY_ARENA_GRADS] -= bytes_of(g, p->grad.total) / p->parts * away;
            for (uint32_t s = 0; s < p->state_count; ++s)
                t->arena[SY_ARENA_STATE] -= bytes_of(g, p->state[s]) / p->parts * away;
        }
        t->rank_parameters += part * here;
    }
    for (int a = 0; a < SY_ARENA_COUNT; ++a)
        t->bytes += t->arena[a];
    for (size_t i = 0; i < sy_graph_node_count(g); ++i) {
        const struct sy_node *n = sy_graph_node(g, i);
        const struct sy_op_impl *impl = sy_op_info(n->op)->impl;
        double f = impl->flops(n->args);
        *(n->phase == SY_PHASE_UPDATE ? &t->update : n->backward ? &t->backward : &t->forward) += f;
    }
}

static void print_text(const struct options *o, const struct sy_config *c, const struct totals *t)
{
    char a[16], b[16], d[16];
    double tokens = (double)o->batch * (double)(o->src_len + o->tgt_len);
    printf("parameters          %llu", (unsigned long long)t->parameters);
    cli_human((double)t->parameters, a);
    printf(" (%s", a);
    if (t->expert_parameters != 0) {
        cli_human((double)t->expert_parameters, a);
        printf(", %s of them in %u experts a layer", a, c->experts);
    }
    printf(")\n");
    if (o->ranks > 1)
        printf("on each rank        %llu, experts over %llu ranks\n", (unsigned long long)t->rank_parameters,
               (unsigned long long)o->ranks);
    printf("one step            %llu sequences of %llu -> %llu tokens, %zu ops, %s, %s\n", (unsigned long long)o->batch,
           (unsigned long long)o->src_len, (unsigned long long)o->tgt_len, t->nodes,
           cli_precision_name(o->common.precision), cli_optimizer_name(o->common.optimizer));
    for (int i = 0; i < SY_ARENA_COUNT; ++i)
        printf("  %-18s%14llu bytes  %9.2f GiB\n", sy_arena_name((enum sy_arena)i), (unsigned long long)t->arena[i],
               (double)t->arena[i] / 0x1p30);
    printf("  %-18s%14llu bytes  %9.2f GiB\n", "total", (unsigned long long)t->bytes, (double)t->bytes / 0x1p30);
    cli_human(t->forward, a);
    cli_human(t->backward, b);
    cli_human(t->update, d);
    printf("FLOPs               forward %s, backward %s, update %s\n", a, b, d);
    cli_human(t->forward / tokens, a);
    cli_human(t->forward / (double)o->batch, b);
    printf("                    forward per token %s, per sequence %s\n", a, b);
    if (t->device != NULL)
        printf("recorded on         %s %s: %zu dispatches of %zu kernels, %llu bytes allocated; none was run\n",
               t->device->id, t->device->name, t->recorded.dispatches, t->recorded.kernels,
               (unsigned long long)t->recorded.bytes);
    if (o->memory != 0)
        printf("%.2f GiB of device memory: %s\n", (double)o->memory / 0x1p30,
               t->bytes <= o->memory ? "it fits"
                                     : "it does NOT fit; try a smaller --batch, --recompute or more --ranks");
}

static enum sy_status print_json(struct sy_ctx *ctx, const struct options *o, const struct totals *t)
{
    json_t *arenas = json_object();
    for (int i = 0; i < SY_ARENA_COUNT; ++i)
        json_object_set_new(arenas, sy_arena_name((enum sy_arena)i), json_integer((json_int_t)t->arena[i]));
    json_t *j = json_pack("{s:I, s:I, s:I, s:I, s:o, s:I, s:f, s:f, s:f, s:I}", "parameters", (json_int_t)t->parameters,
                          "expert_parameters", (json_int_t)t->expert_parameters, "rank_parameters",
                          (json_int_t)t->rank_parameters, "ranks", (json_int_t)o->ranks, "arena_bytes", arenas,
                          "total_bytes", (json_int_t)t->bytes, "flops_forward", t->forward, "flops_backward",
                          t->backward, "flops_update", t->update, "ops", (json_int_t)t->nodes);
    if (j == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (o->memory != 0)
        json_object_set_new(j, "fits", json_boolean(t->bytes <= o->memory));
    if (t->device != NULL)
        json_object_set_new(j, "recorded",
                            json_pack("{s:s, s:s, s:I, s:I, s:I}", "device", t->device->id, "name", t->device->name,
                                      "dispatches", (json_int_t)t->recorded.dispatches, "kernels",
                                      (json_int_t)t->recorded.kernels, "bytes", (json_int_t)t->recorded.bytes));
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(j);
    return SY_OK;
}

static struct sy_caps caps_of(const struct options *o, const struct sy_device *device)
{
    if (device != NULL)
        return *sy_device_caps(device);
    const bool cpu = o->device_class != NULL && strcmp(o->device_class, "cpu") == 0;
    struct sy_caps caps = sy_caps_imagined(cpu ? SY_CLASS_CPU : SY_CLASS_SIMT);
    caps.max_alloc_bytes = caps.max_binding_bytes = o->binding;
    return caps;
}

/// What was asked for: the step, one tensor, or the totals.
static enum sy_status show(struct sy_ctx *ctx, const struct options *o, const struct sy_config *config,
                           const struct sy_graph *g, const struct sy_model *m, const struct sy_loss *loss,
                           const struct totals *t)
{
    if (o->trace != NULL)
        return plan_show_trace(ctx, g, o->trace);
    if (o->schedule)
        return plan_show_schedule(g, m, loss, SY_SESSION_TRAIN);
    if (o->json)
        return print_json(ctx, o, t);
    print_text(o, config, t);
    return SY_OK;
}

/// Evaluation, or decoding, of the same sizes.
static enum sy_status show_other(struct sy_ctx *ctx, const struct sy_caps *caps, const struct sy_limits *limits,
                                 struct sy_session_params p, enum sy_session_kind kind, struct sy_model *m)
{
    struct sy_graph *g = NULL;
    struct sy_optimizer_outputs out;
    struct sy_loss loss;
    struct sy_plan made;
    p.kind = kind;
    p.micro_count = p.slices = 1;
    enum sy_status status = sy_assemble(ctx, caps, &p, &g, m, &loss, &out);
    if (status == SY_OK)
        status = sy_plan_create(g, limits, &made);
    if (status == SY_OK) {
        sy_plan_finish(&made);
        status = plan_show_schedule(g, m, kind == SY_SESSION_DECODE ? NULL : &loss, kind);
    }
    sy_graph_destroy(&g);
    return status;
}

/// `device` is NULL without --device.
static enum sy_status plan(struct sy_ctx *ctx, const struct options *o, struct sy_device *device,
                           struct cli_model *model, struct sy_graph **graph, struct sy_model *m)
{
    struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                  .config = &model->config,
                                  .precision = o->common.precision,
                                  .optimizer = {.kind = o->common.optimizer},
                                  .batch = (uint32_t)o->batch,
                                  .src_len = (uint32_t)o->src_len,
                                  .tgt_len = (uint32_t)o->tgt_len,
                                  .micro_count = (uint32_t)o->micro,
                                  .slices = (uint32_t)o->slices,
                                  .recompute = o->recompute};
    SY_TRY(cli_model_open(ctx, o->common.model, CLI_WEIGHTS_IF_ANY, model));
    const struct sy_caps caps = caps_of(o, device);
    struct sy_optimizer_outputs out;
    struct sy_loss loss;
    SY_TRY(sy_assemble(ctx, &caps, &p, graph, m, &loss, &out));
    struct sy_graph *g = *graph;
    struct sy_plan made;
    const struct sy_limits limits = sy_runtime_limits(&caps, false);
    SY_TRY(sy_plan_create(g, &limits, &made));
    struct totals t;
    add_up(g, &made, o->ranks, &t);
    sy_plan_finish(&made);
    if (device != NULL) {
        t.device = sy_device_caps(device);
        SY_TRY(plan_record(ctx, device, &p, &t.recorded));
    }
    SY_TRY(show(ctx, o, &model->config, g, m, &loss, &t));
    if (!o->schedule)
        return SY_OK;
    SY_TRY(show_other(ctx, &caps, &limits, p, SY_SESSION_EVAL, m));
    return show_other(ctx, &caps, &limits, p, SY_SESSION_DECODE, m);
}

int main(int argc, char **argv)
{
    cli_start();
    struct options o = {.common = {.precision = SY_PRECISION_SELECTIVE},
                        .batch = 8,
                        .src_len = sy_task_spans.src_len,
                        .tgt_len = sy_task_spans.tgt_len,
                        .ranks = 1};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-plan", SY_LOG_INFO);
    struct cli_model model = {0};
    struct sy_graph *g = NULL;
    struct sy_device *device = NULL;
    struct sy_model *m = calloc(1, sizeof *m);
    enum sy_status status = ctx != NULL && m != NULL ? SY_OK : SY_NOMEM;
    if (status == SY_OK && o.common.device != NULL) {
        cli_drivers_prepare(ctx);
        status = sy_device_open(ctx, o.common.device, &device);
    }
    if (status == SY_OK)
        status = plan(ctx, &o, device, &model, &g, m);
    free(m);
    sy_graph_destroy(&g);
    cli_model_close(&model);
    if (device != NULL)
        sy_device_close(&device);
    sy_ctx_destroy(&ctx);
    return status == SY_OK ? 0 : 1;
}
