// SPDX-License-Identifier: Apache-2.0
// cores.cl.h: products on the matrix cores of Intel's and AMD's GPUs, for matmul_cores and matmul_dw_cores (NVIDIA's:
// mma.cl.h).
//
// A work-group computes SY_CORES_ROWS × SY_CORES_COLS outputs, SLAB values of k at a time. The slabs of both factors
// lie in local memory line by line (a line is a row of A or a column of B), two of them in turns: one is filled while
// the other is multiplied. Each sub-group owns SUB_ROWS × SUB_COLS core products of CORE_M × CORE_N outputs, 16 values
// of k each.
//
// What bounds it: a group reads (128 + 64) · 2 bytes of global memory for 16,384 operations of one k, 43 operations a
// byte: on a Data Center GPU Max 1550 (839 TFLOP/s) that is 20 TB/s from L1 and L2, on a Radeon RX 7900 (123
// TFLOP/s) 2.9.
//
// The kinds differ in which lane holds what, which is all that stands below under each; and in the one instruction,
// which without such a device is carried out lane by lane through local memory, slow (CORES_EMULATED, a kind's number).
#ifndef SY_CORES_CL_H
#define SY_CORES_CL_H
#include "common.cl.h"
#include "tiles.h"

#define XE_HPG 1 // Intel Arc A: sub-groups of 8
#define XE_HPC 2 // Intel Data Center GPU Max, Arc B: sub-groups of 16
#define WMMA 3   // AMD RDNA 3: waves of 32
#define MFMA 4   // AMD CDNA 2 and 3: waves of 64
#if defined(CORES_EMULATED)
#define CORES CORES_EMULATED
#elif defined(cl_intel_subgroup_matrix_multiply_accumulate) && defined(cl_intel_subgroup_2d_block_io)
#define CORES XE_HPC
#elif defined(cl_intel_subgroup_matrix_multiply_accumulate)
#define CORES XE_HPG
#elif defined(__GFX11__)
#define CORES WMMA
#else
#define CORES MFMA
#endif

// LANES of a sub-group; SUBS_DOWN of a group's sub-groups stand above each other; A_HALVES, B_HALVES: what a lane holds
// of the factors of one core product. A's row r, k in lane LANE_A, at HALF_A; B's column n, k likewise. Of the product
// a lane holds column COL_C, rows ROW_C of 0 … SUMS − 1.
#if CORES == XE_HPG
#define LANES 8u
#define CORE_M 8u
#define CORE_N 8u
#define SUB_ROWS 4
#define SUB_COLS 2
#define SUBS_DOWN 4u
#define A_HALVES 16
#define B_HALVES 16
#define SUMS 8
#define LANE_A(r, k) ((k) / 2)
#define HALF_A(r, k) (2 * (r) + (k) % 2)
#define LANE_B(n, k) (n)
#define HALF_B(n, k) (k)
#define COL_C(lane) (lane)
#define ROW_C(lane, i) (i)
#elif CORES == XE_HPC
#define LANES 16u
#define CORE_M 8u
#define CORE_N 16u
#define SUB_ROWS 4
#define SUB_COLS 2
#define SUBS_DOWN 4u
#define A_HALVES 8
#define B_HALVES 16
#define SUMS 8
#define LANE_A(r, k) (k)
#define HALF_A(r, k) (r)
#define LANE_B(n, k) (n)
#define HALF_B(n, k) (k)
#define COL_C(lane) (lane)
#define ROW_C(lane, i) (i)
#elif CORES == WMMA
#define LANES 32u // the upper half repeats the lower one's factors
#define CORE_M 16u
#define CORE_N 16u
#define SUB_ROWS 4
#define SUB_COLS 2
#define SUBS_DOWN 2u
#define A_HALVES 16
#define B_HALVES 16
#define SUMS 8
#define LANE_A(r, k) (r)
#define HALF_A(r, k) (k)
#define LANE_B(n, k) (n)
#define HALF_B(n, k) (k)
#define COL_C(lane) ((lane) % 16)
#define ROW_C(lane, i) (2 * (i) + (lane) / 16)
#else
#define LANES 64u
#define CORE_M 16u
#define CORE_N 16u
#define SUB_ROWS 4
#define SUB_COLS 4
#define SUBS_DOWN 2u
#define A_HALVES 4
#define B_HALVES 4
#define SUMS 4
#define LANE_A(r, k) ((r) + (k) / 4 * 16)
#define HALF_A(r, k) ((k) % 4)
#define LANE_B(n, k) ((n) + (k) / 4 * 16)
#define HALF_B(n, k) ((k) % 4)
#define COL_C(lane) ((lane) % 16)
#define ROW_C(lane, i) ((lane) / 16 * 4 + (i))
#endif
#define INTEL (CORES == XE_HPG || CORES == XE_HPC)

