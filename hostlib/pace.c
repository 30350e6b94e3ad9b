// SPDX-License-Identifier: Apache-2.0
// pace.c: cuts by estimate, then by measurement.
#include "hostlib/pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hostlib/kernel.h"

#define MOST_TRIES 8            // measured replays: kernels may be compiled during the first, and machines hiccup
#define DISPATCH_SECONDS 1e-5   // of one that computes nothing
#define TOO_LONG (50.0 / 35.0)  // of the target: cut again …
#define TOO_SHORT (20.0 / 35.0) // … or join two neighbours
#define MOST_PARTS 1024u        // of one dispatch
#define REST 300.0              // targets until a replay is measured again: ten seconds, unless SY_SUBMIT_MS is set …
#define MORE_TRIES 3            // … and then no more of them behind each other than these

static bool is_part(const struct sy_submission *s) { return s->parts > 1; }

static uint32_t parts_of(const struct sy_pace *pace, size_t i)
{
    if (!(pace->took[i] > TOO_LONG * pace->target))
        return 1;
    const double most = pace->groups[i] < MOST_PARTS ? (double)pace->groups[i] : MOST_PARTS;
    return (uint32_t)fmin(ceil(pace->took[i] / pace->target), most);
}

static bool make_room(struct sy_pace *pace)
{
    size_t room = 0;
    for (size_t i = 0; i < pace->count; ++i)
        room += parts_of(pace, i);
    if (room <= pace->room)
        return true;
    struct sy_submission *list = realloc(pace->list, room * sizeof *list);
    if (list == NULL)
        return false;
    pace->list = list;
    pace->room = room;
    return true;
}

static bool cut(struct sy_pace *pace)
{
    double sum = 0;
    bool open = false; // the last submission takes more dispatches
    if (!make_room(pace))
        return false;
    pace->cuts = 0;
    for (size_t i = 0; i < pace->count; ++i) {
        const uint32_t parts = parts_of(pace, i);
        struct sy_submission *last = &pace->list[pace->cuts - open];
        if (open && parts == 1 && i - last->first < pace->most && sum + pace->took[i] <= pace->target) {
            last->end = i + 1;
            sum += pace->took[i];
            continue;
        }
        for (uint32_t p = 0; p < parts; ++p)
            pace->list[pace->cuts++] = (struct sy_submission){.first = i, .end = i + 1, .part = p, .parts = parts};
        open = parts == 1;
        sum = pace->took[i];
    }
    return true;
}

bool sy_pace_create(struct sy_pace *pace, const struct sy_dispatch *dispatches, size_t count, size_t most, double rate,
                    double target)
{
    *pace = (struct sy_pace){.target = target, .count = count, .most = most, .tries = MOST_TRIES};
    pace->took = malloc(count * sizeof *pace->took);
    pace->groups = malloc(count * sizeof *pace->groups);
    for (size_t i = 0; pace->took != NULL && pace->groups != NULL && i < count; ++i) {
        pace->took[i] = DISPATCH_SECONDS + dispatches[i].flops / rate;
        pace->groups[i] = dispatches[i].groups;
    }
    if (pace->took != NULL && pace->groups != NULL && cut(pace))
        return true;
    sy_pace_destroy(pace);
    return false;
}

void sy_pace_destroy(struct sy_pace *pace)
{
    free(pace->took);
    free(pace->groups);
    free(pace->list);
    memset(pace, 0, sizeof *pace);
}

void sy_pace_whole(struct sy_pace *pace)
{
    pace->list[0] = (struct sy_submission){.end = pace->count, .parts = 1};
    pace->cuts = 1;
    pace->tries = 0;
    pace->again = INFINITY;
}

bool sy_pace_due(struct sy_pace *pace, double now)
{
    if (pace->tries == 0 && now >= pace->again)
        pace->tries = MORE_TRIES;
    return pace->tries != 0;
}

/// Whether a submission is too long though it could be shorter, or too short though it could be longer. Parts of a
/// dispatch are judged together, by the longest: `s` is the first of them.
static bool misfits(const struct sy_pace *pace, size_t s, double seconds)
{
    const struct sy_submission *here = &pace->list[s], *next = here + 1;
    if (is_part(here)) {
        const bool more = here->parts < MOST_PARTS && here->parts < pace->groups[here->first];
        return (seconds > TOO_LONG * pace->target && more) || 2 * seconds < TOO_SHORT * pace->target;
    }
    if (seconds > TOO_LONG * pace->target && (here->end - here->first > 1 || pace->groups[here->first] > 1))
        return true;
    return s + 1 < pace->cuts && !is_part(next) && next->end - here->first <= pace->most &&
           seconds + next->seconds < TOO_SHORT * pace->target;
}

/// What the dispatches of a submission take now. Groups of a dispatch need not be alike: one that is cut is thought to
/// be as long as if all its parts were like the longest, which then fits.
static double learn(struct sy_pace *pace, const struct sy_submission *s)
{
    double thought = 0, longest = 0;
    if (is_part(s)) {
        for (uint32_t p = 0; p < s->parts; ++p)
            longest = fmax(longest, s[p].seconds);
        pace->took[s->first] = s->parts * longest;
        return longest;
    }
    for (size_t i = s->first; i < s->end; ++i)
        thought += pace->took[i];
    for (size_t i = s->first; i < s->end; ++i)
        pace->took[i] *= s->seconds / thought;
    return s->seconds;
}

bool sy_pace_measured(struct sy_pace *pace, double now, bool *out_cut)
{
    bool good = true;
    for (size_t s = 0; s < pace->cuts; s += pace->list[s].parts) {
        const double seconds = learn(pace, &pace->list[s]);
        good &= !misfits(pace, s, seconds);
    }
    pace->tries = good ? 0 : pace->tries - 1;
    pace->again = now + REST * pace->target;
    *out_cut = !good;
    return good || cut(pace);
}

void sy_pace_share(const struct sy_submission *submission, uint64_t total, uint64_t *out_first, uint64_t *out_end)
{
    *out_first = total * submission->part / submission->parts;
    *out_end = total * (submission->part + 1u) / submission->parts;
}
