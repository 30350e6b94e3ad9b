// SPDX-License-Identifier: Apache-2.0
#include "engine/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json.h"
#include "engine/message.h"
#include "engine/optimizer.h"
#include "engine/runtime_private.h"
#include "engine/weights_split.h"

static enum sy_status after_change(struct sy_runtime *rt) { return sy_runtime_run(rt, SY_PHASE_REFRESH); }

enum sy_status sy_weights_init(struct sy_runtime *rt, uint64_t seed)
{
    SY_TRY(sy_weights_draw(rt, seed));
    return after_change(rt);
}

static void part_shape(const struct sy_graph *g, const struct sy_param *p, uint32_t *ndim, uint64_t *shape)
{
    const struct sy_slab x = sy_slab_of(g, p, 0);
    *ndim = p->vector ? 1 : 2;
    shape[0] = p->vector ? x.cols : x.rows;
    shape[1] = p->vector ? 1 : x.cols;
}

// One NaN makes every loss NaN; the tensor it came from is known only here.
static enum sy_status check_finite(struct sy_ctx *ctx, const struct sy_tensors *tensors, const char *name,
                                   const float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; ++i)
        if (!isfinite(values[i]))
            return sy_fail(ctx, SY_FORMAT, "%s: tensor %s: element %llu is %g; take an earlier checkpoint",
                           sy_tensors_path(tensors), name, (unsigned long long)i, (double)values[i]);
    return SY_OK;
}

/// Copies one tensor of the file, or this rank's part of it, to elements `first`… of `to`: straight out of the mapping
/// where it holds floats.
static enum sy_status upload(struct sy_runtime *rt, const struct sy_tensors *tensors, const char *name, uint32_t ndim,
                             const uint64_t *shape, const struct sy_slab *slab, sy_tid to, uint64_t first)
{
    struct sy_ctx *ctx = rt->graph->ctx;
    const uint64_t whole = sy_slab_whole(slab), count = sy_slab_count(slab);
    const float *values;
    float *converted = NULL, *part = NULL;
    SY_TRY(sy_tensors_floats(ctx, tensors, name, ndim, shape, &values));
    enum sy_status status = SY_OK;
    if (values == NULL) {
        values = converted = malloc(whole * sizeof *converted);
        status = converted != NULL ? sy_tensors_read_f32(ctx, tensors, name, ndim, shape, converted)
                                   : sy_fail(ctx, SY_NOMEM, "out of host memory: loading %s", name);
    }
    if (status == SY_OK)
        status = check_finite(ctx, tensors, name, values, whole);
    if (status == SY_OK && count != whole) {
        part = malloc(count * sizeof *part);
        if (part != NULL)
            sy_slab_take(slab, values, part);
        else
            status = sy_fail(ctx, SY_NOMEM, "out of host memory: loading %s", name);
        values = part;
    }
    if (status == SY_OK)
        status = sy_runtime_write_f32(rt, to, first, count, values);
    sy_tensors_release(tensors, name);
    free(converted);
    free(part);
    return status;
}

