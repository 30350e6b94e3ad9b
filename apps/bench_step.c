// SPDX-License-Identifier: Apache-2.0
// bench_step.c: where the time of a training step goes.
#include <stdio.h>
#include <stdlib.h>

#include "apps/bench.h"

enum sy_status bench_batch(struct sy_ctx *ctx, const struct sy_session_params *p, uint32_t vocab, struct sy_batch *b)
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

static int slowest_first(const void *a, const void *b)
{
    double x = ((const struct bench_op_time *)a)->ms, y = ((const struct bench_op_time *)b)->ms;
    return (x < y) - (x > y);
}

double bench_add_up(const struct sy_session *s, enum sy_phase phase, const uint64_t *ns,
                    struct bench_op_time ops[SY_VARIANT_COUNT])
{
    const struct sy_graph *g = sy_session_graph(s);
    double total = 0.0;
    for (size_t i = 0; i < sy_graph_node_count(g); ++i) {
        const struct sy_node *n = sy_graph_node(g, i);
        if (n->phase != phase ||
            sy_variant_groups(n->variant, n->choice, n->args, sy_device_caps(sy_session_device(s))) == 0)
            continue;
        struct bench_op_time *op = &ops[sy_variant_index(n->variant)];
        op->variant = n->variant;
        op->ms += (double)*ns / 1e6;
        op->flops += sy_op_info(n->op)->impl->flops(n->args);
        op->bytes += sy_op_bytes(sy_op_info(n->op), n->types, n->args);
        op->count++;
        total += (double)*ns++ / 1e6;
    }
    return total;
}

/// Milliseconds of the host to submit a phase, the device idle before.
static enum sy_status submit_time(struct sy_session *s, enum sy_phase phase, uint64_t repeat, double *out)
{
    struct sy_device *device = sy_session_device(s);
    double *times = calloc(repeat, sizeof *times);
    enum sy_status status = times == NULL ? sy_fail(sy_device_ctx(device), SY_NOMEM, "out of host memory") : SY_OK;
    for (uint64_t i = 0; i < repeat && status == SY_OK; ++i) {
        const double from = cli_seconds();
        status = sy_runtime_run(sy_session_runtime(s), phase);
        times[i] = 1e3 * (cli_seconds() - from);
        if (status == SY_OK)
            status = sy_device_wait(device);
    }
    if (status == SY_OK)
        *out = bench_median(times, repeat);
    free(times);
    return status;
}

static enum sy_status tell_op(struct bench *b, const char *phase, const struct bench_op_time *op, double total)
{
    const char *name = sy_op_info(op->variant->op)->name;
    struct bench_figure f = {.json_only = true,
                             .memory = op->flops < 2.0 * op->bytes,
                             .count = op->count,
                             .seconds = op->ms / 1e3,
                             .flops = op->flops,
                             .bytes = op->bytes};
    snprintf(f.what, sizeof f.what, "%s: %s", phase, name);
    snprintf(f.by, sizeof f.by, "%s", op->variant->name);
    if (!b->o->json)
        printf("  %-18s %-8s %5u times %9.3f ms %5.1f %% %8.1f GFLOP/s %7.1f GB/s\n", name, op->variant->name,
               op->count, op->ms, 100.0 * op->ms / total, op->flops / op->ms / 1e6, op->bytes / op->ms / 1e6);
    return bench_tell(b, &f);
}

