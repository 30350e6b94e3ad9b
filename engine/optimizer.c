// SPDX-License-Identifier: Apache-2.0
#include "engine/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"
#include "engine/matrices.h"
#include "engine/message.h"
#include "engine/pieces.h"
#include "engine/shard.h"
#include "engine/slices.h"
#include "engine/split.h"

const char *sy_optimizer_name(enum sy_optimizer kind) { return kind == SY_OPTIMIZER_ADAMW ? "adamw" : "adafactor"; }

bool sy_adafactor_factored(uint32_t rows, uint32_t cols) { return rows >= 128 && cols >= 128; }

/// One pack of parameters, while its update is being emitted.
struct update {
    struct sy_matrices matrices;
    struct sy_param **params; ///< Of each row of the table.
    sy_tid table, grads, master;
    int32_t *ranks;           ///< Of each matrix: its place among all of the model by name.
    sy_tid squares;           ///< Sums of squares of blocks of gradients.
    sy_tid rowsq, parts, wsq; ///< Adafactor: what else af_sums adds up, and af_v.
};

/// By the whole matrix, so that no layout changes what is kept.
static bool two_factors(const struct sy_graph *g, const struct sy_param *p)
{
    const struct sy_split whole = sy_split_of(g, p);
    return sy_adafactor_factored(whole.rows, whole.cols);
}

static bool factored(const struct sy_graph *g, const struct sy_optimizer_params *o, const struct sy_param *p)
{
    return o->kind == SY_OPTIMIZER_ADAFACTOR && two_factors(g, p);
}

/// Whether this rank updates a parameter.
static bool own(const struct sy_graph *g, const struct sy_param *p)
{
    const struct sy_shard mine = sy_shard_of(g, p->pack, sy_shard_own(g, p->pack));
    return p->at >= mine.first && p->at < mine.end;
}

/// Fills `u` (freed with finish() in any case) from the parameters of a pack that this rank updates.
static void start(struct sy_graph *g, const struct sy_optimizer_params *o, uint32_t pack, struct update *u)
{
    size_t matrices = 0;
    for (size_t i = 0; i < g->param_count; ++i)
        matrices += g->params[i].pack == pack ? g->params[i].parts : 0;
    u->matrices.table = calloc(g->param_count, SY_MATRIX_FIELDS * sizeof(int32_t));
    u->params = calloc(g->param_count, sizeof *u->params);
    u->ranks = calloc(matrices + 1, sizeof *u->ranks);
    if (u->matrices.table == NULL || u->params == NULL || u->ranks == NULL) {
        sy_graph_no_memory(g);
        return;
    }
    for (int pass = 0; pass < 2; ++pass)
        for (size_t i = 0; i < g->param_count; ++i) {
            struct sy_param *p = &g->params[i];
            if (p->pack != pack || factored(g, o, p) != (pass == 0) || !own(g, p))
                continue;
            u->params[u->matrices.args.entries] = p;
            sy_matrices_add(&u->matrices, p->parts, p->rows, p->cols, p->at, pass == 0);
        }
    u->grads = sy_sum_total(g, pack);
    u->master = g->packs[pack].master;
    if (u->matrices.args.entries != 0)
        u->table =
            sy_tensor_const(g, SY_I32, u->matrices.args.entries * SY_MATRIX_FIELDS, u->matrices.table, "matrices");
}

static void finish(struct update *u)
{
    free(u->matrices.table);
    free(u->params);
    free(u->ranks);
}

/// A dispatch that does `count` of what the op goes by, from `first` on; their matrices have `work` elements.
static struct sy_matrices_args some(const struct update *u, u32 first, u32 count, u32 work)
{
    struct sy_matrices_args a = u->matrices.args;
    a.first = first;
    a.count = count;
    a.work = work;
    return a;
}

/// What a dispatch over blocks binds of the pack: all of it, or one piece of the only parameter in it.
struct stretch {
    u32 first, count;        ///< Blocks.
    bool piece;              ///< One piece …
    uint64_t base, elements; ///< … these of the pack …
    uint64_t part_base;      ///< … and their column sums from here on.
    sy_tid grads, master, v, parts;
};

