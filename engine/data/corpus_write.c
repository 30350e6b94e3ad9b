// SPDX-License-Identifier: Apache-2.0
#include "engine/data/corpus_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "engine/file.h"

#define ROOM ((size_t)1 << 18)

/// A file that grows, with the sum of what is in it.
struct growing {
    struct sy_ctx *ctx;
    char path[SY_PATH_ROOM];
    int fd;
    XXH3_state_t *hash;
    uint8_t *data; ///< [ROOM], `used` of them not written yet.
    size_t used;
};

struct sy_corpus_writer {
    struct sy_ctx *ctx;
    const char *directory;
    struct sy_corpus_index *index;
    struct growing tokens, documents; ///< tokens: of the shard that is being written; its fd is −1 between two.
};

// ---- a growing file -------------------------------------------------------------------------------------------------

static enum sy_status no_memory(struct sy_ctx *ctx, const char *name)
{
    return sy_fail(ctx, SY_NOMEM, "%s: out of memory for writing", name);
}

static enum sy_status growing_prepare(struct sy_ctx *ctx, struct growing *g)
{
    g->ctx = ctx;
    g->fd = -1;
    g->data = malloc(ROOM);
    g->hash = XXH3_createState();
    return g->data != NULL && g->hash != NULL ? SY_OK : no_memory(ctx, "a corpus");
}

static enum sy_status put(struct growing *g)
{
    for (size_t done = 0; done < g->used;) {
        const ssize_t n = write(g->fd, g->data + done, g->used - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sy_fail(g->ctx, SY_IO, "cannot write %s: %s; %sthe same command goes on where it was", g->path,
                           strerror(errno), errno == ENOSPC || errno == EDQUOT ? "free some space, then " : "");
        done += (size_t)n;
    }
    XXH3_128bits_update(g->hash, g->data, g->used);
    g->used = 0;
    return SY_OK;
}

static enum sy_status append(struct growing *g, const void *data, size_t bytes)
{
    if (g->used + bytes > ROOM)
        SY_TRY(put(g));
    memcpy(g->data + g->used, data, bytes);
    g->used += bytes;
    return SY_OK;
}

static enum sy_status growing_flush(struct growing *g)
{
    if (g->fd < 0)
        return SY_OK;
    SY_TRY(put(g));
    return fsync(g->fd) == 0 || sy_flush_impossible(errno)
               ? SY_OK
               : sy_fail(g->ctx, SY_IO, "cannot flush %s to the disk: %s", g->path, strerror(errno));
}

static enum sy_status growing_end(struct growing *g)
{
    SY_TRY(growing_flush(g));
    const int fd = g->fd;
    g->fd = -1;
    return fd < 0 || close(fd) == 0 ? SY_OK : sy_fail(g->ctx, SY_IO, "cannot finish %s: %s", g->path, strerror(errno));
}

/// Reads what is there already, for the sum.
static enum sy_status rehash(struct growing *g, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t left = bytes - done;
        const ssize_t n = read(g->fd, g->data, left < ROOM ? (size_t)left : ROOM);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? sy_fail(g->ctx, SY_IO, "cannot read %s: %s", g->path, strerror(errno))
                         : sy_fail(g->ctx, SY_FORMAT,
                                   "%s is shorter than " SY_CORPUS_UNFINISHED
                                   " says, so it cannot be gone on with; remove the directory and begin again",
                                   g->path);
        XXH3_128bits_update(g->hash, g->data, (size_t)n);
        done += (uint64_t)n;
    }
    return SY_OK;
}

/// Begins a file, or goes on behind `entries` of it.
static enum sy_status growing_open(struct growing *g, const char *directory, const char *name,
                                   struct sy_corpus_head head, uint64_t entries)
{
    SY_TRY(sy_path_print(g->ctx, g->path, directory, name));
    const uint64_t bytes = entries > 0 ? sizeof head + entries * head.width : 0;
    g->fd = open(g->path, O_RDWR | O_CREAT | O_CLOEXEC | (entries > 0 ? 0 : O_TRUNC), 0666);
    if (g->fd < 0)
        return sy_fail(g->ctx, SY_IO, "cannot open %s: %s", g->path, strerror(errno));
    XXH3_128bits_reset(g->hash);
    g->used = 0;
    if (entries == 0)
        return append(g, &head, sizeof head);
    SY_TRY(rehash(g, bytes));
    return ftruncate(g->fd, (off_t)bytes) == 0
               ? SY_OK
               : sy_fail(g->ctx, SY_IO, "cannot shorten %s: %s", g->path, strerror(errno));
}

static void growing_sum(const struct growing *g, char out_hex[33])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(g->hash));
    for (size_t i = 0; i < sizeof canonical.digest; ++i)
        snprintf(out_hex + 2 * i, 3, "%02x", canonical.digest[i]);
}

