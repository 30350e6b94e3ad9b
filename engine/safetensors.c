// SPDX-License-Identifier: Apache-2.0
// safetensors.c: reading: map, check everything the header claims, find by name, convert.
#include "engine/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json.h"
#include "engine/torch.h"
#include "hostlib/dtype.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian and is read in place");

#define MAX_HEADER_BYTES 100000000u // the format's own limit

struct entry {
    struct sy_tensor_view view; // first: sy_tensors_find() searches entries by it
    uint32_t shard;
};

struct shard {
    char *path;
    struct sy_map map;
    json_t *header;        // owns the names
    struct sy_torch torch; // or this does
};

struct sy_tensors {
    char *path;
    struct shard *shards;
    size_t shard_count;
    struct entry *entries;
    size_t count, room;
};

static const struct {
    const char *name;
    size_t bytes;
} dtypes[SY_ST_DTYPES] = {
    [SY_ST_BOOL] = {"BOOL", 1},       [SY_ST_U8] = {"U8", 1},           [SY_ST_I8] = {"I8", 1},
    [SY_ST_F8_E5M2] = {"F8_E5M2", 1}, [SY_ST_F8_E4M3] = {"F8_E4M3", 1}, [SY_ST_I16] = {"I16", 2},
    [SY_ST_U16] = {"U16", 2},         [SY_ST_F16] = {"F16", 2},         [SY_ST_BF16] = {"BF16", 2},
    [SY_ST_I32] = {"I32", 4},         [SY_ST_U32] = {"U32", 4},         [SY_ST_F32] = {"F32", 4},
    [SY_ST_F64] = {"F64", 8},         [SY_ST_I64] = {"I64", 8},         [SY_ST_U64] = {"U64", 8},
};

size_t sy_st_dtype_bytes(enum sy_st_dtype dtype) { return dtypes[dtype].bytes; }

const char *sy_st_dtype_name(enum sy_st_dtype dtype) { return dtypes[dtype].name; }

// ---- one tensor of the header ---------------------------------------------------------------------------------------

static enum sy_status read_shape(struct sy_ctx *ctx, const json_t *shape, const char *file, struct sy_tensor_view *view)
{
    if (!json_is_array(shape))
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s: shape is missing or no array", file, view->name);
    if (json_array_size(shape) > SY_ST_MAX_DIMS)
        return sy_fail(ctx, SY_UNSUPPORTED, "%s: tensor %.200s has %zu dimensions, expected at most %d", file,
                       view->name, json_array_size(shape), SY_ST_MAX_DIMS);
    view->ndim = (uint32_t)json_array_size(shape);
    view->elements = 1;
    bool zero = false, overflow = false;
    for (uint32_t i = 0; i < view->ndim; ++i) {
        const json_t *side = json_array_get(shape, i);
        if (!json_is_integer(side) || json_integer_value(side) < 0)
            return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s: dimension %u of its shape is no whole number", file,
                           view->name, i);
        view->shape[i] = (uint64_t)json_integer_value(side);
        zero = zero || view->shape[i] == 0;
        overflow = __builtin_mul_overflow(view->elements, view->shape[i], &view->elements) || overflow;
    }
    overflow = __builtin_mul_overflow(view->elements, (uint64_t)dtypes[view->dtype].bytes, &view->bytes) || overflow;
    if (overflow && !zero)
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s: its shape overflows 64 bits", file, view->name);
    if (zero)
        view->elements = view->bytes = 0;
    return SY_OK;
}

