// SPDX-License-Identifier: Apache-2.0
// numbers.c: small facts against tables and by hand: bf16 rounding, relative position buckets, learning rates; the
// planner's promise that tensors alive at one time never share bytes; sizes beyond 32 bits; swapping two directories.
//
// usage: test_numbers TEST_DATA_DIRECTORY
#include <math.h>

#include "engine/backward.h"
#include "engine/file.h"
#include "engine/json.h"
#include "engine/layers/layers.h"
#include "engine/lower.h"
#include "engine/optimizer.h"
#include "engine/runtime.h"
#include "engine/rate.h"
#include "tests/io.h"
#include "tests/tiny.h"

struct suite {
    struct io io;
    const char *data;
};

static char *table(const struct suite *x, const char *name, size_t *bytes)
{
    char path[1024], *text = NULL;
    snprintf(path, sizeof path, "%s/tables/%s", x->data, name);
    if (sy_file_read(x->io.ctx, path, 1 << 20, &text, bytes) != SY_OK)
        abort();
    return text;
}

static void test_bf16(struct suite *x)
{
    size_t bytes;
    unsigned lines = 0, right = 0;
    char *text = table(x, "bf16_round.tsv", &bytes);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        unsigned long f, h;
        if (sscanf(line, "%lx %lx", &f, &h) != 2)
            continue;
        uint32_t bits = (uint32_t)f;
        float value;
        memcpy(&value, &bits, sizeof value);
        const uint16_t got = sy_f32_to_bf16(value);
        ++lines;
        right += isnan(value) ? isnan(sy_bf16_to_f32(got)) : got == h;
    }
    io_check(&x->io, lines > 200 && right == lines, "bf16: %u of %u golden roundings", right, lines);
    free(text);
}

static void test_buckets(struct suite *x)
{
    static const struct {
        const char *name;
        bool bidirectional;
        uint32_t buckets, most;
    } cases[] = {{"bidirectional_32_128", true, 32, 128},
                 {"bidirectional_8_20", true, 8, 20},
                 {"causal_32_128", false, 32, 128},
                 {"causal_8_20", false, 8, 20}};
    size_t bytes;
    char *text = table(x, "relative_position_bucket.json", &bytes);
    json_t *root = NULL;
    if (sy_json_parse(x->io.ctx, text, bytes, "buckets", &root) != SY_OK)
        abort();
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        const json_t *want = json_object_get(root, cases[i].name);
        int right = 0;
        for (int d = -300; d <= 300; ++d)
            right += sy_relative_bucket(d, cases[i].bidirectional, cases[i].buckets, cases[i].most) ==
                     json_integer_value(json_array_get(want, (size_t)(d + 300)));
        io_check(&x->io, right == 601, "relative positions, %s: %d of 601 golden buckets", cases[i].name, right);
    }
    json_decref(root);
    free(text);
}

static void test_rates(struct suite *x)
{
    static const struct {
        struct sy_rate s;
        uint64_t t;
        double want;
    } cases[] = {
        {{SY_RATE_RSQRT, 1.0, 10000, 0}, 1, 0.01},
        {{SY_RATE_RSQRT, 1.0, 10000, 0}, 10000, 0.01},
        {{SY_RATE_RSQRT, 1.0, 10000, 0}, 40000, 0.005},
        {{SY_RATE_RSQRT, 2.0, 0, 0}, 1, 2.0},
        {{SY_RATE_RSQRT, 2.0, 0, 0}, 4, 1.0},
        {{SY_RATE_CONSTANT, 1e-3, 0, 0}, 77, 1e-3},
        {{SY_RATE_CONSTANT, 1e-3, 100, 0}, 50, 5e-4},
        {{SY_RATE_CONSTANT, 1e-3, 100, 0}, 100, 1e-3},
        {{SY_RATE_LINEAR, 1.0, 10, 110}, 5, 0.5},
        {{SY_RATE_LINEAR, 1.0, 10, 110}, 10, 1.0},
        {{SY_RATE_LINEAR, 1.0, 10, 110}, 60, 0.5},
        {{SY_RATE_LINEAR, 1.0, 10, 110}, 110, 0.0},
        {{SY_RATE_LINEAR, 1.0, 10, 110}, 200, 0.0},
        {{SY_RATE_LINEAR, 1.0, 0, 100}, 25, 0.75},
        {{SY_RATE_COSINE, 1.0, 10, 110}, 60, 0.5},
        {{SY_RATE_COSINE, 1.0, 10, 110}, 110, 0.0},
        {{SY_RATE_COSINE, 1.0, 10, 110}, 35, 0.8535534},
        {{SY_RATE_COSINE, 1.0, 10, 10}, 11, 0.0},
    };
    unsigned right = 0;
    for (size_t i = 0; i < SY_COUNT(cases); ++i)
        right += fabs(sy_rate_at(&cases[i].s, cases[i].t) - cases[i].want) < 1e-7;
    io_check(&x->io, right == SY_COUNT(cases), "learning rates: %u of %zu", right, SY_COUNT(cases));
}

