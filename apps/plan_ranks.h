// SPDX-License-Identifier: Apache-2.0
// plan_ranks.h: what the messages of a step (message.h) move, from the graph of one rank alone: nothing is sent.
#pragma once

#include "engine/graph.h"
#include "engine/segments.h"

/// Bytes that a rank sends to and receives from others, and how many messages it sends. With even loads every expert
/// gets its share of the rows that may be sent.
struct plan_wire {
    double messages, sent, received;
};

struct plan_traffic {
    struct plan_wire near, far;      ///< Ranks of the same machine, and of others.
    double most_sent, most_received; ///< However the tokens choose.
    double staged;                   ///< Copied between host and device, with even loads.
    double out, in;                  ///< Host memory of one message at most: what goes out, and what comes in.
    double host;                     ///< Of several together: those under way at once each have their own.
};

/// Of the message that node `n` is; `machine`: ranks of one machine.
void plan_traffic_of(const struct sy_graph *g, const struct sy_node *n, const struct sy_layout *l, uint32_t machine,
                     struct plan_traffic *out);
/// The place whose ranks a message takes longest: who has the largest shard (shard.h). Loads of experts are even.
uint32_t plan_slowest(const struct sy_graph *g, const struct sy_node *n, const struct sy_layout *l);
/// The place that has most to take and to send as the owner of the largest shards; this rank's where there is none.
uint32_t plan_busiest(const struct sy_graph *g, const struct sy_segments *s, const struct sy_layout *l);
/// Elements that each rank of a place updates.
double plan_updates(const struct sy_graph *g, const struct sy_layout *l, uint32_t rank);
/// Of all messages of a step of one kind, or of every kind (SY_OP_COUNT); gives how many. Memory is that of the rank
/// that needs most.
uint32_t plan_traffic_sum(const struct sy_graph *g, const struct sy_segments *s, const struct sy_layout *l,
                          uint32_t machine, enum sy_op_id op, struct plan_traffic *out);
/// Part of the rows that ops behind an exchange_rows have places for that even loads fill: experts' rows, until they
/// are sent back.
double plan_even_load(const struct sy_node *n, const struct sy_layout *l);

/// "DxE" or "DxExM" → sizes of the axes. False: it is no such thing.
bool plan_layout_parse(const char *text, struct sy_layout *out);
/// Whether `n` is 1, 2, 4, …
static inline bool plan_power_of_two(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }
