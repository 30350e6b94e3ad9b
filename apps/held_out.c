// SPDX-License-Identifier: Apache-2.0
#include "apps/held_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/pairs.h"
#include "engine/file.h"
#include "engine/json.h"

/// OUT/best, or a file in it.
static enum sy_status place(struct sy_ctx *ctx, const char *out, const char *name, char path[SY_PATH_ROOM])
{
    char best[SY_PATH_ROOM];
    SY_TRY(sy_path_print(ctx, best, out, "best"));
    return sy_path_print(ctx, path, best, name);
}

enum sy_status held_out_begin(struct sy_ctx *ctx, struct held_out *h, const char *out, bool resume)
{
    char path[SY_PATH_ROOM];
    json_t *root;
    h->best = NAN;
    SY_TRY(place(ctx, out, resume ? "score.json" : "", path));
    if (!resume)
        return !sy_dir_exists(path)
                   ? SY_OK
                   : sy_fail(ctx, SY_INVALID,
                             "%s/best is another run's best checkpoint: move it, or choose another --out", out);
    if (!sy_file_exists(path))
        return SY_OK;
    SY_TRY(sy_json_load(ctx, path, &root));
    const json_t *value = json_object_get(root, "value");
    h->best = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(root);
    return SY_OK;
}

enum sy_status held_out_open(struct sy_ctx *ctx, const struct sy_form *form, const struct sy_session *s,
                             const struct sy_tokenizer *tokenizer, uint64_t most, struct held_out *h)
{
    const struct sy_session_params *t = sy_session_built_with(s);
    struct sy_answer_params p = {.device = sy_session_device(s),
                                 .config = sy_session_config(s),
                                 .tokenizer = tokenizer,
                                 .lender = s,
                                 .precision = t->precision,
                                 .ranks = t->ranks,
                                 .rank = form->rank,
                                 .src_len = t->src_len,
                                 .batch = t->batch,
                                 .max_tokens = form->max_tokens != 0 ? form->max_tokens : t->tgt_len};
    h->count = most != 0 && most < h->pairs.count ? (size_t)most : h->pairs.count;
    if (form->rank)
        SY_TRY(pairs_longest_option(ctx, tokenizer, &h->pairs, &p.max_tokens));
    return sy_answerer_create(ctx, &p, &h->answerer);
}

enum sy_status held_out_score(struct sy_ctx *ctx, const struct sy_form *form, struct held_out *h,
                              struct replies_scores *out, bool *out_better)
{
    sy_replies_free(h->replies, h->replies != NULL ? h->count : 0);
    h->replies = calloc(h->count, sizeof *h->replies);
    if (h->replies == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory for answers");
    SY_TRY(sy_answer_all(h->answerer, &h->pairs, h->count, h->replies));
    SY_TRY(replies_score(ctx, form, &h->pairs, h->count, h->replies, out));
    const double score = out->items[0].value;
    *out_better = !isnan(score) && !(score <= h->best);
    h->best = *out_better ? score : h->best;
    return SY_OK;
}

enum sy_status held_out_keep(struct sy_ctx *ctx, const struct held_out *h, const char *out, uint64_t step,
                             const struct replies_scores *scores)
{
    char path[SY_PATH_ROOM];
    SY_TRY(place(ctx, out, "score.json", path));
    json_t *j =
        json_pack("{s:I, s:s, s:f}", "step", (json_int_t)step, "score", scores->items[0].name, "value", h->best);
    enum sy_status status = j != NULL ? sy_json_save(ctx, j, path) : sy_fail(ctx, SY_NOMEM, "out of host memory");
    json_decref(j);
    return status;
}

enum sy_status held_out_report(struct report *r, uint64_t step, const struct replies_scores *scores, bool better)
{
    char line[512];
    int n = snprintf(line, sizeof line, "step %llu  held-out", (unsigned long long)step);
    for (size_t i = 0; i < scores->count && n < 400; ++i)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s %s %.4f", i > 0 ? "," : "", scores->items[i].name,
                      scores->items[i].value);
    if (!isnan(scores->majority))
        n += snprintf(line + n, sizeof line - (size_t)n, " (always the same answer: %.4f)", scores->majority);
    snprintf(line + n, sizeof line - (size_t)n, "%s", better ? ", the best so far" : "");
    json_t *json = replies_json(scores);
    if (json != NULL) {
        json_object_set_new(json, "kind", json_string("scores"));
        json_object_set_new(json, "step", json_integer((json_int_t)step));
    }
    return report_line(r, json, line);
}

void held_out_close(struct held_out *h)
{
    sy_answerer_destroy(&h->answerer);
    sy_replies_free(h->replies, h->replies != NULL ? h->count : 0);
    sy_pairs_finish(&h->pairs);
}
