// SPDX-License-Identifier: Apache-2.0
#include "engine/weights_split.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/runtime_private.h"
#include "engine/split.h"

#define DONE UINT32_MAX

/// Eight bytes: what ranks tell each other elsewhere, where one has failed, is no question (hostlib/group.h).
struct question {
    uint64_t number;
};

/// What comes before the floats of an answer.
struct answer {
    uint64_t hash;
    int64_t status;
};

struct sy_slab sy_slab_of(const struct sy_graph *g, const struct sy_param *p, uint32_t part)
{
    const struct sy_split x = sy_split_of(g, p);
    const bool rows = (p->flags & SY_PARAM_SPLIT_ROWS) != 0, cols = (p->flags & SY_PARAM_SPLIT_COLS) != 0;
    return (struct sy_slab){.rows = x.rows,
                            .cols = x.cols,
                            .row = rows ? (uint64_t)part * p->rows : 0,
                            .col = cols ? (uint64_t)part * p->cols : 0,
                            .own_rows = p->rows,
                            .own_cols = p->cols};
}

struct sy_slab sy_slab_of_state(const struct sy_graph *g, const struct sy_param *p, uint32_t s, uint32_t part)
{
    struct sy_slab x = sy_slab_of(g, p, part);
    if (p->state_kinds[s] == SY_STATE_R) {
        x.cols = x.own_cols = 1;
        x.col = 0;
    } else if (p->state_kinds[s] == SY_STATE_COL) {
        x.rows = x.own_rows = 1;
        x.row = 0;
    }
    return x;
}

void sy_slab_take(const struct sy_slab *x, const float *whole, float *part)
{
    for (uint64_t i = 0; i < x->own_rows; ++i)
        memcpy(part + i * x->own_cols, whole + (x->row + i) * x->cols + x->col, x->own_cols * sizeof *part);
}

void sy_slab_put(const struct sy_slab *x, const float *part, float *whole)
{
    for (uint64_t i = 0; i < x->own_rows; ++i)
        memcpy(whole + (x->row + i) * x->cols + x->col, part + i * x->own_cols, x->own_cols * sizeof *part);
}

struct sy_slab sy_excerpt_slab(const struct sy_excerpt *x, uint32_t part)
{
    const struct sy_graph *g = x->rt->graph;
    return x->state == UINT32_MAX ? sy_slab_of(g, x->param, part) : sy_slab_of_state(g, x->param, x->state, part);
}

/// Whether the parts have different elements of it.
static bool differs(const struct sy_slab *x) { return sy_slab_count(x) != sy_slab_whole(x); }

static struct sy_transfer message(bool send, uint32_t peer, void *data, uint64_t bytes)
{
    return (struct sy_transfer){.peer = peer, .send = send, .data = data, .bytes = bytes};
}

/// Tells all other parts, of part 0, which tensor is wanted.
static enum sy_status ask(struct sy_graph *g, uint32_t number)
{
    struct question q = {.number = number};
    const struct sy_layout *l = g->ranks;
    for (uint32_t r = 1; r < sy_layout_parts(l); ++r) {
        const struct sy_transfer question = message(true, sy_layout_number(l, l->rank, r), &q, sizeof q);
        SY_TRY(sy_group_exchange(g->ctx, l->group, "a tensor of a checkpoint", &question, 1));
    }
    return SY_OK;
}

/// Part `r`'s answer: its part goes into `whole`; `room` has place for it. Once something is wrong (`status`), that is
/// the error, whatever the others send.
static enum sy_status hear(const struct sy_excerpt *x, const char *name, uint32_t r, uint64_t hash, float *room,
                           float *whole, enum sy_status status)
{
    struct sy_graph *g = x->rt->graph;
    const struct sy_layout *l = g->ranks;
    const uint32_t peer = sy_layout_number(l, l->rank, r);
    const struct sy_slab slab = sy_excerpt_slab(x, r);
    struct answer a;
    const struct sy_transfer list[] = {message(false, peer, &a, sizeof a),
                                       message(false, peer, room, sy_slab_count(&slab) * sizeof *room)};
    SY_TRY(sy_group_exchange(g->ctx, l->group, name, list, differs(&slab) ? 2 : 1));
    if (status != SY_OK)
        return status;
    if (a.status != SY_OK)
        return sy_fail(g->ctx, SY_COMM, "rank %u could not read its part of tensor %s", peer, name);
    if (differs(&slab))
        sy_slab_put(&slab, room, whole);
    else if (a.hash != hash)
        return sy_fail(g->ctx, SY_COMM,
                       "tensor %s: rank %u has other bits of it than rank %u, although the model axis does not split "
                       "it: one of their devices computes wrongly, or not as the other; this step is not saved",
                       name, peer, sy_layout_number(l, l->rank, 0));
    return SY_OK;
}

