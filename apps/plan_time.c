// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/message.h"

/// Reads "12.5GB/s": a number, a decimal prefix and `unit`; "Gb/s" is an eighth of "GB/s". False: it is something else,
/// or not positive.
static bool quantity(const char **at, const char *unit, double *out)
{
    static const char prefixes[] = "numkMGTP";
    static const double factors[] = {1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9, 1e12, 1e15};
    char *end;
    *out = strtod(*at, &end);
    if (end == *at)
        return false;
    const char *prefix = *end != '\0' ? strchr(prefixes, *end) : NULL;
    if (prefix != NULL) {
        *out *= factors[prefix - prefixes];
        ++end;
    }
    const size_t length = strlen(unit);
    if (strcmp(unit, "B/s") == 0 && strncmp(end, "b/s", 3) == 0)
        *out /= 8.0;
    else if (strncmp(end, unit, length) != 0)
        return false;
    *at = end + length;
    return *out > 0.0 && isfinite(*out);
}

static bool comma(const char **at) { return *(*at)++ == ','; }

bool plan_rates_parse(const char *text, struct plan_rates *out)
{
    if (!quantity(&text, "FLOP/s", &out->flops) || !comma(&text) || !quantity(&text, "B/s", &out->memory))
        return false;
    out->link = out->memory; // a device that shares the host's memory
    return *text == '\0' || (comma(&text) && quantity(&text, "B/s", &out->link) && *text == '\0');
}

bool plan_network_parse(const char *text, struct plan_network *out)
{
    if (!quantity(&text, "s", &out->latency) || !comma(&text) || !quantity(&text, "B/s", &out->bandwidth))
        return false;
    out->machine = 1;
    if (*text == '\0')
        return true;
    if (!comma(&text) || *text < '0' || *text > '9')
        return false;
    char *end;
    const unsigned long ranks = strtoul(text, &end, 10);
    text = end;
    if (ranks == 0 || ranks > 1u << 16)
        return false;
    out->machine = (uint32_t)ranks;
    return comma(&text) && quantity(&text, "s", &out->near_latency) && comma(&text) &&
           quantity(&text, "B/s", &out->near_bandwidth) && *text == '\0';
}

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
    const double arithmetic = info->impl->flops(n->args) * load / rates->flops, memory = bytes / rates->memory;
    *(arithmetic >= memory ? &out->arithmetic : &out->memory) += fmax(arithmetic, memory);
}

static double slower_way(const struct plan_wire *w) { return fmax(w->sent, w->received); }

/// Who only receives waits for one.
static double latencies(const struct plan_wire *w) { return fmax(w->messages, w->received > 0.0 ? 1.0 : 0.0); }

/// What a message takes: the rank that it takes longest, whose machine's bandwidth all its ranks share.
static void add_message(const struct sy_graph *g, const struct sy_node *node, const struct sy_layout *l,
                        const struct plan_rates *rates, const struct plan_network *n, struct plan_time *out)
{
    struct sy_layout at = *l;
    const uint32_t slowest = plan_slowest(g, node, l), parts = sy_layout_parts(l);
    const uint32_t first = sy_layout_number(l, slowest, 0) / n->machine * n->machine;
    struct plan_wire far = {.messages = 0.0};
    struct plan_traffic t;
    for (uint32_t r = first; r < first + n->machine && r < sy_layout_world(l); ++r) {
        at.rank = r / parts;
        at.part = r % parts;
        plan_traffic_of(g, node, &at, n->machine, &t);
        far.sent += t.far.sent;
        far.received += t.far.received;
    }
    at.rank = slowest;
    at.part = 0;
    plan_traffic_of(g, node, &at, n->machine, &t);
    out->latency += latencies(&t.far) * n->latency + latencies(&t.near) * n->near_latency;
    out->wire += slower_way(&far) / n->bandwidth + (n->machine > 1 ? slower_way(&t.near) / n->near_bandwidth : 0.0);
    out->staging += t.staged / rates->link;
}

void plan_time_of(const struct sy_graph *g, const struct sy_segments *s, const struct sy_layout *l,
                  const struct plan_rates *rates, const struct plan_network *network, struct plan_time *out)
{
    const struct sy_exchange_args *exchange = NULL; // of the layer
    double load = 1.0;
    *out = (struct plan_time){.total = 0.0};
    for (size_t i = 0; i < s->count; ++i) {
        const struct sy_leg *leg = &s->legs.list[s->list[i].leg];
        if (s->list[i].kind == SY_SEGMENT_MESSAGE) {
            const struct sy_node *n = sy_graph_node(g, leg->first);
            add_message(g, n, l, rates, network, out);
            load = n->op == SY_OP_exchange_rows ? plan_even_load(n, l) : load;
            exchange = n->op == SY_OP_exchange_rows ? (const void *)n->args : exchange;
        }
        for (uint32_t k = leg->first; k < leg->end && s->list[i].kind == SY_SEGMENT_PROGRAM; ++k) {
            const struct sy_node *n = sy_graph_node(g, k);
            if (n->phase == leg->phase)
                add_op(g, n, n->part != 0 ? part_load(n, exchange, l) : load, rates, out);
        }
    }
    out->total = out->arithmetic + out->memory + out->latency + out->wire + out->staging;
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
                 {t->staging, "copies between host and device"}};
    size_t most = 0;
    for (size_t i = 1; i < SY_COUNT(parts); ++i)
        most = parts[i].seconds > parts[most].seconds ? i : most;
    return parts[most].name;
}
