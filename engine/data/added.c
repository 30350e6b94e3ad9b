// SPDX-License-Identifier: Apache-2.0
// added.c: reads the JSON files beside spiece.model, and finds their tokens in text.
#include "engine/data/added.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json.h"

#define MAX_JSON (64u << 20)
#define MAX_TOKENS 32768u // they are searched one by one; real tokenizers add some hundreds

static enum sy_status no_memory(struct sy_ctx *ctx, const char *file)
{
    return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the tokenizer", file);
}

const struct sy_added *sy_added_find(const struct sy_added_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; ++i)
        if (strcmp(list->items[i].text, text) == 0)
            return &list->items[i];
    return NULL;
}

const struct sy_added *sy_added_with_id(const struct sy_added_list *list, int32_t id)
{
    for (size_t i = 0; i < list->count; ++i)
        if (list->items[i].id == id)
            return &list->items[i];
    return NULL;
}

static enum sy_status add(struct sy_ctx *ctx, struct sy_added_list *l, const char *file, const char *text,
                          const json_t *entry, json_int_t id)
{
    if (text == NULL || *text == '\0' || id < 0 || id > INT32_MAX)
        return sy_fail(ctx, SY_FORMAT, "%s: an added token has no text or no id, expected both", file);
    const struct sy_added *same = sy_added_find(l, text), *other = sy_added_with_id(l, (int32_t)id);
    if (same != NULL && same->id != id)
        return sy_fail(ctx, SY_FORMAT, "%s: the token %.60s has the id %lld, but a file beside it says %d", file, text,
                       (long long)id, same->id);
    if (same == NULL && other != NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: the id %lld is that of %.60s, but of %.60s elsewhere: they contradict",
                       file, (long long)id, text, other->text);
    if (same != NULL)
        return SY_OK;
    if (l->count == MAX_TOKENS)
        return sy_fail(ctx, SY_UNSUPPORTED, "%s: more than %u added tokens", file, MAX_TOKENS);
    struct sy_added *items = realloc(l->items, (l->count + 1) * sizeof *items);
    l->items = items != NULL ? items : l->items;
    char *copy = items != NULL ? strdup(text) : NULL;
    if (copy == NULL)
        return no_memory(ctx, file);
    l->items[l->count++] = (struct sy_added){.text = copy,
                                             .bytes = strlen(copy),
                                             .id = (int32_t)id,
                                             .lstrip = json_is_true(json_object_get(entry, "lstrip")),
                                             .rstrip = json_is_true(json_object_get(entry, "rstrip")),
                                             .whole = json_is_true(json_object_get(entry, "single_word"))};
    return SY_OK;
}

/// A token is named by its text, or by an object with the text as "content".
static const char *text_of(const json_t *value)
{
    return json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
}

static enum sy_status add_special(struct sy_ctx *ctx, struct sy_added_list *l, const char *file, const json_t *value)
{
    const char *text = text_of(value);
    char **bigger = text != NULL ? realloc(l->special, (l->special_count + 1) * sizeof *bigger) : NULL;
    if (text == NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: one of the special tokens has no text", file);
    l->special = bigger != NULL ? bigger : l->special;
    if (bigger == NULL || (l->special[l->special_count] = strdup(text)) == NULL)
        return no_memory(ctx, file);
    ++l->special_count;
    return SY_OK;
}

/// The keys that tokenizer_config.json and special_tokens_map.json share.
static enum sy_status read_roles(struct sy_ctx *ctx, struct sy_added_list *l, const char *file, const json_t *root)
{
    static const char *const roles[SY_ROLES] = {"pad_token", "eos_token", "unk_token"};
    static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens"};
    for (size_t i = 0; i < SY_ROLES; ++i) {
        const char *text = text_of(json_object_get(root, roles[i]));
        if (text != NULL && l->roles[i] == NULL && (l->roles[i] = strdup(text)) == NULL)
            return no_memory(ctx, file);
    }
    for (size_t i = 0; i < SY_COUNT(lists); ++i) {
        const json_t *list = json_object_get(root, lists[i]);
        for (size_t k = 0; k < json_array_size(list); ++k)
            SY_TRY(add_special(ctx, l, file, json_array_get(list, k)));
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)list, key, value) SY_TRY(add_special(ctx, l, file, value));
    }
    return SY_OK;
}

