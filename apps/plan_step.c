// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_step.h"

#include <stdlib.h>
#include <string.h>

#include "engine/runtime.h"
#include "engine/split.h"

static uint64_t experts_of(const struct sy_layout *l, uint32_t rank, uint32_t experts)
{
    const uint32_t place = rank % l->expert;
    return sy_layout_first_expert(l, place + 1, experts) - sy_layout_first_expert(l, place, experts);
}

static void add_up(const struct sy_config *c, const struct sy_layout *l, struct plan_step *p)
{
    const struct sy_graph *g = p->graph;
    uint64_t others = 0; // than experts
    for (size_t i = 0; i < sy_graph_param_count(g); ++i) {
        const struct sy_param *x = sy_graph_param_at(g, i);
        const struct sy_split whole = sy_split_of(g, x);
        p->own_parameters += (uint64_t)x->rows * x->cols * x->parts;
        others += (x->flags & SY_PARAM_EXPERT) != 0 ? 0 : (uint64_t)whole.rows * whole.cols * x->parts;
    }
    const uint64_t matrices = c->gated ? 3 : 2;
    p->expert_parameters = (uint64_t)p->model->sparse_count * c->experts * c->d_model * c->d_ff * matrices;
    p->parameters = others + p->expert_parameters;
    p->own_experts = experts_of(l, l->rank, c->experts);
    p->nodes = sy_graph_node_count(g);
    for (size_t i = 0; i < p->nodes; ++i) {
        const struct sy_node *n = sy_graph_node(g, i);
        *(n->phase == SY_PHASE_UPDATE ? &p->update
          : n->backward               ? &p->backward
                                      : &p->forward) += sy_op_info(n->op)->impl->flops(n->args);
    }
}

/// The micro-batches of all ranks that make a step.
static uint32_t micros_of(const struct sy_layout *l, const struct sy_session_params *p)
{
    if (l->turns != NULL)
        return l->turns[l->data] * l->expert;
    return sy_layout_ranks(l) * (p->micro_count != 0 ? p->micro_count : 1);
}

/// The step's slices are shared out among the ranks.
static enum sy_status share_slices(struct sy_ctx *ctx, struct plan_step *p)
{
    const struct sy_layout *l = &p->layout;
    const uint32_t ranks = sy_layout_ranks(l), all = micros_of(l, &p->params);
    if (p->params.slices % all != 0)
        return sy_fail(ctx, SY_INVALID,
                       "%u slices cannot be shared out among %u ranks of %u micro-batch%s: take --slices %u or a "
                       "power of two times as many",
                       p->params.slices, ranks, all / ranks, all == ranks ? "" : "es", all);
    if (l->turns != NULL)
        p->params.micro_count = l->turns[l->rank / l->expert + 1] - l->turns[l->rank / l->expert];
    p->params.slices = p->params.slices / all * (p->params.micro_count != 0 ? p->params.micro_count : 1);
    return SY_OK;
}

enum sy_status plan_step_own(struct sy_ctx *ctx, const struct plan_job *job, const struct sy_layout *layout,
                             struct plan_step *out)
{
    *out = (struct plan_step){.layout = *layout, .params = job->params};
    const struct sy_limits limits = sy_runtime_limits(job->caps, false);
    struct sy_optimizer_outputs outputs;
    struct sy_plan made;
    out->params.ranks = plan_step_ranks(out);
    out->model = calloc(1, sizeof *out->model);
    if (out->model == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (out->params.ranks != NULL)
        SY_TRY(share_slices(ctx, out));
    SY_TRY(sy_assemble(ctx, job->caps, &out->params, &out->graph, out->model, &out->loss, &outputs));
    SY_TRY(sy_plan_create(out->graph, &limits, &made));
    memcpy(out->arena, made.arena_bytes, sizeof out->arena);
    out->bytes = out->most_bytes = made.total_bytes;
    sy_plan_finish(&made);
    SY_TRY(sy_segments_create(out->graph, out->model, &out->loss, SY_SESSION_TRAIN, &out->segments));
    add_up(job->params.config, &out->layout, out);
    if (job->rates != NULL)
        SY_TRY(plan_time_of(ctx, out->graph, &out->segments, out->params.ranks, job->rates, job->network, &out->time));
    return SY_OK;
}

enum sy_status plan_step_make(struct sy_ctx *ctx, const struct plan_job *job, const struct sy_layout *layout,
                              struct plan_step *out)
{
    SY_TRY(plan_step_own(ctx, job, layout, out));
    out->heaviest = layout->rank;
    for (uint32_t r = 0; r < sy_layout_ranks(layout) && out->params.ranks != NULL; ++r)
        if (experts_of(layout, r, job->params.config->experts) == out->own_experts &&
            plan_updates(out->graph, layout, r) > plan_updates(out->graph, layout, out->heaviest))
            out->heaviest = r;
    if (out->heaviest == layout->rank)
        return SY_OK;
    struct sy_layout other = *layout;
    struct plan_step p;
    other.rank = out->heaviest;
    const enum sy_status status = plan_step_own(ctx, job, &other, &p);
    if (status == SY_OK && p.bytes > out->most_bytes)
        out->most_bytes = p.bytes;
    if (status == SY_OK && p.time.total > out->time.total)
        out->time = p.time;
    plan_step_finish(&p);
    return status;
}

void plan_step_finish(struct plan_step *p)
{
    sy_segments_finish(&p->segments);
    sy_graph_destroy(&p->graph);
    free(p->model);
    p->model = NULL;
}

uint32_t plan_job_experts(const struct plan_job *job)
{
    const struct sy_config *c = job->params.config;
    for (uint32_t i = 0; i < c->layers || i < c->decoder_layers; ++i)
        if (sy_config_sparse(c, false, i) || sy_config_sparse(c, true, i))
            return c->experts;
    return 0;
}

double plan_step_tokens(const struct plan_step *p)
{
    const struct sy_session_params *x = &p->params;
    return (double)micros_of(&p->layout, x) * x->batch * ((double)x->src_len + x->tgt_len);
}

double plan_step_resident(const struct plan_job *job, const struct plan_step *p)
{
    struct plan_traffic t = {.host = 0.0};
    if (plan_step_ranks(p) != NULL)
        plan_traffic_sum(p->graph, &p->segments, &p->layout, plan_job_machine(job), SY_OP_COUNT, &t);
    return job->rates->resident + t.host + (job->rates->processors > 0.0 ? (double)p->bytes : 0.0);
}
