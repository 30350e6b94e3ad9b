// SPDX-License-Identifier: Apache-2.0
// safetensors.c: tests of reading and writing tensors: real files, round trips, shards, hostile headers, full disks.
// Usage: safetensors TEST_DATA_DIRECTORY
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include <unistd.h>

#include "engine/file.h"
#include "engine/safetensors.h"
#include "tests/io.h"

struct env {
    struct io io;
    const char *data;
    char scratch[512];
};

static char *in(const char *directory, const char *name)
{
    char *path = sy_path_join(directory, name);
    if (path == NULL)
        abort();
    return path;
}

// ---- real files -----------------------------------------------------------------------------------------------------

static void test_real_files(struct env *e)
{
    static const struct {
        const char *file;
        size_t count;
        const char *tensor;
        enum sy_st_dtype dtype;
        uint32_t ndim;
        uint64_t shape[3];
    } real[] = {
        {"iree_empty.safetensors", 0, NULL, 0, 0, {0}},
        {"iree_single.safetensors", 1, "tensor0", SY_ST_F32, 2, {2, 2}},
        {"iree_multiple.safetensors", 3, "tensor0", SY_ST_F32, 2, {2, 2}},
        {"iree_parameter_weight_bias_1.safetensors", 2, "weight", SY_ST_F32, 2, {30, 20}},
        {"iree_parameters_a.safetensors", 2, NULL, 0, 0, {0}},
        {"iree_parameters_b.safetensors", 2, NULL, 0, 0, {0}},
        {"iree_parameters_dynamic.safetensors", 4, NULL, 0, 0, {0}},
        {"burn_multi_layer.safetensors", 9, "norm1.num_batches_tracked", SY_ST_I64, 0, {0}},
        {"candle_jfk_codes.safetensors", 1, "codes", SY_ST_I64, 3, {1, 2, 828}},
    };
    char *directory = in(e->data, "safetensors");
    for (size_t i = 0; i < SY_COUNT(real); ++i) {
        struct sy_tensors *t = NULL;
        char *path = in(directory, real[i].file);
        bool good = sy_tensors_open(e->io.ctx, path, &t) == SY_OK && sy_tensors_count(t) == real[i].count;
        if (good && real[i].tensor != NULL) {
            const struct sy_tensor_view *v = sy_tensors_find(t, real[i].tensor);
            good = v != NULL && v->dtype == real[i].dtype && v->ndim == real[i].ndim &&
                   memcmp(v->shape, real[i].shape, v->ndim * sizeof *v->shape) == 0;
        }
        io_check(&e->io, good, "%s: %zu tensors", real[i].file, real[i].count);
        if (t != NULL)
            sy_tensors_close(&t);
        free(path);
    }
    free(directory);
}

// ---- round trips ----------------------------------------------------------------------------------------------------

static const float floats[6] = {1.5f, -2.0f, 0.0f, 1e-30f, INFINITY, 3.0f};
static const int32_t ints[4] = {1, -2, 3, INT32_MAX};
static const int64_t longs[3] = {7, -7, 1ll << 40};
static const uint16_t halves[8] = {0x3c00, 0x0001, 0x7bff, 0xfc00, 0x8000, 0xc000, 0x03ff, 0x7e00};
static const uint16_t brains[3] = {0x3f80, 0xc000, 0x7fc0};
static const uint8_t bits[3] = {1, 0, 1};

static enum sy_status produce(void *user, const struct sy_tensor_spec *spec, void *out)
{
    (void)spec;
    memcpy(out, user, sizeof floats);
    return SY_OK;
}

static enum sy_status produce_nothing(void *user, const struct sy_tensor_spec *spec, void *out)
{
    (void)spec, (void)out;
    return sy_fail(user, SY_DEVICE, "the device is gone");
}

