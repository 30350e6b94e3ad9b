// SPDX-License-Identifier: Apache-2.0
// checkpoint.h: save and resume training (spec §12): a reader sees the old checkpoint or the new one, never half.
//
// OUT/step-N/ is a Hugging Face directory (config.json, model.safetensors, the tokenizer) with the training state
// beside it: optimizer-00001.safetensors and state.json, which lists every file with its size and XXH3-128. It is
// written as OUT/.step-N.tmp, flushed, renamed; OUT/latest is switched last (latest.h).
#pragma once

#include "engine/rate.h"
#include "engine/session.h"

/// What state.json holds beyond the tensors.
struct sy_train_state {
    uint64_t step;         ///< Optimizer steps done.
    uint64_t next_example; ///< First example of the next step.
    uint64_t seed;
    uint64_t data_fingerprint; ///< Of the dataset; a resumed run must have the same.
    uint32_t batch_sequences;  ///< Sequences of one step.
    uint32_t micro_batch;      ///< Sequences of one micro-batch.
    uint32_t slices;           ///< Of a step (spec §11); the bits of a run depend on them.
    char optimizer[16], schedule[16], precision[16];
    double lr;
    uint64_t warmup, schedule_steps;
};

/// Fills what follows from the session and the rate: this rank's batch and slices, precision, optimizer, schedule.
void sy_checkpoint_describe(const struct sy_session *s, const struct sy_rate *rate, struct sy_train_state *out);
/// With several ranks all of them call it, each writes its own files, and nothing is seen before all have finished.
/// Writes OUT/step-N and switches OUT/latest to it; older checkpoints beyond the newest `keep` are removed (0 keeps
/// all). `tokenizer`: written in as Hugging Face's files, or NULL. Errors: IO (what existed is untouched).
SY_MUST_CHECK enum sy_status sy_checkpoint_save(struct sy_session *s, const char *out_dir,
                                                const struct sy_train_state *state,
                                                const struct sy_tokenizer *tokenizer, uint32_t keep);
/// Reads DIR/state.json (DIR = OUT/latest or OUT/step-N) and checks every listed file's size and hash.
/// Errors: IO · FORMAT naming the file, with what was expected and found.
SY_MUST_CHECK enum sy_status sy_checkpoint_read_state(struct sy_ctx *ctx, const char *dir, struct sy_train_state *out);
/// Parses the text of a state.json without looking at other files (for tests and fuzzing).
SY_MUST_CHECK enum sy_status sy_checkpoint_parse_state(struct sy_ctx *ctx, const char *text, size_t bytes,
                                                       const char *name, struct sy_train_state *out);
/// Loads parameters and optimizer state into a training session.
SY_MUST_CHECK enum sy_status sy_checkpoint_load(struct sy_session *s, const char *dir);
/// Whether a directory is a checkpoint whose files are all there with their sizes (hashes: sy_checkpoint_read_state()).
bool sy_checkpoint_whole(const char *dir, uint64_t *out_step);
/// "step-12" → 12.
bool sy_checkpoint_parse_name(const char *name, uint64_t *out_step);
/// The newest OUT/step-N, whether or not OUT/latest points at it; false when there is none. `whole`: among those alone.
bool sy_checkpoint_newest(const char *out_dir, bool whole, uint64_t *out_step);
/// Removes what an interrupted save left behind; a step-N that is whole there and nowhere else gets its name back.
void sy_checkpoint_clean(struct sy_ctx *ctx, const char *out_dir);
