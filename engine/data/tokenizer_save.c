// SPDX-License-Identifier: Apache-2.0
// tokenizer_save.c: the files with which Hugging Face's T5Tokenizer or ByT5Tokenizer is the same vocabulary.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/tokenizer_state.h"
#include "engine/file.h"
#include "engine/json.h"

static enum sy_status write_file(struct sy_ctx *ctx, const char *directory, const char *name, const void *data,
                                 size_t bytes)
{
    char *path = sy_path_join(directory, name);
    enum sy_status status =
        path != NULL ? sy_file_write(ctx, path, data, bytes) : sy_fail(ctx, SY_NOMEM, "%s: out of memory", directory);
    free(path);
    return status;
}

static int put_token(json_t *decoder, int32_t id, const char *text)
{
    char key[16];
    snprintf(key, sizeof key, "%d", id);
    return json_object_set_new(decoder, key,
                               json_pack("{s:s, s:b, s:b, s:b, s:b, s:b}", "content", text, "lstrip", 0, "normalized",
                                         0, "rstrip", 0, "single_word", 0, "special", 1));
}

/// ByT5Tokenizer numbers its masks from 259 in the order in which it is told them; added_tokens_decoder says which ids
/// they have. Masks that double as bytes cannot be told to it: it gets those that Google's checkpoints come with.
static int describe_bytes(const struct sy_tokenizer *t, json_t *root)
{
    static const char *const fixed[] = {"<pad>", "</s>", "<unk>"};
    const bool within = t->numbering == SY_SENTINELS_BYT5, descending = t->numbering == SY_SENTINELS_TOP;
    const uint32_t room = t->vocab - SY_BYTES_PIECES;
    const uint32_t n = !within ? t->sentinel_count : room < SY_BYTES_SENTINELS ? room : SY_BYTES_SENTINELS;
    json_t *names = json_array(), *decoder = json_object();
    int bad = json_object_set_new(root, "added_tokens_decoder", decoder);
    bad |= json_object_set_new(root, "additional_special_tokens", names);
    bad |= json_object_set_new(root, "extra_ids", json_integer(n));
    bad |= json_object_set_new(root, "tokenizer_class", json_string("ByT5Tokenizer"));
    for (int32_t i = 0; i < SY_BYTES_SPECIAL; ++i)
        bad |= put_token(decoder, i, fixed[i]);
    for (uint32_t k = 0; k < n && bad == 0; ++k) {
        const uint32_t i = descending ? n - 1 - k : k;
        char name[40];
        snprintf(name, sizeof name, SY_SENTINEL_HEAD "%u>", i);
        bad |= json_array_append_new(names, json_string(name));
        bad |= put_token(decoder, within ? (int32_t)(SY_BYTES_PIECES + i) : t->sentinels[i], name);
    }
    return bad;
}

static int describe_pieces(const struct sy_tokenizer *t, json_t *root)
{
    static const char *const keys[] = {"eos_token", "pad_token", "unk_token"};
    const int32_t ids[] = {t->eos, t->pad, t->unk};
    const bool inside = t->sentinel_count > 0 && (uint32_t)t->sentinels[0] < t->pieces;
    int bad = json_object_set_new(root, "tokenizer_class", json_string("T5Tokenizer"));
    bad |= json_object_set_new(root, "extra_ids", json_integer(inside ? 0 : t->sentinel_count));
    bad |= json_object_set_new(root, "legacy", json_true()); // text behind a mark begins a word, as we read it
    for (size_t i = 0; i < SY_COUNT(keys); ++i)
        if (ids[i] >= 0 && (uint32_t)ids[i] < t->pieces)
            bad |= json_object_set_new(root, keys[i], json_string(sy_spm_piece(t->spm, ids[i])));
    return bad;
}

static enum sy_status write_description(struct sy_ctx *ctx, const struct sy_tokenizer *t, const char *directory)
{
    json_t *root = json_object();
    char *path = sy_path_join(directory, "tokenizer_config.json");
    enum sy_status status = SY_OK;
    if (root == NULL || path == NULL || (t->spm != NULL ? describe_pieces(t, root) : describe_bytes(t, root)) != 0)
        status = sy_fail(ctx, SY_NOMEM, "%s: out of memory for the tokenizer's files", directory);
    if (status == SY_OK)
        status = sy_json_save(ctx, root, path);
    free(path);
    json_decref(root);
    return status;
}

enum sy_status sy_tokenizer_save(struct sy_ctx *ctx, const struct sy_tokenizer *t, const char *directory)
{
    bool described = false;
    if (t->spm != NULL)
        SY_TRY(write_file(ctx, directory, "spiece.model", t->model, t->model_bytes));
    for (size_t i = 0; i < t->added.file_count; ++i) {
        const struct sy_kept_file *f = &t->added.files[i];
        SY_TRY(write_file(ctx, directory, f->name, f->data, f->bytes));
        described = described || strcmp(f->name, "tokenizer_config.json") == 0;
    }
    return described ? SY_OK : write_description(ctx, t, directory);
}
