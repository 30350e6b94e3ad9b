// SPDX-License-Identifier: Apache-2.0
// gzip_stub.c: a build without zlib.
#include "engine/data/unpack.h"

static enum sy_status open_gzip(struct sy_packed *packed, void **out_state)
{
    (void)out_state;
    return sy_fail(packed->ctx, SY_UNSUPPORTED,
                   "%s is gzipped and this build has no zlib; unpack it (gunzip) or build with -Dzlib=enabled",
                   packed->path);
}

const struct sy_unpack sy_unpack_gzip = {sy_gzip_begins, open_gzip, NULL, NULL};