/// The one that begins with block `first`; no block from `end` on. `v` may be SY_NONE.
static struct stretch stretch_of(const struct sy_graph *g, const struct update *u, u32 first, u32 end, sy_tid v)
{
    struct stretch s = {
        .first = first, .count = end - first, .grads = u->grads, .master = u->master, .v = v, .parts = u->parts};
    if (sy_graph_tensor(g, u->master)->pieces == SY_NONE)
        return s;
    const struct sy_param *p = u->params[0];
    const uint64_t matrix = (uint64_t)p->rows * p->cols, blocks = sy_ceil_div(p->rows, SY_MATRIX_ROWS);
    const uint64_t at = first / blocks * matrix + (uint64_t)(first % blocks) * SY_MATRIX_ROWS * p->cols;
    s.grads = sy_piece_at(g, u->grads, at);
    s.master = sy_piece_at(g, u->master, at);
    s.v = v != SY_NONE ? sy_piece_at(g, v, at) : SY_NONE;
    s.piece = true;
    s.base = at;
    s.elements = sy_graph_tensor(g, s.master)->count;
    if (u->parts != SY_NONE && sy_graph_tensor(g, u->parts)->pieces != SY_NONE) {
        s.parts = sy_piece_at(g, u->parts, (uint64_t)first * p->cols);
        s.part_base = sy_graph_tensor(g, s.parts)->at;
    }
    assert(sy_graph_tensor(g, s.master)->at == at);
    const uint64_t stop = at + s.elements; // of whole blocks, or of the parameter
    s.count = (u32)(stop / matrix * blocks + sy_ceil_div(stop % matrix, SY_MATRIX_ROWS * (uint64_t)p->cols)) - first;
    return s;
}

/// Arguments of a dispatch over it; `work`: elements of its matrices where it is no piece.
static struct sy_matrices_args over(const struct sy_graph *g, const struct update *u, const struct stretch *s, u32 work)
{
    struct sy_matrices_args a = some(u, s->first, s->count, s->piece ? (u32)s->elements : work);
    if (s->piece) {
        a.elements = (u32)s->elements;
        a.full = a.full != 0 ? (u32)s->elements : 0;
        a.base = (u32)s->base;
        a.part_base = (u32)s->part_base;
        a.parts = s->parts != SY_NONE ? (u32)sy_graph_tensor(g, s->parts)->count : a.parts;
    }
    return a;
}

// ---- groups of matrices --------------------------------------------------------------------------------------------

/// Matrices of a pack that go through all passes of an update before the next ones do, so that a CPU reads their
/// gradients and weights from memory once. A matrix is never split, so groups change no sum.
struct group {
    uint32_t entry, part; ///< Of the table: where the next group begins.
    u32 matrix, matrices; ///< Number of the first, and how many there are: the factored ones, then the others.
    u32 end;              ///< Blocks: factored.block … full.block − 1, then full.block … end − 1.
    struct {
        u32 block, matrices, strip, strips, work;
    } factored;
    struct {
        u32 block, work;
    } full;
};

/// Bytes of gradients and weights that a group may have. Half of the cache, for states, sums and what others do need
/// some of it, too; an eighth was no faster and has four times as many dispatches. Pieces have dispatches of their own,
/// and what ranks must average in between is awaited once.
static uint64_t group_room(const struct sy_graph *g, const struct update *u)
{
    const uint64_t most = UINT64_C(16) << 20, half = g->cache_bytes / 2;
    if (g->cache_bytes == 0 || sy_graph_tensor(g, u->master)->pieces != SY_NONE || sy_layout_parts(g->ranks) > 1)
        return UINT64_MAX;
    return half < most ? half : most;
}

