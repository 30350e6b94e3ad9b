// SPDX-License-Identifier: Apache-2.0
// safetensors_write.c: writing: order and header as Hugging Face makes them, one tensor in memory at a time.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json.h"
#include "engine/safetensors.h"

#define PIECE_BYTES (UINT64_C(4) << 20)

static uint64_t spec_bytes(const struct sy_tensor_spec *spec)
{
    uint64_t bytes = sy_st_dtype_bytes(spec->dtype);
    for (uint32_t i = 0; i < spec->ndim; ++i)
        bytes *= spec->shape[i];
    return bytes;
}

static enum sy_status check_specs(struct sy_ctx *ctx, const char *path, const struct sy_tensor_spec *specs,
                                  size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const struct sy_tensor_spec *s = &specs[i];
        if (s->name == NULL || *s->name == '\0' || strcmp(s->name, "__metadata__") == 0)
            return sy_fail(ctx, SY_INVALID, "%s: tensor %zu has no usable name", path, i);
        if (s->ndim > SY_ST_MAX_DIMS || (unsigned)s->dtype >= SY_ST_DTYPES)
            return sy_fail(ctx, SY_INVALID, "%s: tensor %s has an impossible shape or element type", path, s->name);
        uint64_t bytes = sy_st_dtype_bytes(s->dtype);
        for (uint32_t d = 0; d < s->ndim; ++d)
            if (__builtin_mul_overflow(bytes, s->shape[d], &bytes) || bytes > INT64_MAX / 2)
                return sy_fail(ctx, SY_INVALID, "%s: tensor %s is larger than any file", path, s->name);
        if (s->data == NULL && s->piece == NULL && s->produce == NULL && bytes > 0)
            return sy_fail(ctx, SY_INVALID, "%s: tensor %s has neither data nor a function that makes it", path,
                           s->name);
    }
    return SY_OK;
}

// Larger elements first keeps every tensor aligned; then by name. Hugging Face's own order.
static int by_dtype_and_name(const void *a, const void *b)
{
    const struct sy_tensor_spec *x = *(const struct sy_tensor_spec *const *)a,
                                *y = *(const struct sy_tensor_spec *const *)b;
    if (x->dtype != y->dtype)
        return x->dtype > y->dtype ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    const struct sy_tensor_spec *x = *(const struct sy_tensor_spec *const *)a,
                                *y = *(const struct sy_tensor_spec *const *)b;
    return strcmp(x->name, y->name);
}

static json_t *describe(const struct sy_tensor_spec *spec, uint64_t begin)
{
    json_t *shape = json_array();
    int bad = shape == NULL;
    for (uint32_t i = 0; i < spec->ndim; ++i)
        bad |= json_array_append_new(shape, json_integer((json_int_t)spec->shape[i]));
    if (bad) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", sy_st_dtype_name(spec->dtype), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + spec_bytes(spec)));
}

/// The header's text, padded with spaces so that the data starts at a multiple of 8. NULL: out of memory or bad name.
static char *make_header(const struct sy_tensor_spec *const *order, size_t count)
{
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    int bad = header == NULL;
    uint64_t begin = 0;
    for (size_t i = 0; i < count && !bad; ++i) {
        bad = json_object_set_new(header, order[i]->name, describe(order[i], begin));
        begin += spec_bytes(order[i]);
    }
    char *compact = bad ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (compact == NULL)
        return NULL;
    size_t bytes = strlen(compact), padded = (bytes + 7) / 8 * 8;
    char *text = realloc(compact, padded + 1);
    if (text == NULL) {
        free(compact);
        return NULL;
    }
    memset(text + bytes, ' ', padded - bytes);
    text[padded] = '\0';
    return text;
}

