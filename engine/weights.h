// SPDX-License-Identifier: Apache-2.0
// weights.h: parameters in and out of a runtime by their Hugging Face names (spec §2, §7).
#pragma once

#include "engine/config.h"
#include "engine/runtime.h"
#include "engine/safetensors.h"

struct sy_file_sums;

/// Draws every parameter from Philox by (seed, name, element): the same on any device, layout and rank count.
SY_MUST_CHECK enum sy_status sy_weights_init(struct sy_runtime *rt, uint64_t seed);
/// The same, but leaves copies in other types (bf16) to the caller. On all the processors there are, with the same
/// bits.
SY_MUST_CHECK enum sy_status sy_weights_draw(struct sy_runtime *rt, uint64_t seed);
/// Loads every parameter. Errors: FORMAT naming the missing or misshapen tensor and what was expected.
SY_MUST_CHECK enum sy_status sy_weights_load(struct sy_runtime *rt, const struct sy_tensors *tensors);
/// What a config must say to fit the file: a stored lm_head.weight overrules tie_word_embeddings, and experts in the
/// one layer that Hugging Face makes sparse when num_sparse_*_layers is 0 overrule that 0 (spec §2).
void sy_weights_adapt_config(struct sy_ctx *ctx, const struct sy_tensors *tensors, struct sy_config *config);
/// The name a parameter is stored under: the embedding may be there as one of its copies only.
const char *sy_weights_stored_name(const struct sy_tensors *tensors, const char *name);
/// Warns when the file has tensors that are no part of the model. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_weights_check_unused(const struct sy_graph *g, const struct sy_tensors *tensors);
/// Writes DIRECTORY/model.safetensors (or shards), F32, Hugging Face names; notes their sums in `sums` (or NULL). With
/// several ranks all of them call it: each place of the expert axis writes one shard, rank 0 the index.
SY_MUST_CHECK enum sy_status sy_weights_save(struct sy_runtime *rt, const struct sy_config *config,
                                             const char *directory, struct sy_file_sums *sums);
/// Tensors to be written to one file (dump.c).
struct sy_spec_list {
    struct sy_tensor_spec *specs;
    size_t count, room;
    char (*names)[128]; ///< Owned; specs[i].name points into it only after sy_spec_list_seal().
    void **owned;       ///< malloc'ed data of each spec, or NULL.
};
/// Adds a tensor whose data (malloc'ed) the list takes over.
SY_MUST_CHECK enum sy_status sy_spec_list_add(struct sy_ctx *ctx, struct sy_spec_list *list, const char *name,
                                              enum sy_st_dtype dtype, uint32_t ndim, const uint64_t *shape, void *data);
void sy_spec_list_seal(struct sy_spec_list *list);
void sy_spec_list_finish(struct sy_spec_list *list);
/// Adds one f32 tensor per parameter part: the parameter itself, or its gradient as "grad." + name.
SY_MUST_CHECK enum sy_status sy_weights_list(struct sy_runtime *rt, bool gradients, struct sy_spec_list *list);
/// Optimizer state in and out of DIRECTORY/optimizer-*.safetensors: "NAME/r", … for parts × state (spec §12). Each
/// rank writes one file, of what it updates; any number of ranks reads what any number wrote.
SY_MUST_CHECK enum sy_status sy_state_save(struct sy_runtime *rt, const char *directory, struct sy_file_sums *sums);
SY_MUST_CHECK enum sy_status sy_state_load(struct sy_runtime *rt, const char *directory);
