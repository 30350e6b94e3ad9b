// SPDX-License-Identifier: Apache-2.0
// variants.c: which variant of an op a device runs, what SY_NO_VARIANT does, and how a graph is lowered to it.
#include <stdlib.h>

#include "engine/assemble.h"
#include "engine/lower.h"
#include "engine/ops/coop_attention.h"
#include "engine/proof.h"
#include "engine/runtime.h"
#include "kernels/tiles.h"
#include "tests/io.h"

static void check_table(struct io *t)
{
    unsigned wrong = 0;
    for (unsigned op = 0; op < SY_OP_COUNT; ++op) {
        const struct sy_variant *v = NULL, *last = NULL;
        while ((v = sy_variant_next((enum sy_op_id)op, v)) != NULL) {
            const bool prepared = v->before != SY_OP_COUNT;
            wrong += v->op != op || v->languages == 0 || prepared != (v->impl != NULL && v->impl->before_args != NULL);
            last = v;
        }
        wrong += last == NULL || strcmp(last->name, "base") != 0 || last != sy_variant_find((enum sy_op_id)op, "base");
        wrong += sy_op_info((enum sy_op_id)op)->impl->flops == NULL;
    }
    io_check(t, wrong == 0, "each op ends with base and counts its FLOPs; a variant says how its input is prepared");
}

/// What an imagined device of that class runs, or NULL and the error.
static const struct sy_variant *chosen(struct io *t, enum sy_op_id op, enum sy_device_class class)
{
    const struct sy_caps caps = sy_caps_imagined(class);
    const struct sy_variant *v = NULL;
    return sy_variant_choose(t->ctx, op, SY_TYPES_F, &caps, &v) == SY_OK ? v : NULL;
}

static bool runs(struct io *t, enum sy_op_id op, enum sy_device_class class, const char *want)
{
    const struct sy_variant *v = chosen(t, op, class);
    return v != NULL && strcmp(v->name, want) == 0;
}

static void check_choice(struct io *t)
{
    const struct sy_caps caps = sy_caps_imagined(SY_CLASS_CPU);
    const struct sy_variant *v;
    io_check(t, runs(t, SY_OP_matmul, SY_CLASS_CPU, "packed") && runs(t, SY_OP_matmul_dw, SY_CLASS_CPU, "blocks"),
             "a CPU packs");
    io_check(t, runs(t, SY_OP_matmul, SY_CLASS_SIMT, "base") && runs(t, SY_OP_matmul, SY_CLASS_REF, "base"),
             "a GPU and ref do not");
    setenv("SY_NO_VARIANT", "matmul:packed", 1);
    io_check(t, runs(t, SY_OP_matmul, SY_CLASS_CPU, "base") && runs(t, SY_OP_matmul_dw, SY_CLASS_CPU, "blocks"),
             "SY_NO_VARIANT takes one away");
    setenv("SY_NO_VARIANT", "matmul:packed,,matmul:base", 1);
    io_fails(t, sy_variant_choose(t->ctx, SY_OP_matmul, SY_TYPES_F, &caps, &v), SY_INVALID,
             "no variant of matmul is left that could run on imagined", "all of them taken away");
    io_check(t, chosen(t, SY_OP_relu, SY_CLASS_CPU) != NULL, "other ops do not mind");
    setenv("SY_NO_VARIANT", "matmul:base", 1);
    io_check(t, chosen(t, SY_OP_matmul, SY_CLASS_SIMT) == NULL && runs(t, SY_OP_matmul, SY_CLASS_CPU, "packed"),
             "the last one that a GPU can run");
    static const char *const wrong[] = {"matmul:packe", "matmul", "packed", "matmul:packed:", "relu:wrong"};
    for (size_t i = 0; i < SY_COUNT(wrong); ++i) {
        setenv("SY_NO_VARIANT", wrong[i], 1);
        io_fails(t, sy_variant_choose(t->ctx, SY_OP_relu, SY_TYPES_F, &caps, &v), SY_INVALID,
                 "matmul:packed, matmul:dot_few, matmul:few", wrong[i]);
    }
    unsetenv("SY_NO_VARIANT");
}

