// SPDX-License-Identifier: Apache-2.0
// bench_ranks.c: what the messages of a training step take alone, and how much of that the devices' work hides.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"
#include "engine/message.h"

/// What is measured of one message of a step; of all ranks: the mean.
struct measured {
    double bytes, alone; ///< alone: the shortest of all steps.
    double exposed,
        lagged; ///< The device has nothing to do, all ranks have sent, or not yet. The median, and the mean.
};

struct job {
    struct sy_ctx *ctx;
    struct ranks ranks;
    struct sy_device *device;
    struct sy_session *session;
    struct sy_session_params params;
    struct sy_batch batch;
    struct sy_bundle model;
    size_t legs;
    bool alike;                   ///< The ranks have the same legs.
    double *exposed;              ///< [legs][repeat]
    struct measured *times;       ///< [legs]
    struct sy_message_time *seen; ///< [ranks + 1][legs] of one step: of all ranks, and this one's.
    double *alone, *overlap;      ///< [repeat] seconds of a step.
    double from;                  ///< When the last step began.
    double experts;               ///< Seconds of a step's expert ops on this rank's device.
    double *processors;           ///< [repeat] seconds of a step on this rank's processors.
    struct used {
        double processors, resident, device; ///< Seconds, and bytes.
    } used;                                  ///< Of the shortest step: the mean of the ranks; and the most of any.
    uint64_t far[2];                         ///< Messages and bytes to other hosts in a step, of all ranks.
};

static enum sy_status prepare(struct job *j, const struct bench_options *o)
{
    if (ranks_layout(&j->ranks) == NULL)
        return sy_fail(j->ctx, SY_INVALID, "ranks: there is one rank; start it with mpirun -n 2 or more");
    return sy_bundle_open(j->ctx, o->common.model, SY_WEIGHTS_IF_ANY, &j->model);
}

static enum sy_status open_session(struct job *j, const struct bench_options *o)
{
    j->params = (struct sy_session_params){.kind = SY_SESSION_TRAIN,
                                           .config = &j->model.config,
                                           .precision = o->common.precision,
                                           .batch = (uint32_t)o->batch,
                                           .src_len = (uint32_t)o->src_len,
                                           .tgt_len = (uint32_t)o->tgt_len,
                                           .slices = 1,
                                           .ranks = ranks_layout(&j->ranks)};
    SY_TRY(sy_session_create(j->ctx, j->device, &j->params, &j->session));
    SY_TRY(sy_weights_init(sy_session_runtime(j->session), 0));
    j->legs = sy_session_legs(j->session)->count;
    j->exposed = calloc(j->legs * o->repeat, sizeof *j->exposed);
    j->times = calloc(j->legs, sizeof *j->times);
    j->seen = calloc((j->ranks.group.size + 1) * j->legs, sizeof *j->seen);
    j->alone = calloc(o->repeat, sizeof *j->alone);
    j->processors = calloc(o->repeat, sizeof *j->processors);
    j->overlap = calloc(o->repeat, sizeof *j->overlap);
    if (j->exposed == NULL || j->times == NULL || j->seen == NULL || j->alone == NULL || j->overlap == NULL ||
        j->processors == NULL)
        return sy_fail(j->ctx, SY_NOMEM, "out of host memory");
    return bench_batch(j->ctx, &j->params, j->model.config.vocab_size, &j->batch);
}

static enum sy_status step(struct job *j, enum sy_message_watch watch, uint64_t t, double *out)
{
    struct sy_metrics m;
    sy_messages_watch(j->session, watch);
    SY_TRY(ranks_agree(j->ctx, &j->ranks, SY_OK)); // all begin at once
    j->from = cli_seconds();
    SY_TRY(sy_session_step(j->session, &j->batch, 1, t, 0.001, 0, &m));
    *out = cli_seconds() - j->from;
    return SY_OK;
}

/// When the last of the ranks that take part had sent.
static double all_sent(const struct job *j, size_t leg)
{
    const struct sy_layout *l = ranks_layout(&j->ranks);
    const struct sy_node *n = sy_graph_node(sy_session_graph(j->session), sy_session_legs(j->session)->list[leg].first);
    const bool rows = n->op == SY_OP_exchange_rows || n->op == SY_OP_exchange_routes;
    double last = 0.0;
    for (uint32_t r = 0; r < (rows ? l->expert : sy_layout_ranks(l)); ++r) {
        const uint32_t peer = rows ? sy_layout_peer(l, r) : sy_layout_number(l, r, sy_layout_part(l));
        const double at = j->seen[peer * j->legs + leg].sent_at;
        last = at > last ? at : last;
    }
    return last;
}

