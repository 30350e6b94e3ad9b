// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_pairs.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/task/task.h"

bool plan_pairs_parse(struct argp_state *state, int key, const char *arg, struct plan_pairs *o)
{
    switch (key) {
    case PLAN_PAIRS_FILE: cli_once(state, "--pairs", arg, &o->file); return true;
    case PLAN_PAIRS_TOKENS: o->batch_tokens = cli_count(state, "--batch-tokens", arg, 1, 1u << 30, false); return true;
    case PLAN_PAIRS_BUCKETS: o->buckets = cli_count(state, "--length-buckets", arg, 1, BUCKETS, false); return true;
    default: return pairs_parse(state, key, arg, &o->form);
    }
}

/// Lengths of the longest row, and as many sequences as --batch-tokens has room for.
static enum sy_status fill(struct sy_ctx *ctx, const struct sy_pairs *pairs, const struct plan_pairs *o,
                           struct sy_session_params *p)
{
    const uint32_t micro = p->micro_count != 0 ? p->micro_count : 1;
    if (p->src_len == 0)
        p->src_len = pairs_length(pairs->longest_input, sy_task_pairs.src_len);
    if (p->tgt_len == 0)
        p->tgt_len = pairs_length(pairs->longest_target, sy_task_pairs.tgt_len);
    pairs_warn_cut(ctx, pairs, p->src_len, p->tgt_len);
    if (p->batch == 0)
        p->batch = (uint32_t)(o->batch_tokens / p->src_len / micro);
    return p->batch != 0 ? SY_OK
                         : sy_fail(ctx, SY_INVALID,
                                   "--batch-tokens %llu is less than one sequence of --src-len %u in each of %u "
                                   "micro-batches",
                                   (unsigned long long)o->batch_tokens, p->src_len, micro);
}

static enum sy_status take_buckets(struct sy_ctx *ctx, const struct buckets *b, const struct sy_caps *caps,
                                   const struct sy_session_params *params, struct plan_pairs *o)
{
    o->count = b->count;
    o->extra = 0;
    for (uint32_t k = 0; k < b->count; ++k) {
        const struct bucket *x = &b->list[k];
        struct sy_session_params p = *params;
        p.src_len = x->src_len;
        p.tgt_len = x->tgt_len;
        p.batch = params->batch * x->scale;
        p.borrows = k > 0; // weights, gradients and optimizer state are those of the first
        o->list[k] = (struct plan_bucket){p.src_len, p.tgt_len, p.batch, sy_dataset_count(x->data), x->share, 0};
        if (k > 0)
            SY_TRY(sy_session_bytes(ctx, caps, &p, &o->list[k].bytes));
        o->extra += o->list[k].bytes;
    }
    return SY_OK;
}

static enum sy_status plan_rows(struct sy_ctx *ctx, const struct sy_pairs *pairs, const struct sy_tokenizer *tokenizer,
                                const struct sy_caps *caps, struct sy_session_params *p, struct plan_pairs *o)
{
    struct buckets buckets = {.count = 0};
    SY_TRY(fill(ctx, pairs, o, p));
    const struct sy_dataset_params d = {.tokenizer = tokenizer, .src_len = p->src_len, .tgt_len = p->tgt_len};
    const uint32_t sequences = p->batch * (p->micro_count != 0 ? p->micro_count : 1);
    enum sy_status status = buckets_open(ctx, pairs, (uint32_t)o->buckets, sequences, &d, &buckets);
    if (status == SY_OK)
        status = take_buckets(ctx, &buckets, caps, p, o);
    buckets_close(&buckets, 0);
    return status;
}

enum sy_status plan_pairs_read(struct sy_ctx *ctx, const struct cli_common *common, struct sy_bundle *model,
                               const struct sy_caps *caps, struct sy_session_params *params, struct plan_pairs *o)
{
    struct sy_form form = {0};
    struct sy_pairs pairs = {0};
    params->task = &sy_task_pairs;
    enum sy_status status = pairs_form(ctx, &o->form, &form);
    if (status == SY_OK)
        status = sy_bundle_tokenizer(ctx, common->model, common->tokenizer, model);
    if (status == SY_OK)
        status = pairs_open(ctx, &form, o->file, model->tokenizer, &pairs);
    if (status == SY_OK)
        status = plan_rows(ctx, &pairs, model->tokenizer, caps, params, o);
    sy_pairs_finish(&pairs);
    sy_form_finish(&form);
    return status;
}

void plan_pairs_print(const struct plan_pairs *o, uint64_t bytes)
{
    for (uint32_t k = 0; k < o->count; ++k)
        printf("%10llu rows     %u of %u -> %u tokens in a micro-batch, %.0f %% of the steps; adds %llu bytes\n",
               (unsigned long long)o->list[k].rows, o->list[k].batch, o->list[k].src_len, o->list[k].tgt_len,
               100.0 * o->list[k].share, (unsigned long long)(k > 0 ? o->list[k].bytes : bytes));
    printf("  %-18s%14llu bytes  %9.2f GiB\n", "all lengths", (unsigned long long)(bytes + o->extra),
           (double)(bytes + o->extra) / 0x1p30);
}