/// NVIDIA's matrix cores multiply bf16, where work-groups and local memory are large enough.
static void check_mma(struct io *t)
{
    struct sy_caps caps = sy_caps_imagined(SY_CLASS_SIMT);
    const struct sy_variant *v = sy_variant_find(SY_OP_matmul, "mma"), *dw = sy_variant_find(SY_OP_matmul_dw, "mma");
    caps.backend = SY_BACKEND_OPENCL;
    caps.shared_bytes = 48 << 10;
    io_check(t, sy_variant_missing(v, SY_TYPES_B, &caps) != NULL, "matrix cores: not on any GPU");
    caps.mma = true;
    io_check(t,
             sy_variant_missing(v, SY_TYPES_B, &caps) == NULL && sy_variant_missing(v, SY_TYPES_M, &caps) == NULL &&
                 sy_variant_missing(dw, SY_TYPES_B, &caps) == NULL && sy_variant_missing(v, SY_TYPES_F, &caps) != NULL,
             "matrix cores: bf16 factors, not f32");
    caps.shared_bytes = (48 << 10) - 1;
    io_check(t, sy_variant_missing(v, SY_TYPES_B, &caps) != NULL, "matrix cores: not with little local memory");
    caps.shared_bytes = 48 << 10;
    caps.max_wg = 32;
    io_check(t, sy_variant_missing(v, SY_TYPES_B, &caps) != NULL, "matrix cores: not with small work-groups");
}

/// Those of Intel and AMD likewise, in work-groups of 128.
static void check_cores(struct io *t)
{
    struct sy_caps caps = sy_caps_imagined(SY_CLASS_SIMT);
    const struct sy_variant *v = sy_variant_find(SY_OP_matmul, "cores"),
                            *dw = sy_variant_find(SY_OP_matmul_dw, "cores");
    caps.backend = SY_BACKEND_OPENCL;
    caps.shared_bytes = 32 << 10;
    io_check(t, sy_variant_missing(v, SY_TYPES_B, &caps) != NULL, "built-ins for matrix cores: not on any GPU");
    caps.cores = true;
    io_check(t,
             sy_variant_missing(v, SY_TYPES_B, &caps) == NULL && sy_variant_missing(v, SY_TYPES_M, &caps) == NULL &&
                 sy_variant_missing(dw, SY_TYPES_B, &caps) == NULL && sy_variant_missing(v, SY_TYPES_F, &caps) != NULL,
             "built-ins for matrix cores: bf16 factors, not f32");
    const struct sy_matmul_args args = {.m = 129, .n = 65, .k = 8, .experts = 1, .tile_rows = 64};
    io_check(t, sy_variant_groups(v, 0, &args, &caps) == 4, "built-ins for matrix cores: blocks of 128 × 64");
    caps.max_wg = SY_CORES_WG - 1;
    io_check(t, sy_variant_missing(v, SY_TYPES_B, &caps) != NULL,
             "built-ins for matrix cores: not with small work-groups");
}

