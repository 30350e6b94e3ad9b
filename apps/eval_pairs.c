// SPDX-License-Identifier: Apache-2.0
#include "apps/eval_pairs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/replies.h"
#include "apps/report.h"
#include "engine/file.h"
#include "engine/task/answer.h"
#include "engine/task/task.h"

struct run {
    struct sy_ctx *ctx;
    const struct eval_pairs *o;
    const struct cli_common *common;
    struct sy_bundle *model;
    struct ranks *ranks;
    struct sy_form form;
    struct sy_pairs pairs;
    struct sy_answerer *answerer;
    struct sy_reply *replies;
    size_t count;
    double seconds;
};

/// Whether predictions can be written is known before hours of answering.
static enum sy_status try_predictions(struct run *r)
{
    struct sy_file *file;
    if (r->ranks->group.rank != 0 || r->o->predictions == NULL)
        return SY_OK;
    SY_TRY(sy_file_create(r->ctx, r->o->predictions, &file));
    sy_file_abort(&file);
    return SY_OK;
}

/// Form, rows, tokens: what needs no device.
static enum sy_status prepare(struct run *r, struct sy_answer_params *p)
{
    const struct eval_pairs *o = r->o;
    SY_TRY(pairs_form(r->ctx, &o->form, &r->form));
    SY_TRY(sy_metric_check(r->ctx, replies_metrics(&r->form)));
    SY_TRY(try_predictions(r));
    SY_TRY(sy_bundle_tokenizer(r->ctx, r->common->model, r->common->tokenizer, r->model));
    SY_TRY(pairs_open(r->ctx, &r->form, o->file, r->model->tokenizer, &r->pairs));
    r->count = o->examples != 0 && o->examples < r->pairs.count ? (size_t)o->examples : r->pairs.count;
    p->rank = r->form.rank;
    p->src_len = o->src_len != 0 ? (uint32_t)o->src_len : pairs_length(r->pairs.longest_input, sy_task_pairs.src_len);
    p->max_tokens = (uint32_t)o->max_tokens;
    if (p->max_tokens == 0 && p->rank)
        SY_TRY(pairs_longest_option(r->ctx, r->model->tokenizer, &r->pairs, &p->max_tokens));
    else if (p->max_tokens == 0)
        p->max_tokens = r->form.max_tokens != 0 ? r->form.max_tokens : 64;
    pairs_warn_cut(r->ctx, &r->pairs, p->src_len, UINT32_MAX);
    r->replies = calloc(r->count, sizeof *r->replies);
    return r->replies != NULL ? SY_OK : sy_fail(r->ctx, SY_NOMEM, "out of host memory for answers");
}

static enum sy_status open_answerer(struct run *r, struct sy_answer_params *p, struct sy_device *device)
{
    char origin[512];
    p->device = device;
    p->config = &r->model->config;
    p->tokenizer = r->model->tokenizer;
    p->tensors = r->model->tensors;
    p->precision = r->common->precision;
    p->ranks = ranks_layout(r->ranks);
    p->batch = (uint32_t)r->o->sequences;
    sy_bundle_origin(r->model, r->common->model, 0, origin, sizeof origin);
    sy_log(r->ctx, SY_LOG_INFO, "%s", origin);
    sy_log(r->ctx, SY_LOG_INFO, "%zu examples of at most %u tokens, answered by %s of at most %u", r->count, p->src_len,
           p->rank ? "the likelihood of options" : "generating", p->max_tokens);
    return sy_answerer_create(r->ctx, p, &r->answerer);
}

/// All ranks must answer the same rows at the same time.
static enum sy_status compare(struct run *r, const struct sy_answer_params *p)
{
    char text[256];
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < r->count; ++i) {
        const struct sy_pair *x = &r->pairs.items[i];
        for (uint32_t k = 0; k < x->input_count; ++k)
            hash = (hash ^ (uint32_t)x->input_ids[k]) * 16777619u;
        for (size_t k = 0; k < x->option_count; ++k)
            for (const char *c = x->options[k]; *c != '\0'; ++c)
                hash = (hash ^ (unsigned char)*c) * 16777619u;
    }
    snprintf(text, sizeof text, "%zu rows (%08x), %s, batch %u, %u and %u tokens, %s", r->count, hash,
             sy_precision_name(p->precision), p->batch, p->src_len, p->max_tokens, p->rank ? "options" : "generating");
    SY_TRY(ranks_compare(r->ctx, r->ranks, "set of rows and options", text));
    return ranks_compare_config(r->ctx, r->ranks, &r->model->config);
}

static void print_scores(const struct run *r, const struct replies_scores *scores)
{
    printf("examples                 %zu\n", r->count);
    for (size_t i = 0; i < scores->count; ++i)
        printf("%-24s %.6f\n", scores->items[i].name, scores->items[i].value);
    if (!isnan(scores->majority))
        printf("always the same answer   %.6f accuracy\n", scores->majority);
}

static enum sy_status print_json(const struct run *r, const struct replies_scores *scores)
{
    json_t *j =
        json_pack("{s:s, s:I, s:s, s:o, s:f}", "kind", "answers", "examples", (json_int_t)r->count, "by",
                  r->form.rank ? "options" : "generating", "scores", replies_json(scores), "seconds", r->seconds);
    if (j == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory");
    if (!isnan(scores->majority))
        json_object_set_new(j, "majority", json_real(scores->majority));
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(j);
    return SY_OK;
}

static enum sy_status answer(struct run *r)
{
    struct replies_scores scores;
    const double started = cli_seconds();
    SY_TRY(sy_answer_all(r->answerer, &r->pairs, r->count, r->replies));
    r->seconds = cli_seconds() - started;
    SY_TRY(replies_score(r->ctx, &r->form, &r->pairs, r->count, r->replies, &scores));
    sy_log(r->ctx, SY_LOG_INFO, "%.1f examples/s", (double)r->count / r->seconds);
    if (r->ranks->group.rank == 0 && r->o->predictions != NULL)
        SY_TRY(replies_write(r->ctx, r->o->predictions, &r->form, &r->pairs, r->count, r->replies));
    if (r->o->json)
        return print_json(r, &scores);
    print_scores(r, &scores);
    return SY_OK;
}

static enum sy_status run(struct run *r, struct sy_device **device)
{
    struct sy_answer_params p = {0};
    SY_TRY(ranks_agree(r->ctx, r->ranks, prepare(r, &p)));
    SY_TRY(
        ranks_open_device(r->ctx, r->ranks, r->common->device, true, &r->model->config, r->common->precision, device));
    SY_TRY(ranks_agree(r->ctx, r->ranks, open_answerer(r, &p, *device)));
    SY_TRY(compare(r, &p));
    return answer(r);
}

enum sy_status eval_pairs_run(struct sy_ctx *ctx, const struct eval_pairs *o, const struct cli_common *common,
                              struct sy_bundle *model, struct ranks *ranks, struct sy_device **device)
{
    struct run r = {.ctx = ctx, .o = o, .common = common, .model = model, .ranks = ranks};
    enum sy_status status = run(&r, device);
    sy_answerer_destroy(&r.answerer);
    sy_replies_free(r.replies, r.count);
    sy_pairs_finish(&r.pairs);
    sy_form_finish(&r.form);
    return status;
}
