// SPDX-License-Identifier: Apache-2.0
// segments.h: a step as a list of segments with dependencies: what the host does, what goes to the device, which
// programs run there, what comes back. Sessions, and decoding, run the list from top to bottom; switchyard-plan
// --schedule prints it.
//
// The list is in an order that respects every dependency. Programs and writes are only queued, so the host goes on: it
// prepares a micro-batch while the device works on the one before.
// Ownership: malloc'ed, the caller's.   Layer: engine.
#pragma once

#include "engine/assemble.h"
#include "engine/legs.h"

enum sy_segment_kind {
    SY_SEGMENT_HOST,     ///< Work of the host: inputs of a micro-batch; which token comes next.
    SY_SEGMENT_UPLOAD,   ///< Inputs and step constants go to the device.
    SY_SEGMENT_PROGRAM,  ///< A phase of the graph, or a leg of it between messages, runs on the device.
    SY_SEGMENT_MESSAGE,  ///< The ranks exchange something (message.h): it starts, or, where none follows, it is done.
    SY_SEGMENT_ARRIVAL,  ///< The host waits for a message that was started.
    SY_SEGMENT_DOWNLOAD, ///< Results come back.
};

#define SY_SEGMENT_AFTER 3

struct sy_segment {
    enum sy_segment_kind kind;
    char name[32];
    uint32_t micro;                   ///< Which micro-batch of the step.
    uint32_t phase;                   ///< The program that runs, or that this is for.
    uint32_t leg;                     ///< PROGRAM, MESSAGE, ARRIVAL: index into legs.
    uint64_t bytes;                   ///< UPLOAD, DOWNLOAD: what is copied.
    uint32_t after[SY_SEGMENT_AFTER]; ///< Segments that must have ended before this one begins …
    uint32_t after_count;             ///< … and how many.
};

struct sy_segments {
    struct sy_segment *list;
    size_t count, room;
    bool failed;  ///< Out of memory: what was added is not all.
    size_t again; ///< Decoding: from here on the list runs once for each token. Elsewhere count.
    struct sy_legs legs;
};

/// The segments of a training step, of evaluating one batch, or of decoding. `loss`: NULL for decoding. The graph has
/// been planned: what nobody reads is not written. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_segments_create(const struct sy_graph *g, const struct sy_model *model,
                                                const struct sy_loss *loss, enum sy_session_kind kind,
                                                struct sy_segments *out);
void sy_segments_finish(struct sy_segments *s);
const char *sy_segment_kind_name(enum sy_segment_kind kind);
