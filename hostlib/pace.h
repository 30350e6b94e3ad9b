// SPDX-License-Identifier: Apache-2.0
// pace.h: where a program is cut into submissions. Private to hostlib.
//
// A submission shall be long enough that its own cost is nothing, and short enough for a GPU's watchdog and for whoever
// else uses the device: SY_SUBMIT_MS, 35 unless the environment says otherwise, and a day on a CPU behind OpenCL. The
// first cuts come from predicted FLOPs; the first few replays are then measured, one submission at a time, and the
// program is cut again until all of them fit. A device may slow down later, so a replay is measured again now and then.
// What is too long although it is one dispatch is cut between its work-groups: they run in any order and no two write
// the same bytes, so parts of them behind each other are the whole. Cuts change when work is handed over, never what it
// computes: results are the same bits.
// Layer: hostlib.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sy_dispatch;

/// Dispatches first … end - 1, or part `part` of `parts` of the work-groups of dispatch `first` alone.
struct sy_submission {
    size_t first, end;
    uint32_t part, parts;
    double seconds; ///< What a measured replay took for it: the caller's to fill in.
};

struct sy_pace {
    double target;              ///< Seconds of one submission.
    double *took;               ///< [count] what each dispatch is thought to take, in seconds.
    uint64_t *groups;           ///< [count] of work-groups: no more parts than that.
    struct sy_submission *list; ///< [cuts]
    size_t count;               ///< Dispatches.
    size_t most;                ///< Of them in one submission.
    size_t cuts, room;          ///< Submissions, and room for them.
    unsigned tries;             ///< Replays that may still be measured; 0: the cuts stay until the next measurement.
    double again;               ///< When that is, on the caller's clock.
};

/// Cuts `count` dispatches by their predicted FLOPs, on a device that does `rate` of them a second. False when out of
/// memory.
bool sy_pace_create(struct sy_pace *pace, const struct sy_dispatch *dispatches, size_t count, size_t most, double rate,
                    double target);
void sy_pace_destroy(struct sy_pace *pace);
/// Makes it one submission that is never measured.
void sy_pace_whole(struct sy_pace *pace);
/// Whether the replay that begins at `now` (in seconds) shall be measured.
bool sy_pace_due(struct sy_pace *pace, double now);
/// Takes what the submissions of a replay took, which ended at `now`. `*out_cut`: the program has been cut anew. False
/// when out of memory: the cuts are as before.
bool sy_pace_measured(struct sy_pace *pace, double now, bool *out_cut);
/// A submission's share of `total` work-groups, or of rows of them: from the first to behind the last.
void sy_pace_share(const struct sy_submission *submission, uint64_t total, uint64_t *out_first, uint64_t *out_end);
