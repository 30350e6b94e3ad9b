// SPDX-License-Identifier: Apache-2.0
// matmul.c: cases of matmul: both layouts of B, tails in every direction, ragged experts.
#include "kernels/tiles.h"
#include "tests/ops/matmul_cases.h"

#define DENSE(m, n, k, bt, accumulate, alpha)                         \
    {                                                                 \
        m, n, k, 1, bt, accumulate, alpha, SY_TILE_ROWS_SIMT, 0, 0, 0 \
    }
#define DENSE_CPU(m, n, k, bt, accumulate, alpha)                    \
    {                                                                \
        m, n, k, 1, bt, accumulate, alpha, SY_TILE_ROWS_CPU, 0, 0, 0 \
    }
#define EXPERTS(m, n, k, e, bt, accumulate, alpha, rows)                         \
    {                                                                            \
        m, n, k, e, bt, accumulate, alpha, rows, SY_CASE_TILES(m, e, rows), 0, 0 \
    }
#define PART(m, n, k, first, e, bt, accumulate, alpha, rows)                                                    \
    {                                                                                                           \
        m, n, k, e, bt, accumulate, alpha, rows, SY_CASE_TILES(m, (first) + (e) + SY_CASE_OTHERS, rows), first, \
            (first) + (e) + SY_CASE_OTHERS                                                                      \
    }

static const struct sy_matmul_args cases[] = {
    DENSE(1, 1, 1, 1, 0, 1.0f),
    DENSE(1, 1, 1, 0, 1, 0.5f),
    DENSE(13, 33, 1, 1, 0, 1.0f),
    DENSE(65, 100, 17, 1, 0, 1.0f),
    DENSE(65, 100, 17, 0, 0, 1.0f),
    DENSE(64, 64, 64, 1, 1, 0.125f),
    DENSE(64, 64, 64, 0, 0, 1.0f),
    DENSE(100, 129, 271, 1, 0, -2.5f),
    DENSE(131, 70, 300, 0, 1, 0.7f),
    DENSE(3, 257, 96, 1, 0, 1.0f),
    DENSE(257, 8, 128, 1, 0, 1.0f),
    DENSE_CPU(1, 33, 1, 1, 1, 0.5f), // panels, and slices of k
    DENSE_CPU(5, 32, 16, 0, 0, 1.0f),
    DENSE_CPU(48, 64, 256, 1, 1, 0.125f),
    DENSE_CPU(100, 129, 271, 0, 0, -2.5f),
    DENSE_CPU(131, 70, 530, 1, 1, 0.7f),
    DENSE_CPU(20, 128, 128, 0, 0, 1.0f),
    DENSE_CPU(14, 130, 128, 1, 0, 0.0883883f),
    DENSE_CPU(20, 128, 136, 0, 0, 1.0f),
    DENSE_CPU(1200, 260, 9, 1, 0, 1.0f), // enough tiles for groups of 8 panels
    DENSE_CPU(1100, 132, 9, 0, 1, 1.0f), // … of 4
    DENSE_CPU(14, 40, 1040, 0, 1, 0.5f), // deeper than a tile's rows of A stay in a cache
    DENSE_CPU(9, 33, 1040, 1, 0, 1.0f),
    {48, 256, 1024, 1, 1, 0, 1.0f, 4, 0, 0, 0}, // rows of A 4 KiB apart, and groups of 8 panels
    DENSE(150, 264, 200, 1, 0, 1.0f),           // several blocks of 128 × 128 with aligned rows, the last ones in part
    DENSE(150, 264, 200, 0, 1, 0.5f),
    EXPERTS(100, 33, 20, 2, 1, 0, 1.0f, SY_TILE_ROWS_SIMT),
    EXPERTS(400, 136, 72, 3, 1, 0, 1.0f, SY_MMA_ROWS(SY_MMA_WG)), // also SY_CORES_ROWS
    EXPERTS(400, 136, 72, 3, 0, 1, 1.0f, 200),
    EXPERTS(130, 65, 32, 3, 0, 0, 1.0f, SY_TILE_ROWS_SIMT),
    EXPERTS(150, 40, 48, 4, 1, 1, 0.5f, SY_TILE_ROWS_SIMT),
    EXPERTS(20, 32, 16, 5, 1, 0, 1.0f, SY_TILE_ROWS_SIMT),
    EXPERTS(200, 72, 64, 8, 1, 0, 1.0f, SY_TILE_ROWS_SIMT),
    EXPERTS(200, 72, 64, 16, 0, 0, 1.0f, SY_TILE_ROWS_CPU),
    EXPERTS(130, 65, 32, 3, 1, 0, 1.0f, SY_TILE_ROWS_CPU),
    EXPERTS(150, 40, 48, 4, 0, 1, 0.5f, SY_TILE_ROWS_CPU),
    EXPERTS(300, 17, 13, 7, 0, 1, 3.0f, 100),
    PART(200, 72, 64, 0, 4, 1, 0, 1.0f, SY_TILE_ROWS_SIMT), // of stacks of experts
    PART(200, 72, 64, 5, 3, 0, 0, 0.5f, SY_TILE_ROWS_SIMT),
    PART(300, 33, 20, 2, 1, 1, 0, 1.0f, SY_TILE_ROWS_CPU),
    PART(130, 65, 32, 4, 2, 0, 1, 2.0f, SY_TILE_ROWS_CPU),
};

SY_OP_CASES(matmul, cases, .fill = sy_case_fill_tiles, .tolerance_f32 = 1e-5, .tolerance_bf16 = 8e-3,
            .reason = "chains of at most 1,040 fma in f32 against sums in double; bf16: one rounding of the output");
