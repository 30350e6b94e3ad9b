// SPDX-License-Identifier: Apache-2.0
#include "engine/data/corpus_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

static const char format[] = "switchyard corpus 1";
static const char *const kinds[SY_DOCUMENTS_KINDS] = {"unsaid", "follow", "eos", "alone"};

const char *sy_documents_name(enum sy_documents documents) { return kinds[documents]; }

void sy_corpus_shard_name(uint64_t shard, char out[32]) { snprintf(out, 32, "tokens-%05" PRIu64 ".bin", shard); }

struct sy_corpus_head sy_corpus_head_of_tokens(uint32_t width, uint64_t first)
{
    struct sy_corpus_head head = {.version = SY_CORPUS_VERSION, .width = width, .first = first};
    memcpy(head.magic, "SYTOKENS", sizeof head.magic);
    return head;
}

struct sy_corpus_head sy_corpus_head_of_documents(void)
{
    struct sy_corpus_head head = {.version = SY_CORPUS_VERSION, .width = sizeof(uint64_t)};
    memcpy(head.magic, "SYSTARTS", sizeof head.magic);
    return head;
}

uint64_t sy_corpus_shards(const struct sy_corpus_index *index)
{
    return (index->tokens + index->shard_tokens - 1) / index->shard_tokens;
}

uint64_t sy_corpus_shard_tokens(const struct sy_corpus_index *index, uint64_t shard)
{
    const uint64_t left = index->tokens - shard * index->shard_tokens;
    return left < index->shard_tokens ? left : index->shard_tokens;
}

enum sy_status sy_corpus_index_add_sum(struct sy_ctx *ctx, struct sy_corpus_index *index, const char sum[33])
{
    if (index->sum_count == index->sum_room) {
        const uint64_t room = 2 * index->sum_room + 16;
        void *bigger = realloc(index->sums, room * sizeof *index->sums);
        if (bigger == NULL)
            return sy_fail(ctx, SY_NOMEM, "out of memory for the sums of %llu shards", (unsigned long long)room);
        index->sums = bigger;
        index->sum_room = room;
    }
    memcpy(index->sums[index->sum_count++], sum, 33);
    return SY_OK;
}

void sy_corpus_index_finish(struct sy_corpus_index *index)
{
    free(index->sums);
    index->sums = NULL;
    index->sum_count = index->sum_room = 0;
}

json_t *sy_corpus_index_json(const struct sy_corpus_index *index)
{
    json_t *sums = json_array();
    for (uint64_t i = 0; i < index->sum_count; ++i)
        if (json_array_append_new(sums, json_string(index->sums[i])) != 0) {
            json_decref(sums);
            return NULL;
        }
    return json_pack("{s:s, s:I, s:I, s:I, s:i, s:s, s:{s:I, s:s}, s:{s:I, s:s}, s:s, s:o}", "format", format, "tokens",
                     (json_int_t)index->tokens, "documents", (json_int_t)index->documents, "shard_tokens",
                     (json_int_t)index->shard_tokens, "token_bytes", (int)index->width, "documents_are",
                     kinds[index->kind], "vocabulary", "ids", (json_int_t)index->used, "sum", index->vocabulary,
                     "made_of", "files", (json_int_t)index->files, "sum", index->made_of, "documents_sum",
                     index->documents_sum, "shard_sums", sums);
}

bool sy_corpus_index_sum(const json_t *root, char out_hex[33])
{
    char *text = json_dumps(root, JSON_COMPACT);
    if (text == NULL)
        return false;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(text, strlen(text)));
    free(text);
    for (size_t i = 0; i < sizeof canonical.digest; ++i)
        snprintf(out_hex + 2 * i, 3, "%02x", canonical.digest[i]);
    return true;
}

// ---- reading --------------------------------------------------------------------------------------------------------

static enum sy_status no_corpus(struct sy_ctx *ctx, const char *name, const char *what)
{
    return sy_fail(ctx, SY_FORMAT, "%s is no index of a corpus, or a damaged one: %s; prepare the corpus again", name,
                   what);
}