/// A tensor by pieces, in file order.
static enum sy_status write_pieces(struct sy_ctx *ctx, struct sy_file *file, const char *path,
                                   const struct sy_tensor_spec *spec)
{
    const uint64_t size = sy_st_dtype_bytes(spec->dtype), total = spec_bytes(spec) / size, most = PIECE_BYTES / size;
    void *data = malloc((size_t)((total < most ? total : most) * size));
    enum sy_status status =
        data != NULL ? SY_OK : sy_fail(ctx, SY_NOMEM, "%s: out of host memory for tensor %s", path, spec->name);
    for (uint64_t first = 0; status == SY_OK && first < total; first += most) {
        const uint64_t count = total - first < most ? total - first : most;
        status = spec->piece(spec->user, spec, first, count, data);
        if (status == SY_OK)
            status = sy_file_append(file, data, count * size);
    }
    free(data);
    return status;
}

static enum sy_status write_tensor(struct sy_ctx *ctx, struct sy_file *file, const char *path,
                                   const struct sy_tensor_spec *spec)
{
    uint64_t bytes = spec_bytes(spec);
    if (bytes == 0)
        return SY_OK;
    if (spec->data != NULL)
        return sy_file_append(file, spec->data, bytes);
    if (spec->piece != NULL)
        return write_pieces(ctx, file, path, spec);
    void *data = malloc((size_t)bytes);
    if (data == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of host memory for tensor %s (%llu bytes)", path, spec->name,
                       (unsigned long long)bytes);
    enum sy_status status = spec->produce(spec->user, spec, data);
    if (status == SY_OK)
        status = sy_file_append(file, data, bytes);
    free(data);
    return status;
}

static enum sy_status write_ordered(struct sy_ctx *ctx, const char *path, const struct sy_tensor_spec *const *order,
                                    size_t count, struct sy_file_sums *sums)
{
    char *header = make_header(order, count);
    if (header == NULL)
        return sy_fail(ctx, SY_INVALID, "%s: cannot make its header: a tensor's name is not UTF-8, or memory is short",
                       path);
    uint64_t length = strlen(header);
    struct sy_file *file = NULL;
    enum sy_status status = sy_file_create(ctx, path, &file);
    if (status == SY_OK)
        status = sy_file_append(file, &length, sizeof length);
    if (status == SY_OK)
        status = sy_file_append(file, header, length);
    for (size_t i = 0; i < count && status == SY_OK; ++i)
        status = write_tensor(ctx, file, path, order[i]);
    free(header);
    if (status == SY_OK)
        status = sy_file_sums_add(file, sums);
    if (status == SY_OK)
        return sy_file_commit(&file);
    sy_file_abort(&file);
    return status;
}

