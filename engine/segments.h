// SPDX-License-Identifier: Apache-2.0
// segments.h: a step as a list of segments with dependencies: what the host does, what goes to the device, which
// programs run there, what comes back. Sessions run the list from top to bottom; switchyard-plan --schedule prints it.
//
// The list is in an order that respects every dependency. Programs and writes are only queued, so the host goes on: it
// prepares a micro-batch while the device works on the one before.
// Ownership: malloc'ed, the caller's.   Layer: engine.
#pragma once

#include "engine/slices.h"

enum sy_segment_kind {
    SY_SEGMENT_HOST,     ///< Work of the host: inputs of a micro-batch.
    SY_SEGMENT_UPLOAD,   ///< Inputs and step constants go to the device.
    SY_SEGMENT_PROGRAM,  ///< A phase of the graph runs on the device.
    SY_SEGMENT_DOWNLOAD, ///< Results come back; the host waits.
};

#define SY_SEGMENT_AFTER 3

struct sy_segment {
    enum sy_segment_kind kind;
    char name[32];
    uint32_t micro;                   ///< Which micro-batch of the step.
    uint32_t phase;                   ///< PROGRAM.
    uint32_t after[SY_SEGMENT_AFTER]; ///< Segments that must have ended before this one begins …
    uint32_t after_count;             ///< … and how many.
};

struct sy_segments {
    struct sy_segment *list;
    size_t count, room;
};

/// The segments of a training step (`train`), or of the evaluation of one batch. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_segments_create(const struct sy_graph *g, bool train, struct sy_segments *out);
void sy_segments_finish(struct sy_segments *s);
const char *sy_segment_kind_name(enum sy_segment_kind kind);
