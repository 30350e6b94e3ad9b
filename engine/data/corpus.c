// SPDX-License-Identifier: Apache-2.0
// corpus.c: a prepared corpus through maps of its files.
#include "engine/data/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "engine/data/corpus_index.h"
#include "engine/file.h"

struct sy_corpus {
    char *name; ///< Its directory.
    struct sy_corpus_index index;
    char sum[33];
    struct sy_map *maps; ///< Of the shards, and of the documents behind them; NULL: from memory.
    struct sy_corpus_map *shards;
    const uint64_t *starts; ///< [documents]
};

// ---- opening --------------------------------------------------------------------------------------------------------

static enum sy_status no_memory(struct sy_ctx *ctx, const char *name)
{
    return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the list of its shards", name);
}

/// Sizes and first bytes are compared at every start; the rest is for sy_corpus_verify().
static enum sy_status check_file(struct sy_ctx *ctx, const struct sy_corpus *c, const char *file,
                                 struct sy_corpus_map map, struct sy_corpus_head head, uint64_t entries)
{
    const uint64_t expected = sizeof head + entries * head.width;
    if (map.bytes != expected)
        return sy_fail(
            ctx, SY_FORMAT,
            "%s/%s has %llu bytes, expected %llu: it is cut off or of another corpus; copy it again, or prepare the "
            "corpus again",
            c->name, file, (unsigned long long)map.bytes, (unsigned long long)expected);
    if (memcmp(map.data, &head, sizeof head) != 0)
        return sy_fail(ctx, SY_FORMAT,
                       "%s/%s does not begin as that file of this corpus: it is another one, or damaged", c->name,
                       file);
    return SY_OK;
}

static enum sy_status check_files(struct sy_ctx *ctx, const struct sy_corpus *c, struct sy_corpus_map documents)
{
    for (uint64_t i = 0; i < sy_corpus_shards(&c->index); ++i) {
        char file[32];
        sy_corpus_shard_name(i, file);
        SY_TRY(check_file(ctx, c, file, c->shards[i],
                          sy_corpus_head_of_tokens(c->index.width, i * c->index.shard_tokens),
                          sy_corpus_shard_tokens(&c->index, i)));
    }
    return check_file(ctx, c, SY_CORPUS_DOCUMENTS, documents, sy_corpus_head_of_documents(), c->index.documents);
}

static const uint64_t *starts_of(struct sy_corpus_map documents)
{
    return (const uint64_t *)(const void *)(documents.data + sizeof(struct sy_corpus_head));
}

enum sy_status sy_corpus_from_memory(struct sy_ctx *ctx, const char *name, struct sy_corpus_index *index,
                                     const struct sy_corpus_map *shards, struct sy_corpus_map documents,
                                     struct sy_corpus **out_corpus)
{
    const uint64_t count = sy_corpus_shards(index);
    struct sy_corpus *c = calloc(1, sizeof *c);
    if (c == NULL || (c->name = strdup(name)) == NULL || (c->shards = calloc(count, sizeof *c->shards)) == NULL) {
        if (c != NULL)
            free(c->name);
        free(c);
        return no_memory(ctx, name);
    }
    memcpy(c->shards, shards, count * sizeof *shards);
    c->index = *index;
    *index = (struct sy_corpus_index){0};
    c->starts = starts_of(documents);
    enum sy_status status = check_files(ctx, c, documents);
    if (status != SY_OK) {
        sy_corpus_close(&c);
        return status;
    }
    *out_corpus = c;
    return SY_OK;
}

static enum sy_status map_file(struct sy_ctx *ctx, const struct sy_corpus *c, const char *file, struct sy_map *out)
{
    char path[SY_PATH_ROOM];
    SY_TRY(sy_path_print(ctx, path, c->name, file));
    return sy_map_open(ctx, path, out);
}