/// An imagined GPU with cooperative matrices: what it lacks for products of bf16 and for those of f32.
static void check_matrix_cores(struct io *t)
{
    struct sy_caps caps = sy_caps_imagined(SY_CLASS_SIMT);
    caps.subgroup_min = caps.subgroup_max = 32;
    caps.shared_bytes = 48 * 1024;
    caps.max_wg = 1024;
    const char *none = sy_requires_coop(&caps, SY_TYPES_B);
    caps.coopmat = true;
    caps.coop_bf16 = (struct sy_coop_shape){16, 16, 16};
    const char *bf16 = sy_requires_coop(&caps, SY_TYPES_B), *mixed = sy_requires_coop(&caps, SY_TYPES_M);
    const char *single = sy_requires_coop(&caps, SY_TYPES_F), *half = sy_requires_coop_f16(&caps, SY_TYPES_B);
    io_check(t, none != NULL && bf16 == NULL && mixed == NULL && single != NULL && half != NULL,
             "matrix cores multiply bf16, not f32, nor through f16");
    struct sy_kernel_params params;
    const struct sy_variant *v = sy_variant_find(SY_OP_matmul, "coop");
    const struct sy_matmul_args args = {.m = 129, .n = 256, .k = 8, .experts = 1, .tile_rows = 64};
    sy_variant_kernel_params(v, SY_TYPES_B, 0, &caps, &params);
    io_check(t,
             params.wg == 128 && params.subgroup == 32 && params.constant_count == 9 &&
                 sy_variant_groups(v, 0, &args, &caps) == 4,
             "blocks of 128 × 128 by four sub-groups: wg %u, %u constants", params.wg, params.constant_count);
    const uint32_t depth = params.constants[7];
    caps.subgroup_max = 64;
    sy_variant_kernel_params(v, SY_TYPES_B, 0, &caps, &params);
    io_check(t, depth == 64 && params.constants[7] == 32 && params.subgroup == 32,
             "slabs of %u where sub-groups are of 32 only, else of %u", depth, params.constants[7]);
    caps.subgroup_max = 32;
    const uint32_t wide[SY_COOP_NUMBERS] = {4, 2, 4, 2, 32, 1};
    memcpy(caps.coop_block, wide, sizeof wide);
    io_check(t, sy_requires_coop(&caps, SY_TYPES_B) == NULL && sy_variant_groups(v, 0, &args, &caps) == 4,
             "another block by SY_COOP_BLOCK");
    caps.shared_bytes = 16 * 1024;
    io_check(t, sy_requires_coop(&caps, SY_TYPES_B) != NULL, "too little shared memory for it");
    caps.shared_bytes = 48 * 1024;
    caps.coop_bf16.k = 64;
    io_check(t, sy_requires_coop(&caps, SY_TYPES_B) != NULL, "a shape that is longer than a slab");
}

/// Products of pairs of bf16: where the CPU has them and the factors are bf16, attention on the way back too, in long
/// heads.
static void check_pairs(struct io *t)
{
    static const enum sy_op_id ops[] = {SY_OP_matmul, SY_OP_matmul_dw, SY_OP_attention, SY_OP_attention_dq,
                                        SY_OP_attention_dkv};
    struct sy_caps caps = sy_caps_imagined(SY_CLASS_CPU);
    const struct sy_attention_args heads[] = {{.tq = 64, .dim = 64}, {.tq = 64, .dim = 16}};
    caps.avx512 = true;
    for (size_t i = 0; i < SY_COUNT(ops); ++i) {
        const struct sy_variant *without = NULL, *with = NULL, *floats = NULL, *killed = NULL, *brief = NULL;
        const void *args = i < 2 ? NULL : &heads[0];
        char name[64];
        snprintf(name, sizeof name, "%s:dot", sy_op_info(ops[i])->name);
        caps.avx512_bf16 = false;
        enum sy_status s = sy_variant_choose_for(t->ctx, ops[i], SY_TYPES_B, args, &caps, &without);
        caps.avx512_bf16 = true;
        s = s != SY_OK ? s : sy_variant_choose_for(t->ctx, ops[i], SY_TYPES_B, args, &caps, &with);
        s = s != SY_OK ? s : sy_variant_choose_for(t->ctx, ops[i], SY_TYPES_F, args, &caps, &floats);
        s = s != SY_OK || i < 2 ? s : sy_variant_choose_for(t->ctx, ops[i], SY_TYPES_B, &heads[1], &caps, &brief);
        setenv("SY_NO_VARIANT", name, 1);
        s = s != SY_OK ? s : sy_variant_choose_for(t->ctx, ops[i], SY_TYPES_B, args, &caps, &killed);
        unsetenv("SY_NO_VARIANT");
        io_check(t,
                 s == SY_OK && strcmp(with->name, "dot") == 0 && strcmp(without->name, "dot") != 0 &&
                     floats == without && killed == without && (i < 2 || brief == without),
                 "%s: on a CPU with AVX-512 for bf16, of bf16, unless it is switched off", name);
    }
}

