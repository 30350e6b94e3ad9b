// SPDX-License-Identifier: Apache-2.0
// mma.cl.h: products on NVIDIA's matrix cores, for matmul_mma and matmul_dw_mma: PTX inside OpenCL C, from sm_80 on.
//
// A work-group computes MMA_ROWS × MMA_COLS outputs, MMA_SLAB values of k at a time. Each of its warps owns 64 × 64 of
// them, 128 sums a lane. Slabs of both factors go to local memory by cp.async, MMA_STAGES of them in turns; while the
// matrix cores work on one, the next are on their way, and so are the next fragments from local memory to registers.
//
// What bounds it on an H100, whose matrix cores do 4,096 operations a clock in each SM, about 0.62 of that by mma.sync:
// for 16 values of k a warp reads 4 KiB of local memory (128 bytes a clock) and does 131,072 operations, so reads alone
// allow all of the rate, and with the copies into it 0.67. A block of 128 × 128 takes 16 KiB from L2 for a million
// operations, 5.5 TB/s at 350 TFLOP/s, which is about what L2 gives.
//
// A slab lies in local memory as its matrix does in global memory: by line (a line is a row of A or a column of B; its
// MMA_SLAB values of k are side by side), or k by k. ldmatrix takes 8 × 8 elements from either, transposed in the second
// case. Chunks of 8 elements are swizzled so that the 8 of such a matrix lie in different banks.
//
// The few steps that OpenCL C has no words for come twice: in PTX, and (without the macro PTX, which hostlib defines for
// NVIDIA) lane by lane with the same layouts through local memory, slow, so that other devices can test the rest.
#ifndef SY_MMA_CL_H
#define SY_MMA_CL_H
#include "common.cl.h"
#include "tiles.h"

#define MMA_ROWS SY_MMA_ROWS(WG)
#define MMA_COLS SY_MMA_COLS(WG)
#define MMA_SLAB 32u
#define LINE_BYTES (2 * MMA_SLAB)
#define A_BYTES (MMA_ROWS * LINE_BYTES)
#define STAGE_BYTES (A_BYTES + MMA_COLS * LINE_BYTES)
#define MMA_STAGES (SY_MMA_LOCAL_BYTES / STAGE_BYTES)
// 128 aligned bytes: a swizzle is an exclusive or with offsets into them.
#define MMA_LOCAL(name) __local uint4 name[MMA_STAGES * STAGE_BYTES / 16] __attribute__((aligned(128)))
#ifndef MMA_LATE // with two stages, the next slab has all the time of this one to come; its fragments then come late
#define MMA_LATE (MMA_STAGES == 2)
#endif
#ifndef MMA_L1 // whether copies go through L1, too
#define MMA_L1 0
#endif
#define MMA_INLINE __attribute__((always_inline)) static inline

// Where ldmatrix finds this lane's row of the first of 64 lines' matrices, in a slab of `lines` lines; the others'
// places differ from it by constants. `high_line`, `high_k`: the lane's matrix holds lines 8 … 15, k 8 … 15 of 16.
MMA_INLINE uint fragment_at(uint first, uint lines, uint by_line, uint lane, uint high_line, uint high_k)
{
    const uint k = 8 * high_k + lane % 8, line = first + 8 * high_line + lane % 8;
    if (by_line != 0)
        return line * LINE_BYTES + 16 * (high_k ^ (line / 2 % 4));
    return k * 2 * lines + 2 * first + 16 * (high_line ^ (k % 8));
}
// The same for lines from 16 · i on and k from 16 · upper on.
#define FRAGMENT_AT(at, lines, by_line, upper, i) \
    ((by_line) != 0 ? ((at) ^ 32 * (upper)) + 16 * LINE_BYTES * (i) : ((at) ^ 32 * (i)) + 32 * (lines) * (upper))

#ifdef PTX

typedef uint LOCAL_AT; // an address in shared memory
#define EXCHANGE(name) __local uint *const name = 0

// Whether the compiler's local pointers are offsets in shared memory or generic addresses.
MMA_INLINE LOCAL_AT local_at(__local uint4 *p)
{
    uint at;
    asm volatile("{ .reg .pred generic; .reg .u64 offset;\n"
                 "isspacep.shared generic, %1;\n"
                 "cvta.to.shared.u64 offset, %1;\n"
                 "selp.u64 offset, offset, %1, generic;\n"
                 "cvt.u32.u64 %0, offset; }"
                 : "=r"(at)
                 : "l"((ulong)p));
    return at;
}