static enum sy_status map_files(struct sy_ctx *ctx, struct sy_corpus *c)
{
    const uint64_t count = sy_corpus_shards(&c->index);
    char file[32], path[SY_PATH_ROOM];
    SY_TRY(sy_path_print(ctx, path, c->name, SY_CORPUS_INDEX));
    if (count > 1u << 24) // more than can be mapped anywhere: said before memory is asked for
        return sy_fail(ctx, SY_FORMAT, "%s tells of %llu shards; prepare the corpus again with larger ones", path,
                       (unsigned long long)count);
    c->maps = calloc(count + 1, sizeof *c->maps);
    c->shards = calloc(count, sizeof *c->shards);
    if (c->maps == NULL || c->shards == NULL)
        return no_memory(ctx, c->name);
    for (uint64_t i = 0; i < count; ++i) {
        sy_corpus_shard_name(i, file);
        SY_TRY(map_file(ctx, c, file, &c->maps[i]));
        c->shards[i] = (struct sy_corpus_map){c->maps[i].data, c->maps[i].bytes};
    }
    struct sy_map *documents = &c->maps[count];
    SY_TRY(map_file(ctx, c, SY_CORPUS_DOCUMENTS, documents));
    SY_TRY(check_files(ctx, c, (struct sy_corpus_map){documents->data, documents->bytes}));
    c->starts = starts_of((struct sy_corpus_map){documents->data, documents->bytes});
    return SY_OK;
}

/// Reads the index and compares it with its own sum.
static enum sy_status read_index(struct sy_ctx *ctx, struct sy_corpus *c)
{
    char path[SY_PATH_ROOM], unfinished[SY_PATH_ROOM];
    json_t *root;
    SY_TRY(sy_path_print(ctx, path, c->name, SY_CORPUS_INDEX));
    SY_TRY(sy_path_print(ctx, unfinished, c->name, SY_CORPUS_UNFINISHED));
    if (!sy_file_exists(path))
        return sy_file_exists(unfinished)
                   ? sy_fail(
                         ctx, SY_INVALID,
                         "%s is an unfinished corpus: run its switchyard-prepare command again, which goes on with it",
                         c->name)
                   : sy_fail(ctx, SY_INVALID,
                             "%s is a directory without " SY_CORPUS_INDEX
                             ": name text files, or a corpus that switchyard-prepare made of them",
                             c->name);
    SY_TRY(sy_json_load(ctx, path, &root));
    const json_t *said = json_object_get(root, "sum");
    char sum[33] = "";
    if (json_is_string(said) && strlen(json_string_value(said)) == 32)
        memcpy(c->sum, json_string_value(said), 33);
    json_object_del(root, "sum");
    enum sy_status status = sy_corpus_index_parse(ctx, root, path, true, &c->index);
    if (status == SY_OK && !sy_corpus_index_sum(root, sum))
        status = no_memory(ctx, c->name);
    if (status == SY_OK && strcmp(sum, c->sum) != 0)
        status = sy_fail(ctx, SY_FORMAT,
                         "%s is damaged: its sum is %s, expected %s; copy it again, or prepare the corpus again", path,
                         sum, c->sum);
    json_decref(root);
    return status;
}

enum sy_status sy_corpus_open(struct sy_ctx *ctx, const char *directory, struct sy_corpus **out_corpus)
{
    struct sy_corpus *c = calloc(1, sizeof *c);
    if (c == NULL || (c->name = strdup(directory)) == NULL) {
        free(c);
        return no_memory(ctx, directory);
    }
    enum sy_status status = read_index(ctx, c);
    if (status == SY_OK)
        status = map_files(ctx, c);
    if (status != SY_OK) {
        sy_corpus_close(&c);
        return status;
    }
    *out_corpus = c;
    return SY_OK;
}

void sy_corpus_close(struct sy_corpus **corpus)
{
    struct sy_corpus *c = *corpus;
    if (c == NULL)
        return;
    for (uint64_t i = 0; c->maps != NULL && i <= sy_corpus_shards(&c->index); ++i)
        sy_map_close(&c->maps[i]);
    free(c->maps);
    free(c->shards);
    sy_corpus_index_finish(&c->index);
    free(c->name);
    free(c);
    *corpus = NULL;
}

