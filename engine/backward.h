// SPDX-License-Identifier: Apache-2.0
// backward.h: appends the backward pass to a graph.
//
// The forward nodes of phase MICRO are walked in reverse; each op's rule (rules.c) emits the nodes that compute the
// gradients of its inputs. Gradients of parameters go to SY_KIND_GRAD tensors (sy_param_grad), all others are
// activations, summed by `add` when a tensor is used more than once.
#pragma once

#include "engine/graph.h"

/// Appends the backward pass from the gradients already set with sy_grad_add() (xent's rule starts by itself).
/// `recompute`: the forward nodes of each segment (block of a stack) are repeated just before its backward nodes, so
/// that only the segments' inputs stay alive in between: less memory for a third more work; the results are the same
/// bits.
void sy_backward(struct sy_graph *g, bool recompute);

/// The gradient of `t` so far, or SY_NONE.
sy_tid sy_grad_get(const struct sy_graph *g, sy_tid t);
/// Adds `dt` to the gradient of `t`.
void sy_grad_add(struct sy_graph *g, sy_tid t, sy_tid dt);
/// Replaces it (for rules that fold the sum into their own kernel).
void sy_grad_set(struct sy_graph *g, sy_tid t, sy_tid dt);

/// A gradient rule; `n` is a copy of the forward node.
typedef void (*sy_rule)(struct sy_graph *g, const struct sy_node *n);
/// NULL when the op has no gradient (routing decisions, counts, losses that are only reported).
sy_rule sy_rule_get(enum sy_op_id op);
