// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_time.h"

#include <math.h>
#include <stdlib.h>

#include "engine/message.h"

/// Rows of one part of an expert layer (message.h) with even loads, of those that the node's sizes are for.
static double part_load(const struct sy_node *n, const struct sy_exchange_args *x, const struct sy_layout *l)
{
    const struct sy_matmul_args *m = (const void *)n->args;
    const struct sy_ffn_act_args *a = (const void *)n->args;
    const uint32_t own = sy_layout_own_experts(l, sy_layout_place(l), x->experts), half = sy_rows_half(own);
    const double experts = n->part <= SY_ROWS_FIRST ? half : own - half;
    const double sources = n->part == SY_ROWS_OWN || n->part == SY_ROWS_PARTS ? 1.0 : l->expert - 1.0;
    return (double)x->slots / x->experts * experts * sources / (n->op == SY_OP_matmul ? m->m : a->rows);
}

/// One op. `load`: part of an expert's rows that are there; sizes are for all that may be.
static void add_op(const struct sy_graph *g, const struct sy_node *n, double load, const struct plan_rates *rates,
                   struct plan_time *out)
{
    const struct sy_op_info *info = sy_op_info(n->op);
    const double others = n->part != 0 ? 0.5 : 1.0; // a part has half of the experts
    double bytes = 0.0;
    for (uint32_t i = 0; i < info->binding_count; ++i) {
        const sy_tid t = n->bind[i];
        const uint64_t elements =
            info->impl->moved != NULL ? info->impl->moved(n->args, i) : info->impl->elements(n->args, i);
        const uint32_t ways = (info->read_mask >> i & 1u) + (info->write_mask >> i & 1u);
        const bool rows = t != SY_NONE && sy_graph_tensor(g, t)->kind == SY_KIND_ACTIVATION;
        bytes +=
            (double)elements * ways * (double)sy_dtype_bytes(sy_op_dtype(info, i, n->types)) * (rows ? load : others);
    }
    const struct plan_kernel_rate own =
        n->variant != NULL ? rates->kernels[sy_variant_index(n->variant)] : (struct plan_kernel_rate){.flops = 0.0};
    const bool known = own.flops > 0.0 || own.bytes > 0.0;
    const double by_flops = known ? own.flops : rates->flops, by_bytes = known ? own.bytes : rates->memory;
    const double arithmetic = by_flops > 0.0 ? info->impl->flops(n->args) * load / by_flops : 0.0;
    const double memory = by_bytes > 0.0 ? bytes / by_bytes : 0.0;
    *(arithmetic >= memory ? &out->arithmetic : &out->memory) += fmax(arithmetic, memory);
    out->start += rates->dispatch;
    ++out->ops;
    out->known += known;
}

static double slower_way(const struct plan_wire *w) { return fmax(w->sent, w->received); }

/// Who only receives waits for one.
static double latencies(const struct plan_wire *w) { return fmax(w->messages, w->received > 0.0 ? 1.0 : 0.0); }

/// What a message takes of this rank's way to the others, and of its machine's, which all its ranks share. Messages
/// that are under way together have different owners of what they sum (shard.h), so none waits for another's.
static void add_message(const struct sy_graph *g, const struct sy_node *node, const struct sy_layout *l,
                        const struct plan_rates *rates, const struct plan_network *n, struct plan_time *out)
{
    struct sy_layout at = *l;
    const uint32_t parts = sy_layout_parts(l), first = sy_layout_number(l, l->rank, 0) / n->machine * n->machine;
    struct plan_wire far = {.messages = 0.0};
    struct plan_traffic t;
    for (uint32_t r = first; r < first + n->machine && r < sy_layout_world(l); ++r) {
        at.rank = r / parts;
        at.part = r % parts;
        plan_traffic_of(g, node, &at, n->machine, &t);
        far.sent += t.far.sent;
        far.received += t.far.received;
    }
    plan_traffic_of(g, node, l, n->machine, &t);
    const double near = n->machine > 1 ? slower_way(&t.near) / n->near_bandwidth : 0.0;
    out->latency += latencies(&t.far) * n->latency + latencies(&t.near) * n->near_latency;
    out->wire += slower_way(&far) / n->bandwidth + near;
    out->copied += near;
    out->staging += t.staged / rates->link;
}

/// When the device, and the way between ranks, are done with what they were given.
struct clocks {
    double device, way;
    double *arrived; ///< [slots]
};

static double sum_of(const struct plan_time *t)
{
    return t->arithmetic + t->memory + t->start + t->latency + t->wire + t->staging;
}

/// A message starts behind the program that makes what it sends, and behind the messages before it.
static void let_pass(struct clocks *c, const struct sy_leg *leg, double seconds, bool travels)
{
    if (seconds == 0.0) // a rank's own rows stay where they are
        return;
    c->way = fmax(c->way, c->device) + seconds;
    if (travels)
        c->arrived[leg->slot] = c->way;
    else
        c->device = c->way;
}

