// SPDX-License-Identifier: Apache-2.0
// ops.h: what tests/ops/NAME.c provides for each op: cases that run on `ref:0` and on every device, compared.
#pragma once

#include "engine/op.h"

/// A small deterministic generator for test data.
struct sy_rng {
    uint64_t state;
};
uint32_t sy_rng_u32(struct sy_rng *rng);
double sy_rng_uniform(struct sy_rng *rng); ///< [0, 1)
double sy_rng_normal(struct sy_rng *rng);

struct sy_op_cases {
    enum sy_op_id op;
    const void *args; ///< Array of the op's argument structs.
    size_t args_bytes, count;
    /// Makes the inputs of one case valid. Every binding has counts[i] values (never fewer than 1): on entry floats are
    /// N(0,1) and integers 0, `+` outputs too. `step` is preset (step 3, a seed, lr 0.01, inv_* 1/rows-like).
    /// NULL: the defaults will do. Integer inputs always need it.
    void (*fill)(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng);
    /// Bound on |got − want| / max(|want| of the tensor, 1e-6), for f32 and for bf16 storage; integers are compared
    /// exactly.
    double tolerance_f32, tolerance_bf16;
    const char *reason; ///< Why these tolerances: the length of the sums, the rounding of the store, …
    /// Elements that carry no meaning (bit i of `skip` for a whole binding, or per element); NULL compares everything.
    bool (*compare)(const void *args, uint32_t binding, uint64_t element, double *const *inputs);
    /// Output elements that must stay as they were; NULL: all are written.
    bool (*left_alone)(const void *args, uint32_t binding, uint64_t element, double *const *inputs);
};

/// Last line of every tests/ops/NAME.c.
#define SY_OP_CASES(name, array, ...)                                                        \
    const struct sy_op_cases sy_cases_##name = {.op = SY_OP_##name,                          \
                                                .args = (array),                             \
                                                .args_bytes = sizeof((array)[0]),            \
                                                .count = sizeof(array) / sizeof((array)[0]), \
                                                __VA_ARGS__}
