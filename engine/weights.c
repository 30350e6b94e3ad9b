// SPDX-License-Identifier: Apache-2.0
#include "engine/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/optimizer.h"
#include "kernels/philox.h"

#define CHUNK 65536u // elements drawn or copied at once

static uint32_t name_hash(const char *name)
{
    uint32_t h = 2166136261u; // FNV-1a, as sy_stream_id()
    for (; *name != '\0'; ++name)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return h;
}

/// Two independent N(0,1) from two words (Box–Muller; u1 > 0).
static double normal_of(uint32_t a, uint32_t b)
{
    double u1 = ((double)a + 0.5) / 4294967296.0, u2 = (double)b / 4294967296.0;
    return sqrt(-2.0 * log(u1)) * cos(6.283185307179586 * u2);
}

/// Element `i` of a tensor: plane counts the redraws of a truncated normal.
static float draw(const struct sy_param *p, uint32_t stream, uint64_t seed, uint64_t i)
{
    if (p->init == SY_INIT_ONES)
        return 1.0f;
    for (uint32_t plane = 0;; ++plane) {
        struct sy_u4 r = sy_philox((u32)i, (u32)(i >> 32), stream, plane, (u32)seed, (u32)(seed >> 32));
        double x = normal_of(r.x, r.y), y = normal_of(r.z, r.w);
        if (p->init == SY_INIT_NORMAL || fabs(x) <= 2.0)
            return (float)(x * p->sigma);
        if (fabs(y) <= 2.0)
            return (float)(y * p->sigma);
    }
}

static enum sy_status after_change(struct sy_runtime *rt) { return sy_runtime_run(rt, SY_PHASE_REFRESH, false); }

enum sy_status sy_weights_init(struct sy_runtime *rt, uint64_t seed)
{
    struct sy_graph *g = rt->graph;
    float *chunk = malloc(CHUNK * sizeof *chunk);
    if (chunk == NULL)
        return sy_fail(g->ctx, SY_NOMEM, "out of host memory: drawing weights");
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < g->param_count && status == SY_OK; ++i) {
        const struct sy_param *p = &g->params[i];
        uint64_t part = (uint64_t)p->rows * p->cols;
        for (uint32_t e = 0; e < p->parts && status == SY_OK; ++e) {
            uint32_t stream = name_hash(p->names[e]);
            for (uint64_t first = 0; first < part && status == SY_OK; first += CHUNK) {
                uint64_t n = part - first < CHUNK ? part - first : CHUNK;
                for (uint64_t k = 0; k < n; ++k)
                    chunk[k] = draw(p, stream, seed, first + k);
                status = sy_runtime_write_f32(rt, p->master, e * part + first, n, chunk);
            }
        }
        for (uint32_t s = 0; s < p->state_count && status == SY_OK; ++s)
            status = sy_runtime_zero(rt, p->state[s]);
    }
    free(chunk);
    return status != SY_OK ? status : after_change(rt);
}

static void part_shape(const struct sy_param *p, uint32_t *ndim, uint64_t *shape)
{
    *ndim = p->vector ? 1 : 2;
    shape[0] = p->vector ? p->cols : p->rows;
    shape[1] = p->vector ? 1 : p->cols;
}

// One NaN makes every loss NaN; the tensor it came from is known only here.
static enum sy_status read_finite(struct sy_ctx *ctx, const struct sy_tensors *tensors, const char *name, uint32_t ndim,
                                  const uint64_t *shape, uint64_t count, float *out)
{
    SY_TRY(sy_tensors_read_f32(ctx, tensors, name, ndim, shape, out));
    for (uint64_t i = 0; i < count; ++i)
        if (!isfinite(out[i]))
            return sy_fail(ctx, SY_FORMAT, "%s: tensor %s: element %llu is %g; take an earlier checkpoint",
                           sy_tensors_path(tensors), name, (unsigned long long)i, (double)out[i]);
    return SY_OK;
}

