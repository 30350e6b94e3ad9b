// SPDX-License-Identifier: Apache-2.0
// tokenizer.c: opening a vocabulary, and what is known of it. tokenizer_text.c encodes and decodes.
#include "engine/data/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/tokenizer_json.h"
#include "engine/data/tokenizer_state.h"
#include "engine/file.h"

#define SPM_SENTINELS 100u
#define MAX_VOCAB (1u << 24)
#define MAX_MODEL_BYTES (256u << 20)
#define MODEL_NAME "spiece.model"

// ---- what the pieces say --------------------------------------------------------------------------------------------

static enum sy_status open_bytes(struct sy_ctx *ctx, struct sy_tokenizer *t, const struct sy_tokenizer_params *p)
{
    t->vocab = p->vocab_size != 0 ? p->vocab_size : SY_BYTES_VOCAB;
    t->pieces = t->used = SY_BYTES_PIECES;
    t->eos = 1;
    t->unk = 2;
    t->names_pad = true;
    t->numbering = p->sentinels != SY_SENTINELS_UNSAID ? p->sentinels : SY_SENTINELS_TOP;
    const bool within = t->numbering == SY_SENTINELS_BYT5; // no ids of their own
    if (t->vocab < t->pieces + !within || t->vocab > MAX_VOCAB)
        return sy_fail(ctx, SY_INVALID, "the model's vocab_size is %u; bytes need at least %u, usually %u", t->vocab,
                       t->pieces + !within, SY_BYTES_VOCAB);
    const uint32_t room = within ? SY_BYT5_SENTINELS : t->vocab - t->pieces;
    t->sentinel_count = room < SY_BYTES_SENTINELS ? room : SY_BYTES_SENTINELS;
    for (uint32_t i = 0; i < t->sentinel_count; ++i)
        t->sentinels[i] = (int32_t)(t->numbering == SY_SENTINELS_TOP    ? t->vocab - 1 - i
                                    : t->numbering == SY_SENTINELS_BYT5 ? t->pieces - 1 - i
                                                                        : t->pieces + i);
    return SY_OK;
}

/// mT5 keeps its sentinels inside the model.
static void find_sentinels(struct sy_tokenizer *t)
{
    for (uint32_t i = 0; i < SPM_SENTINELS; ++i) {
        char piece[40];
        snprintf(piece, sizeof piece, "\xe2\x96\x81" SY_SENTINEL_HEAD "%u>", i); // with U+2581 in front
        int32_t id = sy_spm_find(t->spm, piece + 3);
        id = id >= 0 ? id : sy_spm_find(t->spm, piece);
        if (id < 0)
            break;
        t->sentinels[t->sentinel_count++] = id;
    }
}

/// Sentinels that a file beside the model lists with their ids.
static void list_sentinels(struct sy_tokenizer *t)
{
    for (; t->sentinel_count < SY_MAX_SENTINELS; ++t->sentinel_count) {
        char name[40];
        snprintf(name, sizeof name, SY_SENTINEL_HEAD "%u>", t->sentinel_count);
        const struct sy_added *a = sy_added_find(&t->added, name);
        if (a == NULL)
            return;
        t->sentinels[t->sentinel_count] = a->id;
    }
}

static enum sy_status open_pieces(struct sy_ctx *ctx, struct sy_tokenizer *t, const char *path,
                                  const struct sy_tokenizer_params *p)
{
    t->pieces = t->used = sy_spm_pieces(t->spm);
    t->names_pad = sy_spm_pad(t->spm) >= 0;
    t->pad = t->names_pad ? sy_spm_pad(t->spm) : (int32_t)p->pad;
    t->eos = sy_spm_eos(t->spm);
    t->unk = sy_spm_unk(t->spm);
    list_sentinels(t);
    if (t->sentinel_count == 0)
        find_sentinels(t);
    const int64_t wanted = t->added.extra_ids >= 0 ? t->added.extra_ids : SPM_SENTINELS;
    const uint32_t block = t->sentinel_count > 0 ? 0 : wanted > SY_MAX_SENTINELS ? SY_MAX_SENTINELS : (uint32_t)wanted;
    for (uint32_t i = 0; i < block; ++i)
        t->sentinels[t->sentinel_count++] = (int32_t)(t->pieces + block - 1 - i);
    t->used += block;
    for (size_t i = 0; i < t->added.count; ++i)
        if ((uint32_t)t->added.items[i].id >= t->used)
            t->used = (uint32_t)t->added.items[i].id + 1;
    t->vocab = p->vocab_size != 0 ? p->vocab_size : (t->used + 127) / 128 * 128;
    if (t->vocab < t->used || t->vocab > MAX_VOCAB)
        return sy_fail(ctx, SY_INVALID,
                       "%s has %u pieces, %u sentinels and %zu added tokens (ids below %u), but the model's vocab_size "
                       "is %u: they do not belong together",
                       path, t->pieces, block, t->added.count, t->used, t->vocab);
    return SY_OK;
}

