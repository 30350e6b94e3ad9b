// SPDX-License-Identifier: Apache-2.0
// lower.h: the rewrite that fits a graph to a device, run once after backward and optimizer.
//
// Every node gets the variant that the device runs (variant.h), and where that wants an input prepared by another op, a
// node for it, e.g. pack_b for the packed products of CPUs. What is made of a parameter is made in phase REFRESH, once
// after each update, and lasts (struct sy_prepared). Another tensor prepared once in a phase is not prepared again in
// the same way while it has not been rewritten, but for the backward pass: a copy kept alive till then would cost
// memory.
#pragma once

#include "engine/graph.h"

/// Nodes whose variant was set before keep it. Errors (in the graph's status): INVALID no variant of an op is left ·
/// NOMEM.
void sy_lower(struct sy_graph *g, const struct sy_caps *caps);
