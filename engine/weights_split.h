// SPDX-License-Identifier: Apache-2.0
// weights_split.h: tensors of a file, of which each rank of the model axis has a part (split.h).
//
// A file holds whole tensors. Each rank loads its own part of them; to write them, part 0 asks the others for theirs,
// one tensor at a time, in whatever order the file wants. Of what is not split it asks for a hash: all must have the
// same bits.   Layer: engine, private to weights*.c.
#pragma once

#include "engine/graph.h"
#include "engine/runtime.h"
#include "engine/safetensors.h"

/// A part [own_rows, own_cols] of a tensor [rows, cols].
struct sy_slab {
    uint64_t rows, cols, row, col, own_rows, own_cols;
};

/// One of a parameter's matrices as rank `part` has it, and what is kept of it in state `s`.
struct sy_slab sy_slab_of(const struct sy_graph *g, const struct sy_param *p, uint32_t part);
struct sy_slab sy_slab_of_state(const struct sy_graph *g, const struct sy_param *p, uint32_t s, uint32_t part);
static inline uint64_t sy_slab_whole(const struct sy_slab *x) { return x->rows * x->cols; }
static inline uint64_t sy_slab_count(const struct sy_slab *x) { return x->own_rows * x->own_cols; }
/// Copies the part out of the whole, or into it.
void sy_slab_take(const struct sy_slab *x, const float *whole, float *part);
void sy_slab_put(const struct sy_slab *x, const float *part, float *whole);

/// What this rank has of a tensor in a file: elements first … of `tensor`.
struct sy_excerpt {
    struct sy_runtime *rt;
    const struct sy_param *param;
    sy_tid tensor;
    uint64_t first;
    uint32_t number; ///< Its place in the list, which all parts make alike.
    uint32_t state;  ///< Which state, or UINT32_MAX: the parameter itself.
};

struct sy_slab sy_excerpt_slab(const struct sy_excerpt *x, uint32_t part);
/// A sy_tensor_produce_fn, of part 0; `user` is the excerpt. One tensor at a time comes from device and ranks while the
/// file is being written. Errors: COMM another rank's part is missing, or has other bits of what all have.
enum sy_status sy_excerpt_produce(void *user, const struct sy_tensor_spec *spec, void *out);
/// The sy_tensor_piece_fn of a model that is not split, or NULL.
sy_tensor_piece_fn sy_excerpt_piece(const struct sy_graph *g);
/// What the other parts do meanwhile: they answer until part 0 has done with the list, well or not.
SY_MUST_CHECK enum sy_status sy_excerpts_serve(struct sy_graph *g, const struct sy_excerpt *list, size_t count);
SY_MUST_CHECK enum sy_status sy_excerpts_end(struct sy_graph *g);
