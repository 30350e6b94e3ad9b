// SPDX-License-Identifier: Apache-2.0
// event.c: what all backends share of reads that are under way: each is asked until it is done, and never again.
#include "hostlib/event.h"

#include "hostlib/check.h"

enum sy_status sy_event_wait(struct sy_event *event)
{
    if (event->done)
        return SY_OK;
    SY_TRY(sy_device_usable(event->device));
    SY_TRY(event->device->backend->event_wait(event));
    event->done = true;
    return SY_OK;
}

enum sy_status sy_event_done(struct sy_event *event, bool *out_done)
{
    bool done = event->done;
    if (!done) {
        SY_TRY(sy_device_usable(event->device));
        SY_TRY(event->device->backend->event_done(event, &done));
    }
    *out_done = event->done = done;
    return SY_OK;
}

void sy_event_destroy(struct sy_event **event)
{
    if (event == NULL || *event == NULL)
        return;
    struct sy_device *device = (*event)->device;
    if (!(*event)->done && !device->lost && device->backend->event_wait(*event) != SY_OK)
        sy_log(device->ctx, SY_LOG_WARN, "%s: a read that nobody waited for failed: %s", device->caps.id,
               sy_error(device->ctx));
    --device->event_count;
    device->backend->event_destroy(*event);
    *event = NULL;
}
