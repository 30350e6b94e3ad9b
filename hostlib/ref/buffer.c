// SPDX-License-Identifier: Apache-2.0
// ref/buffer.c: buffers in host memory.
#include "hostlib/ref/ref.h"

#include <stdlib.h>
#include <string.h>

static struct sy_ref_buffer *from_base(struct sy_buffer *buffer) { return (struct sy_ref_buffer *)buffer; }

enum sy_status sy_ref_buffer_create(struct sy_device *device, uint64_t bytes, struct sy_buffer **out)
{
    (void)device;
    struct sy_ref_buffer *buffer = calloc(1, sizeof *buffer);
    unsigned char *data = bytes <= SIZE_MAX ? calloc((size_t)bytes, 1) : NULL;
    if (buffer == NULL || data == NULL) {
        free(buffer);
        free(data);
        return SY_NOMEM; // buffer.c words the message
    }
    buffer->data = data;
    *out = &buffer->base;
    return SY_OK;
}

void sy_ref_buffer_destroy(struct sy_buffer *buffer)
{
    free(from_base(buffer)->data);
    free(buffer);
}

enum sy_status sy_ref_buffer_write(struct sy_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes)
{
    memcpy(from_base(buffer)->data + offset, source, (size_t)bytes);
    return SY_OK;
}

enum sy_status sy_ref_buffer_read(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes)
{
    memcpy(destination, from_base(buffer)->data + offset, (size_t)bytes);
    return SY_OK;
}

enum sy_status sy_ref_buffer_zero(struct sy_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    memset(from_base(buffer)->data + offset, 0, (size_t)bytes);
    return SY_OK;
}

enum sy_status sy_ref_buffer_copy(struct sy_buffer *source, uint64_t source_offset, struct sy_buffer *target,
                                  uint64_t target_offset, uint64_t bytes)
{
    memcpy(from_base(target)->data + target_offset, from_base(source)->data + source_offset, (size_t)bytes);
    return SY_OK;
}

// ---- events: everything is done at once ----------------------------------------------------------------------------

enum sy_status sy_ref_buffer_read_start(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes,
                                        struct sy_event **out)
{
    struct sy_event *event = calloc(1, sizeof *event);
    if (event == NULL)
        return sy_fail(buffer->device->ctx, SY_NOMEM, "out of host memory reading buffer '%s'", buffer->name);
    *out = event;
    return sy_ref_buffer_read(buffer, offset, destination, bytes);
}

enum sy_status sy_ref_event_wait(struct sy_event *event)
{
    (void)event;
    return SY_OK;
}

enum sy_status sy_ref_event_done(struct sy_event *event, bool *out)
{
    (void)event;
    *out = true;
    return SY_OK;
}

void sy_ref_event_destroy(struct sy_event *event) { free(event); }
