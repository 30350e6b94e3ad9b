// SPDX-License-Identifier: Apache-2.0
// buffer.c: what all backends share of a buffer: argument checks, names, and the account of bytes.
#include "hostlib/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum sy_status check_room(struct sy_device *device, const char *name, uint64_t bytes)
{
    const struct sy_caps *caps = &device->caps;
    if (bytes > caps->max_alloc_bytes)
        return sy_fail(device->ctx, SY_INVALID,
                       "buffer '%s' wants %" PRIu64 " bytes, but one allocation on %s (%s) holds at most %" PRIu64
                       "; split it into smaller buffers",
                       name, bytes, caps->id, caps->name, caps->max_alloc_bytes);
    // Drivers would page to host memory here, which is slow and silent: refuse instead.
    if (bytes > caps->memory_bytes || device->allocated_bytes > caps->memory_bytes - bytes)
        return sy_fail_nomem(device, name, bytes);
    return SY_OK;
}

enum sy_status sy_fail_nomem(struct sy_device *device, const char *name, uint64_t bytes)
{
    const uint64_t total = device->caps.memory_bytes, used = device->allocated_bytes;
    return sy_fail(device->ctx, SY_NOMEM,
                   "out of device memory on %s (%s): buffer '%s' wants %" PRIu64 " bytes, %" PRIu64 " of %" PRIu64
                   " were left (%s); use a smaller model, batch or another device",
                   device->caps.id, device->caps.name, name, bytes, total > used ? total - used : 0, total,
                   device->caps.memory_from);
}

static void link_buffer(struct sy_device *device, struct sy_buffer *buffer)
{
    buffer->previous = NULL;
    buffer->next = device->buffers;
    if (buffer->next != NULL)
        buffer->next->previous = buffer;
    device->buffers = buffer;
    device->allocated_bytes += buffer->bytes;
}

static void unlink_buffer(struct sy_device *device, struct sy_buffer *buffer)
{
    if (buffer->previous != NULL)
        buffer->previous->next = buffer->next;
    else
        device->buffers = buffer->next;
    if (buffer->next != NULL)
        buffer->next->previous = buffer->previous;
    device->allocated_bytes -= buffer->bytes;
}

enum sy_status sy_buffer_create(struct sy_device *device, const char *name, uint64_t bytes,
                                struct sy_buffer **out_buffer)
{
    SY_TRY(sy_device_usable(device));
    if (name == NULL || name[0] == '\0')
        return sy_fail(device->ctx, SY_INVALID, "a buffer of %" PRIu64 " bytes on %s has no name; give it one", bytes,
                       device->caps.id);
    if (bytes == 0 || bytes > UINT64_MAX - 3)
        return sy_fail(device->ctx, SY_INVALID, "buffer '%s' on %s: %" PRIu64 " bytes; expected at least 1", name,
                       device->caps.id, bytes);
    bytes = (bytes + 3) & ~UINT64_C(3);
    SY_TRY(check_room(device, name, bytes));
    char *copy = strdup(name);
    if (copy == NULL)
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory naming buffer '%s'", name);
    struct sy_buffer *buffer = NULL;
    enum sy_status status = device->backend->buffer_create(device, bytes, &buffer);
    if (status != SY_OK) {
        if (status == SY_NOMEM) // the backend knows no name: say it again with one
            status = sy_fail_nomem(device, name, bytes);
        free(copy);
        return status;
    }
    buffer->device = device;
    buffer->name = copy;
    buffer->bytes = bytes;
    link_buffer(device, buffer);
    *out_buffer = buffer;
    return SY_OK;
}

void sy_buffer_destroy(struct sy_buffer **buffer)
{
    if (buffer == NULL || *buffer == NULL)
        return;
    struct sy_device *device = (*buffer)->device;
    char *name = (*buffer)->name;
    unlink_buffer(device, *buffer);
    device->backend->buffer_destroy(*buffer);
    free(name);
    *buffer = NULL;
}

uint64_t sy_buffer_bytes(const struct sy_buffer *buffer) { return buffer->bytes; }

static enum sy_status check_range(const struct sy_buffer *buffer, const char *verb, uint64_t offset, uint64_t bytes)
{
    SY_TRY(sy_device_usable(buffer->device));
    if (offset > buffer->bytes || bytes > buffer->bytes - offset)
        return sy_fail(buffer->device->ctx, SY_INVALID,
                       "%s buffer '%s': %" PRIu64 " bytes at offset %" PRIu64 " end beyond its %" PRIu64 " bytes", verb,
                       buffer->name, bytes, offset, buffer->bytes);
    return SY_OK;
}