#define SLAB 32u
#define FACTOR_ROOM(lines) (4u * ((lines) + 1u)) // in chunks of 8 values of k; a line more between planes: other banks
#define STAGE_ROOM (FACTOR_ROOM(SY_CORES_ROWS) + FACTOR_ROOM(SY_CORES_COLS))
#define CORES_LOCAL(name) __local uint4 name[2 * STAGE_ROOM]
#define CORES_INLINE __attribute__((always_inline)) static inline

typedef SY_CAT(short, A_HALVES) A_PART;
typedef SY_CAT(short, B_HALVES) B_PART;
typedef SY_CAT(float, SUMS) C_PART;

// Where chunk c (values 8 · c … of the slab) of a line is. Four planes of chunks; Intel's A has the 16 values of a core
// product side by side, since a row of them goes to as many lanes.
#define PLANE_AT(lines, line, c) ((c) * ((lines) + 1u) + (line))
#define PAIRS_AT(lines, line, c) ((c) / 2u * (2u * (lines) + 2u) + 2u * (line) + (c) % 2u)
#define A_AT(line, c) (INTEL ? PAIRS_AT(SY_CORES_ROWS, line, c) : PLANE_AT(SY_CORES_ROWS, line, c))
#define B_AT(line, c) PLANE_AT(SY_CORES_COLS, line, c)

// ---- one core product -----------------------------------------------------------------------------------------------

// 16 values of one line, of half h of a slab.
#define WHOLE_LINE(slab, at_macro, line, h) \
    as_short16((uint8)((slab)[at_macro(line, 2 * (h))], (slab)[at_macro(line, 2 * (h) + 1)]))
// Values 4 · quarter … of them.
#define QUARTER_LINE(slab, at_macro, line, h, quarter) \
    as_short4(((__local const uint2 *)((slab) + at_macro(line, 2 * (h) + (quarter) / 2)))[(quarter) % 2])

CORES_INLINE A_PART load_a(__local const uint4 *slab, uint line, uint h, uint lane)
{
#if CORES == XE_HPG
    __local const uint *const p = (__local const uint *)(slab + A_AT(line, 2 * h));
#ifdef cl_intel_subgroup_local_block_io
    return as_short16(intel_sub_group_block_read8(p));
#else
    return as_short16((uint8)(p[lane], p[8 + lane], p[16 + lane], p[24 + lane], p[32 + lane], p[40 + lane],
                              p[48 + lane], p[56 + lane]));
#endif
#elif CORES == XE_HPC
    __local const ushort *const p = (__local const ushort *)(slab + A_AT(line, 2 * h));
#ifdef cl_intel_subgroup_local_block_io
    return as_short8(intel_sub_group_block_read_us8(p));
#else
    return as_short8((ushort8)(p[lane], p[16 + lane], p[32 + lane], p[48 + lane], p[64 + lane], p[80 + lane],
                               p[96 + lane], p[112 + lane]));
#endif
#elif CORES == WMMA
    return WHOLE_LINE(slab, A_AT, line + lane % 16, h);
#else
    return QUARTER_LINE(slab, A_AT, line + lane % 16, h, lane / 16);
#endif
}

CORES_INLINE B_PART load_b(__local const uint4 *slab, uint line, uint h, uint lane)
{
#if CORES == MFMA
    return QUARTER_LINE(slab, B_AT, line + lane % 16, h, lane / 16);
#else
    return WHOLE_LINE(slab, B_AT, line + lane % CORE_N, h);
#endif
}

#ifdef CORES_EMULATED

#define EXCHANGE(name) __local ushort name[WG * (A_HALVES + B_HALVES)]
#define SUB_GROUPS_OF_CORES

CORES_INLINE C_PART product(A_PART a, B_PART b, C_PART c, uint lid, __local ushort *exchange)
{
    __local ushort *const of_b = exchange + WG * A_HALVES;
    SY_CAT(vstore, A_HALVES)(SY_CAT(as_ushort, A_HALVES)(a), lid, exchange);
    SY_CAT(vstore, B_HALVES)(SY_CAT(as_ushort, B_HALVES)(b), lid, of_b);
    BARRIER();
    const uint lane = lid % LANES, first = lid - lane, n = COL_C(lane);
    float sum[SUMS];
    SY_CAT(vstore, SUMS)(c, 0, sum);
    for (uint i = 0; i < SUMS; ++i)
        for (uint k = 0; k < 16; ++k) {
            const uint r = ROW_C(lane, i);
            const ushort x = exchange[(first + LANE_A(r, k)) * A_HALVES + HALF_A(r, k)];
            const ushort y = of_b[(first + LANE_B(n, k)) * B_HALVES + HALF_B(n, k)];
            sum[i] = fma(bf16_load(x), bf16_load(y), sum[i]);
        }
    BARRIER();
    return SY_CAT(vload, SUMS)(0, sum);
}

