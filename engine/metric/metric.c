// SPDX-License-Identifier: Apache-2.0
#include "engine/metric/metric.h"

#include <stdio.h>
#include <string.h>

#include "engine/metric/scores.h"

static const struct metric {
    const char *name;
    bool (*score)(const struct sy_scoring *s, double *out);
    const char *scores[SY_SCORES]; ///< NULL: the name alone.
} metrics[] = {
    {"accuracy", sy_score_accuracy, {NULL}},
    {"f1", sy_score_f1, {NULL}},
    {"macro_f1", sy_score_macro_f1, {NULL}},
    {"matthews", sy_score_matthews, {NULL}},
    {"pearson", sy_score_pearson, {NULL}},
    {"spearman", sy_score_spearman, {NULL}},
    {"squad", sy_score_squad, {"em", "squad_f1"}},
    {"rouge", sy_score_rouge, {"rouge1", "rouge2", "rougeL", "rougeLsum"}},
    {"rouge_stem", sy_score_rouge_stem, {"rouge1_stem", "rouge2_stem", "rougeL_stem", "rougeLsum_stem"}},
    {"bleu", sy_score_bleu, {NULL}},
    {"chrf", sy_score_chrf, {NULL}},
};

static const struct metric *find(const char *name, size_t length)
{
    for (size_t i = 0; i < SY_COUNT(metrics); ++i)
        if (strlen(metrics[i].name) == length && strncmp(metrics[i].name, name, length) == 0)
            return &metrics[i];
    return NULL;
}

static enum sy_status no_metric(struct sy_ctx *ctx, const char *name, size_t length)
{
    char all[160] = "";
    for (size_t i = 0; i < SY_COUNT(metrics); ++i)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 0 ? ", " : "", metrics[i].name);
    return sy_fail(ctx, SY_INVALID, "'%.*s' is no metric; there are %s", (int)(length < 60 ? length : 60), name, all);
}

enum sy_status sy_metric_check(struct sy_ctx *ctx, const char *names)
{
    for (const char *at = names; at != NULL;) {
        const size_t length = strcspn(at, ",");
        if (find(at, length) == NULL)
            return no_metric(ctx, at, length);
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return SY_OK;
}

void sy_metric_first(const char *names, char out[24]) { snprintf(out, 24, "%.*s", (int)strcspn(names, ","), names); }

enum sy_status sy_metric_score(struct sy_ctx *ctx, const char *name, const struct sy_scoring *s,
                               struct sy_score out[SY_SCORES], size_t *out_count)
{
    double values[SY_SCORES];
    const struct metric *m = find(name, strlen(name));
    if (m == NULL)
        return no_metric(ctx, name, strlen(name));
    if (s->count == 0)
        return sy_fail(ctx, SY_INVALID, "%s of no answer at all", name);
    if (!m->score(s, values))
        return sy_fail(ctx, SY_NOMEM, "out of host memory for %s", name);
    *out_count = 0;
    for (size_t i = 0; i < SY_SCORES && (i == 0 || m->scores[i] != NULL); ++i)
        out[(*out_count)++] = (struct sy_score){m->scores[i] != NULL ? m->scores[i] : m->name, values[i]};
    return SY_OK;
}