// ---- plans ----------------------------------------------------------------------------------------------------------

static bool overlap(const struct sy_tensor *a, const struct sy_tensor *b)
{
    uint64_t end_a = a->offset + a->count * sy_dtype_bytes(a->dtype),
             end_b = b->offset + b->count * sy_dtype_bytes(b->dtype);
    bool both =
        a->kind != SY_KIND_ACTIVATION || b->kind != SY_KIND_ACTIVATION || (a->first <= b->last && b->first <= a->last);
    const bool apart = a->parent == SY_NONE && b->parent == SY_NONE; // views share bytes, with their whole at least
    return apart && a->block == b->block && both && a->offset < end_b && b->offset < end_a;
}

/// A training step of a tiny model, planned into blocks of at most `block` bytes.
static void plan(struct suite *x, enum sy_device_class device_class, bool recompute, uint64_t block)
{
    struct sy_config c = tiny_config(true);
    struct sy_model_params p = {.config = &c, .mode = SY_MODEL_TRAIN, .batch = 3, .src_len = 10, .tgt_len = 7};
    struct sy_model *m = calloc(1, sizeof *m);
    struct sy_graph *g = NULL;
    struct sy_plan plan;
    const struct sy_limits limits = {.max_block_bytes = block, .align = 64};
    struct sy_optimizer_outputs out;
    const struct sy_optimizer_params adafactor = {.kind = SY_OPTIMIZER_ADAFACTOR};
    tiny_add_noise(&c);
    const struct sy_caps caps = sy_caps_imagined(device_class);
    if (m == NULL || sy_graph_create(x->io.ctx, SY_PRECISION_SELECTIVE, &caps, &g) != SY_OK ||
        sy_model_build(g, &p, m) != SY_OK)
        abort();
    struct sy_loss loss;
    sy_cross_entropy_emit(g, m, &loss);
    sy_backward(g, recompute);
    sy_optimizer_emit(g, &adafactor, &out);
    sy_graph_refresh(g);
    sy_lower(g, &caps);
    if (sy_plan_create(g, &limits, &plan) != SY_OK)
        abort();
    unsigned wrong = 0;
    for (size_t i = 0; i < sy_graph_tensor_count(g); ++i) {
        const struct sy_tensor *a = sy_graph_tensor(g, (sy_tid)i);
        if (a->kind == SY_KIND_ACTIVATION && a->first < 0)
            continue; // used by nobody: nowhere
        const struct sy_tensor *whole = sy_graph_tensor(g, a->parent);
        wrong += a->parent != SY_NONE && (a->block != whole->block || a->at + a->count > whole->count ||
                                          a->offset != whole->offset + a->at * sy_dtype_bytes(a->dtype));
        wrong += a->offset % 64 != 0 || a->offset + a->count * sy_dtype_bytes(a->dtype) > plan.blocks[a->block].bytes;
        for (size_t k = i + 1; k < sy_graph_tensor_count(g); ++k) {
            const struct sy_tensor *b = sy_graph_tensor(g, (sy_tid)k);
            wrong += (b->kind != SY_KIND_ACTIVATION || b->first >= 0) && overlap(a, b);
        }
    }
    io_check(&x->io, wrong == 0 && plan.block_count > (block != 0 ? 10 : 5),
             "a plan%s of %zu tensors in %zu blocks: none shares bytes with another alive",
             recompute ? " with recomputation" : "", sy_graph_tensor_count(g), plan.block_count);
    sy_plan_finish(&plan);
    sy_graph_destroy(&g);
    free(m);
}

static struct sy_graph *graph_f32(struct suite *x)
{
    const struct sy_caps caps = sy_caps_imagined(SY_CLASS_SIMT);
    struct sy_graph *g = NULL;
    if (sy_graph_create(x->io.ctx, SY_PRECISION_F32, &caps, &g) != SY_OK)
        abort();
    return g;
}

