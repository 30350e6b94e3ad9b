// SPDX-License-Identifier: Apache-2.0
// plan_rates.h: what devices and a network reach: given by hand, or measured (switchyard-bench rates).
#pragma once

#include "engine/variant.h"

/// What a kernel reaches; 0: not known. One of them where it was measured.
struct plan_kernel_rate {
    double flops, bytes; ///< A second.
};

struct plan_rates {
    double flops, memory, link; ///< A rank's device: FLOP/s; B/s of its memory, and between host and device.
    double dispatch;            ///< Seconds of each dispatch beside what its kernel takes.
    double processors, threads; ///< Of a machine whose ranks' devices are processors, and of a rank; 0: they are not.
    double resident;            ///< Bytes of a process beside what it allocates on its device.
    bool measured;              ///< What stands here and below is from a file.
    struct plan_kernel_rate kernels[SY_VARIANT_COUNT];
};

/// Between ranks of different machines, which share their machine's bandwidth, and of one.
struct plan_network {
    double latency, bandwidth;
    uint32_t machine; ///< Ranks of one.
    double near_latency, near_bandwidth;
};

/// "FLOP/s,B/s[,B/s]" and "SECONDS,B/s[,RANKS,SECONDS,B/s]", with units. False: nonsense.
bool plan_rates_parse(const char *text, struct plan_rates *out);
bool plan_network_parse(const char *text, struct plan_network *out);
/// A file that `switchyard-bench rates` printed, of that precision. Errors: IO · INVALID no such file, or of another
/// precision.
SY_MUST_CHECK enum sy_status plan_rates_read(struct sy_ctx *ctx, const char *path, const char *precision,
                                             struct plan_rates *out);