static size_t fill_specs(struct sy_tensor_spec *specs)
{
    static const struct sy_tensor_spec all[] = {
        {.name = "floats", .dtype = SY_ST_F32, .ndim = 2, .shape = {2, 3}, .data = floats},
        {.name = "made",
         .dtype = SY_ST_F32,
         .ndim = 2,
         .shape = {3, 2},
         .produce = produce,
         .user = (void *)(uintptr_t)floats},
        {.name = "ints", .dtype = SY_ST_I32, .ndim = 2, .shape = {2, 2}, .data = ints},
        {.name = "longs", .dtype = SY_ST_I64, .ndim = 1, .shape = {3}, .data = longs},
        {.name = "halves", .dtype = SY_ST_F16, .ndim = 1, .shape = {8}, .data = halves},
        {.name = "brains", .dtype = SY_ST_BF16, .ndim = 1, .shape = {3}, .data = brains},
        {.name = "bits", .dtype = SY_ST_BOOL, .ndim = 1, .shape = {3}, .data = bits},
        {.name = "scalar \"\xc3\xa4\"", .dtype = SY_ST_F32, .ndim = 0, .data = floats},
        {.name = "empty", .dtype = SY_ST_F32, .ndim = 2, .shape = {0, 5}},
    };
    memcpy(specs, all, sizeof all);
    return SY_COUNT(all);
}

static bool floats_back(struct env *e, const struct sy_tensors *t)
{
    const uint64_t shape[] = {2, 3}, other[] = {3, 2};
    float out[6], made[6];
    return sy_tensors_read_f32(e->io.ctx, t, "floats", 2, shape, out) == SY_OK &&
           memcmp(out, floats, sizeof out) == 0 && sy_tensors_read_f32(e->io.ctx, t, "made", 2, other, made) == SY_OK &&
           memcmp(made, floats, sizeof made) == 0;
}

static void test_conversions(struct env *e, const struct sy_tensors *t)
{
    const uint64_t three[] = {3}, eight[] = {8}, four[] = {2, 2};
    const float want[7] = {1.0f, 0x1p-24f, 65504.0f, -INFINITY, -0.0f, -2.0f, 1023 * 0x1p-24f};
    float half[8], brain[3];
    int32_t back[4];
    bool good = sy_tensors_read_f32(e->io.ctx, t, "halves", 1, eight, half) == SY_OK &&
                memcmp(half, want, sizeof want) == 0 && isnan(half[7]);
    io_check(&e->io, good, "F16 to f32: ordinary, subnormal, largest, infinite, negative zero, NaN");
    good = sy_tensors_read_f32(e->io.ctx, t, "brains", 1, three, brain) == SY_OK && brain[0] == 1 && brain[1] == -2 &&
           isnan(brain[2]);
    io_check(&e->io, good, "BF16 to f32");
    good = sy_tensors_read_i32(e->io.ctx, t, "ints", 2, four, back) == SY_OK && memcmp(back, ints, sizeof back) == 0;
    io_check(&e->io, good, "I32");
    io_fails(&e->io, sy_tensors_read_i32(e->io.ctx, t, "longs", 1, three, back), SY_FORMAT, "beyond 32 bits",
             "an I64 too large for i32");
    io_fails(&e->io, sy_tensors_read_f32(e->io.ctx, t, "ints", 2, four, half), SY_FORMAT, "I32", "integers as floats");
    io_fails(&e->io, sy_tensors_read_f32(e->io.ctx, t, "floats", 2, four, half), SY_FORMAT, "[2, 3], expected [2, 2]",
             "another shape");
    io_fails(&e->io, sy_tensors_read_f32(e->io.ctx, t, "absent", 2, four, half), SY_FORMAT, "absent [2, 2] is missing",
             "no such tensor");
}

