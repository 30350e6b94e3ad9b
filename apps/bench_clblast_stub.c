// SPDX-License-Identifier: Apache-2.0
#include "apps/bench_blas.h"

enum sy_status bench_clblast_open(struct sy_ctx *ctx, const struct sy_caps *caps, uint32_t n,
                                  struct bench_clblast **out)
{
    (void)ctx, (void)caps, (void)n;
    *out = NULL;
    return SY_OK;
}

double bench_clblast_seconds(struct bench_clblast *rival)
{
    (void)rival;
    return -1.0;
}

void bench_clblast_close(struct bench_clblast **rival) { *rival = NULL; }
