// SPDX-License-Identifier: Apache-2.0
// pace.h: where a program is cut into submissions. Private to hostlib.
//
// A submission shall be long enough that its own cost is nothing, and short enough for a GPU's watchdog and for whoever
// else uses the device: SY_SUBMIT_MS, 35 unless the environment says otherwise. The first cuts come from predicted
// FLOPs; the first few replays are then measured, one submission at a time, and the program is cut again until all of
// them fit. Cuts change when work is handed over, never in what order it runs: results are the same bits.
// Layer: hostlib.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sy_dispatch;

struct sy_pace {
    double target;  ///< Seconds of one submission.
    double *took;   ///< [count] what each dispatch is thought to take, in seconds.
    size_t *ends;   ///< [count] behind the last dispatch of each submission.
    size_t count;   ///< Dispatches.
    size_t most;    ///< Of them in one submission.
    size_t cuts;    ///< Submissions.
    unsigned tries; ///< Replays that may still be measured; 0: the cuts stay.
};

/// Cuts `count` dispatches by their predicted FLOPs, on a device that does `rate` of them a second. False when out of
/// memory.
bool sy_pace_create(struct sy_pace *pace, const struct sy_dispatch *dispatches, size_t count, size_t most, double rate,
                    double target);
void sy_pace_destroy(struct sy_pace *pace);
/// The first dispatch of a submission.
size_t sy_pace_first(const struct sy_pace *pace, size_t submission);
/// Takes the seconds that each submission of a replay took. True when the program has been cut anew.
bool sy_pace_measured(struct sy_pace *pace, const double *seconds);