/// Attention on the same imagined GPU: bf16 alone, heads of up to 64, whatever the shape of its matrices.
static void check_attention_on_matrix_cores(struct io *t)
{
    struct sy_caps caps = sy_caps_imagined(SY_CLASS_SIMT);
    caps.subgroup_min = caps.subgroup_max = 32;
    caps.shared_bytes = 48 * 1024;
    caps.max_wg = 1024;
    const char *none = sy_requires_coop_attention(&caps, SY_TYPES_B);
    static const struct sy_coop_shape shapes[] = {{16, 16, 16}, {8, 8, 8}, {8, 16, 16}, {16, 8, 16}, {32, 8, 16}};
    const struct sy_variant *v = sy_variant_find(SY_OP_attention, "coop");
    const struct sy_attention_args narrow = {.batch = 3, .heads = 2, .tq = 65, .tk = 9, .dim = 64};
    struct sy_attention_args wide = narrow;
    wide.dim = 65;
    for (size_t i = 0; i < SY_COUNT(shapes); ++i) {
        struct sy_kernel_params params;
        const uint32_t block[SY_COOP_ATTENTION_NUMBERS] = {shapes[i].m > 16 ? shapes[i].m : 16, 4, 32};
        memset(caps.coop_attention, 0, sizeof caps.coop_attention);
        caps.coop_bf16 = shapes[i];
        io_check(t, sy_requires_coop_attention(&caps, SY_TYPES_B) != NULL,
                 "attention on matrix cores wants to be named");
        memcpy(caps.coop_attention, block, sizeof block);
        sy_variant_kernel_params(v, SY_TYPES_B, 0, &caps, &params);
        const uint32_t side = params.constants[3], subs = params.constants[4], walk = params.constants[5];
        io_check(t,
                 none != NULL && sy_requires_coop_attention(&caps, SY_TYPES_B) == NULL &&
                     sy_requires_coop_attention(&caps, SY_TYPES_F) != NULL && params.wg == 32 * subs &&
                     side % shapes[i].m == 0 && side % shapes[i].n == 0 && walk % shapes[i].m == 0 &&
                     walk % shapes[i].n == 0 && walk % shapes[i].k == 0 &&
                     sy_variant_groups(v, 0, &narrow, &caps) == 6 * sy_ceil_div(65, side * subs),
                 "attention in matrices of %u × %u × %u: blocks of %u queries and %u keys", shapes[i].m, shapes[i].n,
                 shapes[i].k, side * subs, walk);
    }
    const uint32_t odd[SY_COOP_ATTENTION_NUMBERS] = {16, 3, 32}, small[SY_COOP_ATTENTION_NUMBERS] = {16, 2, 16};
    caps.coop_bf16 = shapes[0];
    memcpy(caps.coop_attention, odd, sizeof odd);
    const char *three = sy_requires_coop_attention(&caps, SY_TYPES_B);
    memcpy(caps.coop_attention, small, sizeof small);
    io_check(t,
             three != NULL && sy_requires_coop_attention(&caps, SY_TYPES_B) == NULL &&
                 sy_variant_groups(v, 0, &narrow, &caps) == 18,
             "attention's block by SY_COOP_ATTENTION: not three sub-groups, but two");
    io_check(t, sy_variant_suits(v, &narrow) && !sy_variant_suits(v, &wide), "attention's heads of 64, not of 65");
    memcpy(caps.coop_attention, (const uint32_t[]){16, 4, 32}, sizeof caps.coop_attention);
    caps.shared_bytes = 16 * 1024;
    io_check(t, sy_requires_coop_attention(&caps, SY_TYPES_B) != NULL, "too little shared memory for attention");
}