/// The group that follows `x` (zeros: the first one); false after the last.
static bool next_group(const struct update *u, uint64_t room, struct group *x)
{
    const struct sy_matrices *m = &u->matrices;
    struct group y = {.entry = x->entry, .part = x->part, .matrix = x->matrix + x->matrices, .end = x->end};
    y.factored.block = y.full.block = x->end;
    y.factored.strip = x->factored.strip + x->factored.strips;
    for (uint64_t bytes = 0; y.entry < m->args.entries; ++y.entry, y.part = 0) {
        const struct sy_param *p = u->params[y.entry];
        const bool two = sy_matrices_place(m, y.entry, SY_MATRIX_BLOCK) < m->factored.blocks;
        const u32 size = p->rows * p->cols;
        for (; y.part < p->parts; ++y.part) {
            bytes += 2 * sizeof(float) * (uint64_t)size;
            if (y.matrices != 0 && bytes > room) {
                *x = y;
                return true;
            }
            ++y.matrices;
            y.end += (u32)sy_ceil_div(p->rows, SY_MATRIX_ROWS);
            if (!two) {
                y.full.work += size;
                continue;
            }
            y.full.block = y.end;
            ++y.factored.matrices;
            y.factored.strips += (u32)sy_ceil_div(p->cols, SY_MATRIX_STRIP);
            y.factored.work += size;
        }
    }
    *x = y;
    return y.matrices != 0;
}

// ---- the global norm -----------------------------------------------------------------------------------------------

struct named {
    const char *name;
    int32_t *rank;
};

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct named *)left)->name, ((const struct named *)right)->name);
}

/// Gives every matrix its rank; returns how many there are.
static u32 rank_matrices(struct sy_graph *g, struct update *updates)
{
    size_t count = 0, n = 0;
    for (size_t i = 0; i < g->param_count; ++i)
        count += g->params[i].parts;
    count += g->foreign_count;
    struct named *list = calloc(count + 1, sizeof *list);
    if (list == NULL) {
        sy_graph_no_memory(g);
        return 0;
    }
    for (size_t k = 0; k < g->pack_count; ++k) {
        int32_t *rank = updates[k].ranks;
        for (uint32_t e = 0; e < updates[k].matrices.args.entries; ++e)
            for (uint32_t part = 0; part < updates[k].params[e]->parts; ++part)
                list[n++] = (struct named){updates[k].params[e]->names[part], rank++};
    }
    for (size_t i = 0; i < g->param_count; ++i)
        for (uint32_t part = 0; part < g->params[i].parts && !own(g, &g->params[i]); ++part)
            list[n++] = (struct named){g->params[i].names[part], NULL};
    for (size_t i = 0; i < g->foreign_count; ++i)
        list[n++] = (struct named){g->foreign[i].name, NULL};
    qsort(list, n, sizeof *list, by_name);
    for (size_t i = 0; i < n; ++i)
        if (list[i].rank != NULL)
            *list[i].rank = (int32_t)i;
    free(list);
    return (u32)n;
}

/// Room for the column sums of blocks; in pieces where the pack is in pieces of whole matrices.
static sy_tid column_sums(struct sy_graph *g, const struct update *u)
{
    const struct sy_param *p = u->params[0];
    const uint64_t matrix = (uint64_t)p->rows * p->cols, each = g->packs[p->pack].each;
    const uint64_t of_matrix = sy_ceil_div(p->rows, SY_MATRIX_ROWS) * p->cols;
    const sy_tid t = sy_act_f(g, u->matrices.args.parts, 1, "col.parts");
    if (each != 0 && each % matrix == 0 && t != SY_NONE)
        sy_pieces_cut(g, t, 1, each / matrix * of_matrix, each / matrix * of_matrix);
    return t;
}

/// Room for a pack's sums of squares, block by block. Adafactor makes its other sums in the same pass over gradients.
static void place_sums(struct sy_graph *g, struct update *u, enum sy_optimizer kind)
{
    const struct sy_matrices_args *a = &u->matrices.args;
    u->squares = sy_act_f(g, a->blocks, 1, "norm.blocks");
    if (kind == SY_OPTIMIZER_ADAFACTOR)
        u->wsq = sy_act_f(g, a->blocks, 1, "wsq");
    if (u->matrices.factored.blocks != 0) {
        u->rowsq = sy_act_f(g, a->rows, 1, "rowsq");
        u->parts = column_sums(g, u);
    }
}

