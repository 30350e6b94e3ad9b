// SPDX-License-Identifier: Apache-2.0
// engine.h: a model as one thing: open it by its path, train it, score it, let it write, save it.
//
// It opens a device and makes the sessions (session.h) that each call needs, which share one set of weights. Who wants
// several ranks, gradient accumulation, beams or samples uses sessions themselves. docs/example.c shows all of it.
//
// Ownership: an engine borrows its context, which must outlive it, as must its datasets' sources; it copies its params.
// Threads: one.   Layer: engine.
#pragma once

#include "engine/bundle.h"
#include "engine/rate.h"
#include "engine/session.h"

struct sy_engine;

/// Begin with sy_engine_defaults() and change what shall be otherwise.
struct sy_engine_params {
    const char *device;    ///< "auto", "opencl:0", …
    const char *tokenizer; ///< A vocabulary in place of the model's own; NULL: that one.
    enum sy_precision precision;
    struct sy_optimizer_params optimizer;
    struct sy_rate rate;       ///< 1e-3, constant.
    uint32_t batch;            ///< Sequences of a step and of a batch of evaluation.
    uint32_t src_len, tgt_len; ///< In tokens; a prompt must fit src_len, an answer has at most tgt_len.
    uint64_t seed;             ///< Of weights that are drawn, of examples, of dropout.
};
struct sy_engine_params sy_engine_defaults(void);

/// Opens the model at `path`: a directory with weights, or a config.json, whose weights are drawn. `params` NULL: the
/// defaults. Nothing is allocated on the device yet. `*out` is malloc'ed. Errors: those of config, weights, vocabulary
/// and device.
SY_MUST_CHECK enum sy_status sy_engine_open(struct sy_ctx *ctx, const char *path, const struct sy_engine_params *params,
                                            struct sy_engine **out);
void sy_engine_close(struct sy_engine **engine);

const struct sy_config *sy_engine_config(const struct sy_engine *e);
const struct sy_tokenizer *sy_engine_tokenizer(const struct sy_engine *e);
struct sy_device *sy_engine_device(const struct sy_engine *e);

/// Examples of running text, with spans cut out, in the engine's lengths: shuffled, or `held_out` in order. To be
/// closed with sy_dataset_close(), before the engine. Errors: those of sy_dataset_open().
SY_MUST_CHECK enum sy_status sy_engine_text(const struct sy_engine *e, const char *const *files, size_t count,
                                            bool held_out, struct sy_dataset **out);
/// Examples of a table's rows, as the task file says (configs/tasks); what is longer than the engine's lengths is cut.
/// Errors: those of sy_form_load() and sy_pairs_load().
SY_MUST_CHECK enum sy_status sy_engine_rows(const struct sy_engine *e, const char *task, const char *table,
                                            bool held_out, struct sy_dataset **out);

/// Called after each step: step = 1, 2, … of the engine's life.
typedef void (*sy_engine_fn)(void *user, uint64_t step, const struct sy_metrics *m);

/// Trains for `steps` more steps. `heard` may be NULL. Blocks. Errors: those of sy_session_step(), after which the
/// weights may be spoilt.
SY_MUST_CHECK enum sy_status sy_engine_train(struct sy_engine *e, const struct sy_dataset *data, uint64_t steps,
                                             sy_engine_fn heard, void *user);
/// The metrics of the whole dataset, which is held out. Blocks. Errors: those of sy_evaluate().
SY_MUST_CHECK enum sy_status sy_engine_evaluate(struct sy_engine *e, const struct sy_dataset *data,
                                                struct sy_metrics *out);
/// What the model writes to a prompt, the most probable token each time; <extra_id_N> is a mask. Malloc'ed. Blocks.
/// Errors: INVALID the prompt is longer than src_len · those of sy_decode().
SY_MUST_CHECK enum sy_status sy_engine_generate(struct sy_engine *e, const char *prompt, char **out_text);
/// Writes OUT/step-N, a Hugging Face directory, and points OUT/latest at it (checkpoint.h); that is a path to open.
/// Errors: those of sy_checkpoint_save().
SY_MUST_CHECK enum sy_status sy_engine_save(struct sy_engine *e, const char *out_dir);
