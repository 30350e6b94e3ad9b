// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/file.h"
#include "engine/json.h"
#include "engine/latest.h"
#include "engine/session_private.h"

#define FORMAT_VERSION 1

static int put_sum(json_t *files, const char *name, const char *hex, uint64_t bytes)
{
    return json_object_set_new(files, name, json_pack("{s:I, s:s}", "bytes", (json_int_t)bytes, "xxh3_128", hex));
}

/// Adds {"name", "bytes", "xxh3_128"} of every regular file in `dir`: those with tensors from `sums`, made while they
/// were written; what is left is small, and read back.
static enum sy_status list_files(struct sy_ctx *ctx, const char *dir, const struct sy_file_sums *sums, json_t *files)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return sy_fail(ctx, SY_IO, "%s: %s", dir, strerror(errno));
    enum sy_status status = SY_OK;
    for (struct dirent *e; status == SY_OK && (e = readdir(d)) != NULL;) {
        char path[SY_PATH_ROOM], hex[33];
        uint64_t bytes;
        if (e->d_name[0] == '.')
            continue;
        const struct sy_file_sum *sum = sy_file_sums_find(sums, e->d_name);
        if (sum == NULL)
            status = sy_path_print(ctx, path, dir, e->d_name);
        if (sum == NULL && status == SY_OK)
            status = sy_file_hash(ctx, path, hex, &bytes);
        if (status == SY_OK &&
            put_sum(files, e->d_name, sum != NULL ? sum->hex : hex, sum != NULL ? sum->bytes : bytes) != 0)
            status = sy_fail(ctx, SY_NOMEM, "out of host memory");
    }
    closedir(d);
    return status;
}

static enum sy_status write_state(struct sy_ctx *ctx, const char *dir, const struct sy_train_state *st,
                                  const struct sy_file_sums *sums)
{
    json_t *files = json_object(), *root = NULL;
    enum sy_status status =
        files == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory") : list_files(ctx, dir, sums, files);
    char seed[24], fingerprint[24], path[SY_PATH_ROOM];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)st->seed); // 64 bits do not fit every JSON reader's numbers
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)st->data_fingerprint);
    if (status == SY_OK) {
        root = json_pack("{s:i, s:I, s:I, s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:s, s:f, s:I, s:I, s:O}", "format",
                         FORMAT_VERSION, "step", (json_int_t)st->step, "next_example", (json_int_t)st->next_example,
                         "seed", seed, "data_fingerprint", fingerprint, "batch_sequences", (int)st->batch_sequences,
                         "micro_batch", (int)st->micro_batch, "slices", (int)st->slices, "optimizer", st->optimizer,
                         "schedule", st->schedule, "precision", st->precision, "lr", st->lr, "warmup",
                         (json_int_t)st->warmup, "schedule_steps", (json_int_t)st->schedule_steps, "files", files);
        status =
            root == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory") : sy_path_print(ctx, path, dir, "state.json");
    }
    if (status == SY_OK)
        status = sy_json_save(ctx, root, path);
    json_decref(root);
    json_decref(files);
    return status;
}

/// Rank 0 learns the sums of what the others wrote.
static enum sy_status collect_sums(const struct sy_session *s, struct sy_file_sums *sums)
{
    enum { MOST = 2 }; // files with tensors that a rank writes: its shard, its optimizer state
    const struct sy_layout *l = s->graph->ranks;
    struct sy_file_sum mine[MOST] = {0};
    if (l == NULL)
        return SY_OK;
    const size_t before = sums->count, ranks = l->group->size;
    struct sy_file_sum *all = calloc(ranks * MOST, sizeof *all);
    struct sy_file_sum *bigger = realloc(sums->items, (before + ranks * MOST) * sizeof *bigger);
    sums->items = bigger != NULL ? bigger : sums->items;
    for (size_t i = 0; i < before && i < MOST && !sy_layout_first(l); ++i)
        mine[i] = sums->items[i];
    enum sy_status status = all == NULL || bigger == NULL ? sy_fail(s->ctx, SY_NOMEM, "out of host memory") : SY_OK;
    if (status == SY_OK)
        status = sy_group_collect(s->ctx, l->group, "sums of a checkpoint's files", mine, sizeof mine, all);
    for (size_t i = 0; i < ranks * MOST && status == SY_OK && sy_layout_first(l); ++i)
        if (all[i].name[0] != '\0')
            sums->items[sums->count++] = all[i];
    free(all);
    return status;
}

