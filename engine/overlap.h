// SPDX-License-Identifier: Apache-2.0
// overlap.h: the order of a step's nodes where messages travel (message.h): what the device has to do anyway is put
// where a message is under way. No sum changes: nodes keep their order wherever one touches what another writes.
// Ownership: the graph's.   Layer: engine.
#pragma once

#include "engine/graph.h"

/// After sy_slices_emit(). Gradients of weights, which nobody waits for, are made while rows travel; with one
/// micro-batch the ranks' sums of a stretch of gradients start as soon as the last of them is there.
void sy_overlap_emit(struct sy_graph *g);
/// After sy_lower(). What the refresh makes of parameters that no other rank has comes first, while new values of the
/// others travel.
void sy_overlap_refresh(struct sy_graph *g);
/// Whether sy_overlap_emit() starts the sums of a pack; else they are the update's.
bool sy_overlap_sums(const struct sy_graph *g, uint32_t pack);
