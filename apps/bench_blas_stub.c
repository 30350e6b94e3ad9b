// SPDX-License-Identifier: Apache-2.0
#include "apps/bench_blas.h"

double bench_blas_seconds(uint32_t n)
{
    (void)n;
    return 0.0;
}