/// What is the same on all ranks: rank 0 writes it, last of all.
static enum sy_status write_rest(struct sy_session *s, const char *dir, const struct sy_train_state *state,
                                 const struct sy_tokenizer *tokenizer, const struct sy_file_sums *sums)
{
    char path[SY_PATH_ROOM];
    SY_TRY(sy_path_print(s->ctx, path, dir, "config.json"));
    SY_TRY(sy_config_save(s->ctx, &s->config, path));
    SY_TRY(sy_path_print(s->ctx, path, dir, "generation_config.json"));
    SY_TRY(sy_config_save_generation(s->ctx, &s->config, path));
    if (tokenizer != NULL)
        SY_TRY(sy_tokenizer_save(s->ctx, tokenizer, dir));
    return write_state(s->ctx, dir, state, sums);
}

/// Whether all ranks could do their part.
static enum sy_status agree(struct sy_session *s, enum sy_status status)
{
    return s->graph->ranks == NULL ? status : sy_group_agree(s->ctx, s->graph->ranks->group, status);
}

static enum sy_status write_all(struct sy_session *s, const char *dir, const struct sy_train_state *state,
                                const struct sy_tokenizer *tokenizer, struct sy_file_sums *sums)
{
    const bool first = sy_layout_first(s->graph->ranks);
    SY_TRY(agree(s, first ? sy_dir_create(s->ctx, dir) : SY_OK));
    SY_TRY(agree(s, sy_weights_save(s->runtime, &s->config, dir, sums))); // ranks may wait for others in the next one
    SY_TRY(agree(s, sy_state_save(s->runtime, dir, sums)));
    SY_TRY(collect_sums(s, sums));
    return first ? write_rest(s, dir, state, tokenizer, sums) : SY_OK;
}

void sy_checkpoint_describe(const struct sy_session *s, const struct sy_rate *rate, struct sy_train_state *out)
{
    const struct sy_session_params *p = &s->params;
    const uint32_t micro = p->micro_count != 0 ? p->micro_count : 1;
    out->batch_sequences = p->batch * micro;
    out->micro_batch = p->batch;
    out->slices = p->slices != 0 ? p->slices : micro;
    out->lr = rate->peak;
    out->warmup = rate->warmup;
    out->schedule_steps = rate->steps;
    snprintf(out->optimizer, sizeof out->optimizer, "%s", sy_optimizer_name(p->optimizer.kind));
    snprintf(out->schedule, sizeof out->schedule, "%s", sy_rate_name(rate->kind));
    snprintf(out->precision, sizeof out->precision, "%s", sy_precision_name(p->precision));
}

/// Removes OUT/step-N so that nobody sees half of it under that name: it is renamed first.
static enum sy_status remove_step(struct sy_ctx *ctx, const char *out_dir, uint64_t step)
{
    char name[64], path[SY_PATH_ROOM], aside[SY_PATH_ROOM];
    snprintf(name, sizeof name, "step-%llu", (unsigned long long)step);
    SY_TRY(sy_path_print(ctx, path, out_dir, name));
    snprintf(name, sizeof name, ".step-%llu.old", (unsigned long long)step);
    SY_TRY(sy_path_print(ctx, aside, out_dir, name));
    SY_TRY(sy_dir_remove(ctx, aside));
    if (rename(path, aside) != 0)
        return sy_fail(ctx, SY_IO, "cannot rename %s to %s: %s", path, aside, strerror(errno));
    return sy_dir_remove(ctx, aside);
}

/// "step-12" → 12.
static bool parse_name(const char *name, const char *prefix, uint64_t *out_step, const char **out_rest)
{
    const size_t length = strlen(prefix);
    char *end;
    if (strncmp(name, prefix, length) != 0 || !isdigit((unsigned char)name[length]))
        return false;
    *out_step = strtoull(name + length, &end, 10);
    *out_rest = end;
    return true;
}

bool sy_checkpoint_parse_name(const char *name, uint64_t *out_step)
{
    const char *rest;
    return parse_name(name, "step-", out_step, &rest) && *rest == '\0';
}

struct steps {
    uint64_t oldest, newest;
    uint32_t count;
};

