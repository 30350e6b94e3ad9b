// SPDX-License-Identifier: Apache-2.0
#include "hostlib/hazards.h"

static struct sy_range range_of(const struct sy_dispatch *dispatch, uint32_t i)
{
    const struct sy_binding *b = &dispatch->bindings[i];
    return (struct sy_range){b->buffer, b->offset_bytes, b->offset_bytes + b->bytes, dispatch->write_mask >> i & 1u};
}

static bool conflicts(const struct sy_hazards *hazards, const struct sy_dispatch *dispatch)
{
    for (uint32_t i = 0; i < dispatch->kernel->params.binding_count; ++i) {
        const struct sy_range r = range_of(dispatch, i);
        for (size_t j = 0; j < hazards->count; ++j) {
            const struct sy_range *o = &hazards->ranges[j];
            if (r.buffer == o->buffer && r.begin < o->end && o->begin < r.end && (r.written || o->written))
                return true;
        }
    }
    return false;
}

bool sy_hazards_add(struct sy_hazards *hazards, const struct sy_dispatch *dispatch)
{
    const bool waits = hazards->dispatches == SY_WAVE_DISPATCHES || conflicts(hazards, dispatch);
    if (waits)
        hazards->count = hazards->dispatches = 0;
    for (uint32_t i = 0; i < dispatch->kernel->params.binding_count; ++i)
        hazards->ranges[hazards->count++] = range_of(dispatch, i);
    ++hazards->dispatches;
    return waits;
}
