// SPDX-License-Identifier: Apache-2.0
#include "apps/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "engine/task/task.h"

static const char *const names[] = {"--template", "--target", "--labels",   "--options",
                                    "--columns",  "--metric", "--positive", "--id"};

bool pairs_parse(struct argp_state *state, int key, const char *arg, struct pairs_options *o)
{
    if (key == PAIRS_TASK) {
        cli_once(state, o->given = "--task", arg, &o->task);
        return true;
    }
    if (key < PAIRS_KEY_TEMPLATE || key >= PAIRS_KEYS_END)
        return false;
    o->given = names[key - PAIRS_KEY_TEMPLATE];
    cli_once(state, o->given, arg, &o->keys[key - PAIRS_KEY_TEMPLATE]);
    return true;
}

enum sy_status pairs_form(struct sy_ctx *ctx, const struct pairs_options *o, struct sy_form *form)
{
    if (o->task != NULL)
        SY_TRY(sy_form_load(ctx, o->task, form));
    for (size_t i = 0; i < SY_COUNT(names); ++i)
        if (o->keys[i] != NULL)
            SY_TRY(sy_form_set(ctx, form, names[i] + 2, o->keys[i], names[i]));
    return sy_form_check(ctx, form);
}

enum sy_status pairs_open(struct sy_ctx *ctx, const struct sy_form *form, const char *path,
                          const struct sy_tokenizer *tokenizer, struct sy_pairs *out)
{
    SY_TRY(sy_pairs_load(ctx, form, path, out));
    return sy_pairs_encode(ctx, tokenizer, out);
}

void pairs_warn_cut(struct sy_ctx *ctx, const struct sy_pairs *pairs, uint64_t src_len, uint64_t tgt_len)
{
    size_t inputs = 0, targets = 0;
    for (size_t i = 0; i < pairs->count; ++i) {
        inputs += pairs->items[i].input_count > src_len;
        targets += pairs->items[i].target_count > tgt_len;
    }
    if (inputs > 0)
        sy_log(ctx, SY_LOG_WARN, "%s: %zu of %zu inputs are cut to --src-len %llu; the longest has %u tokens",
               pairs->path, inputs, pairs->count, (unsigned long long)src_len, pairs->longest_input);
    if (targets > 0)
        sy_log(ctx, SY_LOG_WARN, "%s: %zu of %zu targets are cut to --tgt-len %llu; the longest has %u tokens",
               pairs->path, targets, pairs->count, (unsigned long long)tgt_len, pairs->longest_target);
}

enum sy_status pairs_longest_option(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                                    const struct sy_pairs *pairs, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < pairs->count; ++i)
        for (size_t k = 0; k < pairs->items[i].option_count; ++k) {
            int32_t *ids;
            size_t n;
            const char *text = pairs->items[i].options[k];
            SY_TRY(
                sy_tokenizer_encode(ctx, tokenizer, text, strlen(text), SY_ENCODE_SENTINELS | SY_ENCODE_EOS, &ids, &n));
            free(ids);
            n = n < sy_task_pairs.tgt_len ? n : sy_task_pairs.tgt_len;
            *out = n > *out ? (uint32_t)n : *out;
        }
    return SY_OK;
}

uint32_t pairs_length(uint32_t longest, uint32_t most)
{
    const uint32_t rounded = (longest + 7) / 8 * 8;
    return rounded < most ? rounded : most;
}

enum sy_status pairs_dataset(struct sy_ctx *ctx, const struct sy_pairs *pairs, struct sy_dataset_params params,
                             struct sy_dataset **out)
{
    const char *const files[] = {pairs->path};
    const struct sy_data_source source = {.files = files, .file_count = 1};
    params.sources = &source;
    params.source_count = 1;
    params.pairs = pairs;
    params.objective = sy_task_pairs.objective;
    return sy_dataset_open(ctx, &params, out);
}
