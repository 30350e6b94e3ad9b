// SPDX-License-Identifier: Apache-2.0
// runtime.h: a planned graph on a device, ready to be replayed.
//
// Creating one allocates every block, compiles the kernels in use (several at once), uploads constants and records one
// program per phase. Running a phase only submits.
//
// Ownership: the runtime owns buffers, kernels and programs; it borrows the graph and the device.
#pragma once

#include "engine/legs.h"
#include "engine/plan.h"

struct sy_runtime;

/// `*out` is malloc'ed. `lender`: another runtime on the device, built from the same config, whose parameters, and what
/// is prepared of them, this one reads (validation during training); it must outlive this one. NULL: own parameters. A
/// training graph shares gradients and the optimizer's state with it, too: both update the same model.
/// Errors: NOMEM with bytes wanted and had · DEVICE compiler errors · INVALID parameters that do not match · those of
/// the plan.
SY_MUST_CHECK enum sy_status sy_runtime_create(struct sy_device *device, struct sy_graph *graph,
                                               const struct sy_runtime *lender, struct sy_runtime **out);
/// What a runtime lets the planner use of a device: planning with these gives the bytes that sy_runtime_create()
/// allocates.
struct sy_limits sy_runtime_limits(const struct sy_caps *caps, bool borrow_params);
void sy_runtime_destroy(struct sy_runtime **runtime);

struct sy_device *sy_runtime_device(const struct sy_runtime *rt);
const struct sy_graph *sy_runtime_graph(const struct sy_runtime *rt);
const struct sy_plan *sy_runtime_plan(const struct sy_runtime *rt);
/// How many kernels were compiled.
size_t sy_runtime_kernel_count(const struct sy_runtime *rt);
/// Dispatches of a phase, or of all phases, and the program that makes those of a phase without messages: NULL where
/// there are none.
size_t sy_runtime_dispatches(const struct sy_runtime *rt, uint32_t phase);
size_t sy_runtime_dispatches_all(const struct sy_runtime *rt);
struct sy_program *sy_runtime_program(const struct sy_runtime *rt, uint32_t phase);
/// The program of one leg, and its dispatches: NULL, 0 where there are none.
struct sy_program *sy_runtime_leg(const struct sy_runtime *rt, size_t leg, size_t *out_dispatches);

/// Submits a phase (enum sy_phase, or a merge) without messages; does not block.
SY_MUST_CHECK enum sy_status sy_runtime_run(struct sy_runtime *rt, uint32_t phase);
/// Submits one leg that is a program; does not block.
SY_MUST_CHECK enum sy_status sy_runtime_run_leg(struct sy_runtime *rt, size_t leg);

/// Whole-tensor copies in the tensor's own element type; `bytes` must be its size. read() blocks.
SY_MUST_CHECK enum sy_status sy_runtime_write(struct sy_runtime *rt, sy_tid t, const void *source, size_t bytes);
SY_MUST_CHECK enum sy_status sy_runtime_read(struct sy_runtime *rt, sy_tid t, void *destination, size_t bytes);
/// Part of a tensor, in elements.
SY_MUST_CHECK enum sy_status sy_runtime_write_part(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count,
                                                   const void *source);
SY_MUST_CHECK enum sy_status sy_runtime_read_part(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count,
                                                  void *destination);
/// From one tensor to another of the same element type, in the device's order; does not block.
SY_MUST_CHECK enum sy_status sy_runtime_copy_part(struct sy_runtime *rt, sy_tid from, uint64_t from_first, sy_tid to,
                                                  uint64_t to_first, uint64_t count);
/// The same read, started: `destination` has the elements once the event is done (hostlib/event.h).
SY_MUST_CHECK enum sy_status sy_runtime_read_start(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count,
                                                   void *destination, struct sy_event **out);
/// Float tensors of any storage, converted to and from f32.
SY_MUST_CHECK enum sy_status sy_runtime_read_f32(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count,
                                                 float *out);
SY_MUST_CHECK enum sy_status sy_runtime_write_f32(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count,
                                                  const float *source);
/// Fills a tensor with zero bytes.
SY_MUST_CHECK enum sy_status sy_runtime_zero(struct sy_runtime *rt, sy_tid t);
