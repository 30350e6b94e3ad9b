// SPDX-License-Identifier: Apache-2.0
// message_split.c: sums and means over the ranks that share the work of one place (split.h). Every element is summed by
// one of them, in the order of the ranks, so that all have the same bits. Two ranks send each other all they have: as
// many bytes in one message instead of two, which travels while the device makes the gradients of weights.
#include <stdlib.h>
#include <string.h>

#include "engine/message_private.h"
#include "engine/split.h"

/// The run of `n` elements that part `r` of `parts` sums.
struct run {
    uint64_t first, count;
};

static struct run run_of(uint64_t n, uint32_t parts, uint32_t r)
{
    const uint64_t first = n * r / parts, end = n * (r + 1) / parts;
    return (struct run){.first = first, .count = end - first};
}

static float load(const char *x, enum sy_dtype dtype, uint64_t i)
{
    return dtype == SY_BF16 ? sy_bf16_to_f32(((const uint16_t *)(const void *)x)[i])
                            : ((const float *)(const void *)x)[i];
}

static void store(char *x, enum sy_dtype dtype, uint64_t i, float value)
{
    if (dtype == SY_BF16)
        ((uint16_t *)(void *)x)[i] = sy_f32_to_bf16(value);
    else
        ((float *)(void *)x)[i] = value;
}

/// y [count] = `scale` times the pairwise tree over the parts' x; part `me` has its own in y.
static void add(char *y, const char *x, enum sy_dtype dtype, uint64_t count, uint32_t parts, uint32_t me, float scale,
                float *terms)
{
    const uint64_t stride = count * sy_dtype_bytes(dtype);
    for (uint64_t i = 0; i < count; ++i) {
        for (uint32_t r = 0; r < parts; ++r)
            terms[r] = r == me ? load(y, dtype, i) : load(x + r * stride, dtype, i);
        for (uint32_t step = 1; step < parts; step *= 2)
            for (uint32_t r = 0; r + step < parts; r += 2 * step)
                terms[r] += terms[r + step];
        store(y, dtype, i, scale * terms[0]);
    }
}

/// `n` elements at p->out become the sums over all parts, times `scale`. Twice (parts − 1) / parts of them are sent.
static enum sy_status sum(struct sy_session *s, struct sy_parcel *p, const char *what, enum sy_dtype dtype, uint64_t n,
                          float scale)
{
    const struct sy_layout *l = s->graph->ranks;
    const uint32_t parts = sy_layout_parts(l), me = sy_layout_part(l);
    const uint64_t size = sy_dtype_bytes(dtype);
    const struct run mine = run_of(n, parts, me);
    char *own = p->out + mine.first * size;
    float *terms = malloc(parts * sizeof *terms);
    enum sy_status status = terms != NULL ? SY_OK : sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    for (int round = 0; round < 2 && status == SY_OK; ++round) { // runs to their summers; sums to all
        p->count = 0;
        for (uint32_t r = 0; r < parts && status == SY_OK; ++r) {
            const struct run theirs = run_of(n, parts, r);
            const uint32_t peer = sy_layout_number(l, l->rank, r);
            char *there = p->out + theirs.first * size;
            if (r == me)
                continue;
            status = sy_parcel_add(s->ctx, p, peer, false, round == 0 ? p->in + r * mine.count * size : there,
                                   (round == 0 ? mine : theirs).count * size);
            if (status == SY_OK)
                status = sy_parcel_add(s->ctx, p, peer, true, round == 0 ? there : own,
                                       (round == 0 ? theirs : mine).count * size);
        }
        if (status == SY_OK)
            status = sy_group_exchange(s->ctx, l->group, what, p->list, p->count);
        if (status == SY_OK && round == 0)
            add(own, p->in, dtype, mine.count, parts, me, scale, terms);
    }
    free(terms);
    return status;
}

/// Room for the sums of `n` elements, and `more` bytes behind them in `out`.
static enum sy_status reserve(struct sy_session *s, struct sy_parcel *p, uint64_t n, uint64_t size, uint64_t more)
{
    const uint32_t parts = sy_layout_parts(s->graph->ranks);
    return sy_parcel_reserve(s->ctx, p, n * size + more, (n / parts + 1) * parts * size);
}

// ---- of two --------------------------------------------------------------------------------------------------------