static void growing_finish(struct growing *g)
{
    if (g->fd >= 0)
        close(g->fd);
    XXH3_freeState(g->hash);
    free(g->data);
}

// ---- the corpus -----------------------------------------------------------------------------------------------------

static enum sy_status open_shard(struct sy_corpus_writer *w)
{
    const struct sy_corpus_index *x = w->index;
    const uint64_t shard = x->tokens / x->shard_tokens;
    char name[32];
    sy_corpus_shard_name(shard, name);
    return growing_open(&w->tokens, w->directory, name, sy_corpus_head_of_tokens(x->width, shard * x->shard_tokens),
                        x->tokens % x->shard_tokens);
}

static enum sy_status end_shard(struct sy_corpus_writer *w)
{
    char sum[33];
    SY_TRY(growing_end(&w->tokens));
    growing_sum(&w->tokens, sum);
    return sy_corpus_index_add_sum(w->ctx, w->index, sum);
}

enum sy_status sy_corpus_write_open(struct sy_ctx *ctx, const char *directory, struct sy_corpus_index *index,
                                    struct sy_corpus_writer **out_writer)
{
    struct sy_corpus_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return no_memory(ctx, directory);
    *w = (struct sy_corpus_writer){ctx, directory, index, {.fd = -1}, {.fd = -1}};
    enum sy_status status = growing_prepare(ctx, &w->tokens);
    if (status == SY_OK)
        status = growing_prepare(ctx, &w->documents);
    if (status == SY_OK)
        status = growing_open(&w->documents, directory, SY_CORPUS_DOCUMENTS, sy_corpus_head_of_documents(),
                              index->documents);
    if (status == SY_OK && index->tokens % index->shard_tokens > 0)
        status = open_shard(w);
    if (status != SY_OK) {
        sy_corpus_write_close(&w);
        return status;
    }
    *out_writer = w;
    return SY_OK;
}

static enum sy_status add_ids(struct sy_corpus_writer *w, const int32_t *ids, uint64_t count)
{
    for (uint64_t i = 0; i < count; ++i) {
        const uint16_t half = (uint16_t)ids[i];
        SY_TRY(w->index->width == 2 ? append(&w->tokens, &half, sizeof half)
                                    : append(&w->tokens, &ids[i], sizeof *ids));
    }
    return SY_OK;
}

enum sy_status sy_corpus_write_add(struct sy_corpus_writer *writer, const int32_t *ids, uint64_t count,
                                   const uint64_t *starts, uint64_t start_count)
{
    struct sy_corpus_writer *w = writer;
    struct sy_corpus_index *x = w->index;
    for (uint64_t i = 0; i < start_count; ++i) {
        const uint64_t start = x->tokens + starts[i];
        SY_TRY(append(&w->documents, &start, sizeof start));
    }
    x->documents += start_count;
    while (count > 0) {
        if (w->tokens.fd < 0)
            SY_TRY(open_shard(w));
        const uint64_t room = x->shard_tokens - x->tokens % x->shard_tokens, n = count < room ? count : room;
        SY_TRY(add_ids(w, ids, n));
        x->tokens += n;
        ids += n;
        count -= n;
        if (n == room)
            SY_TRY(end_shard(w));
    }
    return x->tokens <= SY_CORPUS_MOST_TOKENS
               ? SY_OK
               : sy_fail(w->ctx, SY_INVALID, "%s: more than 2^48 tokens are no corpus", w->directory);
}

enum sy_status sy_corpus_write_flush(struct sy_corpus_writer *writer)
{
    SY_TRY(growing_flush(&writer->tokens));
    return growing_flush(&writer->documents);
}

enum sy_status sy_corpus_write_finish(struct sy_corpus_writer *writer)
{
    struct sy_corpus_writer *w = writer;
    char path[SY_PATH_ROOM], sum[33];
    if (w->index->tokens == 0)
        return sy_fail(w->ctx, SY_INVALID, "%s: there is no text to make a corpus of", w->directory);
    if (w->tokens.fd >= 0)
        SY_TRY(end_shard(w));
    SY_TRY(growing_end(&w->documents));
    growing_sum(&w->documents, w->index->documents_sum);
    SY_TRY(sy_path_print(w->ctx, path, w->directory, SY_CORPUS_INDEX));
    json_t *root = sy_corpus_index_json(w->index);
    enum sy_status status = SY_OK;
    if (root == NULL || !sy_corpus_index_sum(root, sum) || json_object_set_new(root, "sum", json_string(sum)) != 0)
        status = no_memory(w->ctx, w->directory);
    else
        status = sy_json_save(w->ctx, root, path);
    json_decref(root);
    return status;
}

void sy_corpus_write_close(struct sy_corpus_writer **writer)
{
    if (*writer == NULL)
        return;
    growing_finish(&(*writer)->tokens);
    growing_finish(&(*writer)->documents);
    free(*writer);
    *writer = NULL;
}
