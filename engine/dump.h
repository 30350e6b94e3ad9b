// SPDX-License-Identifier: Apache-2.0
// dump.h: every tensor that describes how a model treated one batch, by fixed names, for comparing engines.
//
// Names (docs/formats.md): logits, encoder_output, losses, per sparse layer router.<layer>.{z, p, expert,
// gate, position, kept, choice, taken, capacity, load, group_aux, dropped}, aux.<layer>, z.<layer>, and grad.<weight>.
#pragma once

#include "engine/session.h"

/// Writes one file after sy_session_evaluate(). The session was built with keep_internals. Errors: NOMEM · IO · DEVICE.
SY_MUST_CHECK enum sy_status sy_dump_save(struct sy_session *s, const struct sy_batch *batch,
                                          const struct sy_metrics *metrics, bool gradients, const char *path);
/// Whether a batch file brings its own router jitter (tensors jitter.<layer>).
SY_MUST_CHECK enum sy_status sy_dump_has_jitter(struct sy_ctx *ctx, const char *path, bool *out);
/// Loads them into the session's inputs. Errors: FORMAT naming the missing or misshapen tensor.
SY_MUST_CHECK enum sy_status sy_dump_load_jitter(struct sy_session *s, const char *path);
