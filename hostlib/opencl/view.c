// SPDX-License-Identifier: Apache-2.0
// opencl/view.c: sub-buffers. A buffer owns those of its ranges that any dispatch binds, one for each range, until it
// goes away itself; then the last one made goes first, since NVIDIA's driver (580) crashes otherwise.
#include <stdlib.h>

#include "hostlib/opencl/opencl.h"

// Open addressing: the place of the range in `index`, or the free one where it belongs.
static uint32_t *place_of(const struct sy_cl_views *views, size_t offset, size_t bytes)
{
    uint64_t hash = offset * UINT64_C(0x9E3779B97F4A7C15);
    hash = (hash ^ (hash >> 32) ^ bytes) * UINT64_C(0x94D049BB133111EB);
    for (size_t i = (size_t)(hash >> 33);; ++i) {
        uint32_t *place = &views->index[i & (2 * views->room - 1)];
        const struct sy_cl_view *view = *place > 0 ? &views->list[*place - 1] : NULL;
        if (view == NULL || (view->offset == offset && view->bytes == bytes))
            return place;
    }
}

static bool grow(struct sy_cl_views *views)
{
    struct sy_cl_views grown = {.count = views->count, .room = views->room > 0 ? 2 * views->room : 16};
    grown.list = realloc(views->list, grown.room * sizeof *grown.list);
    if (grown.list == NULL)
        return false;
    views->list = grown.list;
    grown.index = calloc(2 * grown.room, sizeof *grown.index);
    if (grown.index == NULL)
        return false;
    for (size_t i = 0; i < grown.count; ++i)
        *place_of(&grown, grown.list[i].offset, grown.list[i].bytes) = (uint32_t)i + 1;
    free(views->index);
    *views = grown;
    return true;
}

cl_int sy_cl_view(struct sy_cl_buffer *buffer, size_t offset, size_t bytes, cl_mem *out)
{
    // A range from the start is bound as the buffer itself: kernels stay within their sizes.
    *out = buffer->memory;
    if (offset == 0)
        return CL_SUCCESS;
    struct sy_cl_views *views = &buffer->views;
    if (views->count == views->room && !grow(views))
        return CL_OUT_OF_HOST_MEMORY;
    uint32_t *place = place_of(views, offset, bytes);
    if (*place == 0) {
        cl_int error = CL_SUCCESS;
        const cl_buffer_region region = {.origin = offset, .size = bytes};
        cl_mem memory =
            clCreateSubBuffer(buffer->memory, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
        if (error != CL_SUCCESS)
            return error;
        views->list[views->count++] = (struct sy_cl_view){.memory = memory, .offset = offset, .bytes = bytes};
        *place = (uint32_t)views->count;
    }
    *out = views->list[*place - 1].memory;
    return CL_SUCCESS;
}

void sy_cl_views_release(struct sy_cl_buffer *buffer)
{
    struct sy_cl_views *views = &buffer->views;
    while (views->count > 0)
        clReleaseMemObject(views->list[--views->count].memory);
    free(views->list);
    free(views->index);
}
