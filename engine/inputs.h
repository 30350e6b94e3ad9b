// SPDX-License-Identifier: Apache-2.0
// inputs.h: what the device reads of a batch: ids, masks, decoder inputs, labels, the sorted indices of the embedding's
// gradient, and the step constants.
//
// Prepared on the host while the device works on what came before, then written to it. Ownership: malloc'ed, the
// caller's. Threads: one.   Layer: engine.
#pragma once

#include "engine/session.h"

/// Host copies of a session's input tensors, for one micro-batch.
struct sy_inputs {
    int32_t *ids[2], *mask[2], *index[2]; ///< Encoder, decoder. index NULL: nobody reads it.
    int32_t *labels;
    uint32_t rows[2];
    uint64_t index_count[2];
};

/// Room for a micro-batch of a built graph. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_inputs_create(const struct sy_session *s, struct sy_inputs **out);
void sy_inputs_destroy(struct sy_inputs **inputs);
/// Fills them from `b`. Errors: INVALID naming an id or label outside the vocabulary.
SY_MUST_CHECK enum sy_status sy_inputs_prepare(struct sy_session *s, const struct sy_batch *b);
/// Writes them and the session's step constants.
SY_MUST_CHECK enum sy_status sy_inputs_write(struct sy_session *s);
/// Bytes that sy_inputs_write() writes.
uint64_t sy_inputs_bytes(const struct sy_graph *g, const struct sy_model *m, const struct sy_loss *loss);

/// Step constants of a whole step; also counts its labels and tokens, over all ranks. `t` = 1, 2, … Errors: COMM.
SY_MUST_CHECK enum sy_status sy_inputs_step(const struct sy_session *s, const struct sy_batch *batches, uint32_t count,
                                            uint64_t t, double lr, uint64_t seed, struct sy_step *step,
                                            struct sy_metrics *out);

/// Makes decoder inputs: labels shifted right behind `start`; ignored labels become `pad`.
void sy_shift_right(const int32_t *labels, uint32_t batch, uint32_t tgt_len, int32_t start, int32_t pad, int32_t *out);
/// Builds embed_bwd's index of `rows` ids (op_args.h); `out` has 3·rows + 2 entries. Errors: INVALID naming an id
/// outside the vocabulary · NOMEM.
SY_MUST_CHECK enum sy_status sy_embed_index(struct sy_ctx *ctx, const int32_t *ids, uint32_t rows, uint32_t vocab,
                                            int32_t *out);