static uint64_t pair_bytes(const struct sy_session *s, const struct sy_parcel *p)
{
    const struct sy_parts_args *a = (const void *)p->node->args;
    return a->n * sy_dtype_bytes(sy_graph_tensor(s->graph, p->node->bind[0])->dtype);
}

enum sy_status sy_pair_pack(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_parts_args *a = (const void *)p->node->args;
    SY_TRY(sy_parcel_reserve(s->ctx, p, pair_bytes(s, p), pair_bytes(s, p)));
    return sy_parcel_read(s, p, p->node->bind[0], 0, a->n, p->out);
}

enum sy_status sy_pair_address(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_layout *l = s->graph->ranks;
    const uint32_t other = sy_layout_number(l, l->rank, 1 - sy_layout_part(l));
    p->count = 0;
    SY_TRY(sy_parcel_add(s->ctx, p, other, false, p->in, pair_bytes(s, p)));
    return sy_parcel_add(s->ctx, p, other, true, p->out, pair_bytes(s, p));
}

enum sy_status sy_pair_unpack(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_parts_args *a = (const void *)p->node->args;
    const enum sy_dtype dtype = sy_graph_tensor(s->graph, p->node->bind[0])->dtype;
    for (uint64_t i = 0; i < a->n; ++i)
        store(p->out, dtype, i, load(p->out, dtype, i) + load(p->in, dtype, i));
    return sy_runtime_write_part(s->runtime, p->node->bind[1], 0, a->n, p->out);
}

// ---- of any number -------------------------------------------------------------------------------------------------

enum sy_status sy_parts_sum(struct sy_session *s, const struct sy_node *n)
{
    const struct sy_parts_args *a = (const void *)n->args;
    const enum sy_dtype dtype = sy_graph_tensor(s->graph, n->bind[0])->dtype;
    struct sy_parcel *p = &s->messages->scratch;
    SY_TRY(reserve(s, p, a->n, sy_dtype_bytes(dtype), 0));
    SY_TRY(sy_runtime_read_part(s->runtime, n->bind[0], 0, a->n, p->out));
    SY_TRY(sum(s, p, n->label, dtype, a->n, 1.0f));
    return sy_runtime_write_part(s->runtime, n->bind[1], 0, a->n, p->out);
}

enum sy_status sy_parts_mean(struct sy_session *s, const struct sy_node *n)
{
    const struct sy_parts_args *a = (const void *)n->args;
    const struct sy_range *ranges = sy_graph_tensor(s->graph, n->bind[0])->data;
    struct sy_parcel *p = &s->messages->scratch;
    uint64_t counts[3] = {0}, chosen = 0, all = 0;
    for (u32 i = 0; i < a->ranges; ++i) {
        counts[ranges[i].which] = sy_graph_tensor(s->graph, n->bind[1 + ranges[i].which])->count;
        chosen += (uint64_t)ranges[i].count;
    }
    for (uint32_t i = 0; i < SY_COUNT(counts); ++i)
        all += counts[i];
    SY_TRY(reserve(s, p, chosen, sizeof(float), all * sizeof(float)));
    float *means = (float *)(void *)p->out, *at[3], *next = means + chosen;
    for (uint32_t i = 0; i < SY_COUNT(counts); next += counts[i++]) {
        at[i] = next;
        if (counts[i] != 0)
            SY_TRY(sy_runtime_read_part(s->runtime, n->bind[1 + i], 0, counts[i], at[i]));
    }
    for (int there = 0; there < 2; ++there) {
        float *mean = means;
        for (u32 i = 0; i < a->ranges; ++i) {
            const struct sy_range *r = &ranges[i];
            float *here = at[r->which] + r->first;
            memcpy(there ? here : mean, there ? mean : here, (size_t)r->count * sizeof *mean);
            mean += r->count;
        }
        if (!there)
            SY_TRY(sum(s, p, n->label, SY_F32, chosen, 1.0f / (float)sy_layout_parts(s->graph->ranks)));
    }
    for (uint32_t i = 0; i < SY_COUNT(counts); ++i)
        if (counts[i] != 0)
            SY_TRY(sy_runtime_write_part(s->runtime, n->bind[1 + i], 0, counts[i], at[i]));
    return SY_OK;
}