/// Whether the kernel of `by` passes for `op`'s own with these arguments, on ref.
static bool passes(struct io *t, struct sy_device *device, enum sy_op_id by, enum sy_op_id op, const void *args)
{
    struct sy_kernel_params params;
    struct sy_kernel *kernel = NULL;
    bool good = false;
    sy_variant_kernel_params(sy_variant_find(by, "base"), SY_TYPES_B, 0, sy_device_caps(device), &params);
    const bool ran = sy_kernel_create(device, &params, &kernel) == SY_OK &&
                     sy_prove(device, sy_variant_find(op, "base"), SY_TYPES_B, kernel, args, &good) == SY_OK;
    sy_kernel_destroy(&kernel);
    io_check(t, ran, "a proof of %s runs", sy_op_info(op)->name);
    return good;
}

/// What a device computes wrong is not used; what every device here has a proof of is right.
static void check_proof(struct io *t)
{
    struct sy_device *device = NULL;
    const struct sy_ffn_act_args args = {.rows = 3, .cols = 40, .scale = 1, .act = SY_ACT_GELU};
    if (sy_device_open(t->ctx, "ref:0", &device) != SY_OK)
        abort();
    io_check(t,
             passes(t, device, SY_OP_act, SY_OP_act, &args) && !passes(t, device, SY_OP_relu, SY_OP_act, &args) &&
                 passes(t, device, SY_OP_attention, SY_OP_attention, &sy_coop_attention_proof) &&
                 passes(t, device, SY_OP_attention_dq, SY_OP_attention_dq, &sy_coop_attention_proof) &&
                 passes(t, device, SY_OP_attention_dkv, SY_OP_attention_dkv, &sy_coop_attention_proof),
             "the kernel of relu is no gelu");
    sy_device_close(&device);
    struct sy_caps caps = sy_caps_imagined(SY_CLASS_CPU);
    const struct sy_variant *v = sy_variant_find(SY_OP_attention, "blocks");
    const char *before = sy_variant_missing(v, SY_TYPES_B, &caps);
    caps.refused = UINT64_C(1) << sy_variant_index(v);
    io_check(t, before == NULL && sy_variant_missing(v, SY_TYPES_B, &caps) != NULL, "a refused variant is not run");

    struct sy_caps *list;
    size_t devices, wrong = 0;
    if (sy_device_list(t->ctx, &list, &devices) != SY_OK)
        abort();
    for (size_t i = 0; i < devices; ++i) {
        if (sy_device_open(t->ctx, list[i].id, &device) != SY_OK)
            continue;
        wrong += sy_prove_variants(device) != SY_OK || !sy_device_caps(device)->proved ||
                 sy_device_caps(device)->refused != 0;
        sy_device_close(&device);
    }
    free(list);
    io_check(t, wrong == 0, "what the devices here have to prove is right");
}

static unsigned count(const struct sy_graph *g, enum sy_op_id op)
{
    unsigned n = 0;
    for (size_t i = 0; i < sy_graph_node_count(g); ++i)
        n += sy_graph_node(g, i)->op == op;
    return n;
}

/// c [m, n] = a [m, k] · b, b stored as bt says.
static struct sy_node *product(struct sy_graph *g, sy_tid b, uint32_t n, uint32_t k, uint32_t bt)
{
    const struct sy_matmul_args args = {.m = 5, .n = n, .k = k, .experts = 1, .bt = bt, .alpha = 1, .tile_rows = 48};
    return SY_EMIT(g, matmul, &args, sy_act_t(g, 5, k, "a"), b, SY_NONE, sy_act_t(g, 5, n, "c"));
}

