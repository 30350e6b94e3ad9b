// SPDX-License-Identifier: Apache-2.0
#include "engine/task/loss.h"

#include <math.h>
#include <stdio.h>

#include "engine/graph_private.h"
#include "engine/session.h"
#include "engine/slices.h"

void sy_cross_entropy_emit(struct sy_graph *g, const struct sy_model *model, struct sy_loss *out)
{
    const struct sy_config *c = model->params.config;
    const uint32_t rows = model->params.batch * model->params.tgt_len;
    const struct sy_xent_args x = {
        .rows = rows, .vocab = c->vocab_size, .z_coef = (float)c->z_loss, .smoothing = (float)c->label_smoothing};
    const struct sy_sum_rows_args s = {.parts = rows / g->slices, .n = 4, .scale = 1.0f, .slices = g->slices};
    snprintf(g->scope, sizeof g->scope, "loss");
    g->phase = SY_PHASE_MICRO;
    out->labels = sy_tensor_new(g, SY_KIND_INPUT, SY_I32, rows, 1, 1, "labels");
    const sy_tid each = sy_act_f(g, rows, 4, ".ce_rows");
    SY_EMIT(g, xent, &x, model->logits, out->labels, each);
    out->rows = each;
    out->sums = sy_sum_new(g, 4, "ce");
    SY_EMIT(g, sum_rows, &s, each, out->sums.part);
    g->scope[0] = '\0';
}

void sy_cross_entropy_metrics(const double *sums, struct sy_metrics *out)
{
    const double labels = out->labels != 0 ? (double)out->labels : 1.0;
    out->loss_ce = sums[1] / labels;
    out->accuracy = sums[2] / labels;
    out->z = sums[3] / labels;
    out->nlp = -out->loss_ce;
    out->perplexity = exp(out->loss_ce);
}
