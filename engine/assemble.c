// SPDX-License-Identifier: Apache-2.0
#include "engine/assemble.h"

#include <stdlib.h>

#include "engine/backward.h"
#include "engine/graph_private.h"
#include "engine/logits.h"
#include "engine/lower.h"
#include "engine/overlap.h"
#include "engine/runtime.h"
#include "engine/session.h"
#include "engine/slices.h"

/// The least number of sequences that holds whole routing groups; the whole micro-batch when none does.
static uint32_t whole_groups(const struct sy_session_params *p)
{
    const uint64_t group = p->config->group_tokens;
    for (uint32_t n = 1; n < p->batch && group != 0; ++n)
        if (p->batch % n == 0 && (uint64_t)n * p->src_len % group == 0 && (uint64_t)n * p->tgt_len % group == 0)
            return n;
    return group == 0 ? 1 : p->batch;
}

/// Slices and micro-batches (slices.h).
static enum sy_status cut(struct sy_graph *g, const struct sy_session_params *p)
{
    g->micro_count = p->micro_count != 0 ? p->micro_count : 1;
    assert(p->kind != SY_SESSION_TRAIN || g->ranks == NULL || g->ranks->turns == NULL ||
           g->micro_count == g->ranks->turns[g->ranks->rank / g->ranks->expert + 1] -
                                 g->ranks->turns[g->ranks->rank / g->ranks->expert]);
    if (p->kind == SY_SESSION_EVAL)
        g->slices = p->batch / whole_groups(p);
    else if (p->slices % g->micro_count == 0)
        g->slices = p->slices != 0 ? p->slices / g->micro_count : 1;
    else
        return sy_fail(g->ctx, SY_INVALID,
                       "%u slices do not divide into %u micro-batches: take --slices %u or a multiple", p->slices,
                       g->micro_count, g->micro_count);
    return SY_OK;
}

enum sy_status sy_assemble(struct sy_ctx *ctx, const struct sy_caps *caps, const struct sy_session_params *p,
                           struct sy_graph **graph, struct sy_model *model, struct sy_loss *loss,
                           struct sy_optimizer_outputs *outputs)
{
    static const enum sy_model_mode modes[] = {SY_MODEL_TRAIN, SY_MODEL_EVAL, SY_MODEL_EVAL, SY_MODEL_DECODE};
    const struct sy_model_params m = {.config = p->config,
                                      .mode = modes[p->kind],
                                      .batch = p->batch,
                                      .src_len = p->src_len,
                                      .tgt_len = p->tgt_len,
                                      .beams = p->beams,
                                      .capacity_train = p->capacity_train,
                                      .jitter_input = p->jitter_input,
                                      .keep_internals = p->keep_internals};
    SY_TRY(sy_graph_create(ctx, p->precision, caps, graph));
    struct sy_graph *g = *graph;
    g->ranks = sy_layout_world(p->ranks) > 1 ? p->ranks : NULL;
    g->borrows = p->kind != SY_SESSION_TRAIN && (p->lender != NULL || p->borrows);
    g->lender = p->lender != NULL ? sy_session_graph(p->lender) : NULL;
    SY_TRY(cut(g, p));
    g->weight_passes = p->kind == SY_SESSION_TRAIN ? g->micro_count * (p->recompute ? 2 : 1) : 0;
    SY_TRY(sy_model_build(g, &m, model));
    if (p->kind != SY_SESSION_DECODE)
        (p->task != NULL ? p->task : &sy_task_spans)->emit_loss(g, model, loss);
    if (p->kind == SY_SESSION_TRAIN || p->kind == SY_SESSION_GRADIENTS)
        sy_backward(g, p->recompute);
    sy_logits_in_parts(g);
    if (p->kind == SY_SESSION_TRAIN) {
        sy_slices_emit(g);
        sy_overlap_emit(g);
        sy_ranks_emit(g);
        sy_optimizer_emit(g, &p->optimizer, outputs);
    }
    sy_graph_refresh(g);
    sy_lower(g, caps);
    sy_overlap_refresh(g);
    return sy_graph_status(g);
}

enum sy_status sy_session_bytes(struct sy_ctx *ctx, const struct sy_caps *caps, const struct sy_session_params *params,
                                uint64_t *out_bytes)
{
    const bool borrows = params->lender != NULL || params->borrows;
    struct sy_limits limits = sy_runtime_limits(caps, borrows);
    limits.borrow_state = borrows && params->kind == SY_SESSION_TRAIN;
    struct sy_model *model = calloc(1, sizeof *model);
    struct sy_optimizer_outputs outputs;
    struct sy_loss loss;
    struct sy_graph *graph = NULL;
    struct sy_plan plan = {0};
    if (model == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    enum sy_status status = sy_assemble(ctx, caps, params, &graph, model, &loss, &outputs);
    if (status == SY_OK)
        status = sy_plan_create(graph, &limits, &plan);
    if (status == SY_OK)
        *out_bytes = plan.total_bytes;
    sy_plan_finish(&plan);
    sy_graph_destroy(&graph);
    free(model);
    return status;
}
