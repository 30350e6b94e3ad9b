// SPDX-License-Identifier: Apache-2.0
// lines.c: a pipe may give its text in pieces of any size; what comes out are whole lines.
#include "engine/data/lines.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)1 << 20)
#define MAX_LINE_BYTES ((size_t)256 << 20)

enum sy_status sy_lines_open(struct sy_ctx *ctx, const char *path, struct sy_lines *out)
{
    *out = (struct sy_lines){.ctx = ctx, .path = sy_input_name(path)};
    return sy_input_open(ctx, path, &out->input);
}

void sy_lines_close(struct sy_lines *lines)
{
    free(lines->data);
    sy_input_close(&lines->input);
    *lines = (struct sy_lines){0};
}

static enum sy_status fill(struct sy_lines *l)
{
    if (l->room - l->bytes < BLOCK_BYTES) {
        size_t room = l->room + (l->room > BLOCK_BYTES ? l->room : 2 * BLOCK_BYTES);
        if (l->bytes > MAX_LINE_BYTES)
            return sy_fail(l->ctx, SY_FORMAT, "%s: the line at byte %llu is longer than 256 MiB: is this text?",
                           l->path, (unsigned long long)l->offset);
        char *bigger = realloc(l->data, room);
        if (bigger == NULL)
            return sy_fail(l->ctx, SY_NOMEM, "%s: out of memory for a line of %zu bytes", l->path, room);
        l->data = bigger;
        l->room = room;
    }
    size_t got;
    SY_TRY(sy_input_read(l->input, l->data + l->bytes, BLOCK_BYTES, &got));
    l->end = got == 0;
    l->bytes += got;
    return SY_OK;
}

static void drop(struct sy_lines *l, size_t bytes)
{
    l->bytes -= bytes;
    if (bytes > 0 && l->bytes > 0)
        memmove(l->data, l->data + bytes, l->bytes);
    l->offset += bytes;
}

enum sy_status sy_lines_look(struct sy_lines *lines)
{
    while (!lines->end && lines->bytes < BLOCK_BYTES)
        SY_TRY(fill(lines));
    return SY_OK;
}

enum sy_status sy_lines_skip(struct sy_lines *lines, uint64_t offset)
{
    while (lines->offset < offset) {
        const uint64_t left = offset - lines->offset;
        if (lines->bytes == 0 && lines->end)
            return sy_fail(lines->ctx, SY_FORMAT, "%s ends at byte %llu, before the %llu that were read of it earlier",
                           lines->path, (unsigned long long)lines->offset, (unsigned long long)offset);
        if (lines->bytes < left && sy_input_seek(lines->input, left - lines->bytes)) {
            lines->offset = offset;
            lines->bytes = 0;
            return SY_OK;
        }
        drop(lines, left < lines->bytes ? (size_t)left : lines->bytes);
        if (lines->bytes == 0 && !lines->end)
            SY_TRY(fill(lines));
    }
    return SY_OK;
}

enum sy_status sy_lines_next(struct sy_lines *lines)
{
    drop(lines, lines->given);
    lines->given = 0;
    const char *newline = lines->bytes > 0 ? memrchr(lines->data, '\n', lines->bytes) : NULL;
    while (newline == NULL && !lines->end) {
        const size_t searched = lines->bytes;
        SY_TRY(fill(lines));
        newline = memrchr(lines->data + searched, '\n', lines->bytes - searched);
    }
    lines->given = newline != NULL ? (size_t)(newline - lines->data) + 1 : lines->bytes;
    return SY_OK;
}