// Starts to copy 16 bytes.
MMA_INLINE void copy_start(LOCAL_AT to, __global const T *from)
{
    if (MMA_L1)
        asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" : : "r"(to), "l"((ulong)from));
    else
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" : : "r"(to), "l"((ulong)from));
}
#define COPIES_END() asm volatile("cp.async.commit_group;")
// Until at most MMA_STAGES − 2 slabs are on their way.
#if MMA_STAGES == 3
#define COPIES_WAIT() asm volatile("cp.async.wait_group 1;")
#else
#define COPIES_WAIT() asm volatile("cp.async.wait_group 0;")
#endif

MMA_INLINE void store_chunk(LOCAL_AT to, uint4 v)
{
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" : : "r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w));
}

#define LDMATRIX(trans, f, at)                                                               \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" trans ".shared.b16 {%0, %1, %2, %3}, [%4];" \
                 : "=r"((f)[0]), "=r"((f)[1]), "=r"((f)[2]), "=r"((f)[3])                    \
                 : "r"(at))

// f[4 · i …] = the fragments of lines 16 · i … 16 · i + 15 and of 16 values of k.
MMA_INLINE void load_fragments(uint *f, LOCAL_AT slab, uint at, uint lines, uint by_line, uint upper, uint lid,
                               __local uint *exchange)
{
    (void)lid, (void)exchange;
#define LOAD_LINES(i)                                                                       \
    if (by_line != 0)                                                                       \
        LDMATRIX("", f + 4 * (i), slab + FRAGMENT_AT(at, lines, 1, upper, i));               \
    else                                                                                    \
        LDMATRIX(".trans", f + 4 * (i), slab + FRAGMENT_AT(at, lines, 0, upper, i));
    LOAD_LINES(0) LOAD_LINES(1) LOAD_LINES(2) LOAD_LINES(3)
}

MMA_INLINE void mma(float *c, const uint *a, const uint *b)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// sum += the products of a warp's 64 × 64 outputs for 16 values of k.
MMA_INLINE void multiply_fragments(float *sum, const uint *a, const uint *b, uint lid, __local uint *exchange)
{
    (void)lid, (void)exchange;
#define MMA(i, j) mma(sum + 32 * (i) + 4 * (j), a + 4 * (i), b + 2 * (j));
#define MMA_ROW(i) MMA(i, 0) MMA(i, 1) MMA(i, 2) MMA(i, 3) MMA(i, 4) MMA(i, 5) MMA(i, 6) MMA(i, 7)
    MMA_ROW(0) MMA_ROW(1) MMA_ROW(2) MMA_ROW(3)
}


// What is indexed by constants alone stays in registers, whatever a compiler thinks of loops.
#define EACH_ROW(f) f(0, 0) f(0, 1) f(1, 0) f(1, 1) f(2, 0) f(2, 1) f(3, 0) f(3, 1)
#define EACH_PAIR(f, i, low) \
    f(i, low, 0) f(i, low, 1) f(i, low, 2) f(i, low, 3) f(i, low, 4) f(i, low, 5) f(i, low, 6) f(i, low, 7)

#else

typedef __local char *LOCAL_AT;
#define EXCHANGE(name) __local uint name[32 * WG]

MMA_INLINE LOCAL_AT local_at(__local uint4 *p) { return (LOCAL_AT)p; }

MMA_INLINE void store_chunk(LOCAL_AT to, uint4 v) { *(__local uint4 *)to = v; }

MMA_INLINE void copy_start(LOCAL_AT to, __global const T *from) { store_chunk(to, *(__global const uint4 *)from); }
#define COPIES_END()
#define COPIES_WAIT()