enum sy_status sy_weights_load(struct sy_runtime *rt, const struct sy_tensors *tensors)
{
    struct sy_graph *g = rt->graph;
    for (size_t i = 0; i < g->param_count; ++i) {
        const struct sy_param *p = &g->params[i];
        uint64_t part = (uint64_t)p->rows * p->cols, shape[2];
        uint32_t ndim;
        part_shape(p, &ndim, shape);
        float *host = malloc(part * sizeof *host);
        if (host == NULL)
            return sy_fail(g->ctx, SY_NOMEM, "out of host memory: loading %s", p->names[0]);
        enum sy_status status = SY_OK;
        for (uint32_t e = 0; e < p->parts && status == SY_OK; ++e) {
            status =
                read_finite(g->ctx, tensors, sy_weights_stored_name(tensors, p->names[e]), ndim, shape, part, host);
            if (status == SY_OK)
                status = sy_runtime_write_f32(rt, p->master, e * part, part, host);
        }
        for (uint32_t s = 0; s < p->state_count && status == SY_OK; ++s)
            status = sy_runtime_zero(rt, p->state[s]);
        free(host);
        SY_TRY(status);
    }
    SY_TRY(sy_weights_check_unused(g, tensors));
    return after_change(rt);
}

enum sy_status sy_spec_list_add(struct sy_ctx *ctx, struct sy_spec_list *l, const char *name, enum sy_st_dtype dtype,
                                uint32_t ndim, const uint64_t *shape, void *data)
{
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : 2 * l->room;
        struct sy_tensor_spec *specs = realloc(l->specs, room * sizeof *specs);
        l->specs = specs != NULL ? specs : l->specs;
        char(*names)[128] = realloc(l->names, room * sizeof *names);
        l->names = names != NULL ? names : l->names;
        void **owned = realloc(l->owned, room * sizeof *owned);
        l->owned = owned != NULL ? owned : l->owned;
        if (specs == NULL || names == NULL || owned == NULL) {
            free(data);
            return sy_fail(ctx, SY_NOMEM, "out of host memory: list of %zu tensors", room);
        }
        l->room = room;
    }
    struct sy_tensor_spec *s = &l->specs[l->count];
    memset(s, 0, sizeof *s);
    snprintf(l->names[l->count], sizeof *l->names, "%s", name);
    s->dtype = dtype;
    s->ndim = ndim;
    for (uint32_t d = 0; d < ndim; ++d)
        s->shape[d] = shape[d];
    s->data = data;
    l->owned[l->count++] = data;
    return SY_OK;
}

void sy_spec_list_seal(struct sy_spec_list *l)
{
    for (size_t i = 0; i < l->count; ++i)
        l->specs[i].name = l->names[i];
}

void sy_spec_list_finish(struct sy_spec_list *l)
{
    for (size_t i = 0; i < l->count; ++i)
        free(l->owned[i]);
    free(l->specs);
    free(l->names);
    free(l->owned);
    memset(l, 0, sizeof *l);
}

enum sy_status sy_weights_list(struct sy_runtime *rt, bool gradients, struct sy_spec_list *list)
{
    struct sy_graph *g = rt->graph;
    for (size_t i = 0; i < g->param_count; ++i) {
        const struct sy_param *p = &g->params[i];
        uint64_t part = (uint64_t)p->rows * p->cols, shape[2];
        uint32_t ndim;
        part_shape(p, &ndim, shape);
        for (uint32_t e = 0; e < p->parts; ++e) {
            float *host = calloc(part, sizeof *host);
            if (host == NULL)
                return sy_fail(g->ctx, SY_NOMEM, "out of host memory: reading %s", p->names[e]);
            char name[128];
            snprintf(name, sizeof name, "%s%s", gradients ? "grad." : "", p->names[e]);
            sy_tid source = gradients ? p->grad : p->master;
            enum sy_status status = source == SY_NONE ? SY_OK : sy_runtime_read_f32(rt, source, e * part, part, host);
            if (status != SY_OK) {
                free(host);
                return status;
            }
            SY_TRY(sy_spec_list_add(g->ctx, list, name, SY_ST_F32, ndim, shape, host));
        }
    }
    return SY_OK;
}

/// One tensor at a time from the device, while the file is being written.
struct piece {
    struct sy_runtime *rt;
    sy_tid tensor;
    uint64_t first, count;
};

static enum sy_status produce(void *user, const struct sy_tensor_spec *spec, void *out)
{
    (void)spec;
    const struct piece *p = user;
    return sy_runtime_read_f32(p->rt, p->tensor, p->first, p->count, out);
}