/// The OUT/step-N up to `most`; `whole`: only those.
static struct steps find_steps(const char *out_dir, uint64_t most, bool whole)
{
    struct steps found = {.oldest = UINT64_MAX};
    DIR *d = opendir(out_dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        uint64_t step, inside;
        if (!sy_checkpoint_parse_name(e->d_name, &step) || step > most)
            continue;
        if (whole) {
            char *path = sy_path_join(out_dir, e->d_name);
            const bool good = path != NULL && sy_checkpoint_whole(path, &inside) && inside == step;
            free(path);
            if (!good)
                continue;
        }
        ++found.count;
        found.oldest = step < found.oldest ? step : found.oldest;
        found.newest = step > found.newest ? step : found.newest;
    }
    if (d != NULL)
        closedir(d);
    return found;
}

bool sy_checkpoint_newest(const char *out_dir, bool whole, uint64_t *out_step)
{
    struct steps found = find_steps(out_dir, UINT64_MAX, whole);
    *out_step = found.newest;
    return found.count != 0;
}

/// Removes all but the newest `keep` of OUT/step-*.
static void prune(struct sy_ctx *ctx, const char *out_dir, uint64_t newest, uint32_t keep)
{
    while (keep != 0) {
        struct steps found = find_steps(out_dir, newest, false);
        if (found.count <= keep || found.oldest == newest)
            return;
        if (remove_step(ctx, out_dir, found.oldest) != SY_OK)
            return; // reported; an old checkpoint too many does no harm
    }
}

/// `.step-N.tmp` and `.step-N.tmp.old` may be all that is left of step N where names cannot be swapped in one moment.
static bool rescue(struct sy_ctx *ctx, const char *out_dir, const char *name, const char *path)
{
    uint64_t step, inside;
    const char *rest;
    char plain[64], target[SY_PATH_ROOM];
    if (!parse_name(name, ".step-", &step, &rest) || strncmp(rest, ".tmp", 4) != 0)
        return false;
    snprintf(plain, sizeof plain, "step-%llu", (unsigned long long)step);
    if (sy_path_print(ctx, target, out_dir, plain) != SY_OK || sy_dir_exists(target) ||
        !sy_checkpoint_whole(path, &inside) || inside != step || sy_path_commit(ctx, path, target) != SY_OK)
        return false;
    sy_log(ctx, SY_LOG_INFO, "%s is whole: it is %s now", path, target);
    return true;
}

void sy_checkpoint_clean(struct sy_ctx *ctx, const char *out_dir)
{
    DIR *d = opendir(out_dir);
    if (d == NULL)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[SY_PATH_ROOM];
        const bool ours = strncmp(e->d_name, ".step-", 6) == 0 || strncmp(e->d_name, ".probe-", 7) == 0 ||
                          strncmp(e->d_name, ".latest.", 8) == 0;
        if (!ours || sy_path_print(ctx, path, out_dir, e->d_name) != SY_OK || rescue(ctx, out_dir, e->d_name, path))
            continue;
        if (sy_dir_remove(ctx, path) == SY_OK)
            sy_log(ctx, SY_LOG_INFO, "removed %s, left by an interrupted save", path);
    }
    closedir(d);
}

enum sy_status sy_checkpoint_save(struct sy_session *s, const char *out_dir, const struct sy_train_state *state,
                                  const struct sy_tokenizer *tokenizer, uint32_t keep)
{
    char name[64], temporary[SY_PATH_ROOM], target[SY_PATH_ROOM];
    const bool first = sy_layout_first(s->graph->ranks);
    snprintf(name, sizeof name, ".step-%llu.tmp", (unsigned long long)state->step);
    SY_TRY(sy_path_print(s->ctx, temporary, out_dir, name));
    snprintf(name, sizeof name, "step-%llu", (unsigned long long)state->step);
    SY_TRY(sy_path_print(s->ctx, target, out_dir, name));
    enum sy_status status = first ? sy_dir_create(s->ctx, out_dir) : SY_OK;
    if (status == SY_OK && first)
        status = sy_dir_remove(s->ctx, temporary);
    SY_TRY(agree(s, status));
    struct sy_file_sums sums = {0};
    status = write_all(s, temporary, state, tokenizer, &sums);
    sy_file_sums_finish(&sums);
    if (!first)
        return agree(s, status);
    // The same step may have been saved before, and `latest` may point at it: the new one takes its place at once.
    if (status == SY_OK)
        status = sy_dir_exists(target) ? sy_path_exchange(s->ctx, temporary, target)
                                       : sy_path_commit(s->ctx, temporary, target);
    if (status == SY_OK)
        status = sy_dir_remove(s->ctx, temporary); // what was exchanged, if anything
    if (status != SY_OK) {
        struct sy_ctx *quiet = sy_ctx_create(NULL, NULL, SY_LOG_ERROR); // keep the first message
        if (quiet != NULL && sy_dir_remove(quiet, temporary) != SY_OK)
            sy_log(s->ctx, SY_LOG_WARN, "%s could not be removed", temporary);
        sy_ctx_destroy(&quiet);
    }
    if (status == SY_OK)
        status = sy_latest_point(s->ctx, out_dir, name);
    if (status == SY_OK)
        prune(s->ctx, out_dir, state->step, keep);
    return agree(s, status);
}