/// How long the device had nothing to do in a step but wait for each message, after all ranks had sent it. Where they
/// are of several hosts, clocks count from the step's start `from`.
static enum sy_status take_exposed(struct job *j, double from, uint64_t i, uint64_t repeat)
{
    const struct sy_group *group = &j->ranks.group;
    struct sy_message_time *mine = &j->seen[group->size * j->legs];
    const double zero = group->node_size == group->size ? 0.0 : from;
    for (size_t k = 0; k < j->legs; ++k) {
        mine[k] = sy_messages_time(j->session, k);
        mine[k].sent_at -= zero;
        mine[k].arrived_at -= zero;
        mine[k].idle_at -= mine[k].idle_at != 0.0 ? zero : 0.0;
        j->times[k].bytes += (double)mine[k].bytes / (double)repeat;
    }
    if (j->alike)
        SY_TRY(sy_group_collect(j->ctx, &j->ranks.group, "when messages went", mine, j->legs * sizeof *mine, j->seen));
    for (size_t k = 0; k < j->legs; ++k) {
        if (sy_session_legs(j->session)->list[k].kind != SY_LEG_MESSAGE || mine[k].idle_at == 0.0)
            continue;
        const double sent = j->alike ? all_sent(j, k) : mine[k].sent_at;
        const double begin = sent > mine[k].idle_at ? sent : mine[k].idle_at;
        const double waited = mine[k].arrived_at - mine[k].idle_at, exposed = mine[k].arrived_at - begin;
        j->exposed[k * repeat + i] = exposed;
        j->times[k].lagged += (waited - exposed) / (double)repeat;
    }
    return SY_OK;
}

/// Steps in turns: messages alone, and as in a run.
static enum sy_status measure(struct job *j, uint64_t repeat)
{
    const struct sy_legs *legs = sy_session_legs(j->session);
    double ignored;
    uint64_t t = 0;
    for (int warm = 0; warm < 3; ++warm)
        SY_TRY(step(j, SY_WATCH_NOTHING, ++t, &ignored));
    for (uint64_t i = 0; i < repeat; ++i) {
        SY_TRY(step(j, SY_WATCH_ALONE, ++t, &j->alone[i]));
        for (size_t k = 0; k < j->legs; ++k) {
            const struct sy_message_time x = sy_messages_time(j->session, k);
            if (i == 0 || x.travel_s < j->times[k].alone)
                j->times[k].alone = x.travel_s;
        }
        const double from = cli_clock(CLOCK_PROCESS_CPUTIME_ID);
        SY_TRY(step(j, SY_WATCH_TOGETHER, ++t, &j->overlap[i]));
        j->processors[i] = cli_clock(CLOCK_PROCESS_CPUTIME_ID) - from;
        SY_TRY(take_exposed(j, j->from, i, repeat));
    }
    for (size_t k = 0; k < j->legs; ++k)
        if (legs->list[k].kind == SY_LEG_MESSAGE)
            j->times[k].exposed = bench_median(&j->exposed[k * repeat], repeat);
    return SY_OK;
}

/// What a step sends to other hosts.
static enum sy_status count_far(struct job *j, uint64_t t)
{
    const struct sy_group *g = &j->ranks.group;
    const uint64_t messages = g->far_messages, bytes = g->far_sent;
    struct sy_metrics ignored;
    sy_messages_watch(j->session, SY_WATCH_NOTHING);
    SY_TRY(sy_session_step(j->session, &j->batch, 1, t, 0.001, 0, &ignored));
    j->far[0] = g->far_messages - messages;
    j->far[1] = g->far_sent - bytes;
    return sy_layout_add(j->ctx, ranks_layout(&j->ranks), j->far, SY_COUNT(j->far));
}

static bool is_expert(const struct sy_node *n)
{
    const struct sy_matmul_args *m = (const void *)n->args;
    const struct sy_matmul_dw_args *w = (const void *)n->args;
    const struct sy_ffn_act_args *a = (const void *)n->args;
    switch (n->op) {
    case SY_OP_matmul: return m->experts > 1 || m->of != 0;
    case SY_OP_matmul_dw: return w->ragged != 0;
    case SY_OP_relu:
    case SY_OP_relu_bwd:
    case SY_OP_act:
    case SY_OP_act_bwd:
    case SY_OP_geglu:
    case SY_OP_geglu_bwd: return a->indexed != 0;
    default: return false;
    }
}

/// Adds up what the experts' nodes of a leg took.
static double add_up(const struct job *j, const struct sy_leg *leg, const uint64_t *ns)
{
    const struct sy_graph *g = sy_session_graph(j->session);
    double sum = 0.0;
    for (uint32_t i = leg->first; i < leg->end; ++i) {
        const struct sy_node *n = sy_graph_node(g, i);
        if (n->phase != leg->phase || sy_variant_groups(n->variant, n->choice, n->args, sy_device_caps(j->device)) == 0)
            continue;
        sum += is_expert(n) ? 1e-9 * (double)*ns : 0.0;
        ++ns;
    }
    return sum;
}

