// SPDX-License-Identifier: Apache-2.0
// plan.c: parameters, bytes and FLOPs of a training step, from the real planner; a device is only needed to record it.
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apps/cli.h"
#include "apps/plan_pairs.h"
#include "apps/plan_record.h"
#include "apps/plan_shares.h"
#include "apps/plan_show.h"
#include "apps/plan_step.h"
#include "apps/share.h"
#include "engine/runtime.h"

static const char doc[] =
    "Plan a training step without a device: exact parameters, bytes per arena and FLOPs; of one rank of several, too, "
    "without MPI: what it sends, how long a step takes, and which layout is best.\v"
    "The numbers come from the code that places tensors on a real device, so what is printed is what a run allocates. "
    "With --device the step is also made ready there: memory allocated, kernels compiled, every dispatch checked and "
    "recorded, and none submitted.\n\n"
    "With --ranks the plan is that of rank 0, which has no fewer experts than any other; who updates most is named. "
    "Sizes are those of a rank, "
    "but "
    "--slices is of the whole step, as in training. Bytes between ranks are given for even loads of the experts, and "
    "at most. --rates and --network make a time of it: each op takes the longer of its arithmetic and its memory "
    "traffic, each message a latency for every rank that it goes to and the time of its bytes, to and from the device "
    "too; messages travel while the device works, and the host's own work is left out. A file of measured rates has "
    "one "
    "for each kernel; of a CPU it knows the processors, which ranks of one machine share.\n\n"
    "Quantities have units: 10us, 12.5GB/s, 200Gb/s (bits), 150TFLOP/s.\n\n"
    "Examples:\n"
    "  switchyard-plan --model configs/switch-base-128.json --device-memory 24G\n"
    "  switchyard-plan --model configs/switch-base-128.json --device-binding 128M\n"
    "  switchyard-plan --model configs/switch-base-128.json --layout 2x64 --batch 16 --tgt-len 512\n"
    "  switchyard-plan --model configs/switch-base-128.json --ranks 64 --batch 16 --tgt-len 512 --device-memory 80G "
    "\\\n"
    "    --rates 150TFLOP/s,1.5TB/s,20GB/s --network 5us,200Gb/s,8,2us,20GB/s\n"
    "  switchyard-plan --model configs/t5-base.json --micro-batches 4 --schedule\n"
    "  switchyard-plan --model configs/quickstart-switch.json --pairs train.tsv --task configs/tasks/sst2.json\n"
    "  switchyard-plan --model configs/quickstart-switch.json --trace shared.weight\n";

enum {
    OPT_BATCH = 256,
    OPT_SRC,
    OPT_TGT,
    OPT_MEMORY,
    OPT_BINDING,
    OPT_RANKS,
    OPT_LAYOUT,
    OPT_RANK,
    OPT_SHARE,
    OPT_RATES,
    OPT_NETWORK,
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
    {"ranks", OPT_RANKS, "R", 0,
     "plan a rank of R, a power of two (default 1): as many on the expert axis as there are experts, the rest on the "
     "data axis; with --network the fastest layout, with the model axis too",
     0},
    {"layout", OPT_LAYOUT, "DxE[xM]", 0,
     "D data x E expert ranks instead, as --data-parallel and --expert-parallel; DxExM: each of them M, as "
     "--model-parallel",
     0},
    {"rank", OPT_RANK, "N", 0, "plan this rank (default 0)", 0},
    {"share", OPT_SHARE, "E1,E2,…[/D1,…]", 0,
     "with --layout: shares of the experts, and of the sequences, as in training; a line for each rank. Of the D times "
     "--micro-batches of a step each of the D groups gets its share",
     0},
    {"rates", OPT_RATES, "FLOPS,MEMORY[,LINK]|FILE", 0,
     "time of a step on devices that reach so many FLOP/s, B/s of their memory and B/s from and to the host (default: "
     "as memory), or what `switchyard-bench rates` measured and printed",
     0},
    {"network", OPT_NETWORK, "SECONDS,B/s[,RANKS,SECONDS,B/s]", 0,
     "between machines: latency of a message and a machine's B/s, which its RANKS share (default 1); inside a machine: "
     "latency, and a rank's B/s",
     0},
    {"schedule", OPT_SCHEDULE, NULL, 0,
     "print a training step, evaluation and decoding from top to bottom: segments, what each waits for, with --rates "
     "what each takes",
     0},
    {"trace", OPT_TRACE, "TENSOR", 0,
     "print which ops, kernel files, programs and bytes a tensor passes, and its gradient; a name, or a part of names",
     0},
    {"json", OPT_JSON, NULL, 0, "print JSON", 0},
    {NULL, 0, NULL, 0, "Rows of a table:", 1},
    PLAN_PAIRS_OPTIONS(1),
    CLI_TOKENIZER_OPTION(1),
    PAIRS_OPTIONS(1),
    {0}};