enum sy_status sy_excerpt_produce(void *user, const struct sy_tensor_spec *spec, void *out)
{
    const struct sy_excerpt *x = user;
    struct sy_graph *g = x->rt->graph;
    const struct sy_slab own = sy_excerpt_slab(x, 0);
    const uint32_t parts = sy_layout_parts(g->ranks);
    const uint64_t count = sy_slab_count(&own);
    if (parts == 1)
        return sy_runtime_read_f32(x->rt, x->tensor, x->first, count, out);
    float *room = malloc(count * sizeof *room);
    if (room == NULL)
        return sy_fail(g->ctx, SY_NOMEM, "out of host memory: writing %s", spec->name);
    enum sy_status status = sy_runtime_read_f32(x->rt, x->tensor, x->first, count, room);
    const uint64_t hash = differs(&own) ? 0 : XXH3_64bits(room, count * sizeof *room);
    if (status == SY_OK)
        sy_slab_put(&own, room, out);
    if (status == SY_OK)
        status = ask(g, x->number);
    const bool asked = status == SY_OK;
    for (uint32_t r = 1; r < parts && asked; ++r) // all have sent theirs
        status = hear(x, spec->name, r, hash, room, out, status);
    free(room);
    return status;
}

static enum sy_status read_piece(void *user, const struct sy_tensor_spec *spec, uint64_t first, uint64_t count,
                                 void *out)
{
    const struct sy_excerpt *x = user;
    (void)spec;
    return sy_runtime_read_f32(x->rt, x->tensor, x->first + first, count, out);
}

sy_tensor_piece_fn sy_excerpt_piece(const struct sy_graph *g)
{
    return sy_layout_parts(g->ranks) == 1 ? read_piece : NULL;
}

/// Sends this rank's part, or its hash; where it cannot be read, says so. *out_status: of the reading.
static enum sy_status answer(const struct sy_excerpt *x, enum sy_status *out_status)
{
    struct sy_graph *g = x->rt->graph;
    const struct sy_layout *l = g->ranks;
    const uint32_t peer = sy_layout_number(l, l->rank, 0);
    const struct sy_slab slab = sy_excerpt_slab(x, sy_layout_part(l));
    const uint64_t count = sy_slab_count(&slab);
    float *data = calloc(count, sizeof *data);
    if (data == NULL)
        return sy_fail(g->ctx, SY_NOMEM, "out of host memory: a tensor of a checkpoint");
    const enum sy_status read = sy_runtime_read_f32(x->rt, x->tensor, x->first, count, data);
    *out_status = *out_status == SY_OK ? read : *out_status;
    struct answer a = {.hash = differs(&slab) ? 0 : XXH3_64bits(data, count * sizeof *data), .status = read};
    const struct sy_transfer list[] = {message(true, peer, &a, sizeof a),
                                       message(true, peer, data, count * sizeof *data)};
    const enum sy_status status =
        sy_group_exchange(g->ctx, l->group, "a tensor of a checkpoint", list, differs(&slab) ? 2 : 1);
    free(data);
    return status;
}

enum sy_status sy_excerpts_serve(struct sy_graph *g, const struct sy_excerpt *list, size_t count)
{
    const struct sy_layout *l = g->ranks;
    enum sy_status status = SY_OK;
    for (;;) {
        struct question q = {.number = DONE};
        const struct sy_transfer question = message(false, sy_layout_number(l, l->rank, 0), &q, sizeof q);
        SY_TRY(sy_group_exchange(g->ctx, l->group, "a tensor of a checkpoint", &question, 1));
        if (q.number == DONE)
            return status;
        if (q.number >= count)
            return sy_fail(g->ctx, SY_COMM, "tensor %llu of a checkpoint was asked for, of %zu",
                           (unsigned long long)q.number, count);
        SY_TRY(answer(&list[q.number], &status));
    }
}

enum sy_status sy_excerpts_end(struct sy_graph *g) { return ask(g, DONE); }