/// Seconds of what the experts do in a step, dispatch by dispatch; one more step is made.
static enum sy_status time_experts(struct job *j, uint64_t t)
{
    const struct sy_legs *legs = sy_session_legs(j->session);
    uint64_t **ns = calloc(j->legs, sizeof *ns);
    enum sy_status status = ns == NULL ? sy_fail(j->ctx, SY_NOMEM, "out of host memory") : SY_OK;
    for (size_t k = legs->first[SY_PHASE_MICRO]; k < legs->first[SY_PHASE_MICRO + 1] && status == SY_OK; ++k) {
        size_t count;
        if (sy_runtime_leg(sy_session_runtime(j->session), k, &count) != NULL &&
            (ns[k] = calloc(count, sizeof **ns)) == NULL)
            status = sy_fail(j->ctx, SY_NOMEM, "out of host memory");
    }
    double ignored;
    sy_session_profile(j->session, ns);
    if (status == SY_OK)
        status = step(j, SY_WATCH_NOTHING, t, &ignored);
    sy_session_profile(j->session, NULL);
    for (size_t k = 0; k < j->legs && ns != NULL; ++k) {
        j->experts += ns[k] != NULL && status == SY_OK ? add_up(j, &legs->list[k], ns[k]) : 0.0;
        free(ns[k]);
    }
    free(ns);
    return status;
}

/// Whether the ranks have the same legs: those without experts have others.
static enum sy_status compare_legs(struct job *j)
{
    const uint32_t size = j->ranks.group.size;
    uint64_t *counts = calloc(size, sizeof *counts), mine = j->legs;
    if (counts == NULL)
        return sy_fail(j->ctx, SY_NOMEM, "out of host memory");
    const enum sy_status status =
        sy_group_collect(j->ctx, &j->ranks.group, "how many legs", &mine, sizeof mine, counts);
    j->alike = true;
    for (uint32_t r = 0; r < size && status == SY_OK; ++r)
        j->alike &= counts[r] == mine;
    free(counts);
    return status;
}

/// Means over ranks; where they have other legs each stays with its own.
static enum sy_status gather(struct job *j)
{
    const uint32_t size = j->ranks.group.size;
    const uint64_t bytes = j->legs * sizeof *j->times;
    if (!j->alike)
        return SY_OK;
    struct measured *all = malloc(size * bytes);
    if (all == NULL)
        return sy_fail(j->ctx, SY_NOMEM, "out of host memory");
    const enum sy_status status = sy_group_collect(j->ctx, &j->ranks.group, "what messages took", j->times, bytes, all);
    memset(j->times, 0, bytes);
    for (size_t k = 0; k < size * j->legs && status == SY_OK; ++k) {
        struct measured *to = &j->times[k % j->legs];
        to->bytes += all[k].bytes / size;
        to->alone += all[k].alone / size;
        to->exposed += all[k].exposed / size;
        to->lagged += all[k].lagged / size;
    }
    free(all);
    return status;
}

/// What a step and a process needed, of all ranks.
static enum sy_status gather_used(struct job *j, uint64_t repeat)
{
    const uint32_t size = j->ranks.group.size;
    struct used mine = {.processors = bench_least(j->processors, repeat), // looking for messages costs time, too
                        .resident = bench_resident(),
                        .device = (double)sy_device_allocated_bytes(j->device)};
    struct used *all = calloc(size, sizeof *all);
    if (all == NULL)
        return sy_fail(j->ctx, SY_NOMEM, "out of host memory");
    const enum sy_status status = sy_group_collect(j->ctx, &j->ranks.group, "what was used", &mine, sizeof mine, all);
    for (uint32_t r = 0; r < size && status == SY_OK; ++r) {
        j->used.processors += all[r].processors / size;
        j->used.resident = all[r].resident > j->used.resident ? all[r].resident : j->used.resident;
        j->used.device = all[r].device > j->used.device ? all[r].device : j->used.device;
    }
    free(all);
    return status;
}

static double hidden(const struct measured *x) { return x->alone > x->exposed ? x->alone - x->exposed : 0.0; }

static void print_sum(const char *name, const struct measured *x, double hid)
{
    char text[16];
    cli_human(x->bytes, text);
    printf("%-46s %9sB %10.2f %10.2f %6.0f %%\n", name, text, 1e3 * x->alone, 1e3 * hid,
           x->alone > 0.0 ? 100.0 * hid / x->alone : 0.0);
}