static enum sy_status read_dtype(struct sy_ctx *ctx, const json_t *dtype, const char *file, struct sy_tensor_view *view)
{
    const char *text = json_string_value(dtype);
    if (text == NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s: dtype is missing or no string", file, view->name);
    for (int i = 0; i < SY_ST_DTYPES; ++i)
        if (strcmp(dtypes[i].name, text) == 0) {
            view->dtype = (enum sy_st_dtype)i;
            return SY_OK;
        }
    return sy_fail(ctx, SY_UNSUPPORTED, "%s: tensor %.200s: unknown dtype %.20s, expected F32, BF16, F16, …", file,
                   view->name, text);
}

static enum sy_status read_tensor(struct sy_ctx *ctx, const char *name, const json_t *value, const char *file,
                                  const uint8_t *data, uint64_t bytes, struct sy_tensor_view *view)
{
    *view = (struct sy_tensor_view){.name = name};
    if (!json_is_object(value))
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s: its description is no object", file, name);
    SY_TRY(read_dtype(ctx, json_object_get(value, "dtype"), file, view));
    SY_TRY(read_shape(ctx, json_object_get(value, "shape"), file, view));
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to) ||
        json_integer_value(from) < 0 || json_integer_value(to) < json_integer_value(from))
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s: data_offsets is not a pair [begin, end]", file, name);
    uint64_t begin = (uint64_t)json_integer_value(from), end = (uint64_t)json_integer_value(to);
    if (end > bytes)
        return sy_fail(ctx, SY_FORMAT,
                       "%s: tensor %.200s ends at byte %llu of the data, but there are only %llu: the file is cut off",
                       file, name, (unsigned long long)end, (unsigned long long)bytes);
    if (end - begin != view->bytes)
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s: shape and dtype need %llu bytes, data_offsets give %llu",
                       file, name, (unsigned long long)view->bytes, (unsigned long long)(end - begin));
    view->data = data + begin;
    return SY_OK;
}

// ---- one file -------------------------------------------------------------------------------------------------------

static int by_place(const void *a, const void *b)
{
    const struct sy_tensor_view *x = &((const struct entry *)a)->view, *y = &((const struct entry *)b)->view;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q)
        return p < q ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; // empty tensors sit before the one that begins there
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->view.name, ((const struct entry *)b)->view.name);
}

// The tensors must tile the data exactly: a gap could hide bytes, an overlap makes two tensors one.
static enum sy_status check_places(struct sy_ctx *ctx, struct entry *entries, size_t count, const char *file,
                                   const uint8_t *data, uint64_t bytes)
{
    if (count > 0)
        qsort(entries, count, sizeof *entries, by_place);
    uint64_t end = 0;
    for (size_t i = 0; i < count; ++i) {
        const struct sy_tensor_view *v = &entries[i].view;
        uint64_t begin = (uint64_t)((const uint8_t *)v->data - data);
        if (begin != end)
            return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s begins at byte %llu of the data, expected %llu: %s", file,
                           v->name, (unsigned long long)begin, (unsigned long long)end,
                           begin < end ? "it overlaps the tensor before it" : "there is a gap before it");
        end = begin + v->bytes;
    }
    if (end != bytes)
        return sy_fail(ctx, SY_FORMAT, "%s: %llu bytes behind the last tensor belong to none", file,
                       (unsigned long long)(bytes - end));
    return SY_OK;
}

