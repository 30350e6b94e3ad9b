// SPDX-License-Identifier: Apache-2.0
// gradcheck.h: compares gradients of a graph with central differences, in double on the reference device.
//
// A case builds a small graph: gc_input() and gc_param() make what is differentiated, ops follow, gc_output() draws a
// fixed random upstream gradient for a result and gc_loss() weights a result whose rule starts by itself. The function
// checked is F = Σ weight · result. gc_check() then runs forward and backward once, moves every element of every input
// by ±h, and compares ΔF / 2h with the gradient. Inputs stay away from 0, where relu has no derivative.
#pragma once

#include "engine/backward.h"
#include "engine/lower.h"
#include "engine/runtime.h"

#define GC_TOLERANCE 1e-6 ///< Error relative to the tensor's largest gradient.
#define GC_STEP 1e-5

struct gc_input {
    sy_tid t;
    double *x;
    uint64_t count;
    bool param;
};

struct gc_output {
    sy_tid t, upstream; ///< upstream SY_NONE: a loss.
    double *weight;
    uint64_t count;
};

struct gradcheck {
    struct sy_ctx *ctx;
    struct sy_device *device;
    struct sy_graph *g;
    struct sy_runtime *rt;
    struct sy_step step;
    struct gc_input inputs[8];
    struct gc_output outputs[4];
    sy_tid frozen[4]; ///< Decisions that must be the same at every point looked at.
    size_t input_count, output_count, frozen_count;
    uint64_t state; ///< Of the random numbers.
};

/// What a check found.
struct gc_report {
    bool good;
    double worst;      ///< Largest relative error.
    uint64_t elements; ///< Moved one by one.
    char message[256];
};

/// Uniform in [0, 1).
double gc_uniform(uint64_t *state);

void gc_begin(struct gradcheck *c, struct sy_ctx *ctx, struct sy_device *device, uint64_t seed);
void gc_end(struct gradcheck *c);

/// A differentiated tensor [rows, cols] with random contents, magnitudes in [0.1, 1].
sy_tid gc_input(struct gradcheck *c, uint64_t rows, uint64_t cols, const char *name);
/// The same as a parameter of `parts` matrices.
sy_tid gc_param(struct gradcheck *c, uint32_t parts, uint32_t rows, uint32_t cols, const char *name);
/// Constant integers.
sy_tid gc_ints(struct gradcheck *c, uint64_t count, const int32_t *values, const char *name);
/// A random factor tensor that is not differentiated.
sy_tid gc_factor(struct gradcheck *c, uint64_t rows, uint64_t cols, const char *name);
/// `t` is a result: its upstream gradient is random.
void gc_output(struct gradcheck *c, sy_tid t);
/// `t` is a result with weights period[i % n]; nothing is sent into its gradient: a rule must do that.
void gc_loss(struct gradcheck *c, sy_tid t, const double *period, size_t n);
/// An integer tensor that moving an input must not change.
void gc_frozen(struct gradcheck *c, sy_tid t);

/// Also runs a second, accumulating micro-batch: parameter gradients must come out twice as large.
void gc_check(struct gradcheck *c, struct gc_report *out);
