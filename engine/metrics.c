// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/slices.h"

enum sy_status sy_sums_create(struct sy_ctx *ctx, const struct sy_graph *g, struct sy_sums **out)
{
    const uint32_t pack = sy_sum_pack(g);
    const uint64_t count = pack < g->pack_count ? g->packs[pack].count : 0, size = sy_dtype_bytes(g->f);
    struct sy_sums *sums = calloc(1, sizeof *sums);
    bool good = sums != NULL && (sums->values = calloc(count + 1, sizeof *sums->values)) != NULL;
    for (uint32_t i = 0; good && i < SY_FLIGHTS; ++i) {
        sums->downloads[i].staging = calloc(g->slices * count + 1, size);
        sums->downloads[i].clip_staging = calloc(2, size);
        good = sums->downloads[i].staging != NULL && sums->downloads[i].clip_staging != NULL;
    }
    if (!good) {
        sy_sums_destroy(&sums);
        return sy_fail(ctx, SY_NOMEM, "out of host memory: %llu sums for the metrics", (unsigned long long)count);
    }
    sums->count = count;
    *out = sums;
    return SY_OK;
}

void sy_sums_destroy(struct sy_sums **sums)
{
    struct sy_sums *x = *sums;
    if (x == NULL)
        return;
    sy_sums_forget(x);
    for (uint32_t i = 0; i < SY_FLIGHTS; ++i) {
        free(x->downloads[i].staging);
        free(x->downloads[i].clip_staging);
    }
    free(x->values);
    free(x);
    *sums = NULL;
}

void sy_sums_forget(struct sy_sums *sums)
{
    for (uint32_t i = 0; i < SY_FLIGHTS; ++i) {
        sy_event_destroy(&sums->downloads[i].sums);
        sy_event_destroy(&sums->downloads[i].clip);
    }
}

void sy_sums_clear(struct sy_sums *sums) { memset(sums->values, 0, sums->count * sizeof *sums->values); }

/// Whether a download is of the whole step's sums, else of each slice's.
static bool reads_whole(const struct sy_session *s)
{
    return s->params.kind == SY_SESSION_TRAIN || !sy_slices_merge(s->graph);
}

enum sy_status sy_sums_start(struct sy_session *s, uint32_t flight)
{
    const struct sy_graph *g = s->graph;
    const uint32_t pack = sy_sum_pack(g);
    struct sy_download *r = &s->sums->downloads[flight];
    if (s->params.kind == SY_SESSION_TRAIN)
        SY_TRY(sy_runtime_read_start(s->runtime, s->outputs.clip, 0, 2, r->clip_staging, &r->clip));
    if (pack == g->pack_count)
        return SY_OK;
    const bool whole = reads_whole(s);
    const sy_tid from = whole ? sy_sum_total(g, pack) : g->packs[pack].part;
    return sy_runtime_read_start(s->runtime, from, 0, (whole ? 1 : g->slices) * s->sums->count, r->staging, &r->sums);
}

static double value_of(const struct sy_graph *g, const void *staging, uint64_t i)
{
    return g->f == SY_F64 ? (double)(float)((const double *)staging)[i] : (double)((const float *)staging)[i];
}

/// Adds a sum's `slices` parts, which begin at `from` of what was read.
static void add(const struct sy_graph *g, struct sy_sums *sums, const struct sy_sum *s, const void *staging,
                uint64_t from, uint32_t slices)
{
    for (uint32_t i = 0; i < slices; ++i)
        for (uint64_t k = 0; k < s->count; ++k)
            sums->values[s->at + k] += value_of(g, staging, from + i * s->count + k);
}

enum sy_status sy_sums_take(struct sy_session *s, uint32_t flight, double *out_norm)
{
    const struct sy_graph *g = s->graph;
    const uint32_t pack = sy_sum_pack(g), slices = reads_whole(s) ? 1 : g->slices;
    struct sy_download *r = &s->sums->downloads[flight];
    if (r->clip != NULL) {
        SY_TRY(sy_event_wait(r->clip));
        sy_event_destroy(&r->clip);
        *out_norm = value_of(g, r->clip_staging, 1);
    }
    if (r->sums == NULL)
        return SY_OK;
    SY_TRY(sy_event_wait(r->sums));
    sy_event_destroy(&r->sums);
    for (size_t i = 0; i < g->sum_count; ++i)
        if (g->sums[i].pack == pack)
            add(g, s->sums, &g->sums[i], r->staging, slices * g->sums[i].at, slices);
    return SY_OK;
}

enum sy_status sy_sums_share(struct sy_session *s)
{
    const struct sy_layout *l = s->graph->ranks;
    const uint64_t n = s->sums->count;
    if (l == NULL || n == 0)
        return SY_OK;
    double *all = calloc(n * l->group->size, sizeof *all);
    if (all == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: sums of %u ranks", l->group->size);
    const enum sy_status status =
        sy_group_collect(s->ctx, l->group, "the ranks' losses and counts", s->sums->values, n * sizeof *all, all);
    for (uint64_t i = 0; i < n && status == SY_OK; ++i) {
        s->sums->values[i] = 0.0;
        for (uint32_t r = 0; r < l->group->size; r += sy_layout_parts(l)) // parts have the same
            s->sums->values[i] += all[r * n + i];
    }
    free(all);
    return status;
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