enum sy_status bench_profile(struct bench *b, struct sy_session *s, enum sy_phase phase, const char *name)
{
    struct sy_program *program = sy_runtime_program(sy_session_runtime(s), phase);
    const size_t count = sy_runtime_dispatches(sy_session_runtime(s), phase);
    struct bench_op_time ops[SY_VARIANT_COUNT] = {0};
    double submit = 0.0;
    SY_TRY(submit_time(s, phase, b->o->repeat, &submit));
    uint64_t *ns = calloc(count + 1, sizeof *ns);
    if (ns == NULL)
        return sy_fail(sy_device_ctx(sy_session_device(s)), SY_NOMEM, "out of host memory");
    const enum sy_status status = sy_program_profile(program, ns);
    const double total = status == SY_OK ? bench_add_up(s, phase, ns, ops) : 0.0;
    free(ns);
    SY_TRY(status);
    qsort(ops, SY_VARIANT_COUNT, sizeof *ops, slowest_first);
    if (!b->o->json)
        printf("%s: %zu dispatches in %zu waves and %zu submissions, %.2f ms to submit, %.2f ms on the device\n", name,
               count, sy_program_waves(program), sy_program_submissions(program), submit, total);
    for (size_t i = 0; i < SY_VARIANT_COUNT && ops[i].count != 0; ++i)
        SY_TRY(tell_op(b, name, &ops[i], total));
    return SY_OK;
}

enum sy_status bench_time_steps(const struct bench *b, struct bench_training *t)
{
    for (uint64_t i = 0; i <= b->o->repeat; ++i) {
        const double from = cli_clock(b->clock);
        SY_TRY(sy_session_step(t->session, &t->batch, 1, i + 1, 0.001, 0, &t->metrics));
        if (i != 0)
            t->times[i - 1] = cli_clock(b->clock) - from;
    }
    return SY_OK;
}

void bench_shape(const struct bench *b, struct sy_session_params *p)
{
    p->precision = b->o->common.precision;
    p->batch = bench_given(b->o->batch, 32);
    p->src_len = bench_given(b->o->src_len, 128);
    p->tgt_len = bench_given(b->o->tgt_len, 40);
}

enum sy_status bench_training_open(const struct bench *b, struct bench_training *t)
{
    const struct bench_options *o = b->o;
    SY_TRY(sy_bundle_open(b->ctx, o->common.model, SY_WEIGHTS_IF_ANY, &t->model));
    t->params = (struct sy_session_params){.kind = SY_SESSION_TRAIN, .config = &t->model.config};
    bench_shape(b, &t->params);
    t->times = calloc(o->repeat, sizeof *t->times);
    if (t->times == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    SY_TRY(sy_session_create(b->ctx, b->device, &t->params, &t->session));
    SY_TRY(sy_weights_init(sy_session_runtime(t->session), 0));
    return bench_batch(b->ctx, &t->params, t->model.config.vocab_size, &t->batch);
}

void bench_training_close(struct bench_training *t)
{
    sy_batch_finish(&t->batch);
    sy_session_destroy(&t->session);
    sy_bundle_close(&t->model);
    free(t->times);
}

static enum sy_status tell_step(struct bench *b, const struct bench_training *t)
{
    struct bench_figure f = {.json_only = true,
                             .by = "all",
                             .seconds = bench_median(t->times, b->o->repeat),
                             .tokens = (double)t->metrics.tokens};
    snprintf(f.what, sizeof f.what, "one step, %u × %u → %u", t->params.batch, t->params.src_len, t->params.tgt_len);
    if (!b->o->json)
        printf("one step: %.1f ms (median of %llu), %.0f tokens/s\n", 1e3 * f.seconds, (unsigned long long)b->o->repeat,
               f.tokens / f.seconds);
    return bench_tell(b, &f);
}

enum sy_status bench_step(struct bench *b)
{
    struct bench_training t = {.times = NULL};
    enum sy_status status = bench_training_open(b, &t);
    if (status == SY_OK)
        status = bench_time_steps(b, &t);
    if (status == SY_OK)
        status = tell_step(b, &t);
    if (status == SY_OK)
        status = bench_profile(b, t.session, SY_PHASE_MICRO, "forward and backward");
    if (status == SY_OK)
        status = bench_profile(b, t.session, SY_PHASE_UPDATE, "update");
    if (status == SY_OK && sy_runtime_program(sy_session_runtime(t.session), SY_PHASE_REFRESH) != NULL)
        status = bench_profile(b, t.session, SY_PHASE_REFRESH, "refresh");
    bench_training_close(&t);
    return status;
}
