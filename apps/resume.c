// SPDX-License-Identifier: Apache-2.0
#include "apps/resume.h"

#include <stdio.h>
#include <string.h>

#include "engine/file.h"

enum sy_status resume_check_out(struct sy_ctx *ctx, const char *out, bool resume)
{
    char latest[4096];
    uint64_t newest;
    snprintf(latest, sizeof latest, "%s/latest", out);
    const bool whole = sy_dir_exists(latest), some = sy_checkpoint_newest(out, &newest);
    if (!resume && (whole || some))
        return sy_fail(ctx, SY_INVALID, "%s already holds checkpoints: add --resume, or choose another --out", out);
    if (!resume || whole)
        return SY_OK;
    if (some)
        return sy_fail(ctx, SY_INVALID,
                       "%s leads to no checkpoint, but there is %s/step-%llu: ln -sfn step-%llu %s, then --resume",
                       latest, out, (unsigned long long)newest, (unsigned long long)newest, latest);
    return sy_fail(ctx, SY_INVALID, "there is no checkpoint %s to resume from; leave --resume away to begin", latest);
}

static void warn_text(struct sy_ctx *ctx, const char *out, const char *option, const char *was, const char *now)
{
    if (strcmp(was, now) != 0)
        sy_log(ctx, SY_LOG_WARN, "%s/latest was trained with %s %s; it goes on with %s", out, option, was, now);
}

static void warn_number(struct sy_ctx *ctx, const char *out, const char *option, double was, double now)
{
    char a[32], b[32];
    snprintf(a, sizeof a, "%.9g", was);
    snprintf(b, sizeof b, "%.9g", now);
    warn_text(ctx, out, option, a, b);
}

static void warn_config(struct sy_ctx *ctx, const char *out, const struct sy_config *config)
{
    char path[4096];
    struct sy_config was;
    snprintf(path, sizeof path, "%s/latest/config.json", out);
    if (sy_config_load(ctx, path, &was) != SY_OK)
        return; // its hash was right: a program of another version; loading the weights decides
    const char *key = sy_config_difference(&was, config);
    if (key != NULL)
        sy_log(ctx, SY_LOG_WARN, "--model differs from %s in %s; it goes on with --model", path, key);
    sy_config_finish(&was);
}

enum sy_status resume_check_state(struct sy_ctx *ctx, const char *out, const struct sy_train_state *was,
                                  const struct sy_train_state *now, const struct sy_config *config)
{
    if (was->seed != now->seed)
        return sy_fail(ctx, SY_INVALID,
                       "%s/latest was trained with --seed %llu, not %llu: give the same seed, or another --out", out,
                       (unsigned long long)was->seed, (unsigned long long)now->seed);
    if (was->data_fingerprint != now->data_fingerprint)
        return sy_fail(ctx, SY_INVALID,
                       "%s/latest was trained on other data, lengths or tokenizer (fingerprint %016llx, now %016llx): "
                       "give the same ones, or start anew with --model %s/latest and another --out",
                       out, (unsigned long long)was->data_fingerprint, (unsigned long long)now->data_fingerprint, out);
    if (was->batch_sequences != now->batch_sequences || strcmp(was->optimizer, now->optimizer) != 0)
        return sy_fail(ctx, SY_INVALID, "%s/latest was trained with %u sequences a step and %s, not %u and %s", out,
                       was->batch_sequences, was->optimizer, now->batch_sequences, now->optimizer);
    warn_text(ctx, out, "--schedule", was->schedule, now->schedule);
    warn_text(ctx, out, "--precision", was->precision, now->precision);
    warn_number(ctx, out, "--lr", was->lr, now->lr);
    warn_number(ctx, out, "--warmup", (double)was->warmup, (double)now->warmup);
    warn_number(ctx, out, "micro-batches of", was->micro_batch, now->micro_batch);
    if (strcmp(now->schedule, "linear") == 0 || strcmp(now->schedule, "cosine") == 0) // they end at --steps
        warn_number(ctx, out, "--steps", (double)was->schedule_steps, (double)now->schedule_steps);
    warn_config(ctx, out, config);
    return SY_OK;
}