static enum sy_status reserve(struct sy_ctx *ctx, struct sy_tensors *t, size_t more, const char *file)
{
    if (t->count + more < t->room)
        return SY_OK;
    size_t room = 2 * (t->count + more) + 16;
    struct entry *bigger = realloc(t->entries, room * sizeof *bigger);
    if (bigger == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory for a list of %zu tensors", file, room);
    t->entries = bigger;
    t->room = room;
    return SY_OK;
}

static enum sy_status read_header(struct sy_ctx *ctx, const uint8_t *file_data, uint64_t file_bytes, const char *file,
                                  json_t **out_header, uint64_t *out_data_start)
{
    uint64_t length;
    if (file_bytes < sizeof length)
        return sy_fail(ctx, SY_FORMAT, "%s has %llu bytes, too few for a safetensors file", file,
                       (unsigned long long)file_bytes);
    memcpy(&length, file_data, sizeof length);
    if (file_bytes < 1024 && memmem(file_data, (size_t)file_bytes, "git-lfs", 7) != NULL)
        return sy_fail(ctx, SY_FORMAT,
                       "%s is the pointer that Git LFS leaves in place of a file: fetch the file itself "
                       "(git lfs pull)",
                       file);
    if (length > MAX_HEADER_BYTES || length > file_bytes - sizeof length)
        return sy_fail(ctx, SY_FORMAT,
                       "%s: its header should have %llu bytes, but %s: not a safetensors file, or cut off", file,
                       (unsigned long long)length,
                       length > MAX_HEADER_BYTES ? "the format allows 100 MB" : "the file ends before");
    if (length == 0 || file_data[sizeof length] != '{')
        return sy_fail(ctx, SY_FORMAT, "%s: its header does not begin with '{': not a safetensors file", file);
    SY_TRY(sy_json_parse(ctx, (const char *)file_data + sizeof length, (size_t)length, file, out_header));
    *out_data_start = sizeof length + length;
    return SY_OK;
}

/// Appends those of a file of torch.save(), of which several may share a storage.
static enum sy_status add_torch(struct sy_ctx *ctx, struct sy_tensors *t, uint32_t index, const uint8_t *data,
                                uint64_t bytes)
{
    struct shard *shard = &t->shards[index];
    SY_TRY(sy_torch_read(ctx, data, bytes, shard->path, &shard->torch));
    SY_TRY(reserve(ctx, t, shard->torch.count, shard->path));
    for (size_t i = 0; i < shard->torch.count; ++i)
        t->entries[t->count++] = (struct entry){.view = shard->torch.views[i], .shard = index};
    return SY_OK;
}

/// Appends the tensors of shard `index`, whose map or memory is `data`.
static enum sy_status add_shard(struct sy_ctx *ctx, struct sy_tensors *t, uint32_t index, const uint8_t *data,
                                uint64_t bytes)
{
    struct shard *shard = &t->shards[index];
    uint64_t start = 0;
    if (sy_torch_is(data, bytes))
        return add_torch(ctx, t, index, data, bytes);
    SY_TRY(read_header(ctx, data, bytes, shard->path, &shard->header, &start));
    SY_TRY(reserve(ctx, t, json_object_size(shard->header), shard->path));
    size_t first = t->count;
    const char *name;
    json_t *value;
    json_object_foreach(shard->header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (!json_is_object(value))
                return sy_fail(ctx, SY_FORMAT, "%s: __metadata__ is no object", shard->path);
            continue;
        }
        struct entry *entry = &t->entries[t->count];
        SY_TRY(read_tensor(ctx, name, value, shard->path, data + start, bytes - start, &entry->view));
        entry->shard = index;
        ++t->count;
    }
    return check_places(ctx, t->entries + first, t->count - first, shard->path, data + start, bytes - start);
}

static enum sy_status add_file(struct sy_ctx *ctx, struct sy_tensors *t, uint32_t index)
{
    struct shard *shard = &t->shards[index];
    SY_TRY(sy_map_open(ctx, shard->path, &shard->map));
    return add_shard(ctx, t, index, shard->map.data, shard->map.bytes);
}

static struct sy_tensors *tensors_new(const char *path, size_t shards)
{
    struct sy_tensors *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->path = strdup(path);
    t->shards = calloc(shards > 0 ? shards : 1, sizeof *t->shards);
    t->shard_count = t->shards != NULL ? shards : 0;
    if (t->path == NULL || t->shards == NULL)
        sy_tensors_close(&t);
    return t;
}

/// Sorts by name when everything is in.
static enum sy_status seal(struct sy_ctx *ctx, struct sy_tensors *t)
{
    if (t->count > 0)
        qsort(t->entries, t->count, sizeof *t->entries, by_name);
    for (size_t i = 1; i < t->count; ++i)
        if (by_name(&t->entries[i - 1], &t->entries[i]) == 0)
            return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s is there twice", t->path, t->entries[i].view.name);
    return SY_OK;
}

