// SPDX-License-Identifier: Apache-2.0
// quirk.h: work-arounds for the mistakes of single drivers, each with a name.
//
// A backend's survey says which ones a device needs (sy_caps.quirks); the code that works around asks
// sy_has_quirk(). `SY_NO_QUIRK=NAME,…` switches them off, for tests/quirks.c: the canary that shows whether a
// driver still makes the mistake. What is worked around inside a kernel instead is listed in docs/drivers.md.
// Layer: hostlib.
#pragma once

#include "hostlib/device.h"

enum sy_quirk {
    SY_QUIRK_OWN_CACHE,   ///< The driver's own cache of kernels is used; ours stays out of its way.
    SY_QUIRK_DRAIN_FILL,  ///< The queue is drained after a fill.
    SY_QUIRK_WRITE_ZEROS, ///< Zeros are written from the host instead of filled in.
    SY_QUIRK_DECLARE,     ///< Built-in functions are declared by us; the driver's own, long header is skipped.
    SY_QUIRK_COUNT
};

struct sy_quirk_info {
    const char *name; ///< "own_cache"
    const char *why;  ///< The driver's mistake and what we do, for `switchyard-devices`.
};

const struct sy_quirk_info *sy_quirk_info(enum sy_quirk quirk);
bool sy_has_quirk(const struct sy_caps *caps, enum sy_quirk quirk);

/// Takes the work-arounds that SY_NO_QUIRK names out of `caps`. Errors: INVALID a name that is none (the message lists
/// them).
SY_MUST_CHECK enum sy_status sy_quirks_switch_off(struct sy_ctx *ctx, struct sy_caps *caps);