/// A whole number from `least` to `most` under a key.
static bool take_number(const json_t *object, const char *key, uint64_t least, uint64_t most, uint64_t *out)
{
    const json_t *j = json_object_get(object, key);
    if (!json_is_integer(j) || json_integer_value(j) < 0 || (uint64_t)json_integer_value(j) < least ||
        (uint64_t)json_integer_value(j) > most)
        return false;
    *out = (uint64_t)json_integer_value(j);
    return true;
}

static bool is_sum(const char *text)
{
    return text != NULL && strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static bool take_sum(const json_t *j, char out[33])
{
    const char *text = json_string_value(j);
    if (!is_sum(text))
        return false;
    memcpy(out, text, 33);
    return true;
}

/// What is wrong, or NULL.
static const char *take_facts(const json_t *root, bool whole, struct sy_corpus_index *x)
{
    const json_t *vocabulary = json_object_get(root, "vocabulary"), *made_of = json_object_get(root, "made_of");
    const char *said = json_string_value(json_object_get(root, "format"));
    const char *kind = json_string_value(json_object_get(root, "documents_are"));
    uint64_t width, used;
    if (said == NULL || strcmp(said, format) != 0)
        return "\"format\" is not \"switchyard corpus 1\"";
    if (!take_number(root, "tokens", whole, SY_CORPUS_MOST_TOKENS, &x->tokens))
        return "\"tokens\" is not a number from 1 to 2^48";
    if (!take_number(root, "documents", x->tokens > 0, x->tokens, &x->documents))
        return "\"documents\" is not a number from 1 to that of the tokens";
    if (!take_number(root, "shard_tokens", SY_CORPUS_LEAST_SHARD, SY_CORPUS_MOST_TOKENS, &x->shard_tokens))
        return "\"shard_tokens\" is not a number from 16 to 2^48";
    if (!take_number(root, "token_bytes", 2, 4, &width) || width == 3)
        return "\"token_bytes\" is neither 2 nor 4";
    if (!take_number(vocabulary, "ids", 1, width == 2 ? 1u << 16 : INT32_MAX, &used))
        return "the vocabulary's \"ids\" do not fit \"token_bytes\"";
    if (!take_sum(json_object_get(vocabulary, "sum"), x->vocabulary) ||
        !take_sum(json_object_get(made_of, "sum"), x->made_of))
        return "a sum is not 32 hexadecimal digits";
    if (whole && !take_sum(json_object_get(root, "documents_sum"), x->documents_sum))
        return "\"documents_sum\" is not 32 hexadecimal digits";
    if (!take_number(made_of, "files", 0, INT64_MAX, &x->files))
        return "\"files\" is not a number";
    x->width = (uint32_t)width;
    x->used = (uint32_t)used;
    for (x->kind = SY_DOCUMENTS_FOLLOW; x->kind < SY_DOCUMENTS_KINDS; ++x->kind)
        if (kind != NULL && strcmp(kind, kinds[x->kind]) == 0)
            return NULL;
    return "\"documents_are\" is none of follow, eos, alone";
}

enum sy_status sy_corpus_index_parse(struct sy_ctx *ctx, const json_t *root, const char *name, bool whole,
                                     struct sy_corpus_index *out)
{
    struct sy_corpus_index x = {0};
    const char *wrong = take_facts(root, whole, &x);
    if (wrong != NULL)
        return no_corpus(ctx, name, wrong);
    const json_t *sums = json_object_get(root, "shard_sums");
    const uint64_t expected = whole ? sy_corpus_shards(&x) : x.tokens / x.shard_tokens;
    if (!json_is_array(sums) || json_array_size(sums) != expected)
        return no_corpus(ctx, name, "\"shard_sums\" has not one sum for each shard");
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < json_array_size(sums) && status == SY_OK; ++i) {
        char sum[33];
        status = take_sum(json_array_get(sums, i), sum) ? sy_corpus_index_add_sum(ctx, &x, sum)
                                                        : no_corpus(ctx, name, "a sum is not 32 hexadecimal digits");
    }
    if (status != SY_OK) {
        sy_corpus_index_finish(&x);
        return status;
    }
    *out = x;
    return SY_OK;
}