static enum sy_status open_single(struct sy_ctx *ctx, const char *path, const void *data, uint64_t bytes,
                                  struct sy_tensors **out)
{
    struct sy_tensors *t = tensors_new(path, 1);
    if (t == NULL || (t->shards[0].path = strdup(path)) == NULL) {
        sy_tensors_close(&t);
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
    }
    enum sy_status status = data != NULL ? add_shard(ctx, t, 0, data, bytes) : add_file(ctx, t, 0);
    if (status == SY_OK)
        status = seal(ctx, t);
    if (status != SY_OK) {
        sy_tensors_close(&t);
        return status;
    }
    *out = t;
    return SY_OK;
}

// ---- shards ---------------------------------------------------------------------------------------------------------

/// The distinct file names of the index, each with its number: {"model-00001-of-00002.safetensors": 0, …}.
static enum sy_status number_shards(struct sy_ctx *ctx, const json_t *map, const char *path, json_t *numbers)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        const char *file = json_string_value(value);
        // Only plain names: an index must not reach outside its directory.
        if (file == NULL || *file == '\0' || *file == '.' || strchr(file, '/') != NULL)
            return sy_fail(ctx, SY_FORMAT, "%s: weight_map of %.200s is not the name of a file beside the index", path,
                           name);
        if (json_object_get(numbers, file) == NULL &&
            json_object_set_new(numbers, file, json_integer((json_int_t)json_object_size(numbers))) != 0)
            return sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
    }
    return SY_OK;
}

static enum sy_status check_index(struct sy_ctx *ctx, const struct sy_tensors *t, const json_t *map,
                                  const json_t *numbers)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        const struct sy_tensor_view *view = sy_tensors_find(t, name);
        const char *file = json_string_value(value);
        json_int_t shard = json_integer_value(json_object_get(numbers, file));
        if (view == NULL || ((const struct entry *)(const void *)view)->shard != (uint32_t)shard)
            return sy_fail(ctx, SY_FORMAT, "%s: tensor %.200s should be in %.200s, but is not", t->path, name, file);
    }
    return SY_OK;
}

static enum sy_status add_shards(struct sy_ctx *ctx, struct sy_tensors *t, const char *directory, const json_t *numbers)
{
    const char *file;
    json_t *number;
    json_object_foreach((json_t *)(uintptr_t)numbers, file, number)
    {
        uint32_t i = (uint32_t)json_integer_value(number);
        t->shards[i].path = sy_path_join(directory, file);
        if (t->shards[i].path == NULL)
            return sy_fail(ctx, SY_NOMEM, "%s: out of memory", t->path);
        SY_TRY(add_file(ctx, t, i));
    }
    return seal(ctx, t);
}

static enum sy_status open_index_in(struct sy_ctx *ctx, const char *path, const char *directory, const json_t *root,
                                    json_t *numbers, struct sy_tensors **out)
{
    const json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map))
        return sy_fail(ctx, SY_FORMAT, "%s: weight_map is missing or no object", path);
    SY_TRY(number_shards(ctx, map, path, numbers));
    struct sy_tensors *t = tensors_new(path, json_object_size(numbers));
    if (t == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
    enum sy_status status = add_shards(ctx, t, directory, numbers);
    if (status == SY_OK)
        status = check_index(ctx, t, map, numbers);
    if (status != SY_OK)
        sy_tensors_close(&t);
    *out = t;
    return status;
}

static enum sy_status open_index(struct sy_ctx *ctx, const char *path, struct sy_tensors **out)
{
    json_t *root = NULL;
    SY_TRY(sy_json_load(ctx, path, &root));
    char *directory = strdup(path);
    json_t *numbers = json_object();
    enum sy_status status;
    struct sy_tensors *t = NULL;
    if (directory == NULL || numbers == NULL) {
        status = sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
    } else {
        char *slash = strrchr(directory, '/');
        *(slash != NULL ? slash + 1 : directory) = '\0';
        status = open_index_in(ctx, path, directory, root, numbers, &t);
    }
    if (status == SY_OK)
        *out = t;
    free(directory);
    json_decref(numbers);
    json_decref(root);
    return status;
}

static enum sy_status open_directory(struct sy_ctx *ctx, const char *path, struct sy_tensors **out)
{
    char file[SY_PATH_ROOM];
    bool index;
    if (!sy_tensors_locate(path, file, &index))
        return sy_tensors_absent(ctx, path, "");
    return index ? open_index(ctx, file, out) : open_single(ctx, file, NULL, 0, out);
}

