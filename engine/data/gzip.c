// SPDX-License-Identifier: Apache-2.0
// gzip.c: zlib's own gz* functions take what follows a gzip member in silence; this does not.
#include <stdlib.h>

#include <zlib.h>

#include "engine/data/unpack.h"

struct gzip {
    z_stream z;
    bool inside; ///< A member has begun and not ended.
};

static enum sy_status open_gzip(struct sy_packed *packed, void **out_state)
{
    struct gzip *g = calloc(1, sizeof *g);
    if (g == NULL || inflateInit2(&g->z, 15 + 16) != Z_OK) {
        free(g);
        return sy_fail(packed->ctx, SY_NOMEM, "%s: out of memory for unpacking", packed->path);
    }
    g->inside = true;
    *out_state = g;
    return SY_OK;
}

/// Between members: another one, zeros up to the end (padding, as gzip accepts it), or nothing.
static enum sy_status next_member(struct sy_packed *p, struct gzip *g)
{
    SY_TRY(sy_packed_fill(p, 2));
    if (sy_gzip_begins(p->next, p->left)) {
        g->inside = true;
        return inflateReset(&g->z) == Z_OK ? SY_OK : sy_fail(p->ctx, SY_INTERNAL, "%s: inflateReset", p->path);
    }
    for (; p->left > 0; ++p->next, --p->left) {
        if (*p->next != 0)
            return sy_fail(
                p->ctx, SY_FORMAT,
                "%s: behind its gzip data is something that is none and would be lost; unpack what belongs to "
                "it and compress it anew",
                p->path);
        if (p->left == 1)
            SY_TRY(sy_packed_fill(p, 2));
    }
    return SY_OK;
}

static enum sy_status read_gzip(struct sy_packed *p, void *state, char *data, size_t bytes, size_t *out_bytes)
{
    struct gzip *g = state;
    z_stream *z = &g->z;
    z->next_out = (Bytef *)data;
    z->avail_out = bytes < 1u << 30 ? (uInt)bytes : 1u << 30;
    const uInt room = z->avail_out;
    while (z->avail_out == room) { // until there is something
        if (!g->inside)
            SY_TRY(next_member(p, g));
        if (!g->inside)
            break;
        SY_TRY(sy_packed_fill(p, 1));
        z->next_in = (Bytef *)(uintptr_t)p->next;
        z->avail_in = (uInt)p->left;
        const int code = inflate(z, Z_NO_FLUSH);
        p->next = z->next_in;
        p->left = z->avail_in;
        if (code == Z_STREAM_END)
            g->inside = false;
        else if (code == Z_BUF_ERROR || (code == Z_OK && p->left == 0 && p->end && z->avail_out > 0))
            return sy_fail(p->ctx, SY_FORMAT, "%s: the gzip data is cut off; fetch the file again", p->path);
        else if (code != Z_OK)
            return sy_fail(p->ctx, SY_FORMAT, "%s: damaged gzip data (%s); fetch the file again", p->path,
                           z->msg != NULL ? z->msg : "no message");
    }
    *out_bytes = room - z->avail_out;
    return SY_OK;
}

static void close_gzip(void *state)
{
    inflateEnd(&((struct gzip *)state)->z);
    free(state);
}

const struct sy_unpack sy_unpack_gzip = {sy_gzip_begins, open_gzip, read_gzip, close_gzip};
