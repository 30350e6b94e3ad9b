// SPDX-License-Identifier: Apache-2.0
#include "engine/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/vocabulary.h"
#include "engine/file.h"
#include "engine/json.h"
#include "engine/latest.h"
#include "engine/weights.h"

static enum sy_status open_weights(struct sy_ctx *ctx, const char *path, enum sy_weights_wanted wanted,
                                   struct sy_bundle *m)
{
    if (wanted == SY_WEIGHTS_UNREAD)
        return SY_OK;
    if (!sy_dir_exists(path))
        return wanted != SY_WEIGHTS_NEEDED
                   ? SY_OK
                   : sy_fail(ctx, SY_INVALID,
                             "%s is a config without weights: give the directory that holds model.safetensors", path);
    if (!sy_tensors_present(path)) {
        if (wanted == SY_WEIGHTS_IF_ANY)
            return SY_OK;
        return sy_tensors_absent(ctx, path,
                                 wanted == SY_WEIGHTS_UNLESS_CONFIG ? "; --draw-weights starts from new ones" : "");
    }
    SY_TRY(sy_tensors_open(ctx, path, &m->tensors));
    sy_weights_adapt_config(ctx, m->tensors, &m->config);
    return SY_OK;
}

enum sy_status sy_bundle_open(struct sy_ctx *ctx, const char *path, enum sy_weights_wanted wanted,
                              struct sy_bundle *out)
{
    char resolved[SY_PATH_ROOM]; // OUT/latest is a file where there are no links
    memset(out, 0, sizeof *out);
    SY_TRY(sy_latest_resolve(ctx, path, resolved));
    path = resolved;
    SY_TRY(sy_config_load(ctx, path, &out->config));
    enum sy_status status = open_weights(ctx, path, wanted, out);
    if (status != SY_OK)
        sy_config_finish(&out->config);
    return status;
}

/// The directory that a model is in: `path` itself, or that of its config.json. malloc'ed.
static char *home_of(const char *path)
{
    char *home = strdup(path), *slash = home != NULL && !sy_dir_exists(path) ? strrchr(home, '/') : NULL;
    if (slash != NULL)
        slash[slash == home] = '\0';
    else if (home != NULL && !sy_dir_exists(path))
        snprintf(home, strlen(path) + 1, ".");
    return home;
}

void sy_bundle_origin(const struct sy_bundle *m, const char *path, uint64_t seed, char *out, size_t room)
{
    if (m->tensors != NULL) {
        snprintf(out, room, "weights: %s (%zu tensors)", sy_tensors_path(m->tensors), sy_tensors_count(m->tensors));
        return;
    }
    char *home = home_of(path);
    const bool unread = home != NULL && sy_tensors_present(home);
    snprintf(out, room, "weights: drawn from seed %llu%s%s%s", (unsigned long long)seed, unread ? "; those in " : "",
             unread ? home : "", unread ? " are not read" : "");
    free(home);
}

/// Whether a directory without spiece.model is a vocabulary all the same: a tokenizer of bytes, or tokenizer.json. An
/// error: its tokenizer_config.json names another one, in whose place bytes would be taken.
static enum sy_status names_tokenizer(struct sy_ctx *ctx, const char *path, bool *out)
{
    char *file = sy_path_join(path, "tokenizer_config.json"), *fast = sy_path_join(path, "tokenizer.json");
    json_t *root = NULL;
    enum sy_status status = file == NULL || fast == NULL ? sy_fail(ctx, SY_NOMEM, "%s: out of memory", path)
                            : sy_file_exists(file)       ? sy_json_load(ctx, file, &root)
                                                         : SY_OK;
    const char *name = json_string_value(json_object_get(root, "tokenizer_class"));
    *out = (name != NULL && strcmp(name, "ByT5Tokenizer") == 0) || (status == SY_OK && sy_file_exists(fast));
    if (status == SY_OK && !*out && name != NULL)
        status = sy_fail(
            ctx, SY_UNSUPPORTED,
            "%s has a tokenizer (%.60s) but neither spiece.model nor tokenizer.json, which are what is read: save "
            "it beside it, or give the vocabulary with --tokenizer FILE (or 'bytes')",
            path, name);
    json_decref(root);
    free(file);
    free(fast);
    return status;
}