enum sy_status sy_tensors_open(struct sy_ctx *ctx, const char *path, struct sy_tensors **out_tensors)
{
    size_t n = strlen(path);
    if (sy_dir_exists(path))
        return open_directory(ctx, path, out_tensors);
    if (n > 5 && strcmp(path + n - 5, ".json") == 0)
        return open_index(ctx, path, out_tensors);
    return open_single(ctx, path, NULL, 0, out_tensors);
}

enum sy_status sy_tensors_parse(struct sy_ctx *ctx, const void *data, uint64_t bytes, const char *name,
                                struct sy_tensors **out_tensors)
{
    return open_single(ctx, name, data != NULL ? data : "", bytes, out_tensors);
}

void sy_tensors_close(struct sy_tensors **tensors)
{
    struct sy_tensors *t = *tensors;
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->shard_count; ++i) {
        json_decref(t->shards[i].header);
        sy_torch_finish(&t->shards[i].torch);
        sy_map_close(&t->shards[i].map);
        free(t->shards[i].path);
    }
    free(t->shards);
    free(t->entries);
    free(t->path);
    free(t);
    *tensors = NULL;
}

// ---- looking up and copying out -------------------------------------------------------------------------------------

size_t sy_tensors_count(const struct sy_tensors *tensors) { return tensors->count; }

const struct sy_tensor_view *sy_tensors_at(const struct sy_tensors *tensors, size_t index)
{
    return index < tensors->count ? &tensors->entries[index].view : NULL;
}

const struct sy_tensor_view *sy_tensors_find(const struct sy_tensors *tensors, const char *name)
{
    struct entry wanted = {.view = {.name = name}};
    if (tensors->count == 0)
        return NULL;
    struct entry *found = bsearch(&wanted, tensors->entries, tensors->count, sizeof wanted, by_name);
    return found != NULL ? &found->view : NULL;
}

const char *sy_tensors_path(const struct sy_tensors *tensors) { return tensors->path; }

static void print_shape(char *text, size_t room, uint32_t ndim, const uint64_t *shape)
{
    size_t used = (size_t)snprintf(text, room, "[");
    for (uint32_t i = 0; i < ndim && used < room; ++i)
        used += (size_t)snprintf(text + used, room - used, "%s%llu", i > 0 ? ", " : "", (unsigned long long)shape[i]);
    if (used < room)
        snprintf(text + used, room - used, "]");
}

static enum sy_status expect(struct sy_ctx *ctx, const struct sy_tensors *t, const char *name, uint32_t ndim,
                             const uint64_t *shape, const struct sy_tensor_view **out)
{
    const struct sy_tensor_view *v = sy_tensors_find(t, name);
    char want[200], have[200];
    print_shape(want, sizeof want, ndim, shape);
    if (v == NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %s %s is missing", t->path, name, want);
    if (v->ndim == ndim && (ndim == 0 || memcmp(v->shape, shape, ndim * sizeof *shape) == 0)) {
        *out = v;
        return SY_OK;
    }
    print_shape(have, sizeof have, v->ndim, v->shape);
    return sy_fail(ctx, SY_FORMAT, "%s: tensor %s has shape %s, expected %s: does config.json belong to it?", t->path,
                   name, have, want);
}

enum sy_status sy_tensors_floats(struct sy_ctx *ctx, const struct sy_tensors *tensors, const char *name, uint32_t ndim,
                                 const uint64_t *shape, const float **out)
{
    const struct sy_tensor_view *v;
    SY_TRY(expect(ctx, tensors, name, ndim, shape, &v));
    const bool usable = v->dtype == SY_ST_F32 && (uintptr_t)v->data % _Alignof(float) == 0;
    *out = usable ? v->data : NULL;
    return SY_OK;
}

void sy_tensors_release(const struct sy_tensors *tensors, const char *name)
{
    const struct sy_tensor_view *v = sy_tensors_find(tensors, name);
    for (size_t i = 0; v != NULL && i < tensors->shard_count; ++i) {
        const struct sy_map *map = &tensors->shards[i].map; // empty: the caller's memory, which is not ours to drop
        const uintptr_t at = (uintptr_t)v->data, from = (uintptr_t)map->data;
        if (map->data != NULL && at >= from && at - from < map->bytes)
            sy_map_release(map, v->data, v->bytes);
    }
}

// Widening a half is exact: subnormals are scaled by the exponent difference, all else moves its fields.
static float half_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 1023u, bits;
    float f;
    if (exponent == 0) {
        f = (float)fraction * 0x1p-24f;
        memcpy(&bits, &f, sizeof bits);
        bits |= sign;
    } else {
        bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112u) << 23) | fraction << 13;
    }
    memcpy(&f, &bits, sizeof f);
    return f;
}