static void test_round_trip(struct env *e)
{
    struct sy_tensor_spec specs[16];
    size_t count = fill_specs(specs), header = 0;
    char *path = in(e->scratch, "one.safetensors"), *data = NULL;
    struct sy_tensors *t = NULL;
    size_t bytes = 0;
    bool good = sy_tensors_save(e->io.ctx, path, specs, count, NULL) == SY_OK &&
                sy_file_read(e->io.ctx, path, 1 << 20, &data, &bytes) == SY_OK;
    if (good)
        memcpy(&header, data, 8);
    io_check(&e->io, good && header % 8 == 0 && strncmp(data + 8, "{\"__metadata__\":{\"format\":\"pt\"}", 31) == 0,
             "header: metadata first, padded to 8");
    // Hugging Face's order: larger element types first, then names.
    static const char *const order[] = {"longs", "empty",  "floats", "made", "scalar",
                                        "ints",  "brains", "halves", "bits"};
    const char *at = data;
    for (size_t i = 0; good && i < SY_COUNT(order); ++i) {
        char key[32];
        snprintf(key, sizeof key, i == 4 ? "\"%s" : "\"%s\"", order[i]);
        at = strstr(i == 0 ? data + 8 : at, key);
        good = at != NULL;
    }
    io_check(&e->io, good, "tensors in Hugging Face's order");
    good = sy_tensors_open(e->io.ctx, path, &t) == SY_OK && sy_tensors_count(t) == count && floats_back(e, t);
    io_check(&e->io, good, "what was written is read back");
    if (t != NULL) {
        test_conversions(e, t);
        const struct sy_tensor_view *v = sy_tensors_find(t, "empty");
        io_check(&e->io, v != NULL && v->bytes == 0 && v->shape[1] == 5, "a tensor without elements");
        v = sy_tensors_find(t, "scalar \"\xc3\xa4\"");
        io_check(&e->io, v != NULL && v->ndim == 0 && v->elements == 1, "a scalar with a strange name");
        sy_tensors_close(&t);
    }
    free(data);
    free(path);
}

// ---- shards ---------------------------------------------------------------------------------------------------------

static void write_text(struct env *e, const char *directory, const char *name, const char *text)
{
    char *path = in(directory, name);
    if (sy_file_write(e->io.ctx, path, text, strlen(text)) != SY_OK)
        abort();
    free(path);
}

static void test_shards(struct env *e)
{
    struct sy_tensor_spec specs[16];
    size_t count = fill_specs(specs);
    char *directory = in(e->scratch, "shards/of/a/model");
    char *single = in(directory, "model.safetensors"), *index = in(directory, "model.safetensors.index.json");
    struct sy_tensors *t = NULL;
    bool good = sy_dir_create(e->io.ctx, directory) == SY_OK &&
                sy_tensors_save_dir(e->io.ctx, directory, "model", specs, count, 30, NULL) == SY_OK &&
                sy_file_exists(index) && !sy_file_exists(single) &&
                sy_tensors_open(e->io.ctx, directory, &t) == SY_OK && sy_tensors_count(t) == count && floats_back(e, t);
    io_check(&e->io, good, "a model in shards");
    if (t != NULL)
        sy_tensors_close(&t);
    good = sy_tensors_open(e->io.ctx, index, &t) == SY_OK && sy_tensors_count(t) == count;
    io_check(&e->io, good, "a model opened by its index");
    if (t != NULL)
        sy_tensors_close(&t);
    good = sy_tensors_save_dir(e->io.ctx, directory, "model", specs, count, 0, NULL) == SY_OK &&
           !sy_file_exists(index) && sy_tensors_open(e->io.ctx, directory, &t) == SY_OK && sy_tensors_count(t) == count;
    io_check(&e->io, good, "the same in one file: the old index is gone");
    if (t != NULL)
        sy_tensors_close(&t);
    remove(single);
    io_fails(&e->io, sy_tensors_open(e->io.ctx, directory, &t), SY_IO, "model-00001-of-00006.safetensors but no",
             "the shards of the first, without their index");
    write_text(e, directory, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../one.safetensors\"}}");
    io_fails(&e->io, sy_tensors_open(e->io.ctx, directory, &t), SY_FORMAT, "beside the index",
             "an index that climbs out");
    write_text(e, directory, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"none.safetensors\"}}");
    io_fails(&e->io, sy_tensors_open(e->io.ctx, directory, &t), SY_IO, "none.safetensors", "a missing shard");
    free(single);
    single = in(directory, "s.safetensors");
    if (sy_tensors_save(e->io.ctx, single, specs, 1, NULL) != SY_OK)
        abort();
    write_text(e, directory, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"s.safetensors\"}}");
    io_fails(&e->io, sy_tensors_open(e->io.ctx, directory, &t), SY_FORMAT, "tensor a should be in s.safetensors",
             "an index that names a tensor its shard lacks");
    free(directory);
    free(single);
    free(index);
}