/// A parameter read in two programs, forwards and backwards: it is packed in neither.
static void check_parameters(struct io *t)
{
    const struct sy_caps caps = sy_caps_imagined(SY_CLASS_CPU);
    static const char name[1][112] = {"w"};
    struct sy_graph *g = NULL;
    if (sy_graph_create(t->ctx, SY_PRECISION_SELECTIVE, &caps, &g) != SY_OK)
        abort();
    sy_tid w = sy_param_new(g, 1, 8, 40, name, SY_INIT_NORMAL, 1.0f, 0);
    product(g, w, 8, 40, 1);
    product(g, w, 8, 40, 1)->phase = SY_PHASE_ENCODE;
    product(g, w, 40, 8, 0)->backward = true;
    product(g, w, 8, 40, 1)->backward = true;
    sy_graph_refresh(g);
    sy_lower(g, &caps);
    const size_t nodes = sy_graph_node_count(g);
    const struct sy_node *last = sy_graph_node(g, nodes - 1), *cast = sy_graph_node(g, nodes - 2);
    io_check(t,
             sy_graph_status(g) == SY_OK && count(g, SY_OP_pack_b) == 1 && last->op == SY_OP_pack_b &&
                 last->phase == SY_PHASE_REFRESH && cast->op == SY_OP_cast &&
                 sy_graph_tensor(g, last->bind[1])->kind == SY_KIND_PREPARED &&
                 sy_graph_node(g, 0)->bind[1] == last->bind[1] && sy_graph_prepared_bytes(g, w) == 2 * 32 * 40,
             "a parameter is packed once, in the refresh and after its cast: %u times", count(g, SY_OP_pack_b));
    sy_graph_destroy(&g);
}

/// Whoever borrows parameters borrows their panels, too.
static void check_borrowing(struct io *t)
{
    const struct sy_caps caps = sy_caps_imagined(SY_CLASS_CPU);
    struct sy_config config;
    sy_config_defaults(true, &config);
    config.vocab_size = 40;
    config.d_model = config.d_ff = 16;
    config.layers = config.decoder_layers = 1;
    for (int borrows = 0; borrows < 2; ++borrows) {
        const struct sy_session_params p = {.kind = SY_SESSION_EVAL,
                                            .config = &config,
                                            .batch = 2,
                                            .src_len = 6,
                                            .tgt_len = 4,
                                            .borrows = borrows != 0};
        struct sy_model *m = calloc(1, sizeof *m);
        struct sy_optimizer_outputs outputs;
        struct sy_loss loss;
        struct sy_graph *g = NULL;
        if (m == NULL || sy_assemble(t->ctx, &caps, &p, &g, m, &loss, &outputs) != SY_OK)
            abort();
        const unsigned packs = count(g, SY_OP_pack_b);
        io_check(t, borrows ? packs == 0 : packs > 4, "an evaluation that %s parameters packs %u times",
                 borrows ? "borrows" : "has", packs);
        sy_graph_destroy(&g);
        free(m);
    }
    sy_config_finish(&config);
}

/// Nodes of products that make panels of weights for themselves, and panels that are kept.
static void count_few(struct io *t, uint32_t micro, bool recompute, unsigned *few, unsigned *packs)
{
    const struct sy_caps caps = sy_caps_imagined(SY_CLASS_CPU);
    struct sy_config config;
    sy_config_defaults(true, &config);
    config.vocab_size = 40;
    config.d_model = config.d_ff = 16;
    config.layers = config.decoder_layers = 2;
    const struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                        .config = &config,
                                        .batch = 10,
                                        .src_len = 8,
                                        .tgt_len = 4,
                                        .micro_count = micro,
                                        .recompute = recompute};
    struct sy_model *m = calloc(1, sizeof *m);
    struct sy_optimizer_outputs outputs;
    struct sy_loss loss;
    struct sy_graph *g = NULL;
    if (m == NULL || sy_assemble(t->ctx, &caps, &p, &g, m, &loss, &outputs) != SY_OK)
        abort();
    *few = 0;
    *packs = count(g, SY_OP_pack_b);
    for (size_t i = 0; i < sy_graph_node_count(g); ++i)
        *few += sy_graph_node(g, i)->op == SY_OP_matmul && strcmp(sy_graph_node(g, i)->variant->name, "few") == 0;
    sy_graph_destroy(&g);
    free(m);
    sy_config_finish(&config);
}