// Lane l of a warp gets of each matrix row l / 4, elements 2 · (l % 4) and the next; transposed: column l / 4. The rows
// of matrix r are where lanes 8 · r … 8 · r + 7 say.
MMA_INLINE void load_fragments(uint *f, LOCAL_AT slab, uint at, uint lines, uint by_line, uint upper, uint lid,
                               __local uint *exchange)
{
    const uint warp = lid / 32 * 32, row = lid % 32 / 4, two = lid % 4 * 2;
    exchange[lid] = at;
    BARRIER();
    for (uint i = 0; i < 4; ++i)
        for (uint r = 0; r < 4; ++r) {
            __local const uint *const rows = exchange + warp + 8 * r;
            const uint y0 = by_line != 0 ? row : two, y1 = by_line != 0 ? row : two + 1;
            const uint x0 = by_line != 0 ? two : row, x1 = by_line != 0 ? two + 1 : row;
            const uint low = ((__local const ushort *)(slab + FRAGMENT_AT(rows[y0], lines, by_line, upper, i)))[x0];
            const uint high = ((__local const ushort *)(slab + FRAGMENT_AT(rows[y1], lines, by_line, upper, i)))[x1];
            f[4 * i + r] = high << 16 | low;
        }
    BARRIER();
}

// Lane l has of each 16 × 8 outputs row l / 4, columns 2 · (l % 4) and the next, then the same of row l / 4 + 8. Of A it
// holds those rows, of B column l / 4: k = 2 · (l % 4) and the next, then those 8 further on.
MMA_INLINE void multiply_fragments(float *sum, const uint *a, const uint *b, uint lid, __local uint *exchange)
{
    const uint warp = lid / 32 * 32, row = lid % 32 / 4, col = lid % 4 * 2;
    for (uint i = 0; i < 16; ++i) {
        exchange[32 * lid + i] = a[i];
        exchange[32 * lid + 16 + i] = b[i];
    }
    BARRIER();
    for (uint n = 0; n < 128; ++n) {
        const uint i = n / 32, j = n / 4 % 8, low = n / 2 % 2, column = col + n % 2;
        float total = sum[n];
        for (uint k = 0; k < 16; ++k) {
            __local const uint *const of_a = exchange + 32 * (warp + 4 * row + k % 8 / 2);
            __local const uint *const of_b = exchange + 32 * (warp + 4 * column + k % 8 / 2) + 16;
            const uint x = of_a[4 * i + 2 * (k / 8) + low], y = of_b[2 * j + k / 8], shift = k % 2 * 16;
            total = fma(bf16_load((ushort)(x >> shift)), bf16_load((ushort)(y >> shift)), total);
        }
        sum[n] = total;
    }
    BARRIER();
}

#define EACH_ROW(f)               \
    for (uint r = 0; r < 8; ++r) { \
        f(r / 2, r % 2)           \
    }
#define EACH_PAIR(f, i, low)      \
    for (uint j = 0; j < 8; ++j) { \
        f(i, low, j)              \
    }
#endif

// ---- slabs ----------------------------------------------------------------------------------------------------------

// A factor: where its line 0, k 0 is, its rows `stride` elements apart, stored by line or k by k, `left` lines from here.
struct side {
    __global const T *at;
    uint stride, by_line, left;
};

// Where a slab's row (a line or a k) has its chunk of 8 elements number `column`.
MMA_INLINE uint chunk_at(uint by_line, uint lines, uint row, uint column)
{
    return by_line != 0 ? row * LINE_BYTES + 16 * (column ^ (row / 2 % 4)) : row * 2 * lines + 16 * (column ^ (row % 8));
}

MMA_INLINE uint left_of(uint limit, uint at) { return limit > at ? limit - at : 0; }

// 8 elements at an address of any alignment, of which `count` exist.
MMA_INLINE uint4 gather(__global const T *p, uint count)
{
    uint v[4] = {0, 0, 0, 0};
#pragma unroll
    for (uint i = 0; i < 8; ++i)
        v[i / 2] |= i < count ? (uint)p[i] << 16 * (i % 2) : 0;
    return (uint4)(v[0], v[1], v[2], v[3]);
}

