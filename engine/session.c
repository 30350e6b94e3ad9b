// SPDX-License-Identifier: Apache-2.0
#include "engine/session_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/inputs.h"
#include "engine/message.h"
#include "engine/metrics.h"
#include "engine/proof.h"
#include "engine/tune.h"
#include "engine/turns.h"

enum sy_status sy_session_create(struct sy_ctx *ctx, struct sy_device *device, const struct sy_session_params *params,
                                 struct sy_session **out)
{
    struct sy_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    s->ctx = ctx;
    s->device = device;
    s->params = *params;
    s->params.task = params->task != NULL ? params->task : &sy_task_spans;
    enum sy_status status = sy_config_copy(ctx, params->config, &s->config);
    s->params.config = &s->config; // the caller's may go
    if (status == SY_OK)
        status = sy_prove_variants(device);
    if (status == SY_OK)
        status = sy_assemble(ctx, sy_device_caps(device), &s->params, &s->graph, &s->model, &s->loss, &s->outputs);
    if (status == SY_OK)
        status = sy_sums_create(ctx, s->graph, &s->sums);
    if (status == SY_OK)
        sy_tune_first_use(device, s->graph); // before the model takes its memory
    if (status == SY_OK)
        status =
            sy_runtime_create(device, s->graph, params->lender != NULL ? params->lender->runtime : NULL, &s->runtime);
    if (status == SY_OK)
        status = sy_inputs_create(s, &s->inputs); // the plan knows which of them are read
    if (status == SY_OK)
        status = sy_segments_create(s->graph, &s->model, &s->loss, params->kind, &s->segments);
    if (status == SY_OK && s->graph->ranks != NULL)
        status = sy_messages_create(s, &s->messages);
    if (status != SY_OK)
        sy_session_destroy(&s);
    else
        *out = s;
    return status;
}

void sy_session_destroy(struct sy_session **session)
{
    struct sy_session *s = *session;
    if (s == NULL)
        return;
    sy_sums_destroy(&s->sums);         // reads under way need the buffers
    sy_messages_destroy(&s->messages); // likewise
    sy_runtime_destroy(&s->runtime);
    sy_inputs_destroy(&s->inputs);
    sy_segments_finish(&s->segments);
    sy_graph_destroy(&s->graph);
    sy_config_finish(&s->config);
    free(s);
    *session = NULL;
}

struct sy_device *sy_session_device(const struct sy_session *s) { return s->device; }
const struct sy_session_params *sy_session_built_with(const struct sy_session *s) { return &s->params; }
const struct sy_config *sy_session_config(const struct sy_session *s) { return &s->config; }
const struct sy_graph *sy_session_graph(const struct sy_session *s) { return s->graph; }
const struct sy_model *sy_session_model(const struct sy_session *s) { return &s->model; }
const struct sy_loss *sy_session_loss(const struct sy_session *s) { return &s->loss; }
struct sy_runtime *sy_session_runtime(const struct sy_session *s) { return s->runtime; }

static enum sy_status check_batches(const struct sy_session *s, const struct sy_batch *batches, uint32_t count)
{
    const struct sy_session_params *p = &s->params;
    if (p->kind == SY_SESSION_TRAIN && count != s->graph->micro_count)
        return sy_fail(s->ctx, SY_INVALID, "%u micro-batches but the session was built for steps of %u", count,
                       s->graph->micro_count);
    for (uint32_t i = 0; i < count; ++i)
        if (batches[i].batch != p->batch || batches[i].src_len != p->src_len || batches[i].tgt_len != p->tgt_len)
            return sy_fail(s->ctx, SY_INVALID,
                           "micro-batch %u is [%u, %u → %u] but the session was built for [%u, %u → %u]", i,
                           batches[i].batch, batches[i].src_len, batches[i].tgt_len, p->batch, p->src_len, p->tgt_len);
    const uint64_t enc = (uint64_t)p->batch * p->src_len, dec = (uint64_t)p->batch * p->tgt_len;
    const uint32_t group = s->config.group_tokens; // of a training step the model has checked it (slices)
    if (count > 1 && group != 0 && s->model.sparse_count != 0 && (enc % group != 0 || dec % group != 0))
        return sy_fail(
            s->ctx, SY_INVALID,
            "group_tokens %u does not divide the micro-batch (%llu source and %llu target tokens): a routing group "
            "would be cut; change --micro-batch or group_tokens",
            group, (unsigned long long)enc, (unsigned long long)dec);
    return SY_OK;
}

static enum sy_status run_program(struct sy_session *s, size_t leg)
{
    size_t count;
    if (s->profile != NULL && s->profile[leg] != NULL)
        return sy_program_profile(sy_runtime_leg(s->runtime, leg, &count), s->profile[leg]);
    return sy_runtime_run_leg(s->runtime, leg);
}

