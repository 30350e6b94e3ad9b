// SPDX-License-Identifier: Apache-2.0
// hazards.h: which dispatches of a program must wait for earlier ones. Private to hostlib.
//
// A wave is a run of dispatches none of which touches bytes that another of them writes; between two waves stands a
// barrier.
#pragma once

#include "hostlib/backend.h"

#define SY_WAVE_DISPATCHES 256 // a longer one is cut

struct sy_range {
    const struct sy_buffer *buffer;
    uint64_t begin, end;
    bool written;
};

/// What the dispatches of the current wave touch. Zero it first.
struct sy_hazards {
    struct sy_range ranges[SY_WAVE_DISPATCHES * SY_MAX_BINDINGS];
    size_t count, dispatches;
};

/// Takes one more dispatch. True: it begins a new wave, since it must wait for the current one or that is full.
bool sy_hazards_add(struct sy_hazards *hazards, const struct sy_dispatch *dispatch);
