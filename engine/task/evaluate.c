// SPDX-License-Identifier: Apache-2.0
#include "engine/task/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session_private.h"

/// Rows of the last batch that the dataset wrapped around to are blanked.
static void blank_from(struct sy_batch *b, uint32_t row, int32_t pad)
{
    for (size_t i = (size_t)row * b->src_len; i < (size_t)b->batch * b->src_len; ++i) {
        b->attention_mask[i] = 0;
        b->input_ids[i] = pad;
    }
    for (size_t i = (size_t)row * b->tgt_len; i < (size_t)b->batch * b->tgt_len; ++i)
        b->labels[i] = SY_IGNORE;
}

static void add_weighted(struct sy_metrics *sum, const struct sy_metrics *m)
{
    double w = (double)m->labels;
    sum->loss_ce += w * m->loss_ce;
    sum->aux += w * m->aux;
    sum->z += w * m->z;
    sum->accuracy += w * m->accuracy;
    sum->labels += m->labels;
    sum->tokens += m->tokens;
    sum->layer_count = m->layer_count;
    for (uint32_t i = 0; i < m->layer_count; ++i) {
        struct sy_layer_metrics *to = &sum->layers[i];
        const struct sy_layer_metrics *from = &m->layers[i];
        to->name = from->name;
        to->aux += w * from->aux;
        to->z += w * from->z;
        const double n = (double)from->tokens;
        to->tokens += from->tokens;
        to->dropped += n * from->dropped;
        to->entropy += n * from->entropy;
        to->max_load += n * from->max_load;
        to->mean_gate += n * from->mean_gate;
    }
}

static void divide(struct sy_metrics *s)
{
    double n = s->labels != 0 ? (double)s->labels : 1.0;
    s->loss_ce /= n;
    s->aux /= n;
    s->z /= n;
    s->accuracy /= n;
    for (uint32_t i = 0; i < s->layer_count; ++i) {
        struct sy_layer_metrics *l = &s->layers[i];
        double *fields[] = {&l->dropped, &l->entropy, &l->max_load, &l->mean_gate};
        for (size_t k = 0; k < SY_COUNT(fields); ++k)
            *fields[k] /= l->tokens != 0 ? (double)l->tokens : 1.0;
        l->aux /= n;
        l->z /= n;
    }
    s->total = s->loss_ce + s->aux + s->z;
    s->nlp = -s->loss_ce;
    s->perplexity = exp(s->loss_ce);
}

enum sy_status sy_evaluate_check(struct sy_ctx *ctx, const char *what, const struct sy_metrics *m)
{
    return m->labels != 0
               ? SY_OK
               : sy_fail(ctx, SY_INVALID,
                         "%s: not one target token, so there is nothing to score (labels of -100 are ignored)", what);
}

/// Micro-batches of each rank that `count` sequences take.
static uint32_t pieces_of(const struct sy_session *s, uint64_t count)
{
    const uint64_t all = (count + s->params.batch - 1) / s->params.batch, ranks = sy_layout_ranks(s->graph->ranks);
    return (uint32_t)((all + ranks - 1) / ranks);
}

/// Runs the batch of the `count` sequences from `first`; `pieces` are this rank's micro-batches of it. All ranks run as
/// many, in which the sequences lie in the order of the ranks: the last ones may have none.
static enum sy_status evaluate_batch(struct sy_session *s, const struct sy_dataset *data, uint64_t first,
                                     uint64_t count, struct sy_batch *pieces, struct sy_metrics *out)
{
    const uint32_t size = s->params.batch, used = pieces_of(s, count);
    for (uint32_t i = 0; i < used; ++i) {
        const uint64_t at = ((uint64_t)sy_layout_rank(s->graph->ranks) * used + i) * size;
        const uint64_t left = at < count ? count - at : 0;
        SY_TRY(sy_dataset_batch(s->ctx, data, first + at, size, &pieces[i]));
        if (left < size)
            blank_from(&pieces[i], (uint32_t)left, (int32_t)s->config.pad_id);
    }
    return sy_session_evaluate(s, pieces, used, out);
}

enum sy_status sy_evaluate(struct sy_session *s, const struct sy_evaluate_params *p, struct sy_metrics *out)
{
    memset(out, 0, sizeof *out);
    if (p->batch == 0)
        return sy_fail(s->ctx, SY_INVALID, "evaluation: a batch of no sequence; expected at least 1");
    const uint32_t pieces_max = pieces_of(s, p->batch);
    struct sy_batch *pieces = calloc(pieces_max, sizeof *pieces);
    if (pieces == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory for a batch of held-out text");
    uint64_t examples = sy_dataset_count(p->data);
    examples = p->most != 0 && p->most < examples ? p->most : examples;
    const uint64_t batches = (examples + p->batch - 1) / p->batch;
    enum sy_status status = SY_OK;
    for (uint64_t i = 0; i < batches && status == SY_OK; ++i) {
        struct sy_metrics m;
        const uint64_t left = examples - i * p->batch;
        status = evaluate_batch(s, p->data, i * p->batch, left < p->batch ? left : p->batch, pieces, &m);
        if (status != SY_OK)
            break;
        add_weighted(out, &m);
        if (p->progress != NULL && sy_layout_first(s->graph->ranks))
            p->progress(p->user, i + 1, batches);
    }
    for (uint32_t i = 0; i < pieces_max; ++i)
        sy_batch_finish(&pieces[i]);
    free(pieces);
    divide(out);
    return status == SY_OK ? sy_evaluate_check(s->ctx, "the held-out text", out) : status;
}