static enum sy_status parse_text(struct sy_ctx *ctx, const json_t *root, const char *name, const char *key, char *out,
                                 size_t room)
{
    const char *text = json_string_value(json_object_get(root, key));
    if (text == NULL || strlen(text) >= room)
        return sy_fail(ctx, SY_FORMAT, "%s: \"%s\" must be a short string", name, key);
    snprintf(out, room, "%s", text);
    return SY_OK;
}

static enum sy_status parse_count(struct sy_ctx *ctx, const json_t *root, const char *name, const char *key,
                                  uint64_t most, uint64_t *out)
{
    const json_t *v = json_object_get(root, key);
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < 0 || (uint64_t)n > most)
        return sy_fail(ctx, SY_FORMAT, "%s: \"%s\" must be a whole number from 0 to %llu", name, key,
                       (unsigned long long)most);
    *out = (uint64_t)n;
    return SY_OK;
}

static enum sy_status parse_number(struct sy_ctx *ctx, const json_t *root, const char *name, const char *key, int base,
                                   uint64_t *out)
{
    const char *text = json_string_value(json_object_get(root, key));
    char *end = NULL;
    errno = 0;
    unsigned long long n = text != NULL ? strtoull(text, &end, base) : 0;
    if (text == NULL || !isxdigit((unsigned char)text[0]) || end == text || *end != '\0' || errno != 0)
        return sy_fail(ctx, SY_FORMAT, "%s: \"%s\" must be a string of digits", name, key);
    *out = n;
    return SY_OK;
}

static enum sy_status parse_root(struct sy_ctx *ctx, const json_t *root, const char *name, struct sy_train_state *st)
{
    uint64_t format = 0, sequences = 0, micro = 0, slices = 0;
    SY_TRY(parse_count(ctx, root, name, "format", 1000000, &format));
    if (format != FORMAT_VERSION)
        return sy_fail(ctx, SY_FORMAT, "%s: state format %llu, but this program reads %d", name,
                       (unsigned long long)format, FORMAT_VERSION);
    SY_TRY(parse_count(ctx, root, name, "step", UINT32_MAX, &st->step));
    SY_TRY(parse_count(ctx, root, name, "next_example", INT64_MAX, &st->next_example));
    SY_TRY(parse_number(ctx, root, name, "seed", 10, &st->seed));
    SY_TRY(parse_number(ctx, root, name, "data_fingerprint", 16, &st->data_fingerprint));
    SY_TRY(parse_count(ctx, root, name, "batch_sequences", INT32_MAX, &sequences));
    SY_TRY(parse_count(ctx, root, name, "micro_batch", INT32_MAX, &micro));
    if (json_object_get(root, "slices") != NULL)
        SY_TRY(parse_count(ctx, root, name, "slices", INT32_MAX, &slices));
    SY_TRY(parse_text(ctx, root, name, "optimizer", st->optimizer, sizeof st->optimizer));
    SY_TRY(parse_text(ctx, root, name, "schedule", st->schedule, sizeof st->schedule));
    SY_TRY(parse_text(ctx, root, name, "precision", st->precision, sizeof st->precision));
    SY_TRY(parse_count(ctx, root, name, "warmup", INT64_MAX, &st->warmup));
    SY_TRY(parse_count(ctx, root, name, "schedule_steps", INT64_MAX, &st->schedule_steps));
    const json_t *lr = json_object_get(root, "lr");
    if (!json_is_number(lr))
        return sy_fail(ctx, SY_FORMAT, "%s: \"lr\" must be a number", name);
    st->lr = json_number_value(lr);
    st->batch_sequences = (uint32_t)sequences;
    st->micro_batch = (uint32_t)micro;
    st->slices = slices != 0  ? (uint32_t)slices
                 : micro != 0 ? (uint32_t)(sequences / micro)
                              : 1; // before there were any
    return SY_OK;
}