static enum sy_status read_config(struct sy_ctx *ctx, struct sy_added_list *l, const char *file, const json_t *root)
{
    const char *name = json_string_value(json_object_get(root, "tokenizer_class")), *key;
    const json_t *extra = json_object_get(root, "extra_ids"), *decoder = json_object_get(root, "added_tokens_decoder");
    json_t *value;
    snprintf(l->class_name, sizeof l->class_name, "%s", name != NULL ? name : "");
    if (json_is_integer(extra))
        l->extra_ids = json_integer_value(extra);
    json_object_foreach((json_t *)(uintptr_t)decoder, key, value)
    {
        char *end;
        const long long id = strtoll(key, &end, 10);
        SY_TRY(add(ctx, l, file, text_of(value), value, *end == '\0' && end != key ? id : -1));
    }
    return read_roles(ctx, l, file, root);
}

/// {"<sep>": 32100, …}
static enum sy_status read_ids(struct sy_ctx *ctx, struct sy_added_list *l, const char *file, const json_t *root)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
        SY_TRY(add(ctx, l, file, key, NULL, json_is_integer(value) ? json_integer_value(value) : -1));
    return SY_OK;
}

static enum sy_status read_fast(struct sy_ctx *ctx, struct sy_added_list *l, const char *file, const json_t *root)
{
    const json_t *list = json_object_get(root, "added_tokens");
    for (size_t i = 0; i < json_array_size(list); ++i) {
        const json_t *entry = json_array_get(list, i), *id = json_object_get(entry, "id");
        SY_TRY(add(ctx, l, file, text_of(entry), entry, json_is_integer(id) ? json_integer_value(id) : -1));
    }
    return SY_OK;
}

static const struct {
    const char *name;
    enum sy_status (*read)(struct sy_ctx *ctx, struct sy_added_list *l, const char *file, const json_t *root);
} readers[] = {{"tokenizer_config.json", read_config},
               {"special_tokens_map.json", read_roles},
               {"added_tokens.json", read_ids},
               {"tokenizer.json", read_fast}};

static enum sy_status read_one(struct sy_ctx *ctx, const char *path, size_t which, struct sy_added_list *l)
{
    json_t *root = NULL;
    struct sy_kept_file *file = &l->files[l->file_count];
    SY_TRY(sy_file_read(ctx, path, MAX_JSON, &file->data, &file->bytes));
    file->name = readers[which].name;
    ++l->file_count;
    SY_TRY(sy_json_parse(ctx, file->data, file->bytes, path, &root));
    enum sy_status status = readers[which].read(ctx, l, path, root);
    json_decref(root);
    return status;
}

enum sy_status sy_added_read(struct sy_ctx *ctx, const char *directory, struct sy_added_list *out)
{
    struct sy_added_list l = {.extra_ids = -1};
    enum sy_status status = SY_OK;
    _Static_assert(SY_COUNT(readers) == SY_COUNT(l.files), "every file has a place");
    for (size_t i = 0; i < SY_COUNT(readers) && status == SY_OK; ++i) {
        char *path = sy_path_join(directory, readers[i].name);
        if (path == NULL)
            status = no_memory(ctx, directory);
        else if (sy_file_exists(path))
            status = read_one(ctx, path, i, &l);
        free(path);
    }
    if (status == SY_OK)
        *out = l;
    else
        sy_added_finish(&l);
    return status;
}

void sy_added_finish(struct sy_added_list *l)
{
    for (size_t i = 0; i < l->count; ++i)
        free(l->items[i].text);
    for (size_t i = 0; i < l->special_count; ++i)
        free(l->special[i]);
    for (size_t i = 0; i < SY_ROLES; ++i)
        free(l->roles[i]);
    for (size_t i = 0; i < l->file_count; ++i)
        free(l->files[i].data);
    free(l->items);
    free(l->special);
    *l = (struct sy_added_list){.extra_ids = -1};
}

void sy_added_seal(struct sy_added_list *l)
{
    for (size_t i = 0; i < l->count; ++i)
        if (!l->items[i].silent)
            l->first[(uint8_t)l->items[i].text[0]] = true;
}

static bool is_word(char c) { return c == '_' || isalnum((unsigned char)c) || (unsigned char)c >= 128; }

const struct sy_added *sy_added_match(const struct sy_added_list *l, const char *text, size_t bytes, size_t at)
{
    const struct sy_added *best = NULL;
    if (!l->first[(uint8_t)text[at]])
        return NULL;
    for (size_t i = 0; i < l->count; ++i) {
        const struct sy_added *a = &l->items[i];
        if (a->silent || a->bytes > bytes - at || (best != NULL && a->bytes <= best->bytes) ||
            memcmp(a->text, text + at, a->bytes) != 0)
            continue;
        const size_t end = at + a->bytes;
        if (!a->whole || ((at == 0 || !is_word(text[at - 1])) && (end == bytes || !is_word(text[end]))))
            best = a;
    }
    return best;
}