static void print(const struct job *j, uint64_t repeat)
{
    static const struct {
        enum sy_op_id op;
        const char *name;
    } sums[] = {{SY_OP_exchange_rows, "rows"},          {SY_OP_exchange_routes, "routes"},
                {SY_OP_sum_ranks, "sums of gradients"}, {SY_OP_gather_norms, "norms"},
                {SY_OP_share_ranks, "new values"},      {SY_OP_sum_parts, "sums of heads and d_ff"},
                {SY_OP_mean_parts, "means of splits"},  {SY_OP_COUNT, "all"}};
    const struct sy_legs *legs = sy_session_legs(j->session);
    const struct sy_graph *g = sy_session_graph(j->session);
    double lagged = 0.0;
    printf("%-46s %10s %10s %10s %8s\n", "message", "sent", "alone, ms", "hidden, ms", "hidden");
    for (size_t k = 0; k < j->legs; ++k) {
        const struct sy_node *n = sy_graph_node(g, legs->list[k].first);
        char name[64];
        if (legs->list[k].kind != SY_LEG_MESSAGE || j->times[k].alone == 0.0) // what stays is copied on the device
            continue;
        lagged += j->times[k].lagged;
        snprintf(name, sizeof name, "%.38s%s", n->label, n->backward ? " (back)" : "");
        print_sum(name, &j->times[k], hidden(&j->times[k]));
    }
    putchar('\n');
    for (size_t i = 0; i < SY_COUNT(sums); ++i) {
        struct measured all = {.bytes = 0.0};
        double hid = 0.0;
        for (size_t k = 0; k < j->legs; ++k) {
            if (legs->list[k].kind != SY_LEG_MESSAGE ||
                (sums[i].op != SY_OP_COUNT && sy_graph_node(g, legs->list[k].first)->op != sums[i].op))
                continue;
            all.bytes += j->times[k].bytes;
            all.alone += j->times[k].alone;
            hid += hidden(&j->times[k]);
        }
        if (all.alone > 0.0 || (sums[i].op != SY_OP_sum_parts && sums[i].op != SY_OP_mean_parts))
            print_sum(sums[i].name, &all, hid);
    }
    printf("experts' work: %.2f ms a step on rank 0; waiting for ranks that were behind: %.2f ms\n", 1e3 * j->experts,
           1e3 * lagged);
    if (j->ranks.group.several_hosts) {
        char text[16];
        cli_human((double)j->far[1], text);
        printf("between hosts: %llu messages of %sB in all, a step of all ranks\n", (unsigned long long)j->far[0],
               text);
    }
    printf("one step: %.1f ms, with every message waited for by itself %.1f ms (medians of %llu)\n",
           1e3 * bench_median(j->overlap, repeat), 1e3 * bench_median(j->alone, repeat), (unsigned long long)repeat);
    printf("processors of a rank: %.1f ms a step at least; memory: %.1f MiB on its device, %.1f MiB of its process at "
           "most\n",
           1e3 * j->used.processors, j->used.device / 0x1p20, j->used.resident / 0x1p20);
}

static enum sy_status run(struct job *j, const struct bench_options *o)
{
    SY_TRY(ranks_agree(j->ctx, &j->ranks, prepare(j, o)));
    SY_TRY(ranks_compare_config(j->ctx, &j->ranks, &j->model.config));
    SY_TRY(ranks_open_device(j->ctx, &j->ranks, o->common.device, false, &j->model.config, o->common.precision,
                             &j->device));
    SY_TRY(ranks_agree(j->ctx, &j->ranks, open_session(j, o)));
    SY_TRY(compare_legs(j));
    SY_TRY(measure(j, o->repeat));
    SY_TRY(gather(j));
    SY_TRY(gather_used(j, o->repeat));
    SY_TRY(time_experts(j, 2 * o->repeat + 4));
    SY_TRY(count_far(j, 2 * o->repeat + 5));
    print(j, o->repeat);
    return SY_OK;
}

enum sy_status bench_ranks(struct bench *b)
{
    struct bench_options o = *b->o;
    struct job j = {.ctx = b->ctx};
    o.batch = o.batch != 0 ? o.batch : 32;
    o.src_len = o.src_len != 0 ? o.src_len : 128;
    o.tgt_len = o.tgt_len != 0 ? o.tgt_len : 40;
    enum sy_status status = ranks_open(&j.ranks, &o.ranks, "switchyard-bench", &b->ctx);
    j.ctx = b->ctx;
    if (status == SY_OK)
        status = run(&j, &o);
    ranks_close(&j.ranks, j.ctx, status);
    sy_batch_finish(&j.batch);
    sy_session_destroy(&j.session);
    sy_device_close(&j.device);
    sy_bundle_close(&j.model);
    free(j.exposed);
    free(j.times);
    free(j.seen);
    free(j.alone);
    free(j.overlap);
    free(j.processors);
    return status;
}
