// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session_private.h"
#include "engine/slices.h"

enum sy_status sy_sums_create(struct sy_ctx *ctx, const struct sy_graph *g, struct sy_sums **out)
{
    const uint32_t pack = sy_sum_pack(g);
    const uint64_t count = pack < g->pack_count ? g->packs[pack].count : 0;
    struct sy_sums *sums = calloc(1, sizeof *sums);
    double *values = calloc(count + 1, sizeof *values);
    float *staging = calloc(g->slices * count + 1, sizeof *staging);
    if (sums == NULL || values == NULL || staging == NULL) {
        free(sums);
        free(values);
        free(staging);
        return sy_fail(ctx, SY_NOMEM, "out of host memory: %llu sums for the metrics", (unsigned long long)count);
    }
    *sums = (struct sy_sums){.values = values, .staging = staging, .count = count};
    *out = sums;
    return SY_OK;
}

void sy_sums_destroy(struct sy_sums **sums)
{
    if (*sums != NULL) {
        free((*sums)->values);
        free((*sums)->staging);
    }
    free(*sums);
    *sums = NULL;
}

void sy_sums_clear(struct sy_sums *sums) { memset(sums->values, 0, sums->count * sizeof *sums->values); }

/// Adds a sum's `slices` parts, which begin at `from` of what was read.
static void add(struct sy_sums *sums, const struct sy_sum *s, uint64_t from, uint32_t slices)
{
    for (uint32_t i = 0; i < slices; ++i)
        for (uint64_t k = 0; k < s->count; ++k)
            sums->values[s->at + k] += (double)sums->staging[from + i * s->count + k];
}

enum sy_status sy_sums_add(struct sy_session *s)
{
    const struct sy_graph *g = s->graph;
    const uint32_t pack = sy_sum_pack(g);
    if (pack == g->pack_count)
        return SY_OK;
    const bool whole = s->params.kind == SY_SESSION_TRAIN || !sy_slices_merge(g);
    const uint32_t slices = whole ? 1 : g->slices;
    const sy_tid from = whole ? sy_sum_total(g, pack) : g->packs[pack].part;
    SY_TRY(sy_runtime_read_f32(s->runtime, from, 0, slices * s->sums->count, s->sums->staging));
    for (size_t i = 0; i < g->sum_count; ++i)
        if (g->sums[i].pack == pack)
            add(s->sums, &g->sums[i], slices * g->sums[i].at, slices);
    return SY_OK;
}

/// `load` [E], then what sy_route_stats_args names.
static void describe_layer(const struct sy_model_sparse *l, const double *load, struct sy_layer_metrics *out)
{
    const double *counts = load + l->experts;
    double total = 0.0, peak = 0.0;
    for (uint32_t e = 0; e < l->experts; ++e)
        total += load[e];
    for (uint32_t e = 0; e < l->experts; ++e) {
        double share = total > 0.0 ? load[e] / total : 0.0;
        peak = share > peak ? share : peak;
        out->entropy -= share > 0.0 ? share * log(share) : 0.0;
    }
    out->name = l->name;
    out->tokens = (uint64_t)counts[0];
    out->dropped = counts[0] > 0.0 ? counts[1] / counts[0] : 0.0;
    out->max_load = peak * l->experts;
    out->mean_gate = counts[3] > 0.0 ? counts[2] / counts[3] : 0.0;
}

void sy_metrics_fill(const struct sy_session *s, const struct sy_step *step, struct sy_metrics *out)
{
    const struct sy_model *m = &s->model;
    s->params.task->metrics(s->sums->values + s->loss.sums.at, out);
    out->layer_count = m->sparse_count;
    for (uint32_t i = 0; i < m->sparse_count; ++i) {
        const struct sy_model_sparse *l = &m->sparse[i];
        const double *loss = s->sums->values + l->loss.at;
        struct sy_layer_metrics *layer = &out->layers[i];
        describe_layer(l, s->sums->values + l->stats.at, layer);
        layer->aux = loss[0] * (double)(l->decoder ? step->inv_groups_dec : step->inv_groups_enc);
        layer->z = loss[1];
        out->aux += layer->aux;
        out->z += layer->z;
    }
    out->total = out->loss_ce + out->aux + out->z;
}