/// How the masks of a byte vocabulary are numbered, where the config leaves it open: a model that is drawn now, and any
/// that was trained here, counts from the top; of others only Google's ByT5 was trained with masks.
static enum sy_sentinels choose_sentinels(struct sy_ctx *ctx, const char *path, const struct sy_bundle *m)
{
    if (m->config.sentinels != SY_SENTINELS_UNSAID)
        return m->config.sentinels;
    char *state = sy_path_join(path, "state.json"); // beside every checkpoint of ours
    const bool ours = m->tensors == NULL || m->config.is_switch || (state != NULL && sy_file_exists(state));
    free(state);
    if (ours)
        return SY_SENTINELS_TOP;
    sy_log(
        ctx, SY_LOG_INFO,
        "%s does not say which ids its masks have: taken as in Google's ByT5, <extra_id_0> is 258; if they count from "
        "the top, write \"switchyard\": {\"sentinels\": \"top\"} into its config.json",
        path);
    return SY_SENTINELS_BYT5;
}

/// The vocabulary that comes with the model: "DIR/spiece.model", DIR with a tokenizer of bytes or tokenizer.json, or
/// "bytes". malloc'ed.
static enum sy_status own_source(struct sy_ctx *ctx, const char *path, const struct sy_bundle *m, char **out)
{
    const char *class = json_string_value(json_object_get(m->config.extra, "tokenizer_class"));
    bool own = false;
    char *pieces = sy_dir_exists(path) ? sy_path_join(path, "spiece.model") : NULL;
    if (pieces != NULL && sy_file_exists(pieces)) {
        *out = pieces;
        return SY_OK;
    }
    free(pieces);
    if (sy_dir_exists(path))
        SY_TRY(names_tokenizer(ctx, path, &own));
    const bool fits = m->config.vocab_size == 384 || m->config.sentinels != SY_SENTINELS_UNSAID ||
                      (class != NULL && strcmp(class, "ByT5Tokenizer") == 0);
    if (!own && !fits)
        return sy_fail(ctx, SY_INVALID,
                       "%s has a vocabulary of %u but no spiece.model or tokenizer.json; give the vocabulary with "
                       "--tokenizer FILE (or 'bytes', whose vocabulary is 384)",
                       path, m->config.vocab_size);
    *out = strdup(own ? path : "bytes");
    return *out != NULL ? SY_OK : sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
}

/// "bytes", or a directory that has no pieces (and may turn out to have nothing).
static bool is_bytes(const char *source)
{
    char *pieces = sy_dir_exists(source) ? sy_path_join(source, "spiece.model") : NULL;
    const bool without = pieces != NULL && !sy_file_exists(pieces);
    free(pieces);
    return without || strcmp(source, "bytes") == 0;
}

enum sy_status sy_bundle_tokenizer(struct sy_ctx *ctx, const char *path, const char *wanted, struct sy_bundle *m)
{
    char resolved[SY_PATH_ROOM], *own = NULL;
    SY_TRY(sy_latest_resolve(ctx, path, resolved));
    path = resolved;
    if (wanted == NULL)
        SY_TRY(own_source(ctx, path, m, &own));
    const char *source = wanted != NULL ? wanted : own;
    struct sy_tokenizer_params p = {.source = source, .vocab_size = m->config.vocab_size, .pad = m->config.pad_id};
    if (is_bytes(source))
        p.sentinels = choose_sentinels(ctx, path, m);
    enum sy_status status = sy_tokenizer_open_as(ctx, &p, &m->tokenizer);
    if (status == SY_OK)
        status = sy_vocabulary_agree(ctx, m->tokenizer, source, m->tensors != NULL, path, &m->config);
    free(own);
    return status;
}

void sy_bundle_close(struct sy_bundle *m)
{
    sy_tokenizer_close(&m->tokenizer);
    sy_tensors_close(&m->tensors);
    sy_config_finish(&m->config);
}