#else

#define EXCHANGE(name) __local ushort *const name = 0
#if INTEL
#define SUB_GROUPS_OF_CORES __attribute__((intel_reqd_sub_group_size(LANES)))
#else
#define SUB_GROUPS_OF_CORES
#endif

CORES_INLINE C_PART product(A_PART a, B_PART b, C_PART c, uint lid, __local ushort *exchange)
{
    (void)lid, (void)exchange;
#if CORES == XE_HPG
    return intel_sub_group_bf16_bf16_matrix_mad_k16(as_int8(a), as_int8(b), c);
#elif CORES == XE_HPC
    return intel_sub_group_bf16_bf16_matrix_mad_k16(a, as_int8(b), c);
#elif CORES == WMMA
    return __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(a, b, c);
#else
    return __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(a, b, c, 0, 0, 0);
#endif
}

#endif

// ---- slabs ----------------------------------------------------------------------------------------------------------

// A factor: where its line 0, k 0 is, its rows `stride` elements apart, stored by line or k by k, `left` lines from
// here.
struct side {
    __global const T *at;
    uint stride, by_line, left;
};

// Loops that copy slabs. Intel's compiler starts all of an unrolled loop's loads at once, and then lacks registers.
#if INTEL
#define COPY_STEPS _Pragma("unroll 1")
#else
#define COPY_STEPS
#endif
#define STORE_CHUNK(c, line, v) (slab[is_a != 0 ? A_AT(line, c) : B_AT(line, c)] = (v))
// Values k and k + 1 of a line.
#define STORE_PAIR(k, line, v) \
    (((__local uint *)(slab + (is_a != 0 ? A_AT(line, (k) / 8) : B_AT(line, (k) / 8))))[(k) / 2 % 4] = (v))

// A slab whose rows of 8 elements are aligned. For lines there are not, the last ones stand again: only outputs that do
// not exist either come of them.
CORES_INLINE void load_aligned(__local uint4 *slab, struct side x, uint lines, uint is_a, uint lid)
{
    if (x.by_line != 0) { // four items a line: a line's 64 bytes together
        COPY_STEPS
        for (uint i = lid; i < 4 * lines; i += WG) {
            const uint line = i / 4, c = i % 4;
            STORE_CHUNK(c, line, *(__global const uint4 *)(x.at + (size_t)min(line, x.left - 1) * x.stride + 8 * c));
        }
        return;
    }
    COPY_STEPS
    for (uint i = lid; i < 2 * lines; i += WG) { // 8 lines of two values of k each
        const uint k = i % 16 * 2, line = i / 16 * 8;
        __global const T *const from = x.at + (size_t)k * x.stride + min(line, x.left - 8);
        const uint4 p = *(__global const uint4 *)from, q = *(__global const uint4 *)(from + x.stride);
        STORE_PAIR(k, line, (p.x & 0xffffu) | q.x << 16);
        STORE_PAIR(k, line + 1, p.x >> 16 | (q.x & 0xffff0000u));
        STORE_PAIR(k, line + 2, (p.y & 0xffffu) | q.y << 16);
        STORE_PAIR(k, line + 3, p.y >> 16 | (q.y & 0xffff0000u));
        STORE_PAIR(k, line + 4, (p.z & 0xffffu) | q.z << 16);
        STORE_PAIR(k, line + 5, p.z >> 16 | (q.z & 0xffff0000u));
        STORE_PAIR(k, line + 6, (p.w & 0xffffu) | q.w << 16);
        STORE_PAIR(k, line + 7, p.w >> 16 | (q.w & 0xffff0000u));
    }
}

// Any slab, of which k_left values of k exist; 0 for the others.
CORES_INLINE void load_rest(__local uint4 *slab, struct side x, uint lines, uint is_a, uint k_left, uint lid)
{
    const size_t step = x.by_line != 0 ? 1 : x.stride;
    COPY_STEPS
    for (uint i = lid; i < SLAB / 2 * lines; i += WG) {
        const uint k = x.by_line != 0 ? i % (SLAB / 2) * 2 : i / lines * 2;
        const uint line = x.by_line != 0 ? i / (SLAB / 2) : i % lines, from = min(line, x.left - 1);
        __global const T *const p = x.at + (x.by_line != 0 ? (size_t)from * x.stride + k : (size_t)k * x.stride + from);
        const uint low = k < k_left ? (uint)p[0] : 0, high = k + 1 < k_left ? (uint)p[step] : 0;
        STORE_PAIR(k, line, low | high << 16);
    }
}

