// SPDX-License-Identifier: Apache-2.0
#include "apps/bench_blas.h"

double bench_blas_seconds(uint32_t n, clockid_t clock)
{
    (void)n, (void)clock;
    return 0.0;
}
