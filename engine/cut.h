// SPDX-License-Identifier: Apache-2.0
// cut.h: an op on a tensor in pieces (pieces.h), done as several ops on what one binding holds. The same bits.
//
// Most go along the axis that the op declares (op.h: struct sy_axis): experts of a stack, rows of logits or of a
// vocabulary, elements. Products need more where a dense matrix is cut: no sum may be cut with it, so what is summed
// over is brought together first, a block of columns at a time, by copies.
// Layer: engine; part of lowering.
#pragma once

#include "engine/graph.h"

/// Puts every activation that is too large for one binding into pieces of whole rows, where all its ops can take that.
void sy_cut_activations(struct sy_graph *g);
/// Whether it binds a tensor in pieces.
bool sy_cut_needed(const struct sy_graph *g, const struct sy_node *n);
/// Gives the nodes that do the work of `n` to `emit`, in order; those may need to be cut again. What cannot be cut is
/// an error that sticks in the graph: UNSUPPORTED, with the op and the tensor.
void sy_cut(struct sy_graph *g, const struct sy_node *n, void (*emit)(void *user, const struct sy_node *n), void *user);
