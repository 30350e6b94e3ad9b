// SPDX-License-Identifier: Apache-2.0
// matmul_dw.c: cases of matmul_dw: tails of w in both directions, any number of rows, experts without any;
// w so large that CPUs write it past their caches.
#include "kernels/tiles.h"
#include "tests/ops/matmul_cases.h"

// rows, m, n, experts, accumulate, alpha, slices, ragged, first, of
static const struct sy_matmul_dw_args cases[] = {
    {1, 1, 1, 1, 0, 1.0f, 1, 0, 0, 0},        {1, 33, 33, 1, 1, 0.5f, 1, 0, 0, 0},
    {17, 65, 100, 1, 0, 1.0f, 1, 0, 0, 0},    {256, 48, 64, 1, 1, 0.125f, 1, 0, 0, 0},
    {271, 100, 129, 1, 0, -2.5f, 1, 0, 0, 0}, {530, 131, 70, 1, 1, 0.7f, 1, 0, 0, 0},
    {96, 3, 257, 1, 0, 1.0f, 1, 0, 0, 0},     {128, 257, 8, 1, 0, 1.0f, 1, 0, 0, 0},
    {9, 1200, 260, 1, 0, 1.0f, 1, 0, 0, 0},   {9, 700, 132, 1, 1, 1.0f, 1, 0, 0, 0},
    {100, 20, 33, 2, 0, 1.0f, 1, 1, 0, 0},    {130, 32, 65, 3, 0, 1.0f, 1, 1, 0, 0},
    {150, 48, 40, 4, 1, 0.5f, 1, 1, 0, 0},    {20, 16, 32, 5, 0, 1.0f, 1, 1, 0, 0},
    {20, 16, 32, 5, 1, 1.0f, 1, 1, 0, 0},     {600, 64, 72, 8, 0, 1.0f, 1, 1, 0, 0},
    {300, 13, 17, 16, 1, 3.0f, 1, 1, 0, 0},   {96, 50, 70, 1, 0, 1.0f, 8, 0, 0, 0},
    {60, 33, 40, 1, 1, 0.5f, 4, 0, 0, 0},     {90, 20, 36, 1, 0, 1.0f, 4, 1, 0, 0},
    {600, 64, 72, 8, 1, 1.0f, 2, 1, 0, 0},    {200, 30, 65, 4, 0, 2.0f, 4, 1, 0, 0},
    {600, 64, 72, 4, 1, 1.0f, 2, 1, 4, 10},   {200, 30, 65, 2, 0, 2.0f, 4, 1, 3, 5},
    {300, 20, 33, 1, 0, 1.0f, 1, 1, 7, 9},    {150, 136, 264, 1, 0, 1.0f, 1, 0, 0, 0},
    {500, 136, 136, 3, 1, 0.5f, 2, 1, 0, 0},  {24, 512, 2048, 4, 0, 0.5f, 1, 1, 0, 0},
};

SY_OP_CASES(matmul_dw, cases, .fill = sy_case_fill_offsets, .tolerance_f32 = 1e-5, .tolerance_bf16 = 8e-3,
            .reason = "chains of at most 600 fma in f32 against sums in double; w is f32 for bf16 inputs as well");