static void sums_of(struct sy_graph *g, const struct update *u, const struct group *x)
{
    struct stretch s;
    for (u32 first = x->factored.block; first < x->full.block && g->status == SY_OK; first += s.count) {
        s = stretch_of(g, u, first, x->full.block, SY_NONE);
        const struct sy_matrices_args args = over(g, u, &s, x->factored.work);
        SY_EMIT(g, af_sums, &args, u->table, s.grads, s.master, u->rowsq, s.parts, u->wsq, u->squares);
    }
    for (u32 first = x->full.block; first < x->end && g->status == SY_OK; first += s.count) {
        s = stretch_of(g, u, first, x->end, SY_NONE);
        const struct sy_matrices_args args = over(g, u, &s, x->full.work);
        SY_EMIT(g, sumsq, &args, u->table, s.grads, u->squares);
    }
}

/// Other ranks know the norms of what they update, and this one those of its own.
static void gather(struct sy_graph *g, const struct update *updates, u32 count, sy_tid by_rank)
{
    int32_t *known = calloc(count + 1, sizeof *known);
    if (known == NULL) {
        sy_graph_no_memory(g);
        return;
    }
    for (size_t k = 0; k < g->pack_count; ++k) {
        const int32_t *rank = updates[k].ranks;
        for (uint32_t e = 0; e < updates[k].matrices.args.entries; ++e)
            for (uint32_t part = 0; part < updates[k].params[e]->parts; ++part) // of what is not split, one counts
                known[*rank++] = sy_param_split(updates[k].params[e]) || sy_layout_part(g->ranks) == 0;
    }
    const sy_tid mine = sy_tensor_const(g, SY_I32, count, known, "own norms");
    const struct sy_ranks_args a = {.n = count};
    free(known);
    SY_EMIT(g, gather_norms, &a, mine, by_rank);
}

/// Block sums, added up matrix by matrix, those in the order of their names, then one factor: the order does not depend
/// on which pack holds a matrix.
static void global_norm(struct sy_graph *g, const struct update *updates, u32 count, float max_norm, sy_tid gs)
{
    const sy_tid by_rank = sy_act_f(g, count, 1, "norm.matrices");
    for (size_t k = 0; k < g->pack_count && g->status == SY_OK; ++k) {
        const struct update *u = &updates[k];
        const struct sy_matrices_args *m = &u->matrices.args;
        if (m->entries == 0)
            continue;
        sy_tid rank = sy_tensor_const(g, SY_I32, m->matrices, u->ranks, "ranks");
        const struct sy_matrices_args all = some(u, 0, m->matrices, m->work);
        SY_EMIT(g, sum_blocks, &all, u->table, rank, u->squares, by_rank);
    }
    if (sy_layout_world(g->ranks) > 1)
        gather(g, updates, count, by_rank);
    const struct sy_clip_args c = {.n = count, .max_norm = max_norm};
    SY_EMIT(g, clip, &c, by_rank, gs);
}

// ---- the optimizers ------------------------------------------------------------------------------------------------

static sy_tid state_new(struct sy_graph *g, enum sy_state kind, uint64_t count)
{
    char name[16];
    snprintf(name, sizeof name, "state.%s", sy_state_name(kind));
    return count == 0 ? SY_NONE : sy_tensor_new(g, SY_KIND_STATE, g->f, count, 1, 1, name);
}

/// … with an element for each of the pack's, and in pieces where they are; else of `count`.
static sy_tid state_alike(struct sy_graph *g, const struct update *u, enum sy_state kind, uint64_t count)
{
    const bool pieces = sy_graph_tensor(g, u->master)->pieces != SY_NONE;
    const uint64_t all = sy_graph_tensor(g, u->master)->count;
    const sy_tid t = state_new(g, kind, pieces && count != 0 ? all : count);
    if (pieces && t != SY_NONE)
        sy_pieces_alike(g, t, 1, u->master);
    return t;
}

/// A parameter's part of a state: parts × n elements from `at` on.
static void state_add(struct sy_graph *g, struct sy_param *p, enum sy_state kind, sy_tid whole, uint64_t at, uint64_t n)
{
    const bool pieces = sy_graph_tensor(g, whole)->pieces != SY_NONE;
    p->state_kinds[p->state_count] = kind;
    p->state[p->state_count++] = pieces ? whole : sy_tensor_view(g, whole, at, p->parts, n, 1, p->names[0]);
}

