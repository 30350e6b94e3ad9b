// SPDX-License-Identifier: Apache-2.0
// plan_time.h: how long a step takes on devices and a network that are given by their rates: a model of time, for
// choosing a layout. Everything happens one after the other, as it does: ops of a device program, messages between
// programs.
#pragma once

#include "apps/plan_ranks.h"

struct plan_rates {
    double flops, memory, link; ///< A rank's device: FLOP/s; B/s of its memory, and between host and device.
};

/// Between ranks of different machines, which share their machine's bandwidth, and of one.
struct plan_network {
    double latency, bandwidth;
    uint32_t machine; ///< Ranks of one.
    double near_latency, near_bandwidth;
};

/// Seconds of a step by what they are spent on.
struct plan_time {
    double arithmetic, memory;     ///< Ops bound by FLOPs, and by bytes.
    double latency, wire, staging; ///< Messages: how many, bytes between ranks, bytes between host and device.
    double total;
};

/// "FLOP/s,B/s[,B/s]" and "SECONDS,B/s[,RANKS,SECONDS,B/s]", with units. False: nonsense.
bool plan_rates_parse(const char *text, struct plan_rates *out);
bool plan_network_parse(const char *text, struct plan_network *out);

/// `l`, `network`: NULL with one rank.
void plan_time_of(const struct sy_graph *g, const struct sy_segments *s, const struct sy_layout *l,
                  const struct plan_rates *rates, const struct plan_network *network, struct plan_time *out);
/// What most of it is spent on.
const char *plan_time_bound(const struct plan_time *t);
