// SPDX-License-Identifier: Apache-2.0
// matrices.h: what the tests of the ops over a pack's matrices share: tables, gradients with the zeros that experts
// leave, matching state.
#pragma once

#include <stdlib.h>

#include "engine/matrices.h"
#include "tests/ops.h"

/// Packs: single elements, odd sizes, several matrices of a shape, several blocks and strips, parameters without
/// matrices, factored ones alone, others alone.
static const struct sy_test_shape {
    uint32_t parts, rows, cols;
    bool factored;
} sy_packs[][6] = {
    {{1, 1, 1, true}},
    {{1, 1, 13, true}, {1, 17, 1, true}, {1, 1, 13, false}, {2, 17, 3, false}},
    {{3, 5, 65, true}, {2, 33, 100, true}, {1, 16, 64, true}, {4, 7, 257, false}},
    {{1, 130, 129, true},
     {0, 9, 9, true},
     {2, 128, 256, true},
     {1, 3, 1031, true},
     {1, 1, 768, false},
     {3, 18, 40, false}},
    {{1, 40, 2100, true}, {1, 9, 30, true}, {2, 20, 300, false}},
    {{2, 300, 520, true}},
    {{1, 8, 65, false}, {1, 1, 32, false}, {0, 4, 4, false}, {1, 33, 70, false}, {1, 1100, 3, false}},
};

// Their sizes, as sy_matrices_add() counts them (sy_test_table() checks that): blocks, matrices, elements, rows, cols,
// full, parts, everything; and both bases.
// clang-format off
#define SY_PACK_0 1, 1, 256, 256, 256, 0, 1, 4, 0, 0
#define SY_PACK_1 8, 5, 1024, 512, 512, 512, 15, 8, 0, 0
#define SY_PACK_2 14, 10, 16128, 768, 768, 7424, 859, 13, 0, 0
#define SY_PACK_3 33, 8, 88832, 768, 2048, 3072, 6288, 11, 0, 0
#define SY_PACK_4 8, 4, 96768, 512, 2560, 12032, 6330, 7, 0, 0
#define SY_PACK_5 38, 2, 312064, 768, 1280, 0, 19760, 5, 0, 0
#define SY_PACK_6 74, 4, 6912, 0, 0, 6912, 0, 7, 0, 0

// Cases that go by all blocks: {entries, first, count, work, sizes} …
#define SY_ALL_BLOCKS \
    {1, 0, 1, 1, SY_PACK_0}, \
    {4, 0, 8, 145, SY_PACK_1}, \
    {4, 0, 14, 15795, SY_PACK_2}, \
    {6, 0, 33, 88327, SY_PACK_3}, \
    {3, 0, 8, 96270, SY_PACK_4}, \
    {1, 0, 38, 312000, SY_PACK_5}, \
    {5, 0, 74, 6162, SY_PACK_6}
// … by all matrices …
#define SY_ALL_MATRICES \
    {1, 0, 1, 1, SY_PACK_0}, \
    {4, 0, 5, 145, SY_PACK_1}, \
    {4, 0, 10, 15795, SY_PACK_2}, \
    {6, 0, 8, 88327, SY_PACK_3}, \
    {3, 0, 4, 96270, SY_PACK_4}, \
    {1, 0, 2, 312000, SY_PACK_5}, \
    {5, 0, 4, 6162, SY_PACK_6}
// … by blocks of the factored ones …
#define SY_FACTORED_BLOCKS \
    {1, 0, 1, 1, SY_PACK_0}, \
    {4, 0, 3, 30, SY_PACK_1}, \
    {4, 0, 10, 8599, SY_PACK_2}, \
    {6, 0, 26, 85399, SY_PACK_3}, \
    {3, 0, 4, 84270, SY_PACK_4}, \
    {1, 0, 38, 312000, SY_PACK_5}
// … by their strips …
#define SY_FACTORED_STRIPS \
    {1, 0, 1, 1, SY_PACK_0}, \
    {4, 0, 2, 30, SY_PACK_1}, \
    {4, 0, 6, 8599, SY_PACK_2}, \
    {6, 0, 8, 85399, SY_PACK_3}, \
    {3, 0, 10, 84270, SY_PACK_4}, \
    {1, 0, 6, 312000, SY_PACK_5}
// … by factored matrices …
#define SY_FACTORED_MATRICES \
    {1, 0, 1, 1, SY_PACK_0}, \
    {4, 0, 2, 30, SY_PACK_1}, \
    {4, 0, 6, 8599, SY_PACK_2}, \
    {6, 0, 4, 85399, SY_PACK_3}, \
    {3, 0, 2, 84270, SY_PACK_4}, \
    {1, 0, 2, 312000, SY_PACK_5}
// … and by blocks of those that are not.
#define SY_FULL_BLOCKS \
    {4, 3, 5, 115, SY_PACK_1}, \
    {4, 10, 4, 7196, SY_PACK_2}, \
    {6, 26, 7, 2928, SY_PACK_3}, \
    {3, 4, 4, 12000, SY_PACK_4}, \
    {5, 0, 74, 6162, SY_PACK_6}
// clang-format on

/// Factor on all gradients before use (gs[0]).
#define SY_AF_CLIP 0.75

