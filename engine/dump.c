// SPDX-License-Identifier: Apache-2.0
#include "engine/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session_private.h"

/// One dump being collected; the first failure sticks.
struct dump {
    struct sy_session *s;
    const struct sy_batch *batch;
    struct sy_spec_list list;
    enum sy_status status;
};

static void *take(struct dump *d, size_t count, size_t size)
{
    void *p = calloc(count != 0 ? count : 1, size);
    if (p == NULL && d->status == SY_OK)
        d->status = sy_fail(d->s->ctx, SY_NOMEM, "out of host memory: dump");
    return p;
}

/// Adds a tensor; `data` is taken over.
static void add(struct dump *d, const char *name, enum sy_st_dtype type, uint32_t ndim, const uint64_t *shape,
                void *data)
{
    if (d->status == SY_OK)
        d->status = sy_spec_list_add(d->s->ctx, &d->list, name, type, ndim, shape, data);
    else
        free(data);
}

static void add_scalar(struct dump *d, const char *name, double value)
{
    double *data = take(d, 1, sizeof *data);
    if (data != NULL)
        *data = value;
    add(d, name, SY_ST_F64, 1, (const uint64_t[]){1}, data);
}

static float *read_floats(struct dump *d, sy_tid t, uint64_t count)
{
    float *data = take(d, count, sizeof *data);
    if (d->status == SY_OK)
        d->status = sy_runtime_read_f32(d->s->runtime, t, 0, count, data);
    return data;
}

static int32_t *read_ints(struct dump *d, sy_tid t, uint64_t count)
{
    int32_t *data = take(d, count, sizeof *data);
    if (d->status == SY_OK)
        d->status = sy_runtime_read_part(d->s->runtime, t, 0, count, data);
    return data;
}

/// Zeroes the rows of padding, where values carry no meaning.
static void clear_padding(const struct dump *d, bool decoder, float *data, uint64_t rows, uint64_t cols)
{
    for (uint64_t r = 0; data != NULL && r < rows; ++r)
        if (!sy_batch_is_token(d->batch, decoder, r))
            memset(data + r * cols, 0, cols * sizeof *data);
}

static void add_activations(struct dump *d)
{
    const struct sy_model *m = &d->s->model;
    const struct sy_batch *b = d->batch;
    uint64_t v = d->s->config.vocab_size, dim = d->s->config.d_model;
    uint64_t dec = (uint64_t)b->batch * b->tgt_len, enc = (uint64_t)b->batch * b->src_len;
    float *logits = read_floats(d, m->logits, dec * v);
    clear_padding(d, true, logits, dec, v);
    add(d, "logits", SY_ST_F32, 3, (const uint64_t[]){b->batch, b->tgt_len, v}, logits);
    float *encoded = read_floats(d, m->encoder_output, enc * dim);
    clear_padding(d, false, encoded, enc, dim);
    add(d, "encoder_output", SY_ST_F32, 3, (const uint64_t[]){b->batch, b->src_len, dim}, encoded);
}

/// expert_choice: the tokens each expert took, best first: pos is the rank.
static void add_taken(struct dump *d, const struct sy_model_sparse *l, const char *name, const int32_t *expert,
                      const int32_t *pos)
{
    uint64_t c = l->capacity < l->group ? l->capacity : l->group;
    int32_t *taken = take(d, (size_t)l->groups * l->experts * c, sizeof *taken);
    if (taken == NULL || d->status != SY_OK) {
        free(taken);
        return;
    }
    for (uint64_t i = 0; i < (uint64_t)l->groups * l->experts * c; ++i)
        taken[i] = -1;
    for (uint64_t r = 0; r < l->rows; ++r) {
        for (uint32_t e = 0; e < l->k; ++e) {
            uint64_t cell = r * l->k + e;
            if (expert[cell] >= 0)
                taken[((r / l->group) * l->experts + e) * c + (uint64_t)pos[cell]] = (int32_t)r;
        }
    }
    add(d, name, SY_ST_I32, 3, (const uint64_t[]){l->groups, l->experts, c}, taken);
}

static void add_assignment(struct dump *d, const struct sy_model_sparse *l, const char *prefix)
{
    const struct sy_batch *b = d->batch;
    bool choice = d->s->config.router == SY_ROUTER_EXPERT_CHOICE;
    uint64_t cells = (uint64_t)l->rows * l->k, shape[] = {b->batch, l->seq, l->k};
    uint32_t ndim = l->k == 1 && !choice ? 2 : 3;
    char name[128];
    int32_t *expert = read_ints(d, l->expert, cells), *pos = read_ints(d, l->pos, cells),
            *slot = read_ints(d, l->slot, cells);
    for (uint64_t i = 0; slot != NULL && i < cells; ++i)
        slot[i] = slot[i] >= 0;
    if (choice && d->status == SY_OK) {
        snprintf(name, sizeof name, "%s.taken", prefix);
        add_taken(d, l, name, expert, pos);
        free(pos);
    } else {
        snprintf(name, sizeof name, "%s.position", prefix);
        add(d, name, SY_ST_I32, ndim, shape, pos);
    }
    snprintf(name, sizeof name, "%s.expert", prefix);
    add(d, name, SY_ST_I32, ndim, shape, expert);
    snprintf(name, sizeof name, "%s.kept", prefix);
    add(d, name, SY_ST_I32, ndim, shape, slot);
    float *gate = read_floats(d, l->gate, cells);
    clear_padding(d, l->decoder, gate, l->rows, l->k);
    snprintf(name, sizeof name, "%s.gate", prefix);
    add(d, name, SY_ST_F32, ndim, shape, gate);
}