// ---- facts ----------------------------------------------------------------------------------------------------------

uint64_t sy_corpus_tokens(const struct sy_corpus *corpus) { return corpus->index.tokens; }
uint64_t sy_corpus_documents(const struct sy_corpus *corpus) { return corpus->index.documents; }
enum sy_documents sy_corpus_kind(const struct sy_corpus *corpus) { return corpus->index.kind; }
const char *sy_corpus_sum(const struct sy_corpus *corpus) { return corpus->sum; }

enum sy_status sy_corpus_agree(struct sy_ctx *ctx, const struct sy_corpus *corpus, const struct sy_tokenizer *tokenizer)
{
    char sum[33];
    SY_TRY(sy_tokenizer_sum(ctx, tokenizer, sum));
    if (strcmp(sum, corpus->index.vocabulary) == 0)
        return SY_OK;
    return sy_fail(ctx, SY_INVALID,
                   "%s was prepared with another vocabulary (%u ids, the model's has %u): prepare it again with "
                   "--tokenizer of this "
                   "model",
                   corpus->name, corpus->index.used, sy_tokenizer_used(tokenizer));
}

// ---- reading --------------------------------------------------------------------------------------------------------

/// `n` ids of one shard; false: one is none of the vocabulary's.
static bool copy_ids(const struct sy_corpus *c, uint64_t shard, uint64_t at, uint64_t n, int32_t *out)
{
    const uint8_t *data = c->shards[shard].data + sizeof(struct sy_corpus_head);
    uint32_t largest = 0;
    if (c->index.width == 2) {
        const uint16_t *ids = (const uint16_t *)(const void *)data + at;
        for (uint64_t i = 0; i < n; ++i) {
            out[i] = ids[i];
            largest = ids[i] > largest ? ids[i] : largest;
        }
    } else {
        const uint32_t *ids = (const uint32_t *)(const void *)data + at;
        for (uint64_t i = 0; i < n; ++i) {
            out[i] = (int32_t)ids[i];
            largest = ids[i] > largest ? ids[i] : largest;
        }
    }
    return largest < c->index.used;
}

enum sy_status sy_corpus_read(struct sy_ctx *ctx, const struct sy_corpus *corpus, uint64_t first, uint64_t count,
                              int32_t *out)
{
    const struct sy_corpus_index *x = &corpus->index;
    if (first > x->tokens || count > x->tokens - first)
        return sy_fail(ctx, SY_INTERNAL, "%s has no tokens %llu to %llu", corpus->name, (unsigned long long)first,
                       (unsigned long long)(first + count));
    while (count > 0) {
        const uint64_t shard = first / x->shard_tokens, at = first % x->shard_tokens;
        const uint64_t left = sy_corpus_shard_tokens(x, shard) - at, n = count < left ? count : left;
        char file[32];
        sy_corpus_shard_name(shard, file);
        if (!copy_ids(corpus, shard, at, n, out))
            return sy_fail(ctx, SY_FORMAT,
                           "%s/%s is damaged: it holds an id of %u or more; copy it again, or prepare the corpus again",
                           corpus->name, file, x->used);
        first += n;
        out += n;
        count -= n;
    }
    return SY_OK;
}

static enum sy_status bad_starts(struct sy_ctx *ctx, const struct sy_corpus *corpus, uint64_t number)
{
    return sy_fail(
        ctx, SY_FORMAT,
        "%s/" SY_CORPUS_DOCUMENTS
        " is damaged: document %llu does not begin behind the one before; copy it again, or prepare the corpus again",
        corpus->name, (unsigned long long)number);
}

enum sy_status sy_corpus_document(struct sy_ctx *ctx, const struct sy_corpus *corpus, uint64_t number,
                                  uint64_t *out_first, uint64_t *out_count)
{
    const struct sy_corpus_index *x = &corpus->index;
    const uint64_t first = corpus->starts[number];
    const uint64_t end = number + 1 < x->documents ? corpus->starts[number + 1] : x->tokens;
    if (first >= end || end > x->tokens)
        return bad_starts(ctx, corpus, number);
    *out_first = first;
    *out_count = end - first;
    return SY_OK;
}