static enum sy_status make_order(struct sy_ctx *ctx, const char *path, const struct sy_tensor_spec *specs, size_t count,
                                 const struct sy_tensor_spec ***out_order)
{
    SY_TRY(check_specs(ctx, path, specs, count));
    const struct sy_tensor_spec **order = malloc((count + 1) * sizeof *order);
    if (order == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory for a list of %zu tensors", path, count);
    for (size_t i = 0; i < count; ++i)
        order[i] = &specs[i];
    qsort(order, count, sizeof *order, by_name);
    for (size_t i = 1; i < count; ++i)
        if (strcmp(order[i - 1]->name, order[i]->name) == 0) {
            enum sy_status status = sy_fail(ctx, SY_INVALID, "%s: two tensors are called %s", path, order[i]->name);
            free(order);
            return status;
        }
    *out_order = order;
    return SY_OK;
}

enum sy_status sy_tensors_save(struct sy_ctx *ctx, const char *path, const struct sy_tensor_spec *specs, size_t count,
                               struct sy_file_sums *sums)
{
    const struct sy_tensor_spec **order;
    SY_TRY(make_order(ctx, path, specs, count, &order));
    qsort(order, count, sizeof *order, by_dtype_and_name);
    enum sy_status status = write_ordered(ctx, path, order, count, sums);
    free(order);
    return status;
}

// ---- shards ---------------------------------------------------------------------------------------------------------

/// End of the shard that begins at `first`: as many tensors as fit, never fewer than one.
static size_t shard_end(const struct sy_tensor_spec *const *order, size_t count, size_t first, uint64_t max_bytes)
{
    uint64_t bytes = 0;
    size_t end = first;
    do
        bytes += spec_bytes(order[end++]);
    while (end < count && spec_bytes(order[end]) <= max_bytes && bytes <= max_bytes - spec_bytes(order[end]));
    return end;
}

static char *shard_name(const char *stem, size_t shard, size_t shards)
{
    size_t room = strlen(stem) + 64;
    char *name = malloc(room);
    if (name != NULL)
        snprintf(name, room, "%s-%05zu-of-%05zu.safetensors", stem, shard + 1, shards);
    return name;
}

static enum sy_status write_shard(struct sy_ctx *ctx, const char *directory, const char *name,
                                  const struct sy_tensor_spec **order, size_t count, json_t *map, uint64_t *total,
                                  struct sy_file_sums *sums)
{
    char *path = sy_path_join(directory, name);
    int bad = path == NULL;
    for (size_t i = 0; i < count && !bad; ++i) {
        bad = json_object_set_new(map, order[i]->name, json_string(name));
        *total += spec_bytes(order[i]);
    }
    enum sy_status status;
    if (bad) {
        status = sy_fail(ctx, SY_NOMEM, "%s/%s: out of memory for the shard's index", directory, name);
    } else {
        qsort(order, count, sizeof *order, by_dtype_and_name);
        status = write_ordered(ctx, path, order, count, sums);
    }
    free(path);
    return status;
}

static enum sy_status write_index(struct sy_ctx *ctx, const char *path, json_t *map, uint64_t total)
{
    json_t *root = json_pack("{s:{s:I}, s:O}", "metadata", "total_size", (json_int_t)total, "weight_map", map);
    if (root == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
    enum sy_status status = sy_json_save(ctx, root, path);
    json_decref(root);
    return status;
}

static enum sy_status write_shards(struct sy_ctx *ctx, const char *directory, const char *stem, const char *index_path,
                                   const struct sy_tensor_spec **order, size_t count, size_t shards, uint64_t max_bytes,
                                   struct sy_file_sums *sums)
{
    json_t *map = json_object();
    if (map == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", index_path);
    enum sy_status status = SY_OK;
    uint64_t total = 0;
    for (size_t i = 0, first = 0; i < shards && status == SY_OK; ++i) {
        size_t end = shard_end(order, count, first, max_bytes);
        char *name = shard_name(stem, i, shards);
        status = name == NULL ? sy_fail(ctx, SY_NOMEM, "%s: out of memory", index_path)
                              : write_shard(ctx, directory, name, order + first, end - first, map, &total, sums);
        free(name);
        first = end;
    }
    if (status == SY_OK)
        status = write_index(ctx, index_path, map, total);
    json_decref(map);
    return status;
}

enum sy_status sy_tensors_save_dir(struct sy_ctx *ctx, const char *directory, const char *stem,
                                   const struct sy_tensor_spec *specs, size_t count, uint64_t max_shard_bytes,
                                   struct sy_file_sums *sums)
{
    uint64_t max_bytes = max_shard_bytes != 0 ? max_shard_bytes : SY_SHARD_BYTES;
    size_t room = strlen(stem) + 64, shards = 0;
    char *file = malloc(room), *single = NULL, *index = NULL;
    const struct sy_tensor_spec **order = NULL;
    enum sy_status status = SY_OK;
    if (file != NULL) {
        snprintf(file, room, "%s.safetensors", stem);
        single = sy_path_join(directory, file);
        snprintf(file, room, "%s.safetensors.index.json", stem);
        index = sy_path_join(directory, file);
    }
    if (single == NULL || index == NULL)
        status = sy_fail(ctx, SY_NOMEM, "%s: out of memory", directory);
    else
        status = make_order(ctx, single, specs, count, &order);
    for (size_t first = 0; status == SY_OK && first < count; ++shards)
        first = shard_end(order, count, first, max_bytes);
    if (status == SY_OK && shards <= 1) {
        status = sy_tensors_save(ctx, single, specs, count, sums);
        if (status == SY_OK)
            status = sy_dir_remove(ctx, index); // of an older, sharded save
    } else if (status == SY_OK) {
        status = write_shards(ctx, directory, stem, index, order, count, shards, max_bytes, sums);
        if (status == SY_OK)
            status = sy_dir_remove(ctx, single);
    }
    free(order);
    free(file);
    free(single);
    free(index);
    return status;
}