static void add_choice(struct dump *d, const struct sy_model_sparse *l, const char *prefix)
{
    int32_t *all = read_ints(d, l->choice, (uint64_t)l->rows * l->choice_cols);
    int32_t *first = take(d, l->rows, sizeof *first);
    for (uint64_t r = 0; all != NULL && first != NULL && r < l->rows; ++r)
        first[r] = all[r * l->choice_cols];
    free(all);
    char name[128];
    snprintf(name, sizeof name, "%s.choice", prefix);
    add(d, name, SY_ST_I32, 2, (const uint64_t[]){d->batch->batch, l->seq}, first);
}

static void add_layer(struct dump *d, const struct sy_model_sparse *l, const struct sy_layer_metrics *metrics)
{
    const struct sy_batch *b = d->batch;
    char prefix[96], name[128];
    snprintf(prefix, sizeof prefix, "router.%s", l->name);
    const uint64_t shape[] = {b->batch, l->seq, l->experts};
    float *z = read_floats(d, l->z, (uint64_t)l->rows * l->experts),
          *p = read_floats(d, l->p, (uint64_t)l->rows * l->experts);
    clear_padding(d, l->decoder, z, l->rows, l->experts);
    clear_padding(d, l->decoder, p, l->rows, l->experts);
    snprintf(name, sizeof name, "%s.z", prefix);
    add(d, name, SY_ST_F32, 3, shape, z);
    snprintf(name, sizeof name, "%s.p", prefix);
    add(d, name, SY_ST_F32, 3, shape, p);
    add_assignment(d, l, prefix);
    if (l->choice != SY_NONE)
        add_choice(d, l, prefix);
    int32_t *capacity = take(d, 1, sizeof *capacity);
    if (capacity != NULL)
        *capacity = (int32_t)l->capacity;
    snprintf(name, sizeof name, "%s.capacity", prefix);
    add(d, name, SY_ST_I32, 1, (const uint64_t[]){1}, capacity);
    snprintf(name, sizeof name, "%s.load", prefix);
    add(d, name, SY_ST_I32, 2, (const uint64_t[]){l->groups, l->experts},
        read_ints(d, l->load, (uint64_t)l->groups * l->experts));
    float *pairs = read_floats(d, l->group_loss, 2 * (uint64_t)l->groups), *aux = take(d, l->groups, sizeof *aux);
    for (uint32_t g = 0; pairs != NULL && aux != NULL && g < l->groups; ++g)
        aux[g] = pairs[2 * g];
    free(pairs);
    snprintf(name, sizeof name, "%s.group_aux", prefix);
    add(d, name, SY_ST_F32, 1, (const uint64_t[]){l->groups}, aux);
    snprintf(name, sizeof name, "%s.dropped", prefix);
    add_scalar(d, name, metrics->dropped);
    snprintf(name, sizeof name, "aux.%s", l->name);
    add_scalar(d, name, metrics->aux);
    snprintf(name, sizeof name, "z.%s", l->name);
    add_scalar(d, name, metrics->z);
}

enum sy_status sy_dump_save(struct sy_session *s, const struct sy_batch *batch, const struct sy_metrics *metrics,
                            bool gradients, const char *path)
{
    struct dump d = {.s = s, .batch = batch};
    add_activations(&d);
    add_scalar(&d, "loss_ce", metrics->loss_ce);
    add_scalar(&d, "aux", metrics->aux);
    add_scalar(&d, "z", metrics->z);
    add_scalar(&d, "total", metrics->total);
    add_scalar(&d, "accuracy", metrics->accuracy);
    for (uint32_t i = 0; i < s->model.sparse_count && d.status == SY_OK; ++i)
        add_layer(&d, &s->model.sparse[i], &metrics->layers[i]);
    if (gradients && d.status == SY_OK)
        d.status = sy_weights_list(s->runtime, true, &d.list);
    if (d.status == SY_OK) {
        sy_spec_list_seal(&d.list);
        d.status = sy_tensors_save(s->ctx, path, d.list.specs, d.list.count, NULL);
    }
    sy_spec_list_finish(&d.list);
    return d.status;
}

enum sy_status sy_dump_has_jitter(struct sy_ctx *ctx, const char *path, bool *out)
{
    struct sy_tensors *t = NULL;
    SY_TRY(sy_tensors_open(ctx, path, &t));
    *out = false;
    for (size_t i = 0; i < sy_tensors_count(t); ++i)
        *out |= strncmp(sy_tensors_at(t, i)->name, "jitter.", 7) == 0;
    sy_tensors_close(&t);
    return SY_OK;
}

enum sy_status sy_dump_load_jitter(struct sy_session *s, const char *path)
{
    struct sy_tensors *t = NULL;
    SY_TRY(sy_tensors_open(s->ctx, path, &t));
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; i < s->model.sparse_count && status == SY_OK; ++i) {
        const struct sy_model_sparse *l = &s->model.sparse[i];
        uint64_t dim = s->config.d_model, shape[] = {l->rows / l->seq, l->seq, dim};
        float *data = malloc((size_t)l->rows * dim * sizeof *data);
        char name[128];
        snprintf(name, sizeof name, "jitter.%s", l->name);
        status = data == NULL ? sy_fail(s->ctx, SY_NOMEM, "out of host memory: %s", name)
                              : sy_tensors_read_f32(s->ctx, t, name, 3, shape, data);
        if (status == SY_OK)
            status = sy_runtime_write_f32(s->runtime, l->jitter, 0, (uint64_t)l->rows * dim, data);
        free(data);
    }
    sy_tensors_close(&t);
    return status;
}