struct options {
    struct cli_common common; ///< device NULL: none
    const char *device_class, *trace, *share;
    uint64_t batch, src_len, tgt_len, memory, binding, ranks, rank, micro, slices;
    struct sy_layout layout; ///< --layout; data 0: not given.
    struct plan_rates rates;
    const char *rates_file;      ///< NULL: they are given, or not.
    struct plan_network network; ///< FLOP/s or bandwidth 0: not given.
    struct plan_pairs pairs;
    bool json, recompute, schedule;
};

/// Lengths and batch that rows do not give are usual ones.
static void check_pairs(struct options *o, struct argp_state *state)
{
    if (o->pairs.file != NULL && o->ranks > 1)
        argp_error(state, "--pairs plans for one rank: give --batch, --src-len and --tgt-len of a rank of several");
    if (o->pairs.file == NULL && (o->pairs.form.given != NULL || o->common.tokenizer != NULL))
        argp_error(state, "%s needs --pairs", o->pairs.form.given != NULL ? o->pairs.form.given : "--tokenizer");
    if (o->pairs.file != NULL)
        return;
    o->batch = o->batch != 0 ? o->batch : 8;
    o->src_len = o->src_len != 0 ? o->src_len : sy_task_spans.src_len;
    o->tgt_len = o->tgt_len != 0 ? o->tgt_len : sy_task_spans.tgt_len;
}