/// Whatever a directory holds instead of a model that can be read is named, with what helps.
static void test_absent(struct env *e)
{
    static const struct {
        const char *files[3];
        enum sy_status status;
        const char *word;
    } cases[] = {
        {{"config.json", "tokenizer.json", "training_args.bin"}, SY_IO, "neither model.safetensors"},
        {{"optimizer-00001.safetensors"}, SY_IO, "neither model.safetensors"},
        {{"model.pt", "x.bin"}, SY_UNSUPPORTED, "only model.pt, expected model.safetensors or pytorch_model.bin"},
        {{"pytorch_model-00002-of-00002.bin", "pytorch_model-00001-of-00002.bin"},
         SY_IO,
         "pytorch_model-00001-of-00002.bin but no pytorch_model.bin.index.json"},
        {{"tf_model.h5"}, SY_UNSUPPORTED, "only tf_model.h5, weights of TensorFlow"},
        {{"tf_model-00001-of-00002.h5", "tf_model.h5.index.json"}, SY_UNSUPPORTED, "weights of TensorFlow"},
        {{"flax_model.msgpack"}, SY_UNSUPPORTED, "from_flax=True"},
        {{"flax_model.msgpack", "model.bin", "tf_model.h5"}, SY_UNSUPPORTED, "only model.bin"},
        {{"model.fp16.safetensors"}, SY_IO, "model.fp16.safetensors but no model.safetensors"},
        {{"adapter_model.safetensors", "model.bin"}, SY_IO, "give it that name"},
        {{"model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"}, SY_IO, "model-00001-of-00002"},
        {{"model.gguf"}, SY_IO, "but model.gguf"},
    };
    struct sy_tensors *t = NULL;
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        char name[32];
        snprintf(name, sizeof name, "absent-%zu", i);
        char *directory = in(e->scratch, name);
        if (sy_dir_create(e->io.ctx, directory) != SY_OK)
            abort();
        for (size_t k = 0; k < SY_COUNT(cases[i].files) && cases[i].files[k] != NULL; ++k)
            write_text(e, directory, cases[i].files[k], "x");
        io_check(&e->io, !sy_tensors_present(directory), "%s: no weights to read", cases[i].files[0]);
        io_fails(&e->io, sy_tensors_open(e->io.ctx, directory, &t), cases[i].status, cases[i].word, cases[i].files[0]);
        free(directory);
    }
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                        "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < SY_COUNT(names); ++i) {
        char *directory = in(e->scratch, "absent-0"), *file = in(directory, names[i]);
        if (symlink("nowhere/blob", file) != 0)
            abort();
        io_fails(&e->io, sy_tensors_open(e->io.ctx, directory, &t), SY_IO, "is a link to nowhere/blob", names[i]);
        if (unlink(file) != 0 || sy_dir_create(e->io.ctx, file) != SY_OK)
            abort();
        io_fails(&e->io, sy_tensors_open(e->io.ctx, directory, &t), SY_IO, "no regular file", names[i]);
        if (rmdir(file) != 0)
            abort();
        free(file);
        free(directory);
    }
    static const char pointer[] = "version https://git-lfs\noid sha256:00\nsize 242043056\n";
    io_fails(&e->io, sy_tensors_parse(e->io.ctx, pointer, sizeof pointer - 1, "m", &t), SY_FORMAT, "Git LFS",
             "the pointer to a file");
}

/// F32 is read where it lies, when it lies on whole floats; anything else is converted.
static void test_in_place(struct env *e)
{
    static const float values[] = {1.0f, -2.5f};
    const uint64_t shape[] = {2};
    for (size_t pad = 0; pad < 8; ++pad) {
        _Alignas(8) char file[256];
        char head[128];
        int n = snprintf(head, sizeof head, "{\"a\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,8]}}%*s", "F32",
                         (int)pad, "");
        const uint64_t length = (uint64_t)n;
        memcpy(file, &length, 8);
        memcpy(file + 8, head, (size_t)n);
        memcpy(file + 8 + n, values, sizeof values);
        struct sy_tensors *t = NULL;
        const float *found = NULL;
        float copy[2] = {0};
        bool good = sy_tensors_parse(e->io.ctx, file, 8 + length + 8, "odd", &t) == SY_OK &&
                    sy_tensors_floats(e->io.ctx, t, "a", 1, shape, &found) == SY_OK &&
                    sy_tensors_read_f32(e->io.ctx, t, "a", 1, shape, copy) == SY_OK;
        good = good && memcmp(copy, values, sizeof values) == 0 && (found != NULL) == (n % 4 == 0) &&
               (found == NULL || memcmp(found, values, sizeof values) == 0);
        io_check(&e->io, good, "F32 behind a header of %d bytes: %s", n, found != NULL ? "in place" : "copied");
        if (t != NULL)
            sy_tensors_close(&t);
    }
}