/// The last document that begins at or before a place of the stream with eos between documents.
static uint64_t document_at(const struct sy_corpus *c, uint64_t place)
{
    uint64_t low = 0, high = c->index.documents;
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        if (c->starts[middle] + middle <= place)
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum sy_status sy_corpus_read_joined(struct sy_ctx *ctx, const struct sy_corpus *corpus, int32_t eos, uint64_t first,
                                     uint64_t count, int32_t *out)
{
    uint64_t number = document_at(corpus, first);
    for (uint64_t at = first - number; count > 0; ++number) { // at: of the tokens alone
        uint64_t begin, tokens;
        SY_TRY(sy_corpus_document(ctx, corpus, number, &begin, &tokens));
        if (at < begin || at > begin + tokens)
            return bad_starts(ctx, corpus, number);
        const uint64_t left = begin + tokens - at, n = left < count ? left : count;
        SY_TRY(sy_corpus_read(ctx, corpus, at, n, out));
        at += n;
        out += n;
        count -= n;
        if (count > 0) {
            if (number + 1 == corpus->index.documents)
                return bad_starts(ctx, corpus, number);
            *out++ = eos;
            --count;
        }
    }
    return SY_OK;
}

// ---- verifying ------------------------------------------------------------------------------------------------------

struct verifying {
    bool (*progress)(void *user, uint64_t done, uint64_t bytes);
    void *user;
    uint64_t done, bytes;
};

static enum sy_status verify_file(struct sy_ctx *ctx, const struct sy_corpus *c, const char *file, const char *sum,
                                  struct verifying *v)
{
    char path[SY_PATH_ROOM], found[33];
    uint64_t bytes;
    SY_TRY(sy_path_print(ctx, path, c->name, file));
    SY_TRY(sy_file_hash(ctx, path, found, &bytes));
    if (strcmp(found, sum) != 0)
        return sy_fail(ctx, SY_FORMAT,
                       "%s is damaged: its sum is %s, expected %s; copy it again, or prepare the corpus again", path,
                       found, sum);
    v->done += bytes;
    return v->progress == NULL || v->progress(v->user, v->done, v->bytes)
               ? SY_OK
               : sy_fail(ctx, SY_INVALID, "%s: the check was ended", c->name);
}

static enum sy_status verify_ids(struct sy_ctx *ctx, const struct sy_corpus *c, uint64_t shard)
{
    int32_t block[4096];
    const uint64_t first = shard * c->index.shard_tokens, count = sy_corpus_shard_tokens(&c->index, shard);
    for (uint64_t i = 0; i < count; i += SY_COUNT(block))
        SY_TRY(sy_corpus_read(ctx, c, first + i, count - i < SY_COUNT(block) ? count - i : SY_COUNT(block), block));
    return SY_OK;
}

enum sy_status sy_corpus_verify(struct sy_ctx *ctx, const struct sy_corpus *corpus,
                                bool (*progress)(void *user, uint64_t done, uint64_t bytes), void *user)
{
    const struct sy_corpus_index *x = &corpus->index;
    struct verifying v = {progress, user, 0, x->tokens * x->width + x->documents * sizeof *corpus->starts};
    for (uint64_t i = 0; i < sy_corpus_shards(x); ++i) {
        char file[32];
        sy_corpus_shard_name(i, file);
        SY_TRY(verify_file(ctx, corpus, file, x->sums[i], &v));
        SY_TRY(verify_ids(ctx, corpus, i));
    }
    SY_TRY(verify_file(ctx, corpus, SY_CORPUS_DOCUMENTS, x->documents_sum, &v));
    if (corpus->starts[0] != 0)
        return bad_starts(ctx, corpus, 0);
    for (uint64_t i = 0; i < x->documents; ++i) {
        uint64_t first, count;
        SY_TRY(sy_corpus_document(ctx, corpus, i, &first, &count));
    }
    return SY_OK;
}
