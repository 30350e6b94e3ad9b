// SPDX-License-Identifier: Apache-2.0
// graph_private.h: what a graph is made of, for the files that build and rewrite graphs. Layer: engine, private to it.
#pragma once

#include "engine/graph.h"

/// A matrix of the model that another place of the expert axis holds.
struct sy_foreign {
    char name[112];
    uint32_t place;
};

/// A copy of a parameter in the form that a variant wants: made by phase REFRESH, and kept as long as the parameter.
struct sy_prepared {
    sy_tid source, copy; ///< source: the parameter's weight, or a piece of it.
    struct sy_before before;
};

struct sy_graph {
    struct sy_ctx *ctx;
    enum sy_status status;
    enum sy_precision precision;
    enum sy_device_class device_class;
    enum sy_dtype t, f;    ///< Storage of activations, and of what is "always f32".
    uint32_t tile_rows;    ///< Rows of a ragged matmul tile on this device class.
    uint64_t logits_bytes; ///< Logits of a slice that need more are made in parts (logits.h).
    uint64_t cache_bytes;  ///< Where passes over parameters are cut to fit a cache (optimizer.c): its size, else 0.
    bool many_groups;      ///< The device runs work-groups by the hundred: long sums over rows are split (rules.c).

    struct sy_tensor *tensors;
    size_t tensor_count, tensor_room;
    struct sy_node *nodes, spare; ///< spare: what sy_emit() returns when out of memory.
    size_t node_count, node_room;
    struct sy_param *params;
    size_t param_count, param_room;
    struct sy_pack *packs;
    size_t pack_count, pack_room;
    struct sy_sum *sums; ///< All of them, gradients too.
    size_t sum_count, sum_room;
    struct sy_prepared *prepared; ///< Made by lower.c.
    size_t prepared_count, prepared_room;

    const struct sy_layout *ranks; ///< Set before building; NULL: one rank.
    struct sy_foreign *foreign;    ///< Matrices that other ranks hold.
    size_t foreign_count, foreign_room;

    uint32_t slices;            ///< Of one micro-batch; 1 unless set before building. A power of two.
    uint32_t micro_count;       ///< Micro-batches of a step; likewise.
    uint64_t max_binding_bytes; ///< What one binding may hold; 0: any tensor of 2^32 elements, and packs of 1 GiB.
    /// Passes of a step over each weight between two changes of it, of those that multiply by its rows: micro-batches,
    /// forward and in recomputation. 0: it does not change.
    uint32_t weight_passes;
    const struct sy_graph *lender; ///< Whose parameters, and what is prepared of them, are used here; or NULL.
    bool borrows;            ///< Parameters, and what is prepared of them, are another graph's, which refreshes them.
    struct sy_merge *merges; ///< slices.h
    size_t merge_count, merge_room;

    uint32_t phase, phase_count; ///< phase: given to new nodes.
    bool in_backward;
    int32_t segment;
    char scope[64]; ///< Prefix of new labels, e.g. "encoder.block.3".
    sy_tid step_constants;
    sy_tid *grads; ///< Gradient of each tensor (backward.c); index = tensor.
    size_t grads_room;
};

/// The array with room for one more element, or NULL when out of memory: that sticks in `status`.
void *sy_graph_grow(struct sy_graph *g, void *array, size_t count, size_t *room, size_t element);
/// Makes a tensor that views are being added to `count` elements long; SY_NONE is left alone.
void sy_tensor_extend(struct sy_graph *g, sy_tid t, uint64_t count);
/// Whether two tensors share an element: views of one, pieces of one, or one and a part of it.
bool sy_graph_overlap(const struct sy_graph *g, sy_tid a, sy_tid b);