static void test_sizes(struct suite *x)
{
    struct sy_graph *g = graph_f32(x);
    struct sy_plan plan;
    const struct sy_limits limits = {0};
    static const char name[1][112] = {"giant.weight"};
    sy_tid giant = sy_param_new(g, 1, 65536, 65536, name, SY_INIT_ONES, 0.0f, 0);
    bool good = sy_plan_create(g, &limits, &plan) == SY_OK && plan.arena_bytes[SY_ARENA_PARAMS] == (uint64_t)1 << 34;
    uint64_t sum = 0;
    for (sy_tid t = sy_graph_tensor(g, giant)->pieces; t != SY_NONE; t = sy_graph_tensor(g, t)->next) {
        good = good && sy_graph_tensor(g, t)->count <= UINT32_MAX && sy_graph_tensor(g, t)->at == sum;
        sum += sy_graph_tensor(g, t)->count;
    }
    io_check(&x->io, good && sum == (uint64_t)1 << 32, "a parameter of 2^32 elements: planned in pieces");
    sy_plan_finish(&plan);
    sy_graph_destroy(&g);
    g = graph_f32(x);
    sy_param_new(g, 1, 65536, 65536, name, SY_INIT_ONES, 0.0f, SY_PARAM_EXPERT);
    io_fails(&x->io, sy_plan_create(g, &limits, &plan), SY_UNSUPPORTED, "giant.weight has 4294967296 elements",
             "an expert of 2^32 elements");
    sy_graph_destroy(&g);
    struct sy_config c = tiny_config(true);
    struct sy_model_params p = {
        .config = &c, .mode = SY_MODEL_EVAL, .batch = 1u << 20, .src_len = 1u << 20, .tgt_len = 2};
    struct sy_model *m = calloc(1, sizeof *m);
    g = graph_f32(x);
    io_fails(&x->io, sy_model_build(g, &p, m), SY_INVALID, "more than 2^31 / 3 rows", "2^40 tokens at once");
    sy_graph_destroy(&g);
    p.batch = p.src_len = 4;
    for (c.d_kv = 128; c.d_kv <= 129; ++c.d_kv) {
        g = graph_f32(x);
        enum sy_status status = sy_model_build(g, &p, m);
        if (c.d_kv == 128)
            io_check(&x->io, status == SY_OK, "heads of 128");
        else
            io_fails(&x->io, status, SY_UNSUPPORTED, "d_kv is 129", "heads of 129");
        sy_graph_destroy(&g);
    }
    free(m);
}

// ---- directories ----------------------------------------------------------------------------------------------------

static void test_exchange(struct suite *x)
{
    char folder[512];
    if (!io_directory(folder, sizeof folder))
        abort();
    char *a = sy_path_join(folder, "a"), *b = sy_path_join(folder, "b"), *in_a = sy_path_join(folder, "a/new"),
         *in_b = sy_path_join(folder, "b/old"), *now = sy_path_join(folder, "b/new"),
         *was = sy_path_join(folder, "a/old");
    bool good = sy_dir_create(x->io.ctx, a) == SY_OK && sy_dir_create(x->io.ctx, b) == SY_OK &&
                sy_file_write(x->io.ctx, in_a, "1", 1) == SY_OK && sy_file_write(x->io.ctx, in_b, "2", 1) == SY_OK &&
                sy_path_exchange(x->io.ctx, a, b) == SY_OK && sy_file_exists(now) && sy_file_exists(was) &&
                !sy_file_exists(in_a) && !sy_file_exists(in_b);
    io_check(&x->io, good && sy_path_exchange(x->io.ctx, a, in_a) == SY_IO, "two directories change places");
    char *const paths[] = {a, b, in_a, in_b, now, was};
    for (size_t i = 0; i < SY_COUNT(paths); ++i)
        free(paths[i]);
    if (sy_dir_remove(x->io.ctx, folder) != SY_OK)
        abort();
}

int main(int argc, char **argv)
{
    struct suite x = {.data = argc > 1 ? argv[1] : "tests/data"};
    x.io.ctx = sy_ctx_create(io_log, &x.io, SY_LOG_WARN);
    if (x.io.ctx == NULL)
        return 2;
    test_bf16(&x);
    test_buckets(&x);
    test_rates(&x);
    for (int recompute = 0; recompute < 2; ++recompute) {
        plan(&x, SY_CLASS_SIMT, recompute, 0);
        plan(&x, SY_CLASS_CPU, recompute, 0);
        plan(&x, SY_CLASS_CPU, recompute, 9000);
    }
    test_sizes(&x);
    test_exchange(&x);
    return io_end(&x.io);
}
