// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum sy_status sy_sums_create(struct sy_ctx *ctx, const struct sy_model *model, struct sy_layer_sums **out)
{
    size_t layers = model->sparse_count, experts = layers > 0 ? model->sparse[0].experts : 0;
    *out = NULL;
    if (layers == 0)
        return SY_OK;
    struct sy_layer_sums *sums = calloc(layers, sizeof *sums);
    double *load = calloc(layers * experts, sizeof *load);
    if (sums == NULL || load == NULL) {
        free(sums);
        free(load);
        return sy_fail(ctx, SY_NOMEM, "out of host memory: metrics of %zu sparse layers", layers);
    }
    for (size_t i = 0; i < layers; ++i)
        sums[i].load = load + i * experts;
    *out = sums;
    return SY_OK;
}

void sy_sums_destroy(struct sy_layer_sums **sums)
{
    if (*sums != NULL)
        free((*sums)[0].load);
    free(*sums);
    *sums = NULL;
}

void sy_sums_clear(struct sy_session *s)
{
    memset(s->row_sums, 0, sizeof s->row_sums);
    for (uint32_t i = 0; i < s->model.sparse_count; ++i) {
        double *load = s->sums[i].load;
        memset(load, 0, s->model.sparse[i].experts * sizeof *load);
        s->sums[i] = (struct sy_layer_sums){.load = load};
    }
}

static bool evaluates(const struct sy_session *s) { return s->model.params.mode == SY_MODEL_EVAL; }

static bool real_token(const struct sy_model_sparse *l, const struct sy_batch *batch, uint32_t row)
{
    return l->decoder ? batch->labels[row] != SY_IGNORE : batch->attention_mask[row] != 0;
}

static void add_load(const struct sy_model_sparse *l, const int32_t *load, struct sy_layer_sums *sum)
{
    for (size_t i = 0; i < (size_t)l->groups * l->experts; ++i)
        sum->load[i % l->experts] += load[i];
}

/// A token is lost when none of its k choices got a slot.
static void add_tokens(const struct sy_model_sparse *l, const struct sy_batch *batch, const int32_t *slot,
                       struct sy_layer_sums *sum)
{
    for (uint32_t r = 0; r < l->rows; ++r) {
        bool placed = false;
        if (!real_token(l, batch, r))
            continue;
        for (uint32_t k = 0; k < l->k; ++k)
            placed |= slot[(size_t)r * l->k + k] >= 0;
        sum->tokens += 1.0;
        sum->lost += !placed;
    }
}

/// `step`: top2's two gates add up to 1, so only the first of them says anything.
static void add_gates(const struct sy_model_sparse *l, const float *gate, uint32_t step, struct sy_layer_sums *sum)
{
    for (size_t i = 0; i < (size_t)l->rows * l->k; i += step) {
        sum->gates += gate[i];
        sum->gate_count += gate[i] != 0.0f;
    }
}