/// Runs the segments; `first` is the number of the batch among all of an evaluation, `flight` where the results go.
static enum sy_status run_segments(struct sy_session *s, const struct sy_batch *batches, uint32_t first,
                                   uint32_t flight)
{
    const bool train = s->params.kind == SY_SESSION_TRAIN;
    for (size_t i = 0; i < s->segments.count; ++i) {
        const struct sy_segment *x = &s->segments.list[i];
        const uint32_t micro = train ? sy_turns_number(s->graph->ranks, s->graph->micro_count, x->micro) : first;
        switch (x->kind) {
        case SY_SEGMENT_HOST: SY_TRY(sy_inputs_prepare(s, &batches[x->micro])); break;
        case SY_SEGMENT_UPLOAD:
            s->step.row_enc = micro * s->params.batch * s->params.src_len;
            s->step.row_dec = micro * s->params.batch * s->params.tgt_len;
            s->step.sequence = micro * s->params.batch;
            SY_TRY(sy_inputs_write(s));
            break;
        case SY_SEGMENT_PROGRAM:
            SY_TRY(run_program(s, x->leg));
            SY_TRY(sy_messages_look(s));
            break;
        case SY_SEGMENT_MESSAGE: SY_TRY(sy_message_start(s, x)); break;
        case SY_SEGMENT_ARRIVAL: SY_TRY(sy_message_await(s, x)); break;
        case SY_SEGMENT_DOWNLOAD: SY_TRY(sy_sums_start(s, flight)); break;
        }
    }
    return SY_OK;
}

enum sy_status sy_session_begin(struct sy_session *s, const struct sy_batch *batches, uint32_t count, uint64_t t,
                                double lr, uint64_t seed)
{
    struct sy_flight *f = &s->flights[s->begun % SY_FLIGHTS];
    assert(s->params.kind == SY_SESSION_TRAIN && s->begun - s->ended < SY_FLIGHTS);
    memset(&f->metrics, 0, sizeof f->metrics);
    SY_TRY(check_batches(s, batches, count));
    SY_TRY(sy_inputs_step(s, batches, count, t, lr, seed, &s->step, &f->metrics));
    f->step = s->step;
    if (f->metrics.labels == 0)
        return sy_fail(s->ctx, SY_INVALID, "step %llu: the batch has no target token", (unsigned long long)t);
    SY_TRY(run_segments(s, batches, 0, s->begun % SY_FLIGHTS));
    ++s->begun;
    return SY_OK;
}

enum sy_status sy_session_end(struct sy_session *s, struct sy_metrics *out)
{
    assert(s->ended < s->begun);
    const uint32_t flight = s->ended++ % SY_FLIGHTS;
    const struct sy_flight *f = &s->flights[flight];
    sy_sums_clear(s->sums);
    *out = f->metrics;
    SY_TRY(sy_sums_take(s, flight, &out->grad_norm));
    sy_metrics_fill(s, &f->step, out);
    if (!isfinite(out->total) || !isfinite(out->grad_norm))
        return sy_fail(
            s->ctx, SY_INTERNAL,
            "step %u: the loss is %g (cross-entropy %g, aux %g, z %g) and the gradient norm %g: training diverged; "
            "resume from the last checkpoint with a lower --lr, or --precision selective",
            f->step.step, out->total, out->loss_ce, out->aux, out->z, out->grad_norm);
    return SY_OK;
}

enum sy_status sy_session_step(struct sy_session *s, const struct sy_batch *batches, uint32_t count, uint64_t t,
                               double lr, uint64_t seed, struct sy_metrics *out)
{
    memset(out, 0, sizeof *out);
    SY_TRY(sy_session_begin(s, batches, count, t, lr, seed));
    return sy_session_end(s, out);
}

/// Each micro-batch's sums are taken when the next one is queued.
static enum sy_status evaluate(struct sy_session *s, const struct sy_batch *batches, uint32_t count)
{
    double none;
    const uint32_t first = sy_layout_rank(s->graph->ranks) * count;
    for (uint32_t i = 0; i < count; ++i) {
        SY_TRY(run_segments(s, &batches[i], first + i, i % SY_FLIGHTS));
        if (i != 0)
            SY_TRY(sy_sums_take(s, (i - 1) % SY_FLIGHTS, &none));
    }
    if (count != 0)
        SY_TRY(sy_sums_take(s, (count - 1) % SY_FLIGHTS, &none));
    return sy_sums_share(s);
}

enum sy_status sy_session_evaluate(struct sy_session *s, const struct sy_batch *batches, uint32_t count,
                                   struct sy_metrics *out)
{
    memset(out, 0, sizeof *out);
    SY_TRY(check_batches(s, batches, count));
    SY_TRY(sy_inputs_step(s, batches, count, 1, 0.0, 0, &s->step, out));
    sy_sums_clear(s->sums);
    const enum sy_status status = evaluate(s, batches, count);
    if (status == SY_OK)
        sy_metrics_fill(s, &s->step, out);
    else
        sy_sums_forget(s->sums);
    return status;
}