/// A case's pack, and its table in `values` (binding 0 of every op). Aborts when no pack has these sizes.
static inline const struct sy_test_shape *sy_test_table(const struct sy_matrices_args *a, double *values)
{
    for (size_t k = 0; k < SY_COUNT(sy_packs); ++k) {
        int32_t table[SY_COUNT(sy_packs[0]) * SY_MATRIX_FIELDS];
        struct sy_matrices m = {.table = table};
        uint64_t at = 0;
        for (const struct sy_test_shape *s = sy_packs[k]; s < sy_packs[k] + SY_COUNT(sy_packs[k]) && s->rows != 0;
             ++s) {
            sy_matrices_add(&m, s->parts, s->rows, s->cols, at, s->factored);
            at += sy_ceil_div((uint64_t)s->parts * s->rows * s->cols, 256) * 256;
        }
        m.args.first = a->first;
        m.args.count = a->count;
        m.args.work = a->work;
        m.args.everything = a->everything;
        if (memcmp(&m.args, a, sizeof *a) != 0)
            continue;
        for (uint32_t i = 0; i < a->entries * SY_MATRIX_FIELDS; ++i)
            values[i] = table[i];
        return sy_packs[k];
    }
    abort();
}

/// For each matrix of a pack, in order: where it and its state lie.
struct sy_test_matrix {
    const struct sy_test_shape *shape;
    uint32_t number, rows, cols;
    uint64_t at, row, col, element;
};

/// The next matrix after `m` (start with a zeroed one); false after the last.
static inline bool sy_test_next(const struct sy_matrices_args *a, const struct sy_test_shape *shapes,
                                const double *table, struct sy_test_matrix *m)
{
    uint32_t number = m->shape == NULL ? 0 : m->number + 1;
    if (number == a->matrices)
        return false;
    uint32_t entry = 0, part = number;
    for (; part >= shapes[entry].parts; ++entry)
        part -= shapes[entry].parts;
    const struct sy_test_shape *s = &shapes[entry];
    const double *row = table + (size_t)entry * SY_MATRIX_FIELDS;
    const uint64_t size = (uint64_t)s->rows * s->cols, state = (uint64_t)row[SY_MATRIX_STATE];
    *m = (struct sy_test_matrix){.shape = s,
                                 .number = number,
                                 .rows = s->rows,
                                 .cols = s->cols,
                                 .at = (uint64_t)row[SY_MATRIX_AT] + part * size,
                                 .row = state + (uint64_t)part * s->rows,
                                 .col = (uint64_t)row[SY_MATRIX_COL] + (uint64_t)part * s->cols,
                                 .element = state + part * size};
    return true;
}

/// Gradients: some rows, one column and every second matrix exactly 0 (tokens and experts nobody used); some rows large
/// or small. One pack is tiny as a whole, so that the 1e-30 of the formula shows.
static inline const struct sy_test_shape *sy_af_fill_grad(const struct sy_matrices_args *a, double *table, double *g,
                                                          struct sy_rng *rng)
{
    const struct sy_test_shape *shapes = sy_test_table(a, table);
    const double all = a->entries == 1 && a->blocks == 1 ? 1e-15 : 1.0;
    for (struct sy_test_matrix m = {0}; sy_test_next(a, shapes, table, &m);)
        for (uint64_t row = 0; row < m.rows; ++row) {
            const uint32_t kind = sy_rng_u32(rng) % 8u;
            const double scale = m.number % 2 == 1 || kind == 0 ? 0.0 : kind == 1 ? 0.01 : kind == 2 ? 10.0 : 1.0;
            for (uint64_t j = 0; j < m.cols; ++j)
                g[m.at + row * m.cols + j] *= j == 5 ? 0.0 : scale * all;
        }
    return shapes;
}

/// A positive statistic near `square`, as an average over earlier steps would be.
static inline double sy_af_near(double square, struct sy_rng *rng)
{
    return square * (0.5 + sy_rng_uniform(rng)) + 1e-30;
}

/// Full second moments that belong to the gradients.
static inline void sy_af_fill_v(const struct sy_matrices_args *a, const struct sy_test_shape *shapes,
                                const double *table, const double *g, double *v, struct sy_rng *rng)
{
    for (struct sy_test_matrix m = {0}; sy_test_next(a, shapes, table, &m);)
        for (uint64_t i = 0; i < (uint64_t)m.rows * m.cols && !m.shape->factored; ++i)
            v[m.element + i] = sy_af_near(g[m.at + i] * g[m.at + i] * SY_AF_CLIP * SY_AF_CLIP, rng);
}

/// Row and column statistics that belong to the gradients; rows and columns of zeros have 1e-30.
static inline void sy_af_fill_factors(const struct sy_matrices_args *a, const struct sy_test_shape *shapes,
                                      const double *table, const double *g, double *r, double *mean, double *col,
                                      struct sy_rng *rng)
{
    for (struct sy_test_matrix m = {0}; sy_test_next(a, shapes, table, &m);) {
        double *rp = r + m.row, *cp = col + m.col;
        if (!m.shape->factored)
            continue;
        memset(rp, 0, m.rows * sizeof *rp);
        memset(cp, 0, m.cols * sizeof *cp);
        for (uint64_t i = 0; i < m.rows; ++i)
            for (uint64_t j = 0; j < m.cols; ++j) {
                const double x = g[m.at + i * m.cols + j] * SY_AF_CLIP;
                rp[i] += x * x / m.cols;
                cp[j] += x * x / m.rows;
            }
        mean[m.number] = 0.0;
        for (uint64_t i = 0; i < m.rows; ++i) {
            rp[i] = sy_af_near(rp[i], rng);
            mean[m.number] += rp[i] / m.rows;
        }
        for (uint64_t j = 0; j < m.cols; ++j)
            cp[j] = sy_af_near(cp[j], rng);
    }
}

/// Sums of squares, for ops that take nothing else.
static inline void sy_af_fill_square(double *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; ++i)
        values[i] = values[i] * values[i] + 0.01;
}