static void check(struct options *o, struct argp_state *state)
{
    if (o->common.model == NULL)
        argp_error(state, "--model is needed");
    if (o->json && (o->schedule || o->trace != NULL))
        argp_error(state, "--json prints the totals; --schedule and --trace are text");
    if (o->common.device != NULL && o->device_class != NULL)
        argp_error(state, "--class is the device's own where there is a --device");
    if (o->common.device != NULL && o->binding != 0)
        argp_error(state, "--device-binding is the device's own where there is a --device");
    const struct sy_layout *l = &o->layout;
    const uint64_t all = (uint64_t)l->data * l->expert * sy_layout_parts(l);
    if (l->data != 0 && o->ranks != 0 && o->ranks != all)
        argp_error(state, "--layout %ux%ux%u has %llu ranks, not --ranks %llu", l->data, l->expert, sy_layout_parts(l),
                   (unsigned long long)all, (unsigned long long)o->ranks);
    if (l->data != 0)
        o->ranks = all;
    if (o->share != NULL && l->data == 0)
        argp_error(state, "--share needs --layout: who shares what?");
    if (o->ranks == 0)
        o->ranks = 1;
    check_pairs(o, state);
    if (!plan_power_of_two(o->ranks))
        argp_error(state, "--ranks %llu: a power of two, because sums go by a pairwise tree over ranks",
                   (unsigned long long)o->ranks);
    if (o->rank >= o->ranks)
        argp_error(state, "--rank %llu: there are ranks 0 to %llu", (unsigned long long)o->rank,
                   (unsigned long long)o->ranks - 1);
    const bool rates = o->rates.flops > 0.0 || o->rates_file != NULL;
    if (o->network.bandwidth > 0.0 && !rates)
        argp_error(state, "--network needs --rates: a step is computed, too");
    if (rates && o->ranks > 1 && o->network.bandwidth == 0.0)
        argp_error(state, "--rates of several ranks needs --network");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case OPT_BATCH: o->batch = cli_count(state, "--batch", arg, 1, 1u << 20, false); break;
    case OPT_SRC: o->src_len = cli_count(state, "--src-len", arg, 1, 1u << 20, false); break;
    case OPT_TGT: o->tgt_len = cli_count(state, "--tgt-len", arg, 1, 1u << 20, false); break;
    case OPT_MEMORY: o->memory = cli_count(state, "--device-memory", arg, 1, (uint64_t)1 << 60, true); break;
    case OPT_BINDING: o->binding = cli_count(state, "--device-binding", arg, 1u << 10, (uint64_t)1 << 60, true); break;
    case OPT_RANKS: o->ranks = cli_count(state, "--ranks", arg, 1, 1u << 16, false); break;
    case OPT_LAYOUT:
        if (!plan_layout_parse(arg, &o->layout))
            argp_error(state, "--layout: '%s' is not DATAxEXPERT or DATAxEXPERTxMODEL, powers of two like 2x4 or 2x4x2",
                       arg);
        break;
    case OPT_RANK: o->rank = cli_count(state, "--rank", arg, 0, 1u << 16, false); break;
    case OPT_SHARE:
        if (!share_good(arg))
            argp_error(state, "--share: '%s' is neither equal nor whole numbers from 1 to %d like 3,1 or equal/3,1",
                       arg, SHARE_MOST);
        o->share = arg;
        break;
    case OPT_RATES:
        o->rates_file = NULL;
        if (plan_rates_parse(arg, &o->rates))
            break;
        if (access(arg, F_OK) != 0)
            argp_error(state, "--rates: '%s' is neither like 150TFLOP/s,1.5TB/s,20GB/s nor a file", arg);
        o->rates = (struct plan_rates){.dispatch = 0.0};
        o->rates_file = arg;
        break;
    case OPT_NETWORK:
        if (!plan_network_parse(arg, &o->network))
            argp_error(state, "--network: '%s' is not like 10us,12.5GB/s or 10us,200Gb/s,8,2us,20GB/s", arg);
        break;
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
    case ARGP_KEY_END: check(o, state); break;
    default:
        return cli_common_parse(state, key, arg, &o->common) || plan_pairs_parse(state, key, arg, &o->pairs)
                   ? 0
                   : ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/// What a device made of it.
struct recorded {
    const struct sy_caps *device; ///< NULL without --device.
    struct plan_recorded found;
};

static const struct {
    enum sy_op_id op;
    const char *name;
} messages[] = {
    {SY_OP_exchange_routes, "exchange_routes"}, {SY_OP_exchange_rows, "exchange_rows"}, {SY_OP_sum_ranks, "sum_ranks"},
    {SY_OP_gather_norms, "gather_norms"},       {SY_OP_share_ranks, "share_ranks"},     {SY_OP_sum_parts, "sum_parts"},
    {SY_OP_mean_parts, "mean_parts"},           {SY_OP_COUNT, "all messages"}};

static void print_messages(const struct plan_job *job, const struct plan_step *p)
{
    struct plan_traffic t = {.staged = 0.0};
    printf("messages of a step, bytes  times      sent: even loads    at most   received: even    at most  inside a "
           "machine\n");
    for (size_t i = 0; i < SY_COUNT(messages); ++i) {
        const uint32_t times =
            plan_traffic_sum(p->graph, &p->segments, &p->layout, plan_job_machine(job), messages[i].op, &t);
        const double v[] = {t.near.sent + t.far.sent, t.most_sent, t.near.received + t.far.received, t.most_received,
                            t.near.sent};
        char text[SY_COUNT(v)][16];
        for (size_t k = 0; k < SY_COUNT(v); ++k)
            cli_human(v[k], text[k]);
        printf("  %-22s  %6u  %20s %10s %16s %10s  %s\n", messages[i].name, times, text[0], text[1], text[2], text[3],
               text[4]);
    }
    printf("host staging        %14.0f bytes  %9.2f GiB at most; %.2f GB a step between host and device\n", t.host,
           t.host / 0x1p30, t.staged / 1e9);
}

static void print_time(const struct plan_job *job, const struct plan_step *p)
{
    const struct plan_time *t = &p->time;
    printf("time of a step      %.4f s, bound by %s; %.0f tokens/s\n", t->total, plan_time_bound(t),
           plan_step_tokens(p) / t->total);
    printf("                    arithmetic %.4f s, memory %.4f s; messages: latency %.4f s, bandwidth %.4f s, to and "
           "from the device %.4f s; %.4f s of that hidden\n",
           t->arithmetic, t->memory, t->latency, t->wire, t->staging, t->hidden);
    if (job->rates->measured)
        printf("                    starting kernels %.4f s, waiting for processors that ranks share %.4f s; %u of %u "
               "ops by their kernel's own rate\n",
               t->start, t->shared, t->known, t->ops);
    if (job->rates->resident > 0.0)
        printf("memory of a process %.2f GiB at most, with what it has beside tensors and messages\n",
               plan_step_resident(job, p) / 0x1p30);
}

static void print_ranks(const struct sy_config *c, const struct plan_step *p)
{
    const struct sy_layout *l = &p->layout;
    if (plan_step_ranks(p) == NULL)
        return;
    printf("%-5u ranks         %u data x %u expert", sy_layout_world(l), l->data, l->expert);
    if (sy_layout_parts(l) > 1)
        printf(" x %u model", sy_layout_parts(l));
    printf("\nrank %-5u          %llu parameters, %llu of %u experts a layer\n",
           sy_layout_number(l, l->rank, sy_layout_part(l)), (unsigned long long)p->own_parameters,
           (unsigned long long)p->own_experts, c->experts);
}

static void print_text(const struct options *o, const struct plan_job *job, const struct plan_step *p,
                       const struct recorded *r)
{
    const struct sy_config *c = job->params.config;
    char a[16], b[16], d[16];
    const double ranks = sy_layout_world(&p->layout), tokens = (double)o->batch * (double)(o->src_len + o->tgt_len);
    printf("parameters          %llu", (unsigned long long)p->parameters);
    cli_human((double)p->parameters, a);
    printf(" (%s", a);
    if (p->expert_parameters != 0) {
        cli_human((double)p->expert_parameters, a);
        printf(", %s of them in %u experts a layer", a, c->experts);
    }
    printf(")\n");
    print_ranks(c, p);
    printf("one step            %llu sequences of %llu -> %llu tokens%s, %zu ops, %s, %s\n",
           (unsigned long long)o->batch, (unsigned long long)o->src_len, (unsigned long long)o->tgt_len,
           ranks > 1 ? " a rank" : "", p->nodes, sy_precision_name(o->common.precision),
           sy_optimizer_name(o->common.optimizer));
    for (int i = 0; i < SY_ARENA_COUNT; ++i)
        printf("  %-18s%14llu bytes  %9.2f GiB\n", sy_arena_name((enum sy_arena)i), (unsigned long long)p->arena[i],
               (double)p->arena[i] / 0x1p30);
    printf("  %-18s%14llu bytes  %9.2f GiB\n", "total", (unsigned long long)p->bytes, (double)p->bytes / 0x1p30);
    cli_human(p->forward, a);
    cli_human(p->backward, b);
    cli_human(p->update, d);
    printf("FLOPs               forward %s, backward %s, update %s\n", a, b, d);
    cli_human(p->forward / tokens, a);
    cli_human(p->forward / (double)o->batch, b);
    printf("                    forward per token %s, per sequence %s\n", a, b);
    if (p->heaviest != p->layout.rank)
        printf("rank %-5u          updates most; %llu bytes  %9.2f GiB (the larger of the two)\n",
               sy_layout_number(&p->layout, p->heaviest, sy_layout_part(&p->layout)), (unsigned long long)p->most_bytes,
               (double)p->most_bytes / 0x1p30);
    if (o->pairs.file != NULL)
        plan_pairs_print(&o->pairs, p->bytes);
    if (ranks > 1)
        print_messages(job, p);
    if (job->rates != NULL)
        print_time(job, p);
    if (r->device != NULL)
        printf("recorded on         %s %s: %zu dispatches of %zu kernels, %llu bytes allocated; none was run\n",
               r->device->id, r->device->name, r->found.dispatches, r->found.kernels,
               (unsigned long long)r->found.bytes);
    if (o->memory != 0)
        printf("%.2f GiB of device memory: %s\n", (double)o->memory / 0x1p30,
               p->most_bytes + o->pairs.extra <= o->memory
                   ? "it fits"
                   : "it does NOT fit; try a smaller --batch, --recompute or another --layout");
}

static json_t *json_messages(const struct plan_job *job, const struct plan_step *p)
{
    json_t *list = json_object();
    for (size_t i = 0; i < SY_COUNT(messages); ++i) {
        struct plan_traffic t;
        const uint32_t times =
            plan_traffic_sum(p->graph, &p->segments, &p->layout, plan_job_machine(job), messages[i].op, &t);
        json_object_set_new(list, messages[i].op == SY_OP_COUNT ? "all" : messages[i].name,
                            json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "times", (json_int_t)times,
                                      "messages", t.near.messages + t.far.messages, "sent", t.near.sent + t.far.sent,
                                      "received", t.near.received + t.far.received, "most_sent", t.most_sent,
                                      "most_received", t.most_received, "sent_in_machine", t.near.sent, "staging_bytes",
                                      t.host));
    }
    return list;
}

