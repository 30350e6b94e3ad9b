// SPDX-License-Identifier: Apache-2.0
// coop_attention.glsl: what the three attention ops on matrix cores share. Include after common.glsl and
// coop_pieces.glsl, and after the bindings rel, mask, c and p.
//
// A work-group of SUBS sub-groups owns ROWS lines (query rows; for dk and dv, keys) of one head of one sequence, SIDE of
// them each, and walks over the other side's lines in blocks of WALK. A head is HEAD wide; a narrower one is filled up
// with zeros. Scores leave the matrix cores through shared memory, where each item has a known part of them: bias, mask,
// softmax and dropout are f32 there, and what goes back into a product is rounded to a factor.
// All control flow around a barrier or a cooperative matrix is the same for the whole work-group, and every loop over a
// sub-group's lanes holds for any number of them.
#include "philox.h"

layout(constant_id = 4) const uint SIDE = 16; // a multiple of CM and of CN
layout(constant_id = 5) const uint SUBS = 4;
layout(constant_id = 6) const uint WALK = 32; // likewise, and of CK
layout(constant_id = 7) const uint SHARE = 1; // items of a sub-group that share a line of scores, where there are not more

#define HEAD 64u
const uint LANES = WG / SUBS;
const uint ROWS = SIDE * SUBS;
const uint DOWN = SIDE / CM;   // matrices of a sub-group's lines
const uint WIDTH = HEAD / CN;  // and of a head's columns,
const uint DEPTHS = HEAD / CK; // or of its values as the axis that is summed over
const uint LINE = HEAD / PIECE + 1u; // pieces of a line in shared memory: an odd number, so that neighbours begin in other banks
const uint WALK_PIECES = WALK * HEAD / PIECE / WG; // of a block, to each item
const uint ROWS_PIECES = ROWS * HEAD / PIECE / WG;

#define A_MATRIX coopmat<FACTOR, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA>
#define B_MATRIX coopmat<FACTOR, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB>

// Score of a key that is not seen, lse of a query that sees no key, lse of a query row beyond tq (attention.cl.h).
#define ATT_MASKED (-2e30)
#define ATT_NONE (-1e30)
#define ATT_ABSENT 1e30

// Eight numbers as a piece of factors; where these are f16, they are rounded to bf16 first, as a device would.
uvec4 to_factors(vec4 a, vec4 b) { return factors(uvec4(vec4_to_bf16(a), vec4_to_bf16(b))); }

float highest(vec4 v) { return max(max(v.x, v.y), max(v.z, v.w)); }
float total(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

// Of each of four keys: 0, or −1 where no query sees it.
vec4 seen_keys(uint b, uint j)
{
    vec4 yes;
    [[unroll]] for (uint x = 0u; x < 4u; ++x) {
        bool one = j + x < p.tk;
        if (one && p.has_mask != 0u)
            one = mask[b * p.tk + j + x] != 0;
        yes[x] = one ? 0.0 : -1.0;
    }
    return yes;
}

// The first key that query i does not see any more, and of rel[h][…] the index for key 0 (modulo 2^32).
#define PAST(i) ((i) >= p.tq ? 0u : p.causal != 0u ? (i) + position + 1u : ~0u)
#define REL_AT(i) (p.rel_origin - (i) - position)

// Scores of keys j … j + 3 from their products with the query.
vec4 scores(vec4 s, uint j, vec4 yes, uint past, uint head, uint rel_at)
{
    const uvec4 key = j + uvec4(0u, 1u, 2u, 3u);
    if (p.has_bias != 0u)
        [[unroll]] for (int x = 0; x < 4; ++x)
            s[x] += rel[head * p.span + min(key[x] + rel_at, p.span - 1u)]; // beyond: a key that is not seen
    s = mix(s, vec4(ATT_MASKED), lessThan(yes, vec4(0.0)));
    return mix(s, vec4(ATT_MASKED), greaterThanEqual(key, uvec4(past)));
}

// Four weights after dropout: keys 4·quad … 4·quad + 3 of query i.
vec4 dropped(vec4 v, uint quad, uint i, uint plane)
{
    if (p.threshold == 0u)
        return v;
    const uvec4 bits = sy_philox(quad, i, p.stream, plane, c.seed_lo, c.seed_hi ^ c.step);
    return mix(v * p.scale, vec4(0.0), lessThan(bits, uvec4(p.threshold)));
}

// p·(dp − delta) with p = exp(x), x = score − lse; exactly 0 where one key has all the weight (attention.cl.h).
vec4 score_gradients(vec4 x, vec4 prob, vec4 dp, float delta)
{
    return mix(prob * (dp - delta), vec4(0.0), greaterThanEqual(x, vec4(0.0)));
}

// A sub-group's scores are `lines` lines of `keys` columns, S_LD pieces apart. SHARERS items share a line, in units of eight
// columns in turn (UNITS each); AT_ONCE lines are done at once, all in TURNS.
#define LINES_SHARED(lines, keys)                                                                              \
    const uint WANTED = LANES / lines > SHARE ? LANES / lines : SHARE;                                         \
    const uint SHARERS = WANTED < keys / PIECE ? WANTED : keys / PIECE;                                        \
    const uint AT_ONCE = LANES / SHARERS < lines ? LANES / SHARERS : lines;                                    \
    const uint TURNS = lines / AT_ONCE;                                                                        \
    const uint UNITS = keys / PIECE / SHARERS;                                                                 \
    const uint S_LD = keys / 4u + 1u;

// next[] = lines of k|v, q or do from line `from` of the sequence on; `lines` it has in all.
#define LINES_FETCH(next, pieces, x, wide, at, stride, from, lines)                                            \
    FETCH(next, pieces, HEAD, x, wide, (at) + (from) * (stride), stride, left_of(lines, from), p.dim, whole)
#define LINES_PUT(slab, next, pieces) PUT(slab, 0u, LINE, next, pieces, HEAD)