/// Specs of all parameters (parts × names), written piecewise. `extra` names copies of shared.weight.
enum sy_status sy_weights_save(struct sy_runtime *rt, const struct sy_config *config, const char *directory)
{
    struct sy_graph *g = rt->graph;
    static const char *const copies[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"};
    size_t total = 0, n = 0;
    for (size_t i = 0; i < g->param_count; ++i)
        total += g->params[i].parts;
    total += SY_COUNT(copies);
    struct sy_tensor_spec *specs = calloc(total, sizeof *specs);
    struct piece *pieces = calloc(total, sizeof *pieces);
    enum sy_status status = SY_OK;
    if (specs == NULL || pieces == NULL)
        status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: list of %zu tensors", total);
    for (size_t i = 0; i < g->param_count && status == SY_OK; ++i) {
        const struct sy_param *p = &g->params[i];
        uint64_t part = (uint64_t)p->rows * p->cols;
        bool shared = strcmp(p->names[0], "shared.weight") == 0;
        uint32_t extra = shared && config->is_switch && !config->tied ? (uint32_t)SY_COUNT(copies) : 0; // spec §2
        for (uint32_t e = 0; e < p->parts + extra; ++e, ++n) {
            bool copy = e >= p->parts;
            pieces[n] = (struct piece){.rt = rt, .tensor = p->master, .first = copy ? 0 : e * part, .count = part};
            specs[n] = (struct sy_tensor_spec){.name = copy ? copies[e - p->parts] : p->names[e],
                                               .dtype = SY_ST_F32,
                                               .produce = produce,
                                               .user = &pieces[n]};
            part_shape(p, &specs[n].ndim, specs[n].shape);
        }
    }
    if (status == SY_OK)
        status = sy_tensors_save_dir(g->ctx, directory, "model", specs, n, 0);
    free(specs);
    free(pieces);
    return status;
}

/// The slice of state tensor `s` that belongs to part `e`: every state is a whole number of elements per part.
static void state_piece(const struct sy_graph *g, const struct sy_param *p, uint32_t s, uint32_t e, struct piece *out)
{
    uint64_t per_part = sy_graph_tensor(g, p->state[s])->count / p->parts;
    out->tensor = p->state[s];
    out->first = e * per_part;
    out->count = per_part;
}

enum sy_status sy_state_save(struct sy_runtime *rt, const char *path)
{
    struct sy_graph *g = rt->graph;
    size_t total = 0, n = 0;
    for (size_t i = 0; i < g->param_count; ++i)
        total += (size_t)g->params[i].parts * g->params[i].state_count;
    struct sy_tensor_spec *specs = calloc(total + 1, sizeof *specs);
    struct piece *pieces = calloc(total + 1, sizeof *pieces);
    char(*names)[128] = calloc(total + 1, sizeof *names);
    enum sy_status status = SY_OK;
    if (specs == NULL || pieces == NULL || names == NULL)
        status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: list of %zu tensors", total);
    for (size_t i = 0; i < g->param_count && status == SY_OK; ++i) {
        const struct sy_param *p = &g->params[i];
        for (uint32_t s = 0; s < p->state_count; ++s) {
            for (uint32_t e = 0; e < p->parts; ++e, ++n) {
                pieces[n].rt = rt;
                state_piece(g, p, s, e, &pieces[n]);
                snprintf(names[n], sizeof names[n], "%s/%s", p->names[e], sy_optimizer_state_name(g, p, s));
                specs[n] = (struct sy_tensor_spec){.name = names[n],
                                                   .dtype = SY_ST_F32,
                                                   .ndim = 1,
                                                   .shape = {pieces[n].count},
                                                   .produce = produce,
                                                   .user = &pieces[n]};
            }
        }
    }
    if (status == SY_OK)
        status = sy_tensors_save(g->ctx, path, specs, n);
    free(specs);
    free(pieces);
    free(names);
    return status;
}

enum sy_status sy_state_load(struct sy_runtime *rt, const char *path)
{
    struct sy_graph *g = rt->graph;
    struct sy_tensors *tensors = NULL;
    SY_TRY(sy_tensors_open(g->ctx, path, &tensors));
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < g->param_count && status == SY_OK; ++i) {
        const struct sy_param *p = &g->params[i];
        for (uint32_t s = 0; s < p->state_count && status == SY_OK; ++s) {
            for (uint32_t e = 0; e < p->parts && status == SY_OK; ++e) {
                struct piece piece = {.rt = rt};
                state_piece(g, p, s, e, &piece);
                char name[128];
                snprintf(name, sizeof name, "%s/%s", p->names[e], sy_optimizer_state_name(g, p, s));
                float *host = malloc(piece.count * sizeof *host);
                if (host == NULL)
                    status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: loading %s", name);
                else
                    status = read_finite(g->ctx, tensors, name, 1, &piece.count, piece.count, host);
                if (status == SY_OK)
                    status = sy_runtime_write_f32(rt, piece.tensor, piece.first, piece.count, host);
                free(host);
            }
        }
    }
    sy_tensors_close(&tensors);
    return status;
}
