// SPDX-License-Identifier: Apache-2.0
// logits.h: logits are made, judged and given back a part of the rows at a time, so that they are never whole.
//
// The head's product, the loss, and in training its gradient and the two products behind it become a row of small ones,
// one part of the rows after the other: a part's logits are made once, and gone before the next one's. A part has as
// many rows of every slice, and how many depends on a slice's rows and on the vocabulary alone: so the sums of the
// head's gradient, which are one chain for each part and are added up in the order of the parts, do not depend on
// micro-batches. Layer: engine.
#pragma once

#include "engine/graph.h"

/// Rewrites the nodes around each cross-entropy whose logits need more than the graph's logits_bytes for one slice, and
/// that nobody else reads. Run behind backward.c. Errors stick in the graph.
void sy_logits_in_parts(struct sy_graph *g);