/// Column statistics where the column sums are in pieces.
static void columns_by_piece(struct sy_graph *g, const struct update *u, sy_tid gs, sy_tid col)
{
    const struct sy_param *p = u->params[0];
    const u32 blocks = (u32)sy_ceil_div(p->rows, SY_MATRIX_ROWS), strips = (u32)sy_ceil_div(p->cols, SY_MATRIX_STRIP);
    struct stretch s;
    for (u32 first = 0; first < u->matrices.factored.blocks && g->status == SY_OK; first += s.count) {
        s = stretch_of(g, u, first, u->matrices.factored.blocks, SY_NONE);
        struct sy_matrices_args args = over(g, u, &s, 0);
        args.first = s.first / blocks * strips;
        args.count = s.count / blocks * strips;
        SY_EMIT(g, af_col, &args, u->table, s.parts, gs, g->step_constants, col);
    }
}

/// Of what is split, each rank has made its part's averages. Those over its own rows or columns alone become those of
/// the whole: `mean`, r of columns, col of rows; or the sums of squares of blocks, `wsq` and `usq`, the average part's.
static void whole_means(struct sy_graph *g, const struct update *u, bool squares, const sy_tid x[3])
{
    const struct sy_matrices *m = &u->matrices;
    struct sy_range *list = calloc(3 * (size_t)m->args.entries + 1, sizeof *list);
    uint32_t n = 0;
    if (list == NULL) {
        sy_graph_no_memory(g);
        return;
    }
    for (uint32_t e = 0; e < m->args.entries; ++e) {
        const struct sy_param *p = u->params[e];
        const uint32_t blocks = p->parts * (uint32_t)sy_ceil_div(p->rows, SY_MATRIX_ROWS);
        const int32_t block = (int32_t)sy_matrices_place(m, e, SY_MATRIX_BLOCK);
        if (!sy_param_split(p) || sy_layout_parts(g->ranks) == 1)
            continue;
        if (squares) {
            list[n++] = (struct sy_range){0, block, (int32_t)blocks};
            list[n++] = (struct sy_range){1, block, (int32_t)blocks};
        } else if (two_factors(g, p)) {
            const bool rows = (p->flags & SY_PARAM_SPLIT_ROWS) != 0;
            list[n++] = (struct sy_range){0, (int32_t)sy_matrices_place(m, e, SY_MATRIX_NUMBER), (int32_t)p->parts};
            list[n++] = rows ? (struct sy_range){2, (int32_t)sy_matrices_place(m, e, SY_MATRIX_COL),
                                                 (int32_t)(p->parts * p->cols)}
                             : (struct sy_range){1, (int32_t)sy_matrices_place(m, e, SY_MATRIX_STATE),
                                                 (int32_t)(p->parts * p->rows)};
        }
    }
    sy_split_mean(g, list, n, x);
    free(list);
}

/// What the passes of Adafactor leave for each other.
struct between {
    sy_tid gs, r, col, v, mean, usq, scale;
};

static void statistics(struct sy_graph *g, const struct update *u, const struct group *x, const struct between *b)
{
    const struct sy_matrices_args matrices = some(u, x->matrix, x->factored.matrices, x->factored.work);
    const struct sy_matrices_args strips = some(u, x->factored.strip, x->factored.strips, x->factored.work);
    if (x->factored.matrices == 0)
        return;
    SY_EMIT(g, af_row, &matrices, u->table, u->rowsq, b->gs, g->step_constants, b->r, b->mean);
    if (sy_graph_tensor(g, u->parts)->pieces == SY_NONE)
        SY_EMIT(g, af_col, &strips, u->table, u->parts, b->gs, g->step_constants, b->col);
    else
        columns_by_piece(g, u, b->gs, b->col);
    whole_means(g, u, false, (const sy_tid[]){b->mean, b->r, b->col});
}