// ---- what the files beside them say ---------------------------------------------------------------------------------

size_t sy_sentinel_name(const char *text, size_t bytes, uint32_t *out_index)
{
    size_t head = strlen(SY_SENTINEL_HEAD), i = head;
    uint32_t index = 0;
    if (bytes < head + 2 || memcmp(text, SY_SENTINEL_HEAD, head) != 0)
        return 0;
    for (; i < bytes && i < head + 4 && text[i] >= '0' && text[i] <= '9'; ++i)
        index = 10 * index + (uint32_t)(text[i] - '0');
    const bool number = i > head && (text[head] != '0' || i == head + 1);
    if (!number || i >= bytes || text[i] != '>')
        return 0;
    *out_index = index;
    return i + 1;
}

static bool is_sentinel_name(const char *text)
{
    uint32_t index;
    return sy_sentinel_name(text, strlen(text), &index) == strlen(text);
}

/// −1: no token of this text.
static int32_t id_of(const struct sy_tokenizer *t, const char *text)
{
    static const char *const of_bytes[] = {"<pad>", "</s>", "<unk>"};
    const struct sy_added *a = sy_added_find(&t->added, text);
    if (a != NULL)
        return a->id;
    if (t->spm != NULL)
        return sy_spm_find(t->spm, text);
    for (int32_t i = 0; i < SY_BYTES_SPECIAL; ++i)
        if (strcmp(text, of_bytes[i]) == 0)
            return i;
    return -1;
}

static enum sy_status take_roles(struct sy_ctx *ctx, struct sy_tokenizer *t)
{
    char *const *roles = t->added.roles;
    const int32_t pad = roles[SY_ROLE_PAD] != NULL ? id_of(t, roles[SY_ROLE_PAD]) : -1;
    const int32_t eos = roles[SY_ROLE_EOS] != NULL ? id_of(t, roles[SY_ROLE_EOS]) : t->eos;
    const int32_t unk = roles[SY_ROLE_UNK] != NULL ? id_of(t, roles[SY_ROLE_UNK]) : -1;
    if (eos < 0 && roles[SY_ROLE_EOS] != NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: eos_token is %.60s, but no file beside it gives it an id", t->source,
                       roles[SY_ROLE_EOS]);
    if (eos < 0)
        return sy_fail(ctx, SY_FORMAT, "%s has no end-of-sentence piece (</s>)", t->source);
    t->eos = eos;
    t->pad = pad >= 0 ? pad : t->pad;
    t->names_pad = t->names_pad || pad >= 0;
    t->unk = unk >= 0 ? unk : t->unk;
    for (size_t i = 0; i < t->added.special_count; ++i)
        if (id_of(t, t->added.special[i]) < 0 && !is_sentinel_name(t->added.special[i]))
            return sy_fail(
                ctx, SY_FORMAT,
                "%s: the special token %.60s has no id: save the tokenizer once more with Hugging Face, which "
                "writes the ids into tokenizer_config.json",
                t->source, t->added.special[i]);
    return SY_OK;
}

static bool is_piece(const struct sy_tokenizer *t, const struct sy_added *a)
{
    return (uint32_t)a->id < t->pieces &&
           (t->spm != NULL ? strcmp(sy_spm_piece(t->spm, a->id), a->text) == 0 : a->id < SY_BYTES_SPECIAL);
}

