// SPDX-License-Identifier: Apache-2.0
// matmul_packed.c: cases of matmul_packed: tails of rows, panels and slices of k, ragged experts.
#include "kernels/tiles.h"
#include "tests/ops/matmul_cases.h"

#define DENSE(m, n, k, accumulate, alpha)                     \
    {                                                         \
        m, n, k, 1, 0, accumulate, alpha, SY_TILE_ROWS_CPU, 0 \
    }
#define EXPERTS(m, n, k, e, accumulate, alpha, rows)                      \
    {                                                                     \
        m, n, k, e, 1, accumulate, alpha, rows, SY_CASE_TILES(m, e, rows) \
    }

static const struct sy_matmul_args cases[] = {
    DENSE(1, 1, 1, 0, 1.0f),
    DENSE(1, 33, 1, 1, 0.5f),
    DENSE(5, 32, 16, 0, 1.0f),
    DENSE(48, 64, 256, 1, 0.125f),
    DENSE(65, 100, 17, 0, 1.0f),
    DENSE(100, 129, 271, 0, -2.5f),
    DENSE(131, 70, 530, 1, 0.7f),
    DENSE(3, 257, 96, 0, 1.0f),
    DENSE(20, 128, 128, 0, 1.0f),
    DENSE(14, 130, 128, 0, 0.0883883f),
    DENSE(20, 128, 136, 0, 1.0f),
    DENSE(257, 8, 128, 0, 1.0f),
    DENSE(1200, 260, 9, 0, 1.0f), // enough tiles for groups of 8 panels
    DENSE(700, 132, 9, 1, 1.0f),  // … of 4
    EXPERTS(100, 33, 20, 2, 0, 1.0f, SY_TILE_ROWS_CPU),
    EXPERTS(130, 65, 32, 3, 0, 1.0f, SY_TILE_ROWS_CPU),
    EXPERTS(150, 40, 48, 4, 1, 0.5f, SY_TILE_ROWS_CPU),
    EXPERTS(20, 32, 16, 5, 0, 1.0f, SY_TILE_ROWS_CPU),
    EXPERTS(200, 72, 64, 8, 0, 1.0f, SY_TILE_ROWS_CPU),
    EXPERTS(200, 72, 64, 16, 0, 1.0f, SY_TILE_ROWS_SIMT),
    EXPERTS(300, 17, 13, 7, 1, 3.0f, 100),
};

SY_OP_CASES(matmul_packed, cases, .fill = sy_case_fill_tiles, .tolerance_f32 = 1e-5, .tolerance_bf16 = 8e-3,
            .reason = "chains of at most 530 fma in f32 against sums in double; bf16: one rounding of the output");