static void adafactor_group(struct sy_graph *g, const struct update *u, const struct group *x, const struct between *b)
{
    struct stretch s;
    statistics(g, u, x, b);
    for (u32 first = x->factored.block; first < x->full.block && g->status == SY_OK; first += s.count) {
        s = stretch_of(g, u, first, x->full.block, b->v);
        const struct sy_matrices_args args = over(g, u, &s, x->factored.work);
        SY_EMIT(g, af_usq, &args, u->table, s.grads, b->r, b->mean, b->col, b->gs, b->usq);
    }
    for (u32 first = x->full.block; first < x->end && g->status == SY_OK; first += s.count) {
        s = stretch_of(g, u, first, x->end, b->v);
        const struct sy_matrices_args args = over(g, u, &s, x->full.work);
        SY_EMIT(g, af_v, &args, u->table, s.grads, s.master, b->gs, g->step_constants, s.v, u->wsq, b->usq);
    }
    whole_means(g, u, true, (const sy_tid[]){u->wsq, b->usq, SY_NONE});
    const struct sy_matrices_args all = some(u, x->matrix, x->matrices, x->factored.work + x->full.work);
    SY_EMIT(g, af_scale, &all, u->table, u->wsq, b->usq, g->step_constants, b->scale);
    for (u32 first = x->factored.block; first < x->full.block && g->status == SY_OK; first += s.count) {
        s = stretch_of(g, u, first, x->full.block, b->v);
        const struct sy_matrices_args args = over(g, u, &s, x->factored.work);
        SY_EMIT(g, af_apply, &args, u->table, s.grads, b->r, b->mean, b->col, b->scale, b->gs, s.master);
    }
    for (u32 first = x->full.block; first < x->end && g->status == SY_OK; first += s.count) {
        s = stretch_of(g, u, first, x->end, b->v);
        const struct sy_matrices_args args = over(g, u, &s, x->full.work);
        SY_EMIT(g, af_apply_v, &args, u->table, s.grads, s.v, b->scale, b->gs, s.master);
    }
}

/// `sums`: af_sums is part of it.
static void adafactor(struct sy_graph *g, const struct update *u, sy_tid gs, bool sums)
{
    const struct sy_matrices *m = &u->matrices;
    const struct sy_matrices_args *a = &m->args;
    struct between b = {.gs = gs, .r = state_new(g, SY_STATE_R, a->rows), .col = state_new(g, SY_STATE_COL, a->cols)};
    b.v = state_alike(g, u, SY_STATE_V, a->full);
    for (uint32_t e = 0; e < a->entries; ++e) {
        struct sy_param *p = u->params[e];
        const uint64_t at = sy_matrices_place(m, e, SY_MATRIX_STATE);
        if (two_factors(g, p)) {
            state_add(g, p, SY_STATE_R, b.r, at, p->rows);
            state_add(g, p, SY_STATE_COL, b.col, sy_matrices_place(m, e, SY_MATRIX_COL), p->cols);
        } else {
            state_add(g, p, SY_STATE_V, b.v, at, (uint64_t)p->rows * p->cols);
        }
    }
    b.usq = sy_act_f(g, a->blocks, 1, "usq");
    b.mean = sy_act_f(g, a->matrices, 1, "mean");
    b.scale = sy_act_f(g, a->matrices, 1, "scale");
    const uint64_t room = group_room(g, u);
    for (struct group x = {0}; next_group(u, room, &x) && g->status == SY_OK;) {
        if (sums)
            sums_of(g, u, &x);
        adafactor_group(g, u, &x, &b);
    }
}

