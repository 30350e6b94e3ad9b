// SPDX-License-Identifier: Apache-2.0
#include "apps/replies.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

const char *replies_metrics(const struct sy_form *form) { return form->metrics != NULL ? form->metrics : "accuracy"; }

static enum sy_status no_memory(struct sy_ctx *ctx) { return sy_fail(ctx, SY_NOMEM, "out of host memory for answers"); }

static bool same_options(const struct sy_pair *a, const struct sy_pair *b)
{
    bool same = a->option_count == b->option_count;
    for (size_t i = 0; same && i < a->option_count; ++i)
        same = strcmp(a->options[i], b->options[i]) == 0;
    return same;
}

/// What the answers are scored as: the classes are the options where all examples have the same.
static struct sy_scoring scoring_of(const struct sy_form *form, const struct sy_pairs *pairs, size_t count)
{
    struct sy_scoring s = {.count = count, .positive = form->positive};
    bool same = count > 0;
    for (size_t i = 1; same && i < count; ++i)
        same = same_options(&pairs->items[0], &pairs->items[i]);
    if (same) {
        s.classes = (const char *const *)pairs->items[0].options;
        s.class_count = pairs->items[0].option_count;
    }
    if (s.positive == NULL && form->label_count > 0)
        s.positive = sy_template_constant(form->labels[form->label_count - 1].text);
    return s;
}

static struct sy_answer answer_of(const struct sy_pair *p, const struct sy_reply *r)
{
    return (struct sy_answer){r->text, (const char *const *)p->golds, p->gold_count};
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/// Which of its options is right.
static size_t place_of(const struct sy_pair *p)
{
    size_t i = 0;
    while (i < p->option_count && strcmp(p->options[i], p->target) != 0)
        ++i;
    return i;
}

/// The share of the commonest place among options that each example has for itself: the first, the second …
static enum sy_status find_common_place(struct sy_ctx *ctx, const struct sy_pairs *pairs, size_t count, double *out)
{
    size_t places = 1, most = 0;
    for (size_t i = 0; i < count; ++i)
        places = pairs->items[i].option_count >= places ? pairs->items[i].option_count + 1 : places;
    size_t *times = calloc(places, sizeof *times);
    if (times == NULL)
        return no_memory(ctx);
    for (size_t i = 0; i < count; ++i)
        ++times[place_of(&pairs->items[i])];
    for (size_t i = 0; i < places; ++i)
        most = times[i] > most ? times[i] : most;
    *out = (double)most / (double)count;
    free(times);
    return SY_OK;
}

/// The share of the commonest first target.
static enum sy_status find_majority(struct sy_ctx *ctx, const struct sy_pairs *pairs, size_t count, double *out)
{
    size_t most = 0;
    const char **golds = malloc(count * sizeof *golds);
    if (golds == NULL)
        return no_memory(ctx);
    for (size_t i = 0; i < count; ++i)
        golds[i] = pairs->items[i].golds[0];
    qsort(golds, count, sizeof *golds, by_text);
    for (size_t i = 0, run = 0; i < count; ++i) {
        run = i > 0 && strcmp(golds[i], golds[i - 1]) == 0 ? run + 1 : 1;
        most = run > most ? run : most;
    }
    *out = (double)most / (double)count;
    free(golds);
    return SY_OK;
}

static enum sy_status score_each(struct sy_ctx *ctx, const char *metrics, const struct sy_scoring *s,
                                 struct replies_scores *out)
{
    for (const char *at = metrics; at != NULL;) {
        size_t count;
        char name[24];
        sy_metric_first(at, name);
        if (out->count + SY_SCORES > REPLIES_SCORES)
            return sy_fail(ctx, SY_INVALID, "too many metrics at once: %s", metrics);
        SY_TRY(sy_metric_score(ctx, name, s, out->items + out->count, &count));
        out->count += count;
        at = strchr(at, ',');
        at = at != NULL ? at + 1 : NULL;
    }
    return SY_OK;
}

enum sy_status replies_score(struct sy_ctx *ctx, const struct sy_form *form, const struct sy_pairs *pairs, size_t count,
                             const struct sy_reply *replies, struct replies_scores *out)
{
    *out = (struct replies_scores){.majority = NAN};
    struct sy_scoring s = scoring_of(form, pairs, count);
    struct sy_answer *answers = malloc((count + 1) * sizeof *answers);
    if (answers == NULL)
        return no_memory(ctx);
    for (size_t i = 0; i < count; ++i)
        answers[i] = answer_of(&pairs->items[i], &replies[i]);
    s.answers = answers;
    enum sy_status status = score_each(ctx, replies_metrics(form), &s, out);
    if (status == SY_OK && strstr(replies_metrics(form), "accuracy") != NULL)
        status = s.classes == NULL && form->rank ? find_common_place(ctx, pairs, count, &out->majority)
                                                 : find_majority(ctx, pairs, count, &out->majority);
    free(answers);
    return status;
}

// ---- predictions ----------------------------------------------------------------------------------------------------

/// What one generated answer is worth by itself: classes and numbers are right or not.
static enum sy_status own_score(struct sy_ctx *ctx, const struct sy_form *form, const struct sy_answer *answer,
                                double *out)
{
    static const char *const alone[] = {"squad", "rouge", "rouge_stem", "chrf"};
    char name[24];
    struct sy_score scores[SY_SCORES];
    size_t count;
    const struct sy_scoring s = {.answers = answer, .count = 1};
    sy_metric_first(replies_metrics(form), name);
    bool fits = false;
    for (size_t i = 0; i < SY_COUNT(alone); ++i)
        fits = fits || strcmp(name, alone[i]) == 0;
    SY_TRY(sy_metric_score(ctx, fits ? name : "accuracy", &s, scores, &count));
    *out = scores[0].value;
    return SY_OK;
}

static json_t *strings(char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; ++i)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}