static enum sy_status check_host(const struct sy_buffer *buffer, const char *verb, const void *host, uint64_t bytes)
{
    if (host == NULL && bytes != 0)
        return sy_fail(buffer->device->ctx, SY_INVALID, "%s buffer '%s': the host pointer is NULL", verb, buffer->name);
    if (bytes > SIZE_MAX)
        return sy_fail(buffer->device->ctx, SY_INVALID, "%s buffer '%s': %" PRIu64 " bytes exceed the address space",
                       verb, buffer->name, bytes);
    return SY_OK;
}

enum sy_status sy_buffer_write(struct sy_buffer *buffer, uint64_t offset_bytes, const void *source, uint64_t bytes)
{
    SY_TRY(check_range(buffer, "writing", offset_bytes, bytes));
    SY_TRY(check_host(buffer, "writing", source, bytes));
    return bytes == 0 ? SY_OK : buffer->device->backend->buffer_write(buffer, offset_bytes, source, bytes);
}

enum sy_status sy_buffer_read(struct sy_buffer *buffer, uint64_t offset_bytes, void *destination, uint64_t bytes)
{
    SY_TRY(check_range(buffer, "reading", offset_bytes, bytes));
    SY_TRY(check_host(buffer, "reading", destination, bytes));
    return bytes == 0 ? SY_OK : buffer->device->backend->buffer_read(buffer, offset_bytes, destination, bytes);
}

enum sy_status sy_buffer_read_start(struct sy_buffer *buffer, uint64_t offset_bytes, void *destination, uint64_t bytes,
                                    struct sy_event **out_event)
{
    struct sy_device *device = buffer->device;
    SY_TRY(check_range(buffer, "reading", offset_bytes, bytes));
    SY_TRY(check_host(buffer, "reading", destination, bytes));
    if (bytes == 0)
        return sy_fail(device->ctx, SY_INVALID, "reading buffer '%s': 0 bytes; expected at least 1", buffer->name);
    struct sy_event *event = NULL;
    SY_TRY(device->backend->buffer_read_start(buffer, offset_bytes, destination, bytes, &event));
    event->device = device;
    ++device->event_count;
    *out_event = event;
    return SY_OK;
}

enum sy_status sy_buffer_copy(struct sy_buffer *source, uint64_t source_offset_bytes, struct sy_buffer *target,
                              uint64_t target_offset_bytes, uint64_t bytes)
{
    SY_TRY(check_range(source, "copying from", source_offset_bytes, bytes));
    SY_TRY(check_range(target, "copying to", target_offset_bytes, bytes));
    if (source->device != target->device)
        return sy_fail(
            source->device->ctx, SY_INVALID,
            "copying buffer '%s' of %s to '%s' of %s: expected buffers of one device; read and write instead",
            source->name, source->device->caps.id, target->name, target->device->caps.id);
    const uint64_t low = source_offset_bytes < target_offset_bytes ? source_offset_bytes : target_offset_bytes;
    if (source == target && source_offset_bytes + target_offset_bytes - 2 * low < bytes)
        return sy_fail(source->device->ctx, SY_INVALID,
                       "copying %" PRIu64 " bytes within buffer '%s', from offset %" PRIu64 " to %" PRIu64
                       ": the ranges overlap; go through another buffer",
                       bytes, source->name, source_offset_bytes, target_offset_bytes);
    if (bytes == 0)
        return SY_OK;
    return source->device->backend->buffer_copy(source, source_offset_bytes, target, target_offset_bytes, bytes);
}

enum sy_status sy_buffer_zero(struct sy_buffer *buffer, uint64_t offset_bytes, uint64_t bytes)
{
    SY_TRY(check_range(buffer, "zeroing", offset_bytes, bytes));
    if (offset_bytes % 4 != 0 || bytes % 4 != 0)
        return sy_fail(buffer->device->ctx, SY_INVALID,
                       "zeroing buffer '%s': %" PRIu64 " bytes at offset %" PRIu64 " are not both multiples of 4",
                       buffer->name, bytes, offset_bytes);
    return bytes == 0 ? SY_OK : buffer->device->backend->buffer_zero(buffer, offset_bytes, bytes);
}