/// Goes over the whole shard of a pack: what lies between two parameters is zero in gradients, weights and state, and
/// stays it.
static void adamw(struct sy_graph *g, struct update *u, const struct sy_optimizer_params *o, sy_tid gs)
{
    const uint32_t pack = u->params[0]->pack;
    const struct sy_shard mine = sy_shard_of(g, pack, sy_shard_own(g, pack));
    const uint64_t n = mine.end - mine.first;
    const struct sy_adamw_args a = {.n = (u32)n,
                                    .beta1 = o->beta1 != 0.0f ? o->beta1 : 0.9f,
                                    .beta2 = o->beta2 != 0.0f ? o->beta2 : 0.999f,
                                    .eps = o->eps != 0.0f ? o->eps : 1e-8f,
                                    .decay = o->weight_decay};
    sy_tid m = state_alike(g, u, SY_STATE_M, n), v = state_alike(g, u, SY_STATE_V, n);
    for (uint32_t e = 0; e < u->matrices.args.entries; ++e) {
        struct sy_param *p = u->params[e];
        const uint64_t size = (uint64_t)p->rows * p->cols;
        state_add(g, p, SY_STATE_M, m, p->at - mine.first, size);
        state_add(g, p, SY_STATE_V, v, p->at - mine.first, size);
    }
    const bool all = n == g->packs[pack].count;
    const sy_tid grads = all ? u->grads : sy_tensor_view(g, u->grads, mine.first, n, 1, 1, "gradients");
    const sy_tid master = all ? u->master : sy_tensor_view(g, u->master, mine.first, n, 1, 1, "parameters");
    SY_EMIT(g, adamw, &a, grads, gs, g->step_constants, master, m, v);
}

/// Parameters that took no part: their gradients are zeros from the start, as every buffer is, and nobody writes them.
static void place_absent(struct sy_graph *g)
{
    bool first;
    for (size_t i = 0; i < g->param_count; ++i)
        if (g->params[i].grad.total == SY_NONE)
            sy_param_grad(g, g->params[i].weight, &first);
}

void sy_optimizer_emit(struct sy_graph *g, const struct sy_optimizer_params *o, struct sy_optimizer_outputs *out)
{
    g->phase = SY_PHASE_UPDATE;
    place_absent(g);
    sy_shards_cut(g);
    out->clip = SY_NONE;
    struct update *updates = calloc(g->pack_count + 1, sizeof *updates);
    if (updates == NULL)
        sy_graph_no_memory(g);
    for (uint32_t k = 0; k < g->pack_count && g->status == SY_OK; ++k)
        start(g, o, k, &updates[k]);
    // Without clipping nothing waits for the norm, so the sums can be made where their matrices' other passes are.
    const bool late = o->kind == SY_OPTIMIZER_ADAFACTOR && o->clip_norm == 0.0f && g->cache_bytes != 0 &&
                      sy_layout_world(g->ranks) == 1;
    const u32 count = g->status == SY_OK ? rank_matrices(g, updates) : 0;
    const sy_tid gs = sy_tensor_new(g, SY_KIND_KEEP, g->f, 2, 1, 1, "clip");
    const sy_tid factor = late ? sy_tensor_const(g, SY_F32, 2, (const float[]){1.0f, 0.0f}, "no clipping") : gs;
    for (size_t k = 0; k < g->pack_count && g->status == SY_OK; ++k)
        if (updates[k].matrices.args.entries != 0) {
            struct group all = {0};
            updates[k].matrices.args.everything = count;
            place_sums(g, &updates[k], o->kind);
            if (!late && next_group(&updates[k], UINT64_MAX, &all))
                sums_of(g, &updates[k], &all);
        }
    if (!late && g->status == SY_OK)
        global_norm(g, updates, count, o->clip_norm, gs);
    for (size_t k = 0; k < g->pack_count && g->status == SY_OK; ++k) {
        const bool any = updates[k].matrices.args.entries != 0; // else sums that are no gradients, or others' shards
        if (any && o->kind == SY_OPTIMIZER_ADAMW)
            adamw(g, &updates[k], o, factor);
        else if (any)
            adafactor(g, &updates[k], factor, late);
        sy_shard_share(g, (uint32_t)k); // under way while the next pack is updated
    }
    if (late && g->status == SY_OK)
        global_norm(g, updates, count, o->clip_norm, gs);
    out->clip = gs;
    for (size_t k = 0; k < g->pack_count && updates != NULL; ++k)
        finish(&updates[k]);
    free(updates);
    g->phase = SY_PHASE_MICRO;
}

const char *sy_state_name(enum sy_state kind)
{
    static const char *const names[] = {
        [SY_STATE_R] = "r", [SY_STATE_COL] = "col", [SY_STATE_V] = "v", [SY_STATE_M] = "m"};
    return names[kind];
}