static json_t *json_time(const struct plan_step *p)
{
    const struct plan_time *t = &p->time;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:f, s:s}", "seconds", t->total,
                     "arithmetic", t->arithmetic, "memory", t->memory, "latency", t->latency, "bandwidth", t->wire,
                     "host_and_device", t->staging, "starts", t->start, "hidden", t->hidden, "shared_processors",
                     t->shared, "processors", t->processors, "ops_by_own_rate", (int)t->known, "tokens_per_second",
                     plan_step_tokens(p) / t->total, "bound_by", plan_time_bound(t));
}

static json_t *json_rows(const struct plan_pairs *rows)
{
    json_t *list = json_array();
    for (uint32_t k = 0; k < rows->count; ++k) {
        const struct plan_bucket *b = &rows->list[k];
        json_array_append_new(list,
                              json_pack("{s:I, s:I, s:I, s:I, s:f, s:I}", "rows", (json_int_t)b->rows, "src_len",
                                        (json_int_t)b->src_len, "tgt_len", (json_int_t)b->tgt_len, "batch",
                                        (json_int_t)b->batch, "share", b->share, "adds_bytes", (json_int_t)b->bytes));
    }
    return list;
}

static enum sy_status print_json(struct sy_ctx *ctx, const struct options *o, const struct plan_job *job,
                                 const struct plan_step *p, const struct recorded *r, const struct plan_shares *shares)
{
    json_t *arenas = json_object();
    for (int i = 0; i < SY_ARENA_COUNT; ++i)
        json_object_set_new(arenas, sy_arena_name((enum sy_arena)i), json_integer((json_int_t)p->arena[i]));
    json_t *j = json_pack("{s:I, s:I, s:I, s:I, s:o, s:I, s:f, s:f, s:f, s:I}", "parameters", (json_int_t)p->parameters,
                          "expert_parameters", (json_int_t)p->expert_parameters, "rank_parameters",
                          (json_int_t)p->own_parameters, "ranks", (json_int_t)o->ranks, "arena_bytes", arenas,
                          "total_bytes", (json_int_t)p->bytes, "flops_forward", p->forward, "flops_backward",
                          p->backward, "flops_update", p->update, "ops", (json_int_t)p->nodes);
    if (j == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    const struct sy_layout *l = &p->layout;
    if (plan_step_ranks(p) != NULL) {
        json_object_set_new(j, "most_bytes", json_integer((json_int_t)p->most_bytes));
        json_object_set_new(j, "layout",
                            json_pack("{s:I, s:I, s:I, s:I, s:I}", "updates_most",
                                      (json_int_t)sy_layout_number(l, p->heaviest, sy_layout_part(l)), "data",
                                      (json_int_t)l->data, "expert", (json_int_t)l->expert, "model",
                                      (json_int_t)sy_layout_parts(l), "rank",
                                      (json_int_t)sy_layout_number(l, l->rank, sy_layout_part(l))));
        json_object_set_new(j, "messages", json_messages(job, p));
    }
    if (job->rates != NULL)
        json_object_set_new(j, "step", json_time(p));
    if (job->rates != NULL && job->rates->resident > 0.0)
        json_object_set_new(j, "resident_bytes", json_real(plan_step_resident(job, p)));
    if (shares->list != NULL)
        json_object_set_new(j, "shares", plan_shares_json(shares));
    if (o->pairs.file != NULL)
        json_object_set_new(j, "rows", json_rows(&o->pairs));
    if (o->memory != 0)
        json_object_set_new(j, "fits", json_boolean(p->most_bytes + o->pairs.extra <= o->memory));
    if (r->device != NULL)
        json_object_set_new(j, "recorded",
                            json_pack("{s:s, s:s, s:I, s:I, s:I}", "device", r->device->id, "name", r->device->name,
                                      "dispatches", (json_int_t)r->found.dispatches, "kernels",
                                      (json_int_t)r->found.kernels, "bytes", (json_int_t)r->found.bytes));
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
static enum sy_status show(struct sy_ctx *ctx, const struct options *o, const struct plan_job *job,
                           const struct plan_step *p, const struct recorded *r, const struct plan_shares *shares)
{
    if (o->trace != NULL)
        return plan_show_trace(ctx, p->graph, o->trace);
    if (o->schedule)
        return plan_show_schedule(ctx, p->graph, p->model, &p->loss, SY_SESSION_TRAIN, plan_step_ranks(p), job->rates,
                                  job->network);
    if (o->json)
        return print_json(ctx, o, job, p, r, shares);
    print_text(o, job, p, r);
    if (shares->list != NULL)
        plan_shares_print(shares);
    return SY_OK;
}

/// Evaluation, or decoding, of the same sizes.
static enum sy_status show_other(struct sy_ctx *ctx, const struct sy_caps *caps, struct sy_session_params p,
                                 enum sy_session_kind kind, struct sy_model *m)
{
    struct sy_graph *g = NULL;
    struct sy_optimizer_outputs out;
    struct sy_loss loss;
    struct sy_plan made;
    const struct sy_limits limits = sy_runtime_limits(caps, false);
    p.kind = kind;
    p.micro_count = p.slices = 1;
    enum sy_status status = sy_assemble(ctx, caps, &p, &g, m, &loss, &out);
    if (status == SY_OK)
        status = sy_plan_create(g, &limits, &made);
    if (status == SY_OK) {
        sy_plan_finish(&made);
        status = plan_show_schedule(ctx, g, m, kind == SY_SESSION_DECODE ? NULL : &loss, kind, p.ranks, NULL, NULL);
    }
    sy_graph_destroy(&g);
    return status;
}

/// As many ranks on the expert axis as there are experts for, unless --layout or the time says otherwise.
static enum sy_status choose_layout(struct sy_ctx *ctx, const struct options *o, const struct plan_job *job,
                                    struct sy_layout *out)
{
    const uint32_t ranks = (uint32_t)o->ranks;
    *out = o->layout;
    if (out->data == 0 && ranks > 1 && job->network != NULL)
        SY_TRY(plan_layouts_try(ctx, job, ranks, o->memory, o->json || o->schedule || o->trace != NULL, out));
    else if (out->data == 0)
        for (*out = (struct sy_layout){.data = ranks, .expert = 1};
             out->data > 1 && 2 * out->expert <= plan_job_experts(job); out->data /= 2)
            out->expert *= 2;
    out->rank = (uint32_t)o->rank / sy_layout_parts(out);
    out->part = (uint32_t)o->rank % sy_layout_parts(out);
    return SY_OK;
}

/// The paper's for fine-tuning, as in training.
static void choose_dropout(struct sy_config *c)
{
    c->dropout = 0.1;
    if (c->is_switch)
        c->expert_dropout = 0.4;
}

/// `device` is NULL without --device.
static enum sy_status plan(struct sy_ctx *ctx, struct options *o, struct sy_device *device, struct sy_bundle *model,
                           struct plan_step *p, struct plan_shares *shares)
{
    SY_TRY(sy_bundle_open(ctx, o->common.model, SY_WEIGHTS_IF_ANY, model));
    const struct sy_caps caps = caps_of(o, device);
    struct plan_rates rates = o->rates;
    if (o->rates_file != NULL)
        SY_TRY(plan_rates_read(ctx, o->rates_file, sy_precision_name(o->common.precision), &rates));
    struct plan_job job = {.caps = &caps,
                           .params = {.kind = SY_SESSION_TRAIN,
                                      .config = &model->config,
                                      .precision = o->common.precision,
                                      .optimizer = {.kind = o->common.optimizer},
                                      .batch = (uint32_t)o->batch,
                                      .src_len = (uint32_t)o->src_len,
                                      .tgt_len = (uint32_t)o->tgt_len,
                                      .micro_count = (uint32_t)o->micro,
                                      .slices = (uint32_t)o->slices,
                                      .recompute = o->recompute},
                           .rates = rates.flops > 0.0 ? &rates : NULL,
                           .network = o->network.bandwidth > 0.0 ? &o->network : NULL};
    struct sy_layout layout;
    struct recorded r = {.device = NULL};
    if (o->pairs.file != NULL) {
        choose_dropout(&model->config);
        SY_TRY(plan_pairs_read(ctx, &o->common, model, &caps, &job.params, &o->pairs));
        o->batch = job.params.batch;
        o->src_len = job.params.src_len;
        o->tgt_len = job.params.tgt_len;
    }
    SY_TRY(choose_layout(ctx, o, &job, &layout));
    if (o->share != NULL)
        SY_TRY(plan_shares_read(ctx, o->share, (uint32_t)o->micro, shares, &layout));
    SY_TRY(plan_step_make(ctx, &job, &layout, p));
    if (device != NULL) {
        r.device = sy_device_caps(device);
        SY_TRY(plan_record(ctx, device, &p->params, &r.found));
    }
    if (o->share != NULL && !o->schedule && o->trace == NULL)
        SY_TRY(plan_shares_make(ctx, &job, &layout, shares));
    SY_TRY(show(ctx, o, &job, p, &r, shares));
    if (!o->schedule)
        return SY_OK;
    SY_TRY(show_other(ctx, &caps, p->params, SY_SESSION_EVAL, p->model));
    return plan_step_ranks(p) != NULL ? SY_OK : show_other(ctx, &caps, p->params, SY_SESSION_DECODE, p->model);
}

int main(int argc, char **argv)
{
    cli_start();
    struct options o = {.common = {.precision = SY_PRECISION_SELECTIVE}, .pairs = PLAN_PAIRS_NONE};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-plan", SY_LOG_INFO);
    struct sy_bundle model = {0};
    struct plan_step p = {.model = NULL};
    struct plan_shares shares = {.places = 0};
    struct sy_device *device = NULL;
    enum sy_status status = ctx != NULL ? SY_OK : SY_NOMEM;
    if (status == SY_OK && o.common.device != NULL) {
        cli_drivers_prepare(ctx);
        status = sy_device_open(ctx, o.common.device, &device);
    }
    if (status == SY_OK)
        status = plan(ctx, &o, device, &model, &p, &shares);
    plan_shares_finish(&shares);
    plan_step_finish(&p);
    sy_bundle_close(&model);
    if (device != NULL)
        sy_device_close(&device);
    sy_ctx_destroy(&ctx);
    return status == SY_OK ? 0 : 1;
}
