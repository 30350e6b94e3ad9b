// SPDX-License-Identifier: Apache-2.0
// pace.c: cuts by estimate, then by measurement.
#include "hostlib/pace.h"

#include <stdlib.h>
#include <string.h>

#include "hostlib/kernel.h"

#define MOST_TRIES 8            // measured replays: kernels may be compiled during the first, and machines hiccup
#define DISPATCH_SECONDS 1e-5   // of one that computes nothing
#define TOO_LONG (50.0 / 35.0)  // of the target: cut again …
#define TOO_SHORT (20.0 / 35.0) // … or join two neighbours

size_t sy_pace_first(const struct sy_pace *pace, size_t submission)
{
    return submission == 0 ? 0 : pace->ends[submission - 1];
}

static void cut(struct sy_pace *pace)
{
    double sum = 0;
    size_t first = 0;
    pace->cuts = 0;
    for (size_t i = 0; i < pace->count; ++i) {
        if (i > first && (i - first == pace->most || sum + pace->took[i] > pace->target)) {
            pace->ends[pace->cuts++] = first = i;
            sum = 0;
        }
        sum += pace->took[i];
    }
    pace->ends[pace->cuts++] = pace->count;
}

bool sy_pace_create(struct sy_pace *pace, const struct sy_dispatch *dispatches, size_t count, size_t most, double rate,
                    double target)
{
    *pace = (struct sy_pace){.target = target, .count = count, .most = most, .tries = MOST_TRIES};
    pace->took = malloc(count * sizeof *pace->took);
    pace->ends = malloc(count * sizeof *pace->ends);
    if (pace->took == NULL || pace->ends == NULL) {
        sy_pace_destroy(pace);
        return false;
    }
    for (size_t i = 0; i < count; ++i)
        pace->took[i] = DISPATCH_SECONDS + dispatches[i].flops / rate;
    cut(pace);
    return true;
}

void sy_pace_destroy(struct sy_pace *pace)
{
    free(pace->took);
    free(pace->ends);
    memset(pace, 0, sizeof *pace);
}

/// Whether a submission is too long though it could be shorter, or too short though it could be longer.
static bool misfits(const struct sy_pace *pace, const double *seconds, size_t s)
{
    const size_t first = sy_pace_first(pace, s);
    if (seconds[s] > TOO_LONG * pace->target && pace->ends[s] - first > 1)
        return true;
    return s + 1 < pace->cuts && pace->ends[s + 1] - first <= pace->most &&
           seconds[s] + seconds[s + 1] < TOO_SHORT * pace->target;
}

bool sy_pace_measured(struct sy_pace *pace, const double *seconds)
{
    bool good = true;
    for (size_t s = 0; s < pace->cuts; ++s) {
        const size_t first = sy_pace_first(pace, s);
        double thought = 0;
        for (size_t i = first; i < pace->ends[s]; ++i)
            thought += pace->took[i];
        for (size_t i = first; i < pace->ends[s]; ++i)
            pace->took[i] *= seconds[s] / thought;
        good &= !misfits(pace, seconds, s);
    }
    pace->tries = good ? 0 : pace->tries - 1;
    if (!good)
        cut(pace);
    return !good;
}