/// Pages of files that this process holds.
static long file_pages(void)
{
    long size = 0, resident = 0, shared = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld %ld", &size, &resident, &shared) != 3)
        abort();
    fclose(f);
    return shared;
}

/// A released tensor's pages leave the process, those of its neighbours in the file and its bytes do not.
static void test_release(struct env *e)
{
    enum { N = 1 << 20 };
    float *values = malloc(N * sizeof *values);
    if (values == NULL)
        abort();
    for (size_t i = 0; i < N; ++i)
        values[i] = (float)i;
    struct sy_tensor_spec specs[] = {{.name = "a", .dtype = SY_ST_F32, .ndim = 1, .shape = {N}, .data = values},
                                     {.name = "b", .dtype = SY_ST_F32, .ndim = 1, .shape = {5}, .data = values}};
    char *path = in(e->scratch, "released.safetensors");
    struct sy_tensors *t = NULL;
    const float *a = NULL, *b = NULL;
    const uint64_t many[] = {N}, few[] = {5};
    bool good = sy_tensors_save(e->io.ctx, path, specs, 2, NULL) == SY_OK &&
                sy_tensors_open(e->io.ctx, path, &t) == SY_OK &&
                sy_tensors_floats(e->io.ctx, t, "a", 1, many, &a) == SY_OK &&
                sy_tensors_floats(e->io.ctx, t, "b", 1, few, &b) == SY_OK && a != NULL && b != NULL &&
                memcmp(a, values, N * sizeof *values) == 0;
    const long page = sysconf(_SC_PAGESIZE), held = file_pages();
    if (good)
        sy_tensors_release(t, "a");
    const long left = held - file_pages(), whole = (long)(N * sizeof *values) / page;
    good = good && memcmp(a, values, N * sizeof *values) == 0 && memcmp(b, values, 5 * sizeof *values) == 0;
    io_check(&e->io, good && left >= whole - 2, "releasing %ld pages: %ld left, and the bytes are still there", whole,
             left);
    if (t != NULL) {
        sy_tensors_release(t, "no such tensor");
        sy_tensors_close(&t);
    }
    if (remove(path) != 0)
        abort();
    free(path);
    free(values);
}

// ---- failures while writing -----------------------------------------------------------------------------------------

/// Element i is i; `user` counts the calls, and keeps the largest.
static enum sy_status count_up(void *user, const struct sy_tensor_spec *spec, uint64_t first, uint64_t count, void *out)
{
    uint64_t *seen = user;
    (void)spec;
    for (uint64_t i = 0; i < count; ++i)
        ((int32_t *)out)[i] = (int32_t)(first + i);
    ++seen[0];
    seen[1] = count > seen[1] ? count : seen[1];
    return SY_OK;
}

static void test_pieces(struct env *e)
{
    enum { MANY = 2500001 };
    char *path = in(e->scratch, "pieces.safetensors");
    uint64_t seen[2] = {0, 0};
    const uint64_t shape[1] = {MANY};
    const struct sy_tensor_spec spec = {
        .name = "up", .dtype = SY_ST_I32, .ndim = 1, .shape = {MANY}, .piece = count_up, .user = seen};
    struct sy_tensors *t = NULL;
    int32_t *back = malloc(MANY * sizeof *back);
    bool good = back != NULL && sy_tensors_save(e->io.ctx, path, &spec, 1, NULL) == SY_OK &&
                sy_tensors_open(e->io.ctx, path, &t) == SY_OK &&
                sy_tensors_read_i32(e->io.ctx, t, "up", 1, shape, back) == SY_OK;
    for (int32_t i = 0; i < MANY && good; ++i)
        good = back[i] == i;
    io_check(&e->io, good && seen[0] == 3 && seen[1] * sizeof *back == 4 << 20,
             "a tensor by pieces of 4 MiB: %d of them", (int)seen[0]);
    if (t != NULL)
        sy_tensors_close(&t);
    remove(path);
    free(back);
    free(path);
}