static enum sy_status make_line(struct sy_ctx *ctx, const struct sy_form *form, const struct sy_pair *p,
                                const struct sy_reply *r, json_t **out)
{
    double score = 0.0;
    const struct sy_answer answer = answer_of(p, r);
    if (r->options != NULL)
        score = r->options[r->chosen];
    else
        SY_TRY(own_score(ctx, form, &answer, &score));
    json_t *line =
        json_pack("{s:I, s:s*, s:s, s:o, s:s, s:f}", "number", (json_int_t)p->number, "id", p->id, "input", p->inputs,
                  "targets", strings(p->golds, p->gold_count), "prediction", r->text, "score", score);
    json_t *scores = r->options != NULL ? json_array() : NULL;
    for (size_t i = 0; r->options != NULL && i < p->option_count; ++i)
        json_array_append_new(scores, json_real(r->options[i]));
    if (scores != NULL) {
        json_object_set_new(line, "options", strings(p->options, p->option_count));
        json_object_set_new(line, "scores", scores);
    }
    *out = line;
    return line != NULL ? SY_OK : no_memory(ctx);
}

static enum sy_status append_line(struct sy_ctx *ctx, struct sy_file *file, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
    enum sy_status status = text != NULL ? sy_file_append(file, text, strlen(text)) : no_memory(ctx);
    free(text);
    return status == SY_OK ? sy_file_append(file, "\n", 1) : status;
}

enum sy_status replies_write(struct sy_ctx *ctx, const char *path, const struct sy_form *form,
                             const struct sy_pairs *pairs, size_t count, const struct sy_reply *replies)
{
    struct sy_file *file;
    SY_TRY(sy_file_create(ctx, path, &file));
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < count && status == SY_OK; ++i) {
        json_t *line = NULL;
        status = make_line(ctx, form, &pairs->items[i], &replies[i], &line);
        if (status == SY_OK)
            status = append_line(ctx, file, line);
        json_decref(line);
    }
    if (status == SY_OK)
        return sy_file_commit(&file);
    sy_file_abort(&file);
    return status;
}

json_t *replies_json(const struct replies_scores *scores)
{
    json_t *out = json_object();
    for (size_t i = 0; i < scores->count; ++i) {
        const double x = scores->items[i].value;
        json_object_set_new(out, scores->items[i].name, isfinite(x) ? json_real(x) : json_null());
    }
    return out;
}
