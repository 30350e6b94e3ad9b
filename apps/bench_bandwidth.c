// SPDX-License-Identifier: Apache-2.0
// bench_bandwidth.c: ops that move more than they compute, against a copy in the same run: what share of the memory's
// rate they reach. Tensors are as large as the copy's, so that no cache holds them.
#include <stdio.h>
#include <stdlib.h>

#include "apps/bench.h"
#include "engine/optimizer.h"

/// Sizes of all: as many elements as the copy has.
struct sizes {
    uint32_t rows, dim, experts;
};

typedef void emit_fn(struct bench_entrant *e, enum sy_op_types types, const struct sizes *size);

static enum sy_dtype storage(enum sy_op_types types) { return types == SY_TYPES_F ? SY_F32 : SY_BF16; }

static void emit_rmsnorm(struct bench_entrant *e, enum sy_op_types types, const struct sizes *size)
{
    const enum sy_dtype t = storage(types);
    const struct sy_rmsnorm_args args = {.rows = size->rows, .dim = size->dim, .eps = 1e-6f};
    SY_EMIT(e->graph, rmsnorm, &args, bench_tensor(e, t, size->rows, size->dim, "x"),
            bench_tensor(e, t, 1, size->dim, "w"), bench_tensor(e, t, size->rows, size->dim, "y"),
            bench_tensor(e, SY_F32, size->rows, 1, "rstd"));
}

static void emit_softmax(struct bench_entrant *e, enum sy_op_types types, const struct sizes *size)
{
    const struct sy_router_softmax_args args = {.rows = size->rows, .experts = size->dim};
    (void)types; // a router's probabilities are f32 always
    SY_EMIT(e->graph, router_softmax, &args, bench_tensor(e, SY_F32, size->rows, size->dim, "z"),
            bench_tensor(e, SY_F32, size->rows, size->dim, "p"), bench_tensor(e, SY_F32, size->rows, 1, "lse"));
}

static void emit_cast(struct bench_entrant *e, enum sy_op_types types, const struct sizes *size)
{
    const struct sy_cast_args args = {.n = size->rows * size->dim};
    SY_EMIT(e->graph, cast, &args, bench_tensor(e, SY_F32, size->rows, size->dim, "x"),
            bench_tensor(e, storage(types), size->rows, size->dim, "y"));
}

static void emit_adafactor(struct bench_entrant *e, enum sy_op_types types, const struct sizes *size)
{
    static const char name[1][112] = {"w"};
    const struct sy_optimizer_params params = {.kind = SY_OPTIMIZER_ADAFACTOR};
    struct sy_optimizer_outputs out;
    bool first;
    (void)types; // masters, gradients and statistics are f32 always
    const sy_tid w = sy_param_new(e->graph, 1, size->rows, size->dim, name, SY_INIT_NORMAL, 1.0f, 0);
    sy_param_grad(e->graph, w, &first);
    sy_optimizer_emit(e->graph, &params, &out);
    e->phase = SY_PHASE_UPDATE;
}

/// Where rows go when each token's expert is drawn: an expert's rows lie together, in the tokens' order.
static sy_tid places(struct bench_entrant *e, const struct sizes *size, bool of_slots)
{
    int32_t *list = malloc(size->rows * sizeof *list), slot = 0;
    if (list == NULL) {
        sy_graph_no_memory(e->graph);
        return SY_NONE;
    }
    for (uint32_t expert = 0; expert < size->experts; ++expert)
        for (uint32_t row = 0; row < size->rows; ++row) {
            if ((row * 2654435761u >> 7) % size->experts != expert)
                continue;
            list[of_slots ? slot : (int32_t)row] = of_slots ? (int32_t)row : slot;
            ++slot;
        }
    const sy_tid t = sy_tensor_const(e->graph, SY_I32, size->rows, list, "places");
    free(list);
    return t;
}

static void emit_dispatch(struct bench_entrant *e, enum sy_op_types types, const struct sizes *size)
{
    const struct sy_dispatch_args args = {.rows = size->rows, .slots = size->rows, .dim = size->dim, .k = 1};
    SY_EMIT(e->graph, dispatch, &args, bench_tensor(e, storage(types), size->rows, size->dim, "x"),
            places(e, size, true), bench_tensor(e, storage(types), size->rows, size->dim, "xe"));
}

static void emit_combine(struct bench_entrant *e, enum sy_op_types types, const struct sizes *size)
{
    const struct sy_dispatch_args args = {.rows = size->rows, .slots = size->rows, .dim = size->dim, .k = 1};
    SY_EMIT(e->graph, combine, &args, bench_tensor(e, storage(types), size->rows, size->dim, "h"),
            places(e, size, false), bench_tensor(e, SY_F32, size->rows, 1, "gate"),
            bench_tensor(e, storage(types), size->rows, size->dim, "y"));
}

static const struct {
    const char *name;
    emit_fn *emit;
} jobs[] = {{"rmsnorm", emit_rmsnorm},     {"softmax", emit_softmax},   {"cast", emit_cast},
            {"adafactor", emit_adafactor}, {"dispatch", emit_dispatch}, {"combine", emit_combine}};

static enum sy_status open_job(const struct bench *b, size_t job, const struct sizes *size, struct bench_entrant *e)
{
    const enum sy_op_types types = bench_types(b);
    struct bench_figure *f = &e->figure;
    const double bytes = (types == SY_TYPES_F ? 8.0 : 4.0) * size->rows * size->dim;
    f->memory = true;
    snprintf(f->what, sizeof f->what, "%s of %u × %u %s", jobs[job].name, size->rows, size->dim,
             bench_types_name(types));
    e->phase = SY_PHASE_MICRO;
    e->copies = jobs[job].emit == emit_adafactor ? 1 : bench_copies(b, 0.0, bytes);
    SY_TRY(bench_entrant_graph(b, e));
    for (uint32_t i = 0; i < e->copies; ++i)
        jobs[job].emit(e, types, size);
    SY_TRY(bench_entrant_open(b, e));
    bench_entrant_describe(e);
    return SY_OK;
}

enum sy_status bench_bandwidth(struct bench *b)
{
    struct bench_entrant list[SY_COUNT(jobs) + 1] = {0};
    struct sizes size = {.dim = bench_given(b->o->d_model, 512), .experts = bench_given(b->o->experts, 64)};
    const size_t before = b->figure_count;
    size.rows = (uint32_t)(bench_copy_elements(b, bench_types(b)) / size.dim);
    if (size.rows == 0)
        return sy_fail(b->ctx, SY_INVALID, "bandwidth: rows of --d-model %u are larger than what %s copies at once",
                       size.dim, b->caps->id);
    enum sy_status status = bench_copy_entrant(b, &list[0]);
    for (size_t i = 0; i < SY_COUNT(jobs) && status == SY_OK; ++i)
        status = open_job(b, i, &size, &list[i + 1]);
    if (status == SY_OK)
        status = bench_contest(b, list, SY_COUNT(list), NULL);
    for (size_t i = before; i < b->figure_count; ++i) { // of rates: each moves another number of bytes
        const struct bench_figure *copy = &b->figures[before];
        struct bench_figure *f = &b->figures[i];
        f->ratio = i == before ? 0.0 : f->bytes / f->seconds / (copy->bytes / copy->seconds);
        snprintf(f->to, sizeof f->to, "the copy's rate");
    }
    for (size_t i = 0; i < SY_COUNT(list); ++i)
        bench_entrant_close(&list[i]);
    return status;
}