/// Sorts the ids by what they are, and the added tokens by whether they are looked for in texts.
static enum sy_status sort_ids(struct sy_ctx *ctx, struct sy_tokenizer *t)
{
    t->kinds = calloc(t->vocab, 1);
    if (t->kinds == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the tokenizer", t->source);
    memset(t->kinds, SY_ID_PLAIN, t->pieces);
    for (uint32_t i = 0; i < t->sentinel_count && !(t->spm == NULL && t->numbering == SY_SENTINELS_BYT5); ++i)
        t->kinds[t->sentinels[i]] = SY_ID_SENTINEL;
    for (size_t i = 0; i < t->added.count; ++i) {
        struct sy_added *a = &t->added.items[i];
        a->silent =
            is_sentinel_name(a->text) || is_piece(t, a) || a->id == t->pad || a->id == t->eos || a->id == t->unk;
        if (is_sentinel_name(a->text) || is_piece(t, a))
            continue;
        if ((uint32_t)a->id >= t->vocab)
            return sy_fail(ctx, SY_INVALID, "%s: the token %.60s has the id %d, but the model's vocab_size is %u",
                           t->source, a->text, a->id, t->vocab);
        if (t->kinds[a->id] == SY_ID_SENTINEL)
            return sy_fail(ctx, SY_FORMAT,
                           "%s: the token %.60s has the id %d, which is that of a mask <extra_id_N>: give extra_ids or "
                           "the masks' ids in tokenizer_config.json",
                           t->source, a->text, a->id);
        t->kinds[a->id] = SY_ID_ADDED;
    }
    if ((uint32_t)t->eos >= t->vocab || (t->names_pad && (uint32_t)t->pad >= t->vocab))
        return sy_fail(ctx, SY_INVALID, "%s: its eos is %d and its padding %d, but the model's vocab_size is %u",
                       t->source, t->eos, t->pad, t->vocab);
    t->kinds[t->eos] = SY_ID_HIDDEN;
    if (t->names_pad)
        t->kinds[t->pad] = SY_ID_HIDDEN;
    sy_added_seal(&t->added);
    return SY_OK;
}

// ---- opening --------------------------------------------------------------------------------------------------------

static enum sy_status open_model(struct sy_ctx *ctx, struct sy_tokenizer *t, const char *path,
                                 const struct sy_tokenizer_params *p)
{
    SY_TRY(sy_file_read(ctx, path, MAX_MODEL_BYTES, &t->model, &t->model_bytes));
    SY_TRY(sy_spm_load(ctx, t->model, t->model_bytes, path, &t->spm));
    return open_pieces(ctx, t, path, p);
}

/// The unigram model inside tokenizer.json, where it came alone.
static enum sy_status open_json(struct sy_ctx *ctx, struct sy_tokenizer *t, const char *directory,
                                const struct sy_tokenizer_params *p, const struct sy_kept_file *json)
{
    char path[SY_PATH_ROOM];
    SY_TRY(sy_path_print(ctx, path, directory, json->name));
    SY_TRY(sy_tokenizer_json_model(ctx, json->data, json->bytes, path, &t->model, &t->model_bytes));
    SY_TRY(sy_spm_load(ctx, t->model, t->model_bytes, path, &t->spm));
    return open_pieces(ctx, t, path, p);
}

static const struct sy_kept_file *kept(const struct sy_tokenizer *t, const char *name)
{
    for (size_t i = 0; i < t->added.file_count; ++i)
        if (strcmp(t->added.files[i].name, name) == 0)
            return &t->added.files[i];
    return NULL;
}

static enum sy_status open_directory(struct sy_ctx *ctx, struct sy_tokenizer *t, const char *directory,
                                     const struct sy_tokenizer_params *p)
{
    char *path = sy_path_join(directory, MODEL_NAME);
    if (path == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", directory);
    enum sy_status status = sy_added_read(ctx, directory, &t->added);
    if (status == SY_OK && sy_file_exists(path))
        status = open_model(ctx, t, path, p);
    else if (status == SY_OK && strcmp(t->added.class_name, "ByT5Tokenizer") == 0)
        status = open_bytes(ctx, t, p);
    else if (status == SY_OK && kept(t, "tokenizer.json") != NULL)
        status = open_json(ctx, t, directory, p, kept(t, "tokenizer.json"));
    else if (status == SY_OK)
        status =
            sy_fail(ctx, SY_IO,
                    "%s holds neither " MODEL_NAME " nor tokenizer.json; name a SentencePiece model file, or \"bytes\"",
                    directory);
    free(path);
    return status;
}

static enum sy_status open_source(struct sy_ctx *ctx, struct sy_tokenizer *t, const struct sy_tokenizer_params *p)
{
    if (strcmp(t->source, "bytes") == 0)
        return open_bytes(ctx, t, p);
    if (sy_dir_exists(t->source))
        return open_directory(ctx, t, t->source, p);
    const char *slash = strrchr(t->source, '/'), *name = slash != NULL ? slash + 1 : t->source;
    if (strcmp(name, MODEL_NAME) != 0 || !sy_file_exists(t->source))
        return open_model(ctx, t, t->source, p);
    char *directory = slash != NULL ? strndup(t->source, (size_t)(name - t->source)) : strdup(".");
    enum sy_status status = directory != NULL ? open_directory(ctx, t, directory, p)
                                              : sy_fail(ctx, SY_NOMEM, "%s: out of memory", t->source);
    free(directory);
    return status;
}

enum sy_status sy_tokenizer_open_as(struct sy_ctx *ctx, const struct sy_tokenizer_params *params,
                                    struct sy_tokenizer **out_tokenizer)
{
    struct sy_tokenizer *t = calloc(1, sizeof *t);
    if (t == NULL || (t->source = strdup(params->source)) == NULL) {
        free(t);
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the tokenizer", params->source);
    }
    t->added.extra_ids = -1;
    enum sy_status status = open_source(ctx, t, params);
    if (status == SY_OK)
        status = take_roles(ctx, t);
    if (status == SY_OK)
        status = sort_ids(ctx, t);
    if (status != SY_OK) {
        sy_tokenizer_close(&t);
        return status;
    }
    *out_tokenizer = t;
    return SY_OK;
}

enum sy_status sy_tokenizer_open(struct sy_ctx *ctx, const char *source, uint32_t vocab_size,
                                 struct sy_tokenizer **out_tokenizer)
{
    const struct sy_tokenizer_params p = {.source = source, .vocab_size = vocab_size};
    return sy_tokenizer_open_as(ctx, &p, out_tokenizer);
}

void sy_tokenizer_close(struct sy_tokenizer **tokenizer)
{
    struct sy_tokenizer *t = *tokenizer;
    if (t == NULL)
        return;
    if (t->spm != NULL)
        sy_spm_free(t->spm);
    sy_added_finish(&t->added);
    free(t->kinds);
    free(t->model);
    free(t->source);
    free(t);
    *tokenizer = NULL;
}

// ---- facts ----------------------------------------------------------------------------------------------------------

uint32_t sy_tokenizer_vocab(const struct sy_tokenizer *tokenizer) { return tokenizer->vocab; }
uint32_t sy_tokenizer_sentinels(const struct sy_tokenizer *tokenizer) { return tokenizer->sentinel_count; }
int32_t sy_tokenizer_pad(const struct sy_tokenizer *tokenizer) { return tokenizer->pad; }
enum sy_sentinels sy_tokenizer_numbering(const struct sy_tokenizer *tokenizer) { return tokenizer->numbering; }
uint32_t sy_tokenizer_used(const struct sy_tokenizer *tokenizer) { return tokenizer->used; }
int32_t sy_tokenizer_eos(const struct sy_tokenizer *tokenizer) { return tokenizer->eos; }
int32_t sy_tokenizer_unk(const struct sy_tokenizer *tokenizer) { return tokenizer->unk; }
bool sy_tokenizer_is_bytes(const struct sy_tokenizer *tokenizer) { return tokenizer->spm == NULL; }

int32_t sy_tokenizer_sentinel(const struct sy_tokenizer *tokenizer, uint32_t index)
{
    return index < tokenizer->sentinel_count ? tokenizer->sentinels[index] : -1;
}