static void test_write_failures(struct env *e)
{
    struct sy_tensor_spec specs[16];
    size_t count = fill_specs(specs);
    char *directory = in(e->scratch, "full"), *path = in(directory, "m.safetensors");
    if (sy_dir_create(e->io.ctx, directory) != SY_OK || sy_file_write(e->io.ctx, path, "old", 3) != SY_OK)
        abort();
    struct rlimit before, small = {64, 64};
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small); // as a full disk: write() fails half-way
    fflush(stdout);
    enum sy_status status = sy_tensors_save(e->io.ctx, path, specs, count, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    io_fails(&e->io, status, SY_IO, "unchanged", "no room for the file");
    specs[1].produce = produce_nothing;
    specs[1].user = e->io.ctx;
    io_fails(&e->io, sy_tensors_save(e->io.ctx, path, specs, count, NULL), SY_DEVICE, "gone",
             "a tensor that cannot be made");
    char *data = NULL;
    size_t bytes = 0;
    bool good = sy_file_read(e->io.ctx, path, 100, &data, &bytes) == SY_OK && bytes == 3 && memcmp(data, "old", 3) == 0;
    io_check(&e->io, good && remove(path) == 0 && remove(directory) == 0, "the old file stays, and no temporary one");
    free(data);
    specs[1] = specs[0];
    io_fails(&e->io, sy_tensors_save(e->io.ctx, path, specs, 2, NULL), SY_INVALID, "two tensors are called floats",
             "the same name twice");
    specs[0].shape[0] = specs[0].shape[1] = UINT64_C(1) << 40;
    io_fails(&e->io, sy_tensors_save(e->io.ctx, path, specs, 1, NULL), SY_INVALID, "larger than any file",
             "an impossible size");
    free(directory);
    free(path);
}

// ---- hostile files --------------------------------------------------------------------------------------------------