enum sy_status sy_tensors_read_f32(struct sy_ctx *ctx, const struct sy_tensors *tensors, const char *name,
                                   uint32_t ndim, const uint64_t *shape, float *out)
{
    const struct sy_tensor_view *v;
    SY_TRY(expect(ctx, tensors, name, ndim, shape, &v));
    const uint8_t *data = v->data;
    uint16_t half;
    double wide;
    switch (v->dtype) {
    case SY_ST_F32:
        if (v->bytes > 0)
            memcpy(out, data, v->bytes);
        return SY_OK;
    case SY_ST_BF16:
        for (uint64_t i = 0; i < v->elements; ++i)
            out[i] = sy_bf16_to_f32((memcpy(&half, data + 2 * i, 2), half));
        return SY_OK;
    case SY_ST_F16:
        for (uint64_t i = 0; i < v->elements; ++i)
            out[i] = half_to_f32((memcpy(&half, data + 2 * i, 2), half));
        return SY_OK;
    case SY_ST_F64:
        for (uint64_t i = 0; i < v->elements; ++i)
            out[i] = (float)(memcpy(&wide, data + 8 * i, 8), wide);
        return SY_OK;
    default:
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %s has element type %s, expected F32, BF16, F16 or F64",
                       tensors->path, name, dtypes[v->dtype].name);
    }
}

/// Element `i` of an integer tensor; UINT64 beyond int64 is too large for whoever asks.
static int64_t integer_at(const struct sy_tensor_view *v, uint64_t i)
{
    const size_t bytes = sy_st_dtype_bytes(v->dtype);
    uint64_t bits = 0;
    memcpy(&bits, (const uint8_t *)v->data + bytes * i, bytes); // files and machines here are little-endian
    switch (v->dtype) {
    case SY_ST_I8: return (int8_t)bits;
    case SY_ST_I16: return (int16_t)bits;
    case SY_ST_I32: return (int32_t)bits;
    case SY_ST_U64: return bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    default: return (int64_t)bits;
    }
}

enum sy_status sy_tensors_read_i32(struct sy_ctx *ctx, const struct sy_tensors *tensors, const char *name,
                                   uint32_t ndim, const uint64_t *shape, int32_t *out)
{
    const struct sy_tensor_view *v;
    SY_TRY(expect(ctx, tensors, name, ndim, shape, &v));
    switch (v->dtype) {
    case SY_ST_F8_E5M2:
    case SY_ST_F8_E4M3:
    case SY_ST_F16:
    case SY_ST_BF16:
    case SY_ST_F32:
    case SY_ST_F64:
    case SY_ST_DTYPES:
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %s has element type %s, expected integers (I32 or I64)",
                       tensors->path, name, dtypes[v->dtype].name);
    default: break;
    }
    for (uint64_t i = 0; i < v->elements; ++i) {
        const int64_t wide = integer_at(v, i);
        if (wide < INT32_MIN || wide > INT32_MAX)
            return sy_fail(ctx, SY_FORMAT, "%s: tensor %s: element %llu is %lld, beyond 32 bits", tensors->path, name,
                           (unsigned long long)i, (long long)wide);
        out[i] = (int32_t)wide;
    }
    return SY_OK;
}
