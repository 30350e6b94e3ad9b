// SPDX-License-Identifier: Apache-2.0
// plan_time.h: how long a step takes on devices and a network that are given by their rates: a model of time, for
// choosing a layout. The device takes its programs one after the other, and the way between ranks its messages, each of
// which starts behind what makes it; where one must have arrived the device waits (legs.h).
#pragma once

#include "apps/plan_ranks.h"
#include "apps/plan_rates.h"

/// Seconds of a step by what they are spent on.
struct plan_time {
    double arithmetic, memory;     ///< Ops bound by FLOPs, and by bytes.
    double start;                  ///< Of dispatches.
    double latency, wire, staging; ///< Messages: how many, bytes between ranks, bytes between host and device.
    double copied;                 ///< The part of `wire` that the processors of a machine carry.
    double hidden;                 ///< Of all that: messages under way while the device works.
    double shared;                 ///< More than all that: ranks of a machine wait for its processors.
    double processors;             ///< Of a rank, where its device is one.
    double total;
    uint32_t ops, known; ///< How many, and those whose kernel's own rate was measured.
};

/// Of this rank, or of the owner of the largest shards: who takes longer. `l`, `network`: NULL with one rank. Errors:
/// NOMEM.
SY_MUST_CHECK enum sy_status plan_time_of(struct sy_ctx *ctx, const struct sy_graph *g, const struct sy_segments *s,
                                          const struct sy_layout *l, const struct plan_rates *rates,
                                          const struct plan_network *network, struct plan_time *out);
/// Seconds of each segment on this rank, by itself. Errors: NOMEM.
SY_MUST_CHECK enum sy_status plan_time_each(struct sy_ctx *ctx, const struct sy_graph *g, const struct sy_segments *s,
                                            const struct sy_layout *l, const struct plan_rates *rates,
                                            const struct plan_network *network, double *each);
/// What most of it is spent on.
const char *plan_time_bound(const struct plan_time *t);