/// Weights that meet a tile or two of rows in a step: 40 rows in the decoder, 80 in the encoder, some in each expert.
static void check_few(struct io *t)
{
    unsigned few, packs, killed, kept;
    count_few(t, 1, false, &few, &packs);
    io_check(t, few > 10 && packs == 0, "one pass of few rows: %u products pack for themselves, %u panels", few, packs);
    count_few(t, 2, false, &few, &packs);
    io_check(t, few > 5 && packs > 5, "two micro-batches: not where there are 80 rows: %u, %u panels", few, packs);
    count_few(t, 1, true, &killed, &kept);
    io_check(t, killed >= few && kept == packs, "recomputed: as if they were two: %u, %u panels", killed, kept);
    count_few(t, 4, false, &few, &packs);
    io_check(t, few == 0 && packs > 10, "four micro-batches: panels are kept: %u, %u panels", few, packs);
    setenv("SY_NO_VARIANT", "matmul:few", 1);
    count_few(t, 1, false, &killed, &kept);
    unsetenv("SY_NO_VARIANT");
    io_check(t, killed == 0 && kept == packs, "matmul:few is taken away: %u, %u panels", killed, kept);
}

static void check_lowering(struct io *t)
{
    const struct sy_caps caps = sy_caps_imagined(SY_CLASS_CPU);
    struct sy_graph *g = NULL;
    if (sy_graph_create(t->ctx, SY_PRECISION_F32, &caps, &g) != SY_OK)
        abort();
    sy_tid b = sy_act_t(g, 8, 40, "b");
    product(g, b, 8, 40, 1); // packs
    product(g, b, 8, 40, 1); // the same panels
    product(g, b, 40, 8, 1); // the same numbers, seen as another matrix: packs
    product(g, b, 40, 8, 0); // along the other side: as it is
    product(g, b, 8, 40, 1)->variant = sy_variant_find(SY_OP_matmul, "base");
    SY_EMIT(g, fill, &((struct sy_fill_args){.n = 8 * 40}), b);
    product(g, b, 8, 40, 1); // stale: packs
    sy_lower(g, &caps);
    io_check(t, sy_graph_status(g) == SY_OK && count(g, SY_OP_matmul) == 6 && count(g, SY_OP_pack_b) == 3,
             "a tensor is packed once for each way it is read, and again when it was written: %u times",
             count(g, SY_OP_pack_b));
    unsigned wrong = 0;
    for (size_t i = 0; i < sy_graph_node_count(g); ++i) {
        const struct sy_node *n = sy_graph_node(g, i);
        wrong += n->variant == NULL || n->variant->op != n->op;
    }
    const sy_tid panels = sy_graph_node(g, 0)->bind[1];
    io_check(t,
             wrong == 0 && sy_graph_node(g, 0)->op == SY_OP_pack_b && sy_graph_node(g, 1)->bind[1] == panels &&
                 sy_graph_node(g, 2)->bind[1] == panels,
             "each node has a variant; products read the panels");
    sy_graph_destroy(&g);

    setenv("SY_NO_VARIANT", "matmul:packed,matmul:few,matmul:base", 1);
    if (sy_graph_create(t->ctx, SY_PRECISION_F32, &caps, &g) != SY_OK)
        abort();
    product(g, sy_act_t(g, 8, 40, "b"), 8, 40, 1);
    sy_lower(g, &caps);
    io_fails(t, sy_graph_status(g), SY_INVALID, "no variant of matmul", "a graph that nothing can run");
    sy_graph_destroy(&g);
    unsetenv("SY_NO_VARIANT");
}

static void check_bytes(struct io *t)
{
    const struct sy_matmul_args product = {.m = 3, .n = 5, .k = 7, .experts = 1, .bt = 1, .tile_rows = 48};
    const struct sy_embed_args embed = {.rows = 2, .dim = 10, .vocab = 1000};
    const double wide = sy_op_bytes(sy_op_info(SY_OP_matmul), SY_TYPES_F, &product),
                 mixed = sy_op_bytes(sy_op_info(SY_OP_matmul), SY_TYPES_M, &product),
                 gather = sy_op_bytes(sy_op_info(SY_OP_embed), SY_TYPES_B, &embed);
    io_check(t, wide == 4 * (21 + 35 + 2 * 15) && mixed == 2 * (21 + 35) + 4 * 2 * 15, "bytes of a product: %g, %g",
             wide, mixed);
    const struct sy_copy_args copy = {.rows = 3, .cols = 5, .from_stride = 9, .to_stride = 5};
    const double copied = sy_op_bytes(sy_op_info(SY_OP_copy), SY_TYPES_B, &copy);
    io_check(t, copied == 2 * 2 * 15, "bytes of a copy: it leaves things alone, and reads none of them, %g", copied);
    io_check(t, gather == 4 * 2 + 2 * (20 + 20), "bytes of a gather: the rows it reads, %g", gather);
}

/// A device whose compiler refuses a variant runs the next one, and says so.
static void check_refused(struct io *t)
{
    struct sy_device *device = NULL;
    struct sy_graph *g = NULL;
    struct sy_runtime *rt = NULL;
    setenv("SY_EMULATE_MMA", "1", 1); // which then wants more than this local memory
    setenv("SY_FORCE_SHARED", "40K", 1);
    const bool opened = sy_device_open(t->ctx, "opencl:0", &device) == SY_OK;
    const struct sy_caps *caps = opened ? sy_device_caps(device) : NULL;
    if (!opened || caps->mma || caps->shared_bytes < 40 << 10) {
        tap_skip(&t->tap,
                 "a kernel that does not compile: needs an OpenCL device with 40 KiB of local memory, not NVIDIA's");
    } else {
        if (sy_graph_create(t->ctx, SY_PRECISION_SELECTIVE, caps, &g) != SY_OK)
            abort();
        product(g, sy_act_t(g, 8, 40, "b"), 8, 40, 1);
        sy_lower(g, caps);
        const bool chosen = strcmp(sy_graph_node(g, 0)->variant->name, "mma") == 0;
        const unsigned warnings = t->warnings, errors = t->errors;
        const bool made = sy_runtime_create(device, g, NULL, &rt) == SY_OK;
        io_check(t,
                 chosen && made && t->errors == errors && t->warnings == warnings + 1 &&
                     strcmp(sy_graph_node(g, 0)->variant->name, "base") == 0,
                 "a variant that does not compile gives way to base, with a warning");
    }
    sy_runtime_destroy(&rt);
    sy_graph_destroy(&g);
    if (device != NULL)
        sy_device_close(&device);
    unsetenv("SY_EMULATE_MMA");
    unsetenv("SY_FORCE_SHARED");
}

int main(void)
{
    struct io t = {0};
    t.ctx = sy_ctx_create(io_log, &t, SY_LOG_WARN);
    if (t.ctx == NULL)
        return 2;
    unsetenv("SY_NO_VARIANT");
    check_table(&t);
    check_choice(&t);
    check_matrix_cores(&t);
    check_attention_on_matrix_cores(&t);
    check_proof(&t);
    check_pairs(&t);
    check_mma(&t);
    check_cores(&t);
    check_few(&t);
    check_lowering(&t);
    check_parameters(&t);
    check_borrowing(&t);
    check_bytes(&t);
    check_refused(&t);
    return io_end(&t);
}
