// SPDX-License-Identifier: Apache-2.0
// dropout.cl.h: dropout factors of a run of columns, for dropout, residual, relu and geglu; include after common.cl.h.
//
// Element (row, col) is dropped when its Philox bits are < threshold. One Philox call yields four columns. A CPU runs
// VEC calls side by side (one per vector lane), other devices one call per four columns of a vector.
#ifndef SY_DROPOUT_CL_H
#define SY_DROPOUT_CL_H
#include "chunk.h"
#include "philox.h"

#if WG == 1
#define DROP_VECS 4
#if VEC == 16
#define DROP_HALF 8
#elif VEC == 8
#define DROP_HALF 4
#else
#define DROP_HALF 2
#endif
#else
#define DROP_VECS 1
#endif
#define DROP_COLS (DROP_VECS * VEC) // columns of one step

// What is the same for all columns of a row. `random` false: every factor is `fixed`.
struct drop_row {
    uint threshold, stream, plane, row, quad, key0, key1; // quad: added to a column's group of four
    float scale, fixed;
    bool random;
};

static inline struct drop_row drop_row(__constant const struct sy_step *c, uint threshold, float scale, uint stream,
                                       uint stack, uint row, uint plane)
{
    struct drop_row d;
    d.threshold = threshold;
    d.stream = stream;
    d.plane = plane;
    d.row = (stack == SY_STACK_STEP ? 0u : stack != 0u ? c->row_dec : c->row_enc) + row;
    d.quad = 0u;
    d.key0 = c->seed_lo;
    d.key1 = c->seed_hi ^ c->step;
    d.scale = scale;
    d.fixed = 1.0f;
    d.random = threshold != 0u;
    return d;
}

// The same for row i of an FFN's hidden activations; `row` names the token when p.indexed (op_args.h).
static inline struct drop_row ffn_row(__constant const struct sy_step *c, const struct sy_ffn_act_args p,
                                      __global const int *row, uint i)
{
    const int source = p.indexed != 0u ? row[i] : (int)i;
    const uint k = p.indexed != 0u ? p.k : 1u;
    struct drop_row d = drop_row(c, p.threshold, p.scale, p.stream, p.stack, (uint)source / k, (uint)source % k);
    d.quad = p.first / 4u;
    if (p.indexed != 0u && source < 0) { // unused slot: its row is all zeros
        d.random = false;
        d.fixed = 0.0f;
    }
    return d;
}

#if DROP_VECS == 4
// Upper and lower halves of a · b. Even and odd lanes are multiplied as 64-bit numbers, which a CPU does in one
// instruction each, where the 32-bit mul_hi takes a dozen.
#define V_AS_UL SY_CAT(as_ulong, DROP_HALF)
static inline void drop_mul(uint a, VU b, VU *hi, VU *lo)
{
    const VU even = V_AS_U((V_AS_UL(b) & 0xffffffffUL) * (ulong)a), odd = V_AS_U((V_AS_UL(b) >> 32) * (ulong)a);
    hi->even = even.odd;
    hi->odd = odd.odd;
    *lo = a * b;
}

// Lane i holds a0 b0 a1 b1 …: first or second halves of a and b, interleaved.
static inline VU zip_lo(VU a, VU b)
{
    VU r;
    r.even = a.lo;
    r.odd = b.lo;
    return r;
}
static inline VU zip_hi(VU a, VU b)
{
    VU r;
    r.even = a.hi;
    r.odd = b.hi;
    return r;
}

// sy_philox() for VEC neighbouring groups of four columns; bits come out in column order.
static inline void drop_bits(const struct drop_row *d, uint col, VU bits[4])
{
    const uint lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    VU c0 = (VU)(d->quad + col / 4u) + V_LOAD(0, lanes), c1 = (VU)(d->row), c2 = (VU)(d->stream), c3 = (VU)(d->plane);
    uint k0 = d->key0, k1 = d->key1;
    for (uint round = 0u; round < 10u; ++round) {
        VU hi0, lo0, hi1, lo1;
        drop_mul(0xD2511F53u, c0, &hi0, &lo0);
        drop_mul(0xCD9E8D57u, c2, &hi1, &lo1);
        c0 = hi1 ^ c1 ^ k0;
        c1 = lo1;
        c2 = hi0 ^ c3 ^ k1;
        c3 = lo0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const VU even_lo = zip_lo(c0, c2), odd_lo = zip_lo(c1, c3), even_hi = zip_hi(c0, c2), odd_hi = zip_hi(c1, c3);
    bits[0] = zip_lo(even_lo, odd_lo);
    bits[1] = zip_hi(even_lo, odd_lo);
    bits[2] = zip_lo(even_hi, odd_hi);
    bits[3] = zip_hi(even_hi, odd_hi);
}
#else
static inline void drop_bits(const struct drop_row *d, uint col, VU bits[1])
{
    uint words[VEC];
    for (uint i = 0u; i < VEC; i += 4u)
        vstore4(sy_philox(d->quad + (col + i) / 4u, d->row, d->stream, d->plane, d->key0, d->key1), 0, words + i);
    bits[0] = V_LOAD(0, words);
}
#endif

// Factors of columns col … col + DROP_COLS − 1 (col a multiple of 4): `scale`, or 0 where dropped.
static inline void drop_factors(const struct drop_row *d, uint col, VF factor[DROP_VECS])
{
    if (d->random) {
        VU bits[DROP_VECS];
        drop_bits(d, col, bits);
        for (uint v = 0u; v < DROP_VECS; ++v)
            factor[v] = select((VF)(d->scale), (VF)(0.0f), bits[v] < (VU)(d->threshold));
    } else {
        for (uint v = 0u; v < DROP_VECS; ++v)
            factor[v] = (VF)(d->fixed);
    }
}

// One scalar per column, for the end of a row, where DROP_TAIL counts the `left` columns. Unrolled on GPUs, so that the
// scalars stay in registers: a loop that indexes them would put them in memory.
#if WG == 1
#define DROP_TAIL(j, left) SCALARS for (uint j = 0u; j < (left); ++j)
#else
#define DROP_TAIL(j, left) _Pragma("unroll") for (uint j = 0u; j < DROP_COLS; ++j) if (j < (left))
#endif
static inline void drop_scalars(const VF factor[DROP_VECS], float out[DROP_COLS])
{
    for (uint v = 0u; v < DROP_VECS; ++v)
        V_STORE(factor[v], v, out);
}

// value · factor; 0 for factor 0 even where the value is no number (unused rows hold anything).
static inline VF kept_v(VF value, VF factor) { return select((VF)(0.0f), value * factor, factor > (VF)(0.0f)); }
static inline float kept(float value, float factor) { return factor > 0.0f ? value * factor : 0.0f; }
#endif