CORES_INLINE void load_slabs(__local uint4 *stage, struct side a, struct side b, uint k_left, uint aligned, uint lid)
{
    __local uint4 *const of_b = stage + FACTOR_ROOM(SY_CORES_ROWS);
    if (aligned != 0 && k_left >= SLAB) {
        load_aligned(stage, a, SY_CORES_ROWS, 1, lid);
        load_aligned(of_b, b, SY_CORES_COLS, 0, lid);
    } else {
        load_rest(stage, a, SY_CORES_ROWS, 1, k_left, lid);
        load_rest(of_b, b, SY_CORES_COLS, 0, k_left, lid);
    }
}

// Elements from a slab to the next.
CORES_INLINE size_t slab_step(struct side x) { return x.by_line != 0 ? SLAB : (size_t)SLAB * x.stride; }

// Rows of 8 elements are aligned, and the lines of one k, which are read 8 at a time, are whole eights.
CORES_INLINE uint is_aligned(struct side x) { return x.stride % 8 == 0 && (x.by_line != 0 || x.left % 8 == 0); }

// sum = Σ over k values of k of the products of both sides, for the outputs of this item's sub-group.
CORES_INLINE void multiply_sides(C_PART *sum, struct side a, struct side b, uint k, __local uint4 *slabs, uint lid,
                                 __local ushort *exchange)
{
    const uint lane = lid % LANES, sub = lid / LANES;
    const uint line_a = sub % SUBS_DOWN * (SUB_ROWS * CORE_M), line_b = sub / SUBS_DOWN * (SUB_COLS * CORE_N);
    const uint aligned = is_aligned(a) && is_aligned(b);
    UNROLL
    for (uint i = 0; i < SUB_ROWS * SUB_COLS; ++i)
        sum[i] = (C_PART)(0.0f);
    if (k == 0)
        return;
    uint now = 0;
    load_slabs(slabs, a, b, k, aligned, lid);
    for (uint done = 0; done < k; done += SLAB) {
        BARRIER(); // this slab is there, and the other one has been read
        if (done + SLAB < k) {
            a.at += slab_step(a);
            b.at += slab_step(b);
            load_slabs(slabs + (1 - now) * STAGE_ROOM, a, b, k - done - SLAB, aligned, lid);
        }
        __local const uint4 *const of_a = slabs + now * STAGE_ROOM, *const of_b = of_a + FACTOR_ROOM(SY_CORES_ROWS);
        UNROLL
        for (uint h = 0; h < 2; ++h) {
            B_PART y[SUB_COLS];
            UNROLL
            for (uint j = 0; j < SUB_COLS; ++j)
                y[j] = load_b(of_b, line_b + j * CORE_N, h, lane);
            UNROLL
            for (uint i = 0; i < SUB_ROWS; ++i) {
                const A_PART x = load_a(of_a, line_a + i * CORE_M, h, lane);
                UNROLL
                for (uint j = 0; j < SUB_COLS; ++j)
                    sum[i * SUB_COLS + j] = product(x, y[j], sum[i * SUB_COLS + j], lid, exchange);
            }
        }
        now = 1 - now;
    }
}

// ---- outputs --------------------------------------------------------------------------------------------------------

// c (+)= alpha · sum; c is the group's first output.
CORES_INLINE void store_sums(__global O *c, uint n, uint rows_left, uint cols_left, uint lid, const C_PART *sum,
                             float alpha, uint accumulate)
{
    const uint lane = lid % LANES, sub = lid / LANES;
    UNROLL
    for (uint i = 0; i < SUB_ROWS; ++i) {
        UNROLL
        for (uint j = 0; j < SUB_COLS; ++j) {
            const uint col = (sub / SUBS_DOWN * SUB_COLS + j) * CORE_N + COL_C(lane);
            float part[SUMS];
            SY_CAT(vstore, SUMS)(sum[i * SUB_COLS + j], 0, part);
            UNROLL
            for (uint s = 0; s < SUMS; ++s) {
                const uint row = (sub % SUBS_DOWN * SUB_ROWS + i) * CORE_M + ROW_C(lane, s);
                const size_t at = (size_t)row * n + col;
                if (row < rows_left && col < cols_left)
                    O_ST(c, at, accumulate != 0 ? fma(alpha, part[s], O_LD(c, at)) : alpha * part[s]);
            }
        }
    }
}
#endif