enum sy_status sy_weights_load(struct sy_runtime *rt, const struct sy_tensors *tensors)
{
    struct sy_graph *g = rt->graph;
    for (size_t i = 0; i < g->param_count; ++i) {
        const struct sy_param *p = &g->params[i];
        const struct sy_slab slab = sy_slab_of(g, p, sy_layout_part(g->ranks));
        uint64_t shape[2];
        uint32_t ndim;
        part_shape(g, p, &ndim, shape);
        for (uint32_t e = 0; e < p->parts; ++e)
            SY_TRY(upload(rt, tensors, sy_weights_stored_name(tensors, p->names[e]), ndim, shape, &slab, p->master,
                          e * sy_slab_count(&slab)));
        for (uint32_t s = 0; s < p->state_count; ++s)
            SY_TRY(sy_runtime_zero(rt, p->state[s]));
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
        part_shape(g, p, &ndim, shape); // of one rank's dump: nothing is split
        for (uint32_t e = 0; e < p->parts; ++e) {
            float *host = calloc(part, sizeof *host);
            if (host == NULL)
                return sy_fail(g->ctx, SY_NOMEM, "out of host memory: reading %s", p->names[e]);
            char name[128];
            snprintf(name, sizeof name, "%s%s", gradients ? "grad." : "", p->names[e]);
            sy_tid source = gradients ? p->grad.total : p->master;
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

/// Whether this place writes a parameter: what several of them have, the first does.
static bool is_writer(const struct sy_graph *g, const struct sy_param *p)
{
    const bool first_row = g->ranks == NULL || g->ranks->rank < g->ranks->expert;
    return (p->flags & SY_PARAM_EXPERT) != 0 ? first_row : sy_layout_rank(g->ranks) == 0;
}

/// Whether this place writes any weights: one along the data axis does.
static bool writes(const struct sy_graph *g) { return g->ranks == NULL || g->ranks->rank < g->ranks->expert; }

/// "model-00002-of-00004.safetensors": the second rank's of four.
static void shard_name(const struct sy_layout *l, uint32_t place, char out[64])
{
    snprintf(out, 64, "model-%05u-of-%05u.safetensors", place + 1, l->expert);
}

/// The index of all ranks' files: a tensor is in the file of the place that holds it.
static enum sy_status save_index(const struct sy_graph *g, const char *directory, const struct sy_tensor_spec *specs,
                                 size_t count, uint64_t bytes)
{
    char name[64];
    json_t *map = json_object();
    int bad = map == NULL;
    shard_name(g->ranks, 0, name);
    for (size_t i = 0; i < count && !bad; ++i)
        bad = json_object_set_new(map, specs[i].name, json_string(name));
    for (size_t i = 0; i < g->foreign_count && !bad; ++i) {
        shard_name(g->ranks, g->foreign[i].place, name);
        bad = json_object_set_new(map, g->foreign[i].name, json_string(name));
    }
    json_t *root =
        bad ? NULL : json_pack("{s:{s:I}, s:O}", "metadata", "total_size", (json_int_t)bytes, "weight_map", map);
    char path[SY_PATH_ROOM];
    enum sy_status status = root != NULL ? sy_path_print(g->ctx, path, directory, "model.safetensors.index.json")
                                         : sy_fail(g->ctx, SY_NOMEM, "out of host memory: the index of %s", directory);
    if (status == SY_OK)
        status = sy_json_save(g->ctx, root, path);
    json_decref(root);
    json_decref(map);
    return status;
}

/// What all parts of a place do while part 0 writes a file (weights_split.h): `written` is how that went.
static enum sy_status end_file(struct sy_graph *g, enum sy_status written)
{
    if (sy_layout_parts(g->ranks) == 1)
        return written;
    const enum sy_status ended = sy_excerpts_end(g);
    return written != SY_OK ? written : ended;
}

/// One file, which part 0 writes; `specs` are of excerpts.
static enum sy_status save_tensors(struct sy_graph *g, const char *path, const struct sy_tensor_spec *specs,
                                   size_t count, struct sy_file_sums *sums)
{
    if (sy_layout_part(g->ranks) != 0)
        return sy_excerpts_serve(g, count != 0 ? specs[0].user : NULL, count);
    return end_file(g, sy_tensors_save(g->ctx, path, specs, count, sums));
}

/// The same of a model in as many files as it takes.
static enum sy_status save_dir(struct sy_graph *g, const char *directory, const struct sy_tensor_spec *specs,
                               size_t count, struct sy_file_sums *sums)
{
    if (sy_layout_part(g->ranks) != 0)
        return sy_excerpts_serve(g, count != 0 ? specs[0].user : NULL, count);
    return end_file(g, sy_tensors_save_dir(g->ctx, directory, "model", specs, count, 0, sums));
}

/// Every place its own file, at once.
static enum sy_status save_shard(struct sy_graph *g, const char *directory, const struct sy_tensor_spec *specs,
                                 size_t count, struct sy_file_sums *sums)
{
    char name[64], path[SY_PATH_ROOM];
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; ++i)
        bytes += 4 * specs[i].shape[0] * (specs[i].ndim > 1 ? specs[i].shape[1] : 1);
    SY_TRY(sy_layout_add(g->ctx, g->ranks, &bytes, 1));
    if (!writes(g))
        return SY_OK;
    shard_name(g->ranks, sy_layout_place(g->ranks), name);
    SY_TRY(sy_path_print(g->ctx, path, directory, name));
    SY_TRY(save_tensors(g, path, specs, count, sums));
    return sy_layout_first(g->ranks) ? save_index(g, directory, specs, count, bytes) : SY_OK;
}

/// Specs of the parameters that this rank writes (parts × names), written piecewise. `extra` names copies of
/// shared.weight.
enum sy_status sy_weights_save(struct sy_runtime *rt, const struct sy_config *config, const char *directory,
                               struct sy_file_sums *sums)
{
    struct sy_graph *g = rt->graph;
    static const char *const copies[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"};
    size_t total = 0, n = 0;
    for (size_t i = 0; i < g->param_count; ++i)
        total += g->params[i].parts;
    total += SY_COUNT(copies);
    struct sy_tensor_spec *specs = calloc(total, sizeof *specs);
    struct sy_excerpt *pieces = calloc(total, sizeof *pieces);
    enum sy_status status = SY_OK;
    if (specs == NULL || pieces == NULL)
        status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: list of %zu tensors", total);
    for (size_t i = 0; i < g->param_count && status == SY_OK; ++i) {
        const struct sy_param *p = &g->params[i];
        uint64_t part = (uint64_t)p->rows * p->cols;
        bool shared = strcmp(p->names[0], "shared.weight") == 0;
        uint32_t extra = shared && config->is_switch && !config->tied ? (uint32_t)SY_COUNT(copies) : 0; // spec §2
        for (uint32_t e = 0; is_writer(g, p) && e < p->parts + extra; ++e, ++n) {
            bool copy = e >= p->parts;
            pieces[n] = (struct sy_excerpt){.rt = rt,
                                            .param = p,
                                            .tensor = p->master,
                                            .first = copy ? 0 : e * part,
                                            .number = (uint32_t)n,
                                            .state = UINT32_MAX};
            specs[n] = (struct sy_tensor_spec){.name = copy ? copies[e - p->parts] : p->names[e],
                                               .dtype = SY_ST_F32,
                                               .produce = sy_excerpt_produce,
                                               .piece = sy_excerpt_piece(g),
                                               .user = &pieces[n]};
            part_shape(g, p, &specs[n].ndim, specs[n].shape);
        }
    }
    if (status == SY_OK)
        status = sy_layout_sources(g->ranks) > 1 ? save_shard(g, directory, specs, n, sums)
                 : writes(g)                     ? save_dir(g, directory, specs, n, sums)
                                                 : SY_OK;
    free(specs);
    free(pieces);
    return status;
}

/// Where part `e` of a parameter lies in its state `s`.
static struct sy_excerpt state_excerpt(struct sy_runtime *rt, const struct sy_param *p, uint32_t s, uint32_t e)
{
    struct sy_excerpt x = {.rt = rt, .param = p, .tensor = p->state[s], .state = s};
    const struct sy_slab slab = sy_excerpt_slab(&x, 0);
    x.first = e * sy_slab_count(&slab);
    return x;
}

/// "optimizer-00002.safetensors": of what the second place updates.
static enum sy_status state_path(struct sy_ctx *ctx, const char *directory, uint32_t rank, char path[SY_PATH_ROOM])
{
    char name[64];
    snprintf(name, sizeof name, "optimizer-%05u.safetensors", rank + 1);
    return sy_path_print(ctx, path, directory, name);
}

enum sy_status sy_state_save(struct sy_runtime *rt, const char *directory, struct sy_file_sums *sums)
{
    struct sy_graph *g = rt->graph;
    size_t total = 0, n = 0;
    char path[SY_PATH_ROOM];
    SY_TRY(state_path(g->ctx, directory, sy_layout_rank(g->ranks), path));
    for (size_t i = 0; i < g->param_count; ++i)
        total += (size_t)g->params[i].parts * g->params[i].state_count;
    struct sy_tensor_spec *specs = calloc(total + 1, sizeof *specs);
    struct sy_excerpt *pieces = calloc(total + 1, sizeof *pieces);
    char(*names)[128] = calloc(total + 1, sizeof *names);
    enum sy_status status = SY_OK;
    if (specs == NULL || pieces == NULL || names == NULL)
        status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: list of %zu tensors", total);
    for (size_t i = 0; i < g->param_count && status == SY_OK; ++i) {
        const struct sy_param *p = &g->params[i];
        for (uint32_t s = 0; s < p->state_count; ++s) {
            for (uint32_t e = 0; e < p->parts; ++e, ++n) {
                pieces[n] = state_excerpt(rt, p, s, e);
                pieces[n].number = (uint32_t)n;
                const struct sy_slab slab = sy_excerpt_slab(&pieces[n], 0);
                snprintf(names[n], sizeof names[n], "%s/%s", p->names[e], sy_state_name(p->state_kinds[s]));
                specs[n] = (struct sy_tensor_spec){.name = names[n],
                                                   .dtype = SY_ST_F32,
                                                   .ndim = 1,
                                                   .shape = {sy_slab_whole(&slab)},
                                                   .produce = sy_excerpt_produce,
                                                   .piece = sy_excerpt_piece(g),
                                                   .user = &pieces[n]};
            }
        }
    }
    if (status == SY_OK)
        status = save_tensors(g, path, specs, n, sums);
    free(specs);
    free(pieces);
    free(names);
    return status;
}

/// The files of optimizer state in a checkpoint: one for each rank that wrote it.
struct state_files {
    struct sy_tensors **list;
    size_t count;
};

static void close_state(struct state_files *files)
{
    for (size_t i = 0; i < files->count; ++i)
        sy_tensors_close(&files->list[i]);
    free(files->list);
}

/// Opens all of them; closed with close_state() in any case.
static enum sy_status open_state(struct sy_ctx *ctx, const char *directory, struct state_files *files)
{
    for (char path[SY_PATH_ROOM];; ++files->count) {
        SY_TRY(state_path(ctx, directory, (uint32_t)files->count, path));
        if (files->count > 0 && !sy_file_exists(path))
            return SY_OK;
        struct sy_tensors **list = realloc(files->list, (files->count + 1) * sizeof *list);
        if (list == NULL)
            return sy_fail(ctx, SY_NOMEM, "out of host memory");
        files->list = list;
        SY_TRY(sy_tensors_open(ctx, path, &list[files->count]));
    }
}

/// The file that has a tensor; the first, which will say that it is missing, when none has.
static const struct sy_tensors *state_file(const struct state_files *files, const char *name)
{
    for (size_t i = 1; i < files->count; ++i)
        if (sy_tensors_find(files->list[i], name) != NULL)
            return files->list[i];
    return files->list[0];
}

enum sy_status sy_state_load(struct sy_runtime *rt, const char *directory)
{
    struct sy_graph *g = rt->graph;
    struct state_files files = {0};
    enum sy_status status = open_state(g->ctx, directory, &files);
    for (size_t i = 0; i < g->param_count && status == SY_OK; ++i) {
        const struct sy_param *p = &g->params[i];
        for (uint32_t s = 0; s < p->state_count && status == SY_OK; ++s) {
            for (uint32_t e = 0; e < p->parts && status == SY_OK; ++e) {
                const struct sy_excerpt x = state_excerpt(rt, p, s, e);
                const struct sy_slab slab = sy_excerpt_slab(&x, sy_layout_part(g->ranks));
                const uint64_t whole = sy_slab_whole(&slab);
                char name[128];
                snprintf(name, sizeof name, "%s/%s", p->names[e], sy_state_name(p->state_kinds[s]));
                status = upload(rt, state_file(&files, name), name, 1, &whole, &slab, x.tensor, x.first);
            }
        }
    }
    close_state(&files);
    return status;
}