enum sy_status sy_checkpoint_parse_state(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name,
                                         struct sy_train_state *out)
{
    json_t *root = NULL;
    memset(out, 0, sizeof *out);
    SY_TRY(sy_json_parse(ctx, text, bytes, name, &root));
    enum sy_status status = parse_root(ctx, root, name, out);
    json_decref(root);
    return status;
}

static enum sy_status check_file(struct sy_ctx *ctx, const char *dir, const char *name, const json_t *entry)
{
    char path[SY_PATH_ROOM], hex[33];
    uint64_t bytes;
    const char *want = json_string_value(json_object_get(entry, "xxh3_128"));
    json_int_t size = json_integer_value(json_object_get(entry, "bytes"));
    if (want == NULL || strchr(name, '/') != NULL)
        return sy_fail(ctx, SY_FORMAT, "%s/state.json: the entry of file \"%s\" is damaged", dir, name);
    SY_TRY(sy_path_print(ctx, path, dir, name));
    SY_TRY(sy_file_hash(ctx, path, hex, &bytes));
    if (bytes != (uint64_t)size || strcmp(hex, want) != 0)
        return sy_fail(
            ctx, SY_FORMAT,
            "%s: %llu bytes with XXH3-128 %s, but state.json says %lld bytes and %s: the checkpoint is damaged; "
            "remove its step-N, and --resume goes on from the newest whole one",
            path, (unsigned long long)bytes, hex, (long long)size, want);
    return SY_OK;
}

/// An empty list would verify nothing.
static bool lists_files(const json_t *files)
{
    return json_object_get(files, "config.json") != NULL &&
           json_object_get(files, "optimizer-00001.safetensors") != NULL;
}

static bool has_sizes(struct sy_ctx *ctx, const char *dir, json_t *files)
{
    const char *name;
    json_t *entry;
    json_object_foreach(files, name, entry)
    {
        char path[SY_PATH_ROOM];
        struct stat s;
        if (strchr(name, '/') != NULL || sy_path_print(ctx, path, dir, name) != SY_OK || stat(path, &s) != 0 ||
            !S_ISREG(s.st_mode) || s.st_size != json_integer_value(json_object_get(entry, "bytes")))
            return false;
    }
    return true;
}

bool sy_checkpoint_whole(const char *dir, uint64_t *out_step)
{
    struct sy_ctx *quiet = sy_ctx_create(NULL, NULL, SY_LOG_ERROR); // that it is not whole is an answer here
    char path[SY_PATH_ROOM];
    json_t *root = NULL;
    struct sy_train_state state = {0};
    bool good = quiet != NULL && sy_path_print(quiet, path, dir, "state.json") == SY_OK &&
                sy_json_load(quiet, path, &root) == SY_OK && parse_root(quiet, root, path, &state) == SY_OK;
    json_t *files = good ? json_object_get(root, "files") : NULL;
    good = good && lists_files(files) && has_sizes(quiet, dir, files);
    json_decref(root);
    sy_ctx_destroy(&quiet);
    *out_step = state.step;
    return good;
}

enum sy_status sy_checkpoint_read_state(struct sy_ctx *ctx, const char *dir, struct sy_train_state *out)
{
    char path[SY_PATH_ROOM];
    json_t *root = NULL;
    memset(out, 0, sizeof *out);
    SY_TRY(sy_path_print(ctx, path, dir, "state.json"));
    SY_TRY(sy_json_load(ctx, path, &root));
    enum sy_status status = parse_root(ctx, root, path, out);
    json_t *files = json_object_get(root, "files"), *entry;
    const char *name;
    if (status == SY_OK && !lists_files(files))
        status = sy_fail(ctx, SY_FORMAT, "%s: \"files\" does not list the checkpoint's files: it is damaged", path);
    if (status == SY_OK) {
        json_object_foreach(files, name, entry)
        {
            status = check_file(ctx, dir, name, entry);
            if (status != SY_OK)
                break;
        }
    }
    json_decref(root);
    return status;
}

enum sy_status sy_checkpoint_load(struct sy_session *s, const char *dir)
{
    struct sy_tensors *tensors = NULL;
    SY_TRY(sy_tensors_open(s->ctx, dir, &tensors));
    enum sy_status status = sy_weights_load(s->runtime, tensors);
    sy_tensors_close(&tensors);
    return status != SY_OK ? status : sy_state_load(s->runtime, dir);
}
