// SPDX-License-Identifier: Apache-2.0
// coop.glsl: the tile of matmul_coop and matmul_dw_coop: products on matrix cores by VK_KHR_cooperative_matrix.
//
// A work-group of GM × GN sub-groups computes BM × BN outputs; each sub-group keeps FM × FN cooperative matrices of
// CM × CN sums in f32. Slabs of BK values of k pass through registers into shared memory, in 16-byte pieces of 8 values,
// while the slab before is multiplied. A slab lies there as its matrix is stored, lines of k (LINES) or of the other
// axis (DEPTH), each 16 bytes longer than it needs to be, so that neighbours begin in other banks. What lies outside a
// matrix is zero.
#include "coop_pieces.glsl"

layout(constant_id = 4) const uint FM = 4;
layout(constant_id = 5) const uint FN = 4;
layout(constant_id = 6) const uint GM = 2;
layout(constant_id = 7) const uint GN = 2;
layout(constant_id = 8) const uint BK = 32;
layout(constant_id = 9) const uint STAGES = 2; // slabs in shared memory: 1, or 2 with a barrier less for each

const uint BM = CM * FM * GM;
const uint BN = CN * FN * GN;
const uint BAND = 8u; // blocks down before the next column of blocks: groups that run at once share factors in caches

const uint A_PIECES = BM * BK / PIECE / WG; // of one item
const uint B_PIECES = BN * BK / PIECE / WG;
const uint K_LD = BK / PIECE + 1u; // of lines of k
const uint M_LD = BM / PIECE + 1u;
const uint N_LD = BN / PIECE + 1u;
const uint A_SIZE = BM * K_LD > BK * M_LD ? BM * K_LD : BK * M_LD;
const uint B_SIZE = BN * K_LD > BK * N_LD ? BN * K_LD : BK * N_LD;

shared uvec4 a_slab[STAGES * A_SIZE];
shared uvec4 b_slab[STAGES * B_SIZE];
shared float sums[GM * GN * CM * CN];
uvec4 a_next[A_PIECES];
uvec4 b_next[B_PIECES];

// Where the block with this number stands: (rows, columns), counted in blocks.
uvec2 block_of(uint id, uint down, uint across)
{
    const uint band = id / (BAND * across), in_band = id % (BAND * across);
    const uint rows = min(BAND, down - band * BAND);
    return uvec2(band * BAND + in_band % rows, in_band / rows);
}

// Of a slab stored in lines of k (LINES) or across k (DEPTH): lines of BK or of the block's extent.
#define LINES_AT(ld, line, k) ((line) * (ld) + (k) / PIECE)
#define DEPTH_AT(ld, line, k) ((k) * (ld) + (line) / PIECE)

#define CLEAR(sum)                                                                                             \
    [[unroll]] for (uint i = 0u; i < FM * FN; ++i)                                                             \
        sum[i] = SUM(0.0);

// sum += the slab's product; A, B: LINES or DEPTH.
#define MULTIPLY(sum, a_start, A, a_ld, b_start, B, b_ld)                                                      \
    [[unroll]] for (uint k = 0u; k < BK; k += CK) {                                                            \
        coopmat<FACTOR, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA> a_part[FM];                                   \
        coopmat<FACTOR, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB> b_part;                                       \
        [[unroll]] for (uint i = 0u; i < FM; ++i)                                                              \
            coopMatLoad(a_part[i], a_slab, (a_start) + A##_AT(a_ld, (sub_y * FM + i) * CM, k), a_ld, A##_A);   \
        [[unroll]] for (uint j = 0u; j < FN; ++j) {                                                            \
            coopMatLoad(b_part, b_slab, (b_start) + B##_AT(b_ld, (sub_x * FN + j) * CN, k), b_ld, B##_B);      \
            [[unroll]] for (uint i = 0u; i < FM; ++i)                                                          \
                sum[i * FN + j] = coopMatMulAdd(a_part[i], b_part, sum[i * FN + j]);                           \
        }                                                                                                      \
    }

// All slabs of k, of k_all values. A_FETCH(k) and B_FETCH(k) take the slab from k on into a_next and b_next.
#define PRODUCT(sum, k_all, A, a_ld, a_inner, A_FETCH, B, b_ld, b_inner, B_FETCH)                              \
    {                                                                                                          \
        uint stage = 0u;                                                                                       \
        A_FETCH(0u)                                                                                            \
        B_FETCH(0u)                                                                                            \
        PUT(a_slab, 0u, a_ld, a_next, A_PIECES, a_inner)                                                       \
        PUT(b_slab, 0u, b_ld, b_next, B_PIECES, b_inner)                                                       \
        BARRIER();                                                                                             \
        [[dont_unroll]] for (uint k0 = 0u; k0 < (k_all); k0 += BK) {                                           \
            const bool more = k0 + BK < (k_all);                                                               \
            if (more) {                                                                                        \
                A_FETCH(k0 + BK)                                                                               \
                B_FETCH(k0 + BK)                                                                               \
            }                                                                                                  \
            MULTIPLY(sum, stage * A_SIZE, A, a_ld, stage * B_SIZE, B, b_ld)                                    \
            if (STAGES == 1u)                                                                                  \
                BARRIER();                                                                                     \
            stage = (stage + 1u) % STAGES;                                                                     \
            if (more) {                                                                                        \
                PUT(a_slab, stage * A_SIZE, a_ld, a_next, A_PIECES, a_inner)                                   \
                PUT(b_slab, stage * B_SIZE, b_ld, b_next, B_PIECES, b_inner)                                   \
            }                                                                                                  \
            BARRIER();                                                                                         \
        }                                                                                                      \
    }

// c (+)= alpha · sum where the outputs exist; c[base] is the block's first element. Through shared memory, as which
// item has which element of a cooperative matrix is the driver's secret.
#define STORE_SUM(sum, c, base, stride, rows_left, cols_left, LD, ST)                                          \
    [[unroll]] for (uint f = 0u; f < FM * FN; ++f) {                                                           \
        const uint top = (sub_y * FM + f / FN) * CM, left = (sub_x * FN + f % FN) * CN;                           \
        coopMatStore(sum[f], sums, gl_SubgroupID * CM * CN, CN, gl_CooperativeMatrixLayoutRowMajor);           \
        subgroupBarrier();                                                                                     \
        for (uint i = gl_SubgroupInvocationID; i < CM * CN; i += gl_SubgroupSize) {                            \
            const uint row = top + i / CN, col = left + i % CN, at = (base) + row * (stride) + col;              \
            const float s = sums[gl_SubgroupID * CM * CN + i];                                                 \
            if (row < (rows_left) && col < (cols_left))                                                        \
                ST(c, at, p.accumulate != 0u ? fma(p.alpha, s, LD(c, at)) : p.alpha * s);                      \
        }                                                                                                      \
        subgroupBarrier();                                                                                     \
    }