/// Processors are busy with ops, with copies, and with what passes between ranks of their machine …
static double processors(const struct plan_time *t, const struct plan_rates *r)
{
    const double work = (t->arithmetic + t->memory) * r->threads + t->start + t->staging + t->copied;
    return r->processors > 0.0 ? work : 0.0;
}

/// … whose ranks share them.
static double shared(const struct plan_time *t, const struct sy_layout *l, const struct plan_rates *r,
                     const struct plan_network *n)
{
    const double ranks = n != NULL ? fmin(sy_layout_world(l), n->machine) : 1.0;
    return r->processors > 0.0 ? ranks * t->processors / r->processors : 0.0;
}

/// Of the rank that `l` says, with the device's work of the rank whose graph it is.
/// `each`: NULL, or [segments].
static enum sy_status time_of(struct sy_ctx *ctx, const struct sy_graph *g, const struct sy_segments *s,
                              const struct sy_layout *l, const struct plan_rates *rates,
                              const struct plan_network *network, double *each, struct plan_time *out)
{
    const struct sy_exchange_args *exchange = NULL; // of the layer
    struct clocks clocks = {.arrived = calloc(s->legs.slots + 1, sizeof *clocks.arrived)};
    double load = 1.0, before = 0.0;
    if (clocks.arrived == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    *out = (struct plan_time){.total = 0.0};
    for (size_t i = 0; i < s->count; ++i) {
        const struct sy_leg *leg = &s->legs.list[s->list[i].leg];
        if (s->list[i].kind == SY_SEGMENT_MESSAGE) {
            const struct sy_node *n = sy_graph_node(g, leg->first);
            add_message(g, n, l, rates, network, out);
            load = n->op == SY_OP_exchange_rows ? plan_even_load(n, l) : load;
            exchange = n->op == SY_OP_exchange_rows ? (const void *)n->args : exchange;
            let_pass(&clocks, leg, sum_of(out) - before, sy_message_travels(g, leg->first));
        } else if (s->list[i].kind == SY_SEGMENT_ARRIVAL) {
            clocks.device = fmax(clocks.device, clocks.arrived[leg->slot]);
        }
        for (uint32_t k = leg->first; k < leg->end && s->list[i].kind == SY_SEGMENT_PROGRAM; ++k) {
            const struct sy_node *n = sy_graph_node(g, k);
            if (n->phase == leg->phase)
                add_op(g, n, n->part != 0 ? part_load(n, exchange, l) : load, rates, out);
        }
        clocks.device += s->list[i].kind == SY_SEGMENT_PROGRAM ? sum_of(out) - before : 0.0;
        if (each != NULL)
            each[i] = sum_of(out) - before;
        before = sum_of(out);
    }
    const double alone = fmax(clocks.device, clocks.way);
    out->processors = processors(out, rates);
    out->total = fmax(alone, shared(out, l, rates, network));
    out->hidden = fmax(before - alone, 0.0);
    out->shared = out->total - alone;
    free(clocks.arrived);
    return SY_OK;
}

enum sy_status plan_time_of(struct sy_ctx *ctx, const struct sy_graph *g, const struct sy_segments *s,
                            const struct sy_layout *l, const struct plan_rates *rates,
                            const struct plan_network *network, struct plan_time *out)
{
    SY_TRY(time_of(ctx, g, s, l, rates, network, NULL, out));
    if (l == NULL)
        return SY_OK;
    struct sy_layout owner = *l;
    struct plan_time other;
    owner.rank = plan_busiest(g, s, l);
    SY_TRY(time_of(ctx, g, s, &owner, rates, network, NULL, &other));
    *out = other.total > out->total ? other : *out;
    return SY_OK;
}

enum sy_status plan_time_each(struct sy_ctx *ctx, const struct sy_graph *g, const struct sy_segments *s,
                              const struct sy_layout *l, const struct plan_rates *rates,
                              const struct plan_network *network, double *each)
{
    struct plan_time ignored;
    return time_of(ctx, g, s, l, rates, network, each, &ignored);
}

const char *plan_time_bound(const struct plan_time *t)
{
    const struct {
        double seconds;
        const char *name;
    } parts[] = {{t->arithmetic, "arithmetic"},
                 {t->memory, "memory"},
                 {t->latency, "the network's latency"},
                 {t->wire, "the network's bandwidth"},
                 {t->staging, "copies between host and device"},
                 {t->start, "starting kernels"},
                 {t->shared, "processors that ranks share"}};
    size_t most = 0;
    for (size_t i = 1; i < SY_COUNT(parts); ++i)
        most = parts[i].seconds > parts[most].seconds ? i : most;
    return parts[most].name;
}
