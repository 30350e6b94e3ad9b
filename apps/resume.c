// SPDX-License-Identifier: Apache-2.0
#include "apps/resume.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/latest.h"

/// A new run must find nothing that it would replace.
static enum sy_status check_empty(struct sy_ctx *ctx, const char *out)
{
    char latest[SY_PATH_ROOM];
    struct stat s;
    uint64_t step;
    SY_TRY(sy_path_print(ctx, latest, out, "latest"));
    if (sy_checkpoint_newest(out, false, &step) || (lstat(latest, &s) == 0 && !sy_latest_foreign(out)))
        return sy_fail(ctx, SY_INVALID, "%s already holds checkpoints: add --resume, or choose another --out", out);
    return !sy_latest_foreign(out)
               ? SY_OK
               : sy_fail(ctx, SY_INVALID, "%s is in the way: it is no checkpoint; move it, or choose another --out",
                         latest);
}

enum sy_status resume_take_out(struct sy_ctx *ctx, const char *out, bool resume, struct sy_lock *lock,
                               char from[SY_PATH_ROOM])
{
    bool links;
    if (!resume)
        SY_TRY(check_empty(ctx, out));
    else if (!sy_dir_exists(out))
        return sy_latest_find(ctx, out, from); // it says that there is nothing
    SY_TRY(sy_dir_create(ctx, out));
    SY_TRY(sy_dir_lock(ctx, out, lock));
    SY_TRY(sy_dir_probe(ctx, out, &links));
    sy_checkpoint_clean(ctx, out);
    // Again: another run may have ended meanwhile, or left a whole checkpoint under another name.
    SY_TRY(resume ? sy_latest_settle(ctx, out, from) : check_empty(ctx, out));
    if (!links)
        sy_log(ctx, SY_LOG_INFO,
               "%s: the file system has no symbolic links, so %s/latest is a file that names the newest checkpoint",
               out, out);
    return SY_OK;
}

enum sy_status resume_check_room(struct sy_ctx *ctx, const char *out, const struct sy_session *s, uint64_t keep)
{
    const struct sy_plan *plan = sy_runtime_plan(sy_session_runtime(s));
    const uint64_t one = plan->arena_bytes[SY_ARENA_PARAMS] + plan->arena_bytes[SY_ARENA_STATE];
    const uint64_t left = sy_dir_free_bytes(out);
    if (left < one)
        return sy_fail(ctx, SY_IO,
                       "%s: a checkpoint takes %.1f MiB, and the disk has %.1f MiB left: make room, or "
                       "choose another --out",
                       out, (double)one / 0x1p20, (double)left / 0x1p20);
    if (keep != 0 && left / (keep + 1) < one)
        sy_log(ctx, SY_LOG_WARN,
               "%s: the disk has %.1f MiB left, and a checkpoint takes %.1f MiB: %llu of them and the "
               "one being written may not fit (--keep)",
               out, (double)left / 0x1p20, (double)one / 0x1p20, (unsigned long long)keep);
    return SY_OK;
}

static void warn_text(struct sy_ctx *ctx, const char *dir, const char *option, const char *was, const char *now)
{
    if (strcmp(was, now) != 0)
        sy_log(ctx, SY_LOG_WARN, "%s was trained with %s %s; it goes on with %s", dir, option, was, now);
}

static void warn_number(struct sy_ctx *ctx, const char *dir, const char *option, double was, double now)
{
    char a[32], b[32];
    snprintf(a, sizeof a, "%.9g", was);
    snprintf(b, sizeof b, "%.9g", now);
    warn_text(ctx, dir, option, a, b);
}

/// A model may change in what is no weight, such as dropout; but a mask of another id is another word.
static enum sy_status check_config(struct sy_ctx *ctx, const char *dir, const struct sy_config *config)
{
    char path[SY_PATH_ROOM];
    struct sy_config was;
    if (sy_path_print(ctx, path, dir, "config.json") != SY_OK || sy_config_load(ctx, path, &was) != SY_OK)
        return SY_OK; // its hash was right: a program of another version; loading the weights decides
    const char *key = sy_config_difference(&was, config);
    enum sy_status status = SY_OK;
    if (key != NULL && strcmp(key, "sentinels") == 0)
        status = sy_fail(ctx, SY_INVALID,
                         "%s was trained with masks numbered \"%s\", but --model says \"%s\": give the same model, or "
                         "start anew with --model %s and another --out",
                         dir, sy_sentinels_name(was.sentinels), sy_sentinels_name(config->sentinels), dir);
    else if (key != NULL)
        sy_log(ctx, SY_LOG_WARN, "--model differs from %s in %s; it goes on with --model", path, key);
    sy_config_finish(&was);
    return status;
}

enum sy_status resume_check_state(struct sy_ctx *ctx, const char *dir, const struct sy_train_state *was,
                                  const struct sy_train_state *now, const struct sy_config *config)
{
    if (was->seed != now->seed)
        return sy_fail(ctx, SY_INVALID,
                       "%s was trained with --seed %llu, not %llu: give the same seed, or another --out", dir,
                       (unsigned long long)was->seed, (unsigned long long)now->seed);
    if (was->data_fingerprint != now->data_fingerprint)
        return sy_fail(ctx, SY_INVALID,
                       "%s was trained on other data, lengths or tokenizer (fingerprint %016llx, now %016llx): "
                       "give the same ones, or start anew with --model %s and another --out",
                       dir, (unsigned long long)was->data_fingerprint, (unsigned long long)now->data_fingerprint, dir);
    if (was->batch_sequences != now->batch_sequences || strcmp(was->optimizer, now->optimizer) != 0)
        return sy_fail(ctx, SY_INVALID, "%s was trained with %u sequences a step and %s, not %u and %s", dir,
                       was->batch_sequences, was->optimizer, now->batch_sequences, now->optimizer);
    warn_text(ctx, dir, "--schedule", was->schedule, now->schedule);
    warn_text(ctx, dir, "--precision", was->precision, now->precision);
    warn_number(ctx, dir, "--lr", was->lr, now->lr);
    warn_number(ctx, dir, "--warmup", (double)was->warmup, (double)now->warmup);
    warn_number(ctx, dir, "micro-batches of", was->micro_batch, now->micro_batch);
    if (strcmp(now->schedule, "linear") == 0 || strcmp(now->schedule, "cosine") == 0) // they end at --steps
        warn_number(ctx, dir, "--steps", (double)was->schedule_steps, (double)now->schedule_steps);
    return check_config(ctx, dir, config);
}
