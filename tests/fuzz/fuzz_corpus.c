// SPDX-License-Identifier: Apache-2.0
// fuzz_corpus.c: an index, and behind it the files that it tells of: two bytes of the index's length, the index, its
// shards, and documents.bin.
#include <stdlib.h>
#include <string.h>

#include "engine/data/corpus_index.h"
#include "tests/fuzz/target.h"

#define SHARDS 8

/// The next `wanted` bytes, or what is left of them, in memory of exactly that size.
static struct sy_corpus_map piece(const uint8_t **data, size_t *bytes, uint64_t wanted)
{
    const size_t n = wanted < *bytes ? (size_t)wanted : *bytes;
    uint8_t *copy = malloc(n > 0 ? n : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, *data, n);
    *data += n;
    *bytes -= n;
    return (struct sy_corpus_map){copy, n};
}

static void read_all(struct sy_ctx *ctx, const struct sy_corpus *c)
{
    int32_t out[64];
    const uint64_t tokens = sy_corpus_tokens(c), documents = sy_corpus_documents(c);
    for (uint64_t first = 0; first < tokens && first < 1000; first += 7) {
        const uint64_t n = tokens - first < 64 ? tokens - first : 64;
        if (sy_corpus_read(ctx, c, first, n, out) != SY_OK)
            continue;
        for (uint64_t i = 0; i < n; ++i)
            if (out[i] < 0 || out[i] >= 259)
                abort();
    }
    for (uint64_t first = 0; first < tokens + documents - 1 && first < 1000; first += 5) {
        const uint64_t left = tokens + documents - 1 - first;
        (void)!sy_corpus_read_joined(ctx, c, 1, first, left < 64 ? left : 64, out);
    }
    for (uint64_t i = 0; i < documents && i < 1000; ++i) {
        uint64_t first, count;
        if (sy_corpus_document(ctx, c, i, &first, &count) == SY_OK &&
            (count == 0 || first + count > tokens || sy_corpus_read(ctx, c, first, 1, out) == SY_INTERNAL))
            abort();
    }
}

static void open_rest(struct sy_ctx *ctx, struct sy_corpus_index *index, const uint8_t *data, size_t bytes)
{
    struct sy_corpus_map maps[SHARDS + 1] = {{NULL, 0}};
    struct sy_corpus *c = NULL;
    const uint64_t shards = sy_corpus_shards(index);
    if (shards > SHARDS || index->used > 259)
        return;
    for (uint64_t i = 0; i < shards; ++i)
        maps[i] = piece(&data, &bytes, sizeof(struct sy_corpus_head) + sy_corpus_shard_tokens(index, i) * index->width);
    maps[SHARDS] = piece(&data, &bytes, sizeof(struct sy_corpus_head) + index->documents * sizeof(uint64_t));
    if (sy_corpus_from_memory(ctx, "fuzz", index, maps, maps[SHARDS], &c) == SY_OK)
        read_all(ctx, c);
    sy_corpus_close(&c);
    for (int i = 0; i <= SHARDS; ++i)
        free((void *)(uintptr_t)maps[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_corpus_index index = {0};
    json_t *root = NULL;
    const size_t length = bytes >= 2 ? data[0] + 256u * data[1] : 0;
    if (ctx != NULL && bytes >= 2 + length &&
        sy_json_parse(ctx, (const char *)data + 2, length, "fuzz", &root) == SY_OK &&
        sy_corpus_index_parse(ctx, root, "fuzz", true, &index) == SY_OK)
        open_rest(ctx, &index, data + 2 + length, bytes - 2 - length);
    json_decref(root);
    sy_corpus_index_finish(&index);
    sy_ctx_destroy(&ctx);
    return 0;
}
