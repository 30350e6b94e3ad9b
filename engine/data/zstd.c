// SPDX-License-Identifier: Apache-2.0
// zstd.c: frames of zstd, one behind another; what can be skipped in between is skipped by the library.
#include <stdlib.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "engine/data/unpack.h"

#define WINDOW_LOG 27 // what zstd itself unpacks unasked: 128 MiB

struct zstd {
    ZSTD_DStream *stream;
    bool inside; ///< A frame has begun and not ended.
};

static enum sy_status open_zstd(struct sy_packed *packed, void **out_state)
{
    struct zstd *z = calloc(1, sizeof *z);
    if (z == NULL || (z->stream = ZSTD_createDStream()) == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(z->stream, ZSTD_d_windowLogMax, WINDOW_LOG))) {
        if (z != NULL)
            ZSTD_freeDStream(z->stream);
        free(z);
        return sy_fail(packed->ctx, SY_NOMEM, "%s: out of memory for unpacking", packed->path);
    }
    *out_state = z;
    return SY_OK;
}

/// What follows a whole frame must be another one, or the end.
static enum sy_status next_frame(struct sy_packed *p, struct zstd *z)
{
    SY_TRY(sy_packed_fill(p, 4));
    z->inside = p->left > 0;
    return !z->inside || sy_zstd_begins(p->next, p->left)
               ? SY_OK
               : sy_fail(p->ctx, SY_FORMAT,
                         "%s: behind its zstd data is something that is none and would be lost; unpack what belongs to "
                         "it and compress it anew",
                         p->path);
}

static enum sy_status damaged(const struct sy_packed *p, size_t code)
{
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
        return sy_fail(p->ctx, SY_FORMAT,
                       "%s was compressed with a window of more than 128 MiB; unpack it into a pipe: zstdcat --long=31 "
                       "FILE | … -",
                       p->path);
    return sy_fail(p->ctx, SY_FORMAT, "%s: damaged zstd data (%s); fetch the file again", p->path,
                   ZSTD_getErrorName(code));
}

static enum sy_status read_zstd(struct sy_packed *p, void *state, char *data, size_t bytes, size_t *out_bytes)
{
    struct zstd *z = state;
    ZSTD_outBuffer out = {data, bytes, 0};
    while (out.pos == 0) { // until there is something
        if (!z->inside)
            SY_TRY(next_frame(p, z));
        if (!z->inside)
            break;
        SY_TRY(sy_packed_fill(p, 1));
        ZSTD_inBuffer in = {p->next, p->left, 0};
        const size_t code = ZSTD_decompressStream(z->stream, &out, &in);
        p->next += in.pos;
        p->left -= in.pos;
        if (ZSTD_isError(code))
            return damaged(p, code);
        z->inside = code != 0;
        if (z->inside && in.size == 0 && out.pos == 0)
            return sy_fail(p->ctx, SY_FORMAT, "%s: the zstd data is cut off; fetch the file again", p->path);
    }
    *out_bytes = out.pos;
    return SY_OK;
}

static void close_zstd(void *state)
{
    ZSTD_freeDStream(((struct zstd *)state)->stream);
    free(state);
}

const struct sy_unpack sy_unpack_zstd = {sy_zstd_begins, open_zstd, read_zstd, close_zstd};
