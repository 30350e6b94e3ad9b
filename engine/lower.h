// SPDX-License-Identifier: Apache-2.0
// lower.h: the rewrite that fits a graph to a device class, run once after backward and optimizer.
//
// CPU class: matmul → pack_b + matmul_packed, matmul_dw → pack_b + matmul_dw_packed (register blocks over packed
// panels, no local memory). Other classes keep the tiled kernels. A tensor packed once in a phase is not packed again
// while it has not been rewritten, but for the backward pass: panels kept alive till then would cost memory.
#pragma once

#include "engine/graph.h"

void sy_lower(struct sy_graph *g);