// One factor's slab to local memory, 16 bytes at a time: rows are aligned, all of the slab's k are there. Lines beyond the
// last are copies of it, and nobody's outputs.
MMA_INLINE void load_aligned(LOCAL_AT to, struct side x, uint lines, uint lid)
{
    const uint across = x.by_line != 0 ? MMA_SLAB / 8 : lines / 8; // chunks of 8 elements side by side
    const uint column = lid % across, row = lid / across;
    const uint last_row = x.by_line != 0 ? x.left - 1 : MMA_SLAB - 1;
    const uint at = 8 * column, last_at = x.by_line != 0 ? MMA_SLAB - 8 : x.left - 8;
#pragma unroll
    for (uint i = 0; i < lines * MMA_SLAB / 8 / WG; ++i) {
        const uint r = row + i * (WG / across);
        copy_start(to + chunk_at(x.by_line, lines, r, column), x.at + (min(r, last_row) * x.stride + min(at, last_at)));
    }
}

// Here rows may begin anywhere; lines or k beyond those left are 0.
MMA_INLINE void load_rest(LOCAL_AT to, struct side x, uint lines, uint k_left, uint aligned, uint lid)
{
    const uint across = x.by_line != 0 ? MMA_SLAB / 8 : lines / 8;
    const uint rows = x.by_line != 0 ? x.left : k_left, elements = x.by_line != 0 ? k_left : x.left;
#pragma unroll 1
    for (uint i = lid; i < lines * MMA_SLAB / 8; i += WG) {
        const uint column = i % across, row = i / across;
        const uint left = row < rows ? left_of(elements, 8 * column) : 0;
        __global const T *const from = x.at + (row * x.stride + 8 * column);
        store_chunk(to + chunk_at(x.by_line, lines, row, column),
                    aligned != 0 && left != 0 ? *(__global const uint4 *)from : gather(from, left));
    }
}

// Elements from a slab to the next.
MMA_INLINE size_t slab_step(struct side x) { return x.by_line != 0 ? MMA_SLAB : (size_t)MMA_SLAB * x.stride; }

// Both sides' slabs to a stage. (Two macros: NVIDIA's front end has no variadic ones.)
#define LOAD_WHOLE(stage)                                                   \
    load_aligned(slabs + (stage) * STAGE_BYTES, a, MMA_ROWS, lid);           \
    load_aligned(slabs + (stage) * STAGE_BYTES + A_BYTES, b, MMA_COLS, lid); \
    a.at += slab_step(a);                                                    \
    b.at += slab_step(b)
#define LOAD_REST(k_left)                                              \
    load_rest(slabs, a, MMA_ROWS, k_left, aligned, lid);           \
    load_rest(slabs + A_BYTES, b, MMA_COLS, k_left, aligned, lid); \
    a.at += slab_step(a);                                          \
    b.at += slab_step(b)
#define LOAD_FRAGMENTS(f, stage, upper)                                                                            \
    load_fragments(f, slabs + (stage) * STAGE_BYTES, a_at, MMA_ROWS, a.by_line, upper, lid, exchange);             \
    load_fragments((f) + 16, slabs + (stage) * STAGE_BYTES + A_BYTES, b_at, MMA_COLS, b.by_line, upper, lid, exchange)

// sum += Σ over k values of k of the products of both sides, for the 64 × 64 outputs of this item's warp. Where rows are
// aligned, all slabs but a last one in part are loaded while others are multiplied. Sides without lines: k is 0.
MMA_INLINE void multiply_sides(float *sum, struct side a, struct side b, uint k, __local uint4 *room, uint lid,
                               __local uint *exchange)
{
    const LOCAL_AT slabs = local_at(room);
    const uint lane = lid % 32, line_a = 64 * (lid / 32 / (MMA_COLS / 64)), line_b = 64 * (lid / 32 % (MMA_COLS / 64));
    const uint a_at = fragment_at(line_a, MMA_ROWS, a.by_line, lane, lane / 8 % 2, lane / 16);
    const uint b_at = fragment_at(line_b, MMA_COLS, b.by_line, lane, lane / 16, lane / 8 % 2);
    const uint aligned = a.stride % 8 == 0 && b.stride % 8 == 0, slabs_whole = aligned != 0 ? k / MMA_SLAB : 0;
    uint f[32], g[32]; // fragments of A and B, of the first 16 values of k of a slab and of the others
    uint now = 0, free = MMA_STAGES - 1; // stages: of the slab at hand, and one that nobody reads any more
    for (uint i = 0; i < MMA_STAGES - 1; ++i) {
        if (i < slabs_whole) {
            LOAD_WHOLE(i);
        }
        COPIES_END();
    }
    COPIES_WAIT();
    BARRIER();
    LOAD_FRAGMENTS(f, 0, 0);
    for (uint i = 0; i < slabs_whole; ++i) {
        LOAD_FRAGMENTS(g, now, 1);
        if (i + MMA_STAGES - 1 < slabs_whole) {
            LOAD_WHOLE(free);
        }
        COPIES_END();
        multiply_fragments(sum, f, f + 16, lid, exchange);
        free = now;
        now = now + 1 < MMA_STAGES ? now + 1 : 0;
        if (MMA_LATE)
            multiply_fragments(sum, g, g + 16, lid, exchange);
        COPIES_WAIT();
        BARRIER();
        LOAD_FRAGMENTS(f, now, 0); // after the last slab: what lies there, for nothing
        if (!MMA_LATE)
            multiply_fragments(sum, g, g + 16, lid, exchange);
    }
    for (uint done = slabs_whole * MMA_SLAB; done < k; done += MMA_SLAB) {
        BARRIER();
        LOAD_REST(k - done);
        BARRIER();
        LOAD_FRAGMENTS(f, 0, 0);
        multiply_fragments(sum, f, f + 16, lid, exchange);
        LOAD_FRAGMENTS(f, 0, 1);
        multiply_fragments(sum, f, f + 16, lid, exchange);
    }
}

