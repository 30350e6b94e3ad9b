// SPDX-License-Identifier: Apache-2.0
// session_private.h: what a session is made of, for the engine's own files. Layer: engine, private to it.
#pragma once

#include "engine/graph_private.h"
#include "engine/segments.h"
#include "engine/session.h"

struct sy_inputs;
struct sy_sums;
struct sy_messages;

/// A training step that was begun; of evaluation, one batch.
struct sy_flight {
    struct sy_step step;
    struct sy_metrics metrics; ///< Labels and tokens.
};

struct sy_session {
    struct sy_ctx *ctx;
    struct sy_device *device;
    struct sy_session_params params;
    struct sy_config config;
    struct sy_graph *graph;
    struct sy_model model;
    struct sy_loss loss; ///< But for DECODE.
    struct sy_runtime *runtime;
    struct sy_optimizer_outputs outputs;
    struct sy_segments segments;  ///< What a step (elsewhere: one batch) consists of.
    struct sy_inputs *inputs;     ///< Of the micro-batch under way (inputs.h).
    struct sy_sums *sums;         ///< Of the step that ends (metrics.h).
    struct sy_messages *messages; ///< With several ranks (message.h).
    struct sy_step step;          ///< Of the step under way; row offsets are those of its micro-batch.
    struct sy_flight flights[SY_FLIGHTS];
    uint64_t **profile;    ///< [legs] where the nanoseconds of each dispatch go, or NULL: nothing is measured.
    uint64_t begun, ended; ///< Training steps; step n's flight is n modulo SY_FLIGHTS.
};
