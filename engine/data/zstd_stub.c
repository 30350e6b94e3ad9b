// SPDX-License-Identifier: Apache-2.0
// zstd_stub.c: a build without libzstd.
#include "engine/data/unpack.h"

static enum sy_status open_zstd(struct sy_packed *packed, void **out_state)
{
    (void)out_state;
    return sy_fail(
        packed->ctx, SY_UNSUPPORTED,
        "%s is compressed with zstd and this build has no libzstd; unpack it into a pipe (zstdcat FILE | … -) or "
        "build with -Dzstd=enabled",
        packed->path);
}

const struct sy_unpack sy_unpack_zstd = {sy_zstd_begins, open_zstd, NULL, NULL};