// ---- outputs --------------------------------------------------------------------------------------------------------

// c[0], c[1] (+)= alpha · v, of which the first `count` exist; `even`: c is aligned to both.
MMA_INLINE void store_two(__global O *c, uint count, uint even, float v0, float v1, float alpha, uint accumulate)
{
    if (count > 1 && even != 0) {
        float2 v = (float2)(alpha * v0, alpha * v1);
#ifdef O_BF16
        __global uint *const to = (__global uint *)c;
        if (accumulate != 0) {
            const uint old = *to;
            v = (float2)(fma(alpha, v0, as_float(old << 16)), fma(alpha, v1, as_float(old & 0xffff0000u)));
        }
        *to = (uint)bf16_round(v.y) << 16 | bf16_round(v.x);
#else
        __global float2 *const to = (__global float2 *)c;
        if (accumulate != 0) {
            const float2 old = *to;
            v = (float2)(fma(alpha, v0, old.x), fma(alpha, v1, old.y));
        }
        *to = v;
#endif
    } else {
        if (count > 0)
            O_ST(c, 0, accumulate != 0 ? fma(alpha, v0, O_LD(c, 0)) : alpha * v0);
        if (count > 1)
            O_ST(c, 1, accumulate != 0 ? fma(alpha, v1, O_LD(c, 1)) : alpha * v1);
    }
}

// c (+)= alpha · sum; c is the group's first output.
MMA_INLINE void store_sums(__global O *c, uint n, uint rows_left, uint cols_left, uint lid, const float *sum,
                           float alpha, uint accumulate)
{
    const uint lane = lid % 32, warp = lid / 32;
    const uint row0 = 64 * (warp / (MMA_COLS / 64)) + lane / 4, col0 = 64 * (warp % (MMA_COLS / 64)) + lane % 4 * 2;
#define STORE_COLS(i, low, j)                                                                                \
    store_two(to + 8 * (j), left_of(cols_left, col0 + 8 * (j)), n % 2 == 0, sum[32 * (i) + 4 * (j) + 2 * (low)], \
              sum[32 * (i) + 4 * (j) + 2 * (low) + 1], alpha, accumulate);
#define STORE_ROW(i, low)                                                                                       \
    if (row0 + 16 * (i) + 8 * (low) < rows_left) {                                                              \
        __global O *const to = c + (size_t)(row0 + 16 * (i) + 8 * (low)) * n + col0;                            \
        EACH_PAIR(STORE_COLS, i, low)                                                                                \
    }
    EACH_ROW(STORE_ROW)
}

MMA_INLINE void clear_sums(float *sum)
{
#define CLEAR_PAIR(i, low, j) sum[32 * (i) + 4 * (j) + 2 * (low)] = sum[32 * (i) + 4 * (j) + 2 * (low) + 1] = 0.0f;
#define CLEAR_ROW(i, low) EACH_PAIR(CLEAR_PAIR, i, low)
    EACH_ROW(CLEAR_ROW)
}
#endif
