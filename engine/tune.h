// SPDX-License-Identifier: Apache-2.0
// tune.h: which setting (op.h) of a kernel is fastest on a device, for the arguments that a model has: measured once
// and kept in the cache folder, as text. A setting changes speed, never bits, so nothing but time depends on what is
// found.
//
// A device has its choices from sy_tune_open() on. sy_runtime_create() takes them for its graph; sy_session_create()
// first measures what is unknown, as long as `first_seconds` lasts.
//
// Layer:  engine. Ownership: the device owns its choices.
#pragma once

#include "engine/graph.h"
#include "hostlib/cache.h"

/// What one kernel does: the nodes of a graph that are equal but for their tensors.
struct sy_work {
    const struct sy_variant *variant;
    enum sy_op_types types;
    uint32_t args[SY_MAX_ARGS_BYTES / 4];
};

struct sy_choice {
    struct sy_work work;
    uint32_t choice;      ///< Of variant.h.
    uint32_t count;       ///< Nodes that do this work; 0: read from a file.
    double before, after; ///< Seconds of one dispatch as usual, and with the choice.
};

struct sy_choices {
    struct sy_choice *list;
    size_t count, room;
    uint32_t forced;      ///< Not 0: this choice for all that has it (tests).
    double first_seconds; ///< What sy_session_create() may still take to measure; 0: nothing.
};

// ---- tune.c --------------------------------------------------------------------------------------------------------

/// The choice for this work: of the same arguments, else of the nearest that costs about half to twice as much, else 0.
uint32_t sy_choices_find(const struct sy_choices *choices, const struct sy_work *work);
/// Whether something is known of it: of the same arguments, or of such near ones.
bool sy_choices_know(const struct sy_choices *choices, const struct sy_work *work);
/// Whether it holds something of exactly this work.
bool sy_choices_have(const struct sy_choices *choices, const struct sy_work *work);
/// Adds one, or takes the place of that of the same work. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_choices_put(struct sy_ctx *ctx, struct sy_choices *choices, const struct sy_choice *c);
void sy_choices_destroy(struct sy_choices *choices);
/// Sets the choice of every node.
void sy_tune_apply(struct sy_graph *g, const struct sy_caps *caps);
/// The work of a graph in which something can be chosen on the device, the dearest first. `*out` is malloc'ed.
/// Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_tune_collect(const struct sy_graph *g, const struct sy_caps *caps,
                                             struct sy_choice **out, size_t *out_count);

// ---- tune_file.c ---------------------------------------------------------------------------------------------------

/// Where the device's choices are kept: by its name, driver, and the kernels that have settings. False: there is no
/// cache folder.
bool sy_tune_path(const struct sy_caps *caps, char out[SY_CACHE_PATH_ROOM]);
/// What every program does with its device: sy_tune_open(), unless SY_TUNE is 0; and a GPU may be measured at first
/// use, or with SY_TUNE=1 any device. Errors: INVALID SY_TUNE · NOMEM.
SY_MUST_CHECK enum sy_status sy_tune_begin(struct sy_device *device);
/// "128,64,1.0": an op's arguments as the file has them, and `switchyard-bench op --args`.
void sy_tune_print_args(const struct sy_op_info *info, const uint32_t *args, char *out, size_t room);
/// Gives the device the choices that are kept of it; none where there is no file. One that is damaged, or of something
/// else, is left out with a warning. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_tune_open(struct sy_device *device);
/// Keeps the device's choices, and those that another process has kept meanwhile. False, with the reason in `why`,
/// where it cannot be written.
bool sy_tune_keep(struct sy_device *device, char why[256]);
/// Removes the file. `*out_found`: there was one. Errors: IO.
SY_MUST_CHECK enum sy_status sy_tune_forget(struct sy_ctx *ctx, const struct sy_caps *caps, bool *out_found);

// ---- tune_measure.c ------------------------------------------------------------------------------------------------

/// Times each work as usual, once, until `seconds` are over, and puts those first that take most of all dispatches;
/// what was not reached stays in its order behind them. Errors: as below.
SY_MUST_CHECK enum sy_status sy_tune_weigh(struct sy_device *device, struct sy_choice *works, size_t count,
                                           double seconds);
/// Measures works[0 … count), the first first, until `seconds` are over, and fills choice, before and after; what was
/// not measured keeps a `before` of 0. The device's choices get what was found. A setting that does not compile is left
/// out. Errors: DEVICE · NOMEM of the host.
SY_MUST_CHECK enum sy_status sy_tune_measure(struct sy_device *device, struct sy_choice *works, size_t count,
                                             double seconds);
/// For what will run on the device for the first time: measures the heaviest work of the graph that nothing is known
/// of, while first_seconds last, keeps what was found and says so in one line.
void sy_tune_first_use(struct sy_device *device, const struct sy_graph *g);
