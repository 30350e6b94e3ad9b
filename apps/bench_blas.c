// SPDX-License-Identifier: Apache-2.0
#include "apps/bench_blas.h"

#include <cblas.h>
#include <stdlib.h>

#include "apps/cli.h"

double bench_blas_seconds(uint32_t n, clockid_t clock)
{
    float *m = malloc(3 * (size_t)n * n * sizeof *m);
    if (m == NULL)
        return 0.0;
    for (size_t i = 0; i < 3 * (size_t)n * n; ++i)
        m[i] = (float)(i % 17) * 0.1f;
    int k = (int)n;
    double from = cli_clock(clock);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, k, k, k, 1.0f, m, k, m + (size_t)n * n, k, 0.0f,
                m + 2 * (size_t)n * n, k);
    double seconds = cli_clock(clock) - from;
    free(m);
    return seconds;
}