/// Adds column `column` and its successors of `rows` rows of `cols` numbers to `sums`.
static enum sy_status add_columns(struct sy_session *s, sy_tid tensor, uint32_t rows, uint32_t cols, uint32_t column,
                                  double *sums)
{
    float *values = malloc((size_t)rows * cols * sizeof *values);
    if (values == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: metrics");
    enum sy_status status = sy_runtime_read_f32(&s->runtime, tensor, 0, (uint64_t)rows * cols, values);
    for (size_t r = 0; r < rows && status == SY_OK; ++r)
        for (uint32_t c = column; c < cols; ++c)
            sums[c - column] += values[r * cols + c];
    free(values);
    return status;
}

static enum sy_status add_losses(struct sy_session *s)
{
    const struct sy_model *m = &s->model;
    SY_TRY(add_columns(s, m->ce_rows, m->params.batch * m->params.tgt_len, 4, 1, s->row_sums));
    for (uint32_t i = 0; i < m->sparse_count; ++i) {
        double losses[2] = {s->sums[i].aux, s->sums[i].z};
        SY_TRY(add_columns(s, m->sparse[i].group_loss, m->sparse[i].groups, 2, 0, losses));
        s->sums[i].aux = losses[0];
        s->sums[i].z = losses[1];
    }
    return SY_OK;
}

static enum sy_status add_layer(struct sy_session *s, const struct sy_model_sparse *l, const struct sy_batch *batch,
                                struct sy_layer_sums *sum)
{
    size_t cells = (size_t)l->groups * l->experts, places = (size_t)l->rows * l->k;
    int32_t *load = malloc(cells * sizeof *load), *slot = malloc(places * sizeof *slot);
    float *gate = malloc(places * sizeof *gate);
    enum sy_status status = load == NULL || slot == NULL || gate == NULL
                                ? sy_fail(s->ctx, SY_NOMEM, "out of host memory: metrics of %s", l->name)
                                : sy_runtime_read_part(&s->runtime, l->load, 0, cells, load);
    if (status == SY_OK)
        status = sy_runtime_read_part(&s->runtime, l->slot, 0, places, slot);
    if (status == SY_OK)
        status = sy_runtime_read_f32(&s->runtime, l->gate, 0, places, gate);
    if (status == SY_OK) {
        add_load(l, load, sum);
        add_tokens(l, batch, slot, sum);
        add_gates(l, gate, s->config.router == SY_ROUTER_TOP2 ? l->k : 1, sum);
    }
    free(load);
    free(slot);
    free(gate);
    return status;
}

enum sy_status sy_sums_add(struct sy_session *s, const struct sy_batch *batch)
{
    for (uint32_t i = 0; i < s->model.sparse_count; ++i)
        SY_TRY(add_layer(s, &s->model.sparse[i], batch, &s->sums[i]));
    return evaluates(s) ? add_losses(s) : SY_OK;
}

static void describe_layer(const struct sy_model_sparse *l, const struct sy_layer_sums *sum,
                           struct sy_layer_metrics *out)
{
    double total = 0.0, peak = 0.0;
    for (uint32_t e = 0; e < l->experts; ++e)
        total += sum->load[e];
    for (uint32_t e = 0; e < l->experts; ++e) {
        double share = total > 0.0 ? sum->load[e] / total : 0.0;
        peak = share > peak ? share : peak;
        out->entropy -= share > 0.0 ? share * log(share) : 0.0;
    }
    out->name = l->name;
    out->tokens = (uint64_t)sum->tokens;
    out->dropped = sum->tokens > 0.0 ? sum->lost / sum->tokens : 0.0;
    out->max_load = peak * l->experts;
    out->mean_gate = sum->gate_count > 0.0 ? sum->gates / sum->gate_count : 0.0;
}

/// Σ ce, correct, Σ z, and the two losses of every sparse layer, from where they were summed.
static enum sy_status read_losses(struct sy_session *s, double ce[3], double (*layers)[2])
{
    const struct sy_model *m = &s->model;
    float sums[4], loss[2];
    if (!evaluates(s))
        SY_TRY(sy_runtime_read_f32(&s->runtime, m->ce, 0, 4, sums));
    for (size_t i = 0; i < 3; ++i)
        ce[i] = evaluates(s) ? s->row_sums[i] : (double)sums[i + 1];
    for (uint32_t i = 0; i < m->sparse_count; ++i) {
        if (!evaluates(s))
            SY_TRY(sy_runtime_read_f32(&s->runtime, m->sparse[i].loss, 0, 2, loss));
        layers[i][0] = evaluates(s) ? s->sums[i].aux : (double)loss[0];
        layers[i][1] = evaluates(s) ? s->sums[i].z : (double)loss[1];
    }
    return SY_OK;
}

enum sy_status sy_metrics_read(struct sy_session *s, const struct sy_step *step, struct sy_metrics *out)
{
    const struct sy_model *m = &s->model;
    const double labels = out->labels != 0 ? (double)out->labels : 1.0;
    double ce[3], losses[SY_MAX_SPARSE][2];
    SY_TRY(read_losses(s, ce, losses));
    out->loss_ce = ce[0] / labels;
    out->accuracy = ce[1] / labels;
    out->z = ce[2] / labels;
    out->layer_count = m->sparse_count;
    for (uint32_t i = 0; i < m->sparse_count; ++i) {
        struct sy_layer_metrics *layer = &out->layers[i];
        describe_layer(&m->sparse[i], &s->sums[i], layer);
        layer->aux = losses[i][0] * (m->sparse[i].decoder ? step->inv_groups_dec : step->inv_groups_enc);
        layer->z = losses[i][1];
        out->aux += layer->aux;
        out->z += layer->z;
    }
    out->total = out->loss_ce + out->aux + out->z;
    out->nlp = -out->loss_ce;
    out->perplexity = exp(out->loss_ce);
    return SY_OK;
}