#define T(dtype, shape, from, to) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static const struct {
    const char *what, *header;
    size_t data_bytes;
    uint64_t claimed; ///< Header length to write; 0: the true one.
    enum sy_status code;
    const char *word;
} hostile[] = {
    {"a header longer than the file", "{}", 0, 100, SY_FORMAT, "cut off"},
    {"a huge header length", "{}", 0, UINT64_MAX, SY_FORMAT, "100 MB"},
    {"a header length that wraps", "{}", 0, UINT64_MAX - 7, SY_FORMAT, "100 MB"},
    {"no JSON", "hello", 0, 0, SY_FORMAT, "begin with '{'"},
    {"broken JSON", "{\"a\":", 0, 0, SY_FORMAT, "not valid JSON"},
    {"text behind the JSON", "{}x", 0, 0, SY_FORMAT, "not valid JSON"},
    {"a name twice", "{\"a\":" T("F32", "[1]", "0", "4") ",\"a\":" T("F32", "[1]", "0", "4") "}", 4, 0, SY_FORMAT,
     "duplicate"},
    {"no object", "{\"a\":1}", 0, 0, SY_FORMAT, "no object"},
    {"unknown dtype", "{\"a\":" T("F31", "[1]", "0", "4") "}", 4, 0, SY_UNSUPPORTED, "F31"},
    {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, 0, SY_FORMAT, "dtype is missing"},
    {"no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, 0, SY_FORMAT, "shape is missing"},
    {"no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, 0, SY_FORMAT, "is not a pair"},
    {"a negative side", "{\"a\":" T("F32", "[-1]", "0", "4") "}", 4, 0, SY_FORMAT, "whole number"},
    {"a real side", "{\"a\":" T("F32", "[1.0]", "0", "4") "}", 4, 0, SY_FORMAT, "whole number"},
    {"a shape that overflows", "{\"a\":" T("F32", "[4294967296,4294967296,2]", "0", "4") "}", 4, 0, SY_FORMAT,
     "overflows"},
    {"a byte count that overflows", "{\"a\":" T("F32", "[4611686018427387904]", "0", "0") "}", 0, 0, SY_FORMAT,
     "overflows"},
    {"too many dimensions", "{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, 0, SY_UNSUPPORTED,
     "9 dimensions"},
    {"offsets backwards", "{\"a\":" T("F32", "[1]", "4", "0") "}", 4, 0, SY_FORMAT, "[begin, end]"},
    {"offsets negative", "{\"a\":" T("F32", "[1]", "-4", "0") "}", 4, 0, SY_FORMAT, "[begin, end]"},
    {"offsets beyond the file", "{\"a\":" T("F32", "[2]", "0", "8") "}", 4, 0, SY_FORMAT, "cut off"},
    {"offsets that disagree with the shape", "{\"a\":" T("F32", "[2]", "0", "4") "}", 4, 0, SY_FORMAT, "need 8 bytes"},
    {"overlap", "{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[1]", "4", "8") "}", 8, 0, SY_FORMAT,
     "overlaps"},
    {"a gap", "{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "8", "12") "}", 12, 0, SY_FORMAT, "gap"},
    {"a gap at the start", "{\"a\":" T("F32", "[1]", "4", "8") "}", 8, 0, SY_FORMAT, "gap"},
    {"bytes that belong to none", "{\"a\":" T("F32", "[1]", "0", "4") "}", 8, 0, SY_FORMAT, "belong to none"},
    {"metadata that is no object", "{\"__metadata__\":[]}", 0, 0, SY_FORMAT, "__metadata__"},
    {"NUL in a name", "{\"a\\u0000b\":" T("F32", "[1]", "0", "4") "}", 4, 0, SY_FORMAT, "not valid JSON"},
    {"an integer beyond 64 bits", "{\"a\":" T("F32", "[99999999999999999999]", "0", "4") "}", 4, 0, SY_FORMAT,
     "integer"},
};

static void test_hostile(struct env *e)
{
    struct sy_tensors *t = NULL;
    for (size_t i = 0; i < SY_COUNT(hostile); ++i) {
        size_t length = strlen(hostile[i].header), bytes = 8 + length + hostile[i].data_bytes;
        uint64_t claimed = hostile[i].claimed != 0 ? hostile[i].claimed : length;
        char *data = calloc(bytes, 1); // exactly so large: a sanitizer sees one byte too many
        if (data == NULL)
            abort();
        memcpy(data, &claimed, 8);
        memcpy(data + 8, hostile[i].header, length);
        io_fails(&e->io, sy_tensors_parse(e->io.ctx, data, bytes, "hostile", &t), hostile[i].code, hostile[i].word,
                 hostile[i].what);
        free(data);
    }
    io_fails(&e->io, sy_tensors_parse(e->io.ctx, "1234567", 7, "hostile", &t), SY_FORMAT, "too few", "seven bytes");
    io_fails(&e->io, sy_tensors_parse(e->io.ctx, NULL, 0, "hostile", &t), SY_FORMAT, "too few", "nothing");
    io_fails(&e->io, sy_tensors_open(e->io.ctx, "no/such/file", &t), SY_IO, "no/such/file", "no file");
    // Truncation anywhere must be an error.
    char *path = in(e->data, "safetensors/burn_multi_layer.safetensors"), *data = NULL;
    size_t bytes = 0, refused = 0, tried = 0;
    if (sy_file_read(e->io.ctx, path, 1 << 20, &data, &bytes) == SY_OK)
        for (size_t n = 0; n < bytes; n += 1 + n / 16, ++tried) {
            char *cut = malloc(n + 1);
            if (cut == NULL)
                abort();
            memcpy(cut, data, n);
            refused += sy_tensors_parse(e->io.ctx, cut, n, "cut", &t) != SY_OK;
            free(cut);
        }
    io_check(&e->io, tried > 50 && refused == tried, "a real file cut off at %zu places", tried);
    free(data);
    free(path);
}

int main(int argc, char **argv)
{
    struct env e = {.data = argc > 1 ? argv[1] : "tests/data"};
    e.io.ctx = sy_ctx_create(io_log, &e.io, SY_LOG_WARN);
    if (e.io.ctx == NULL || !io_directory(e.scratch, sizeof e.scratch))
        return 2;
    test_real_files(&e);
    test_round_trip(&e);
    test_shards(&e);
    test_absent(&e);
    test_in_place(&e);
    test_release(&e);
    test_pieces(&e);
    test_write_failures(&e);
    test_hostile(&e);
    if (sy_dir_remove(e.io.ctx, e.scratch) != SY_OK)
        return 2;
    return io_end(&e.io);
}
