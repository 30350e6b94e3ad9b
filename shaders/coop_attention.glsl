// SPDX-License-Identifier: Apache-2.0
// coop_attention.glsl: what the three attention ops on matrix cores share. Include after common.glsl.
//
// A work-group of SUBS sub-groups owns ROWS lines (query rows; for dk and dv, keys) of one head of one sequence, SIDE of
// them each, and walks over the other side's lines in blocks of WALK. A head is HEAD wide; a narrower one is filled up
// with zeros. Scores leave the matrix cores through shared memory, where each item has a known part of them: bias, mask,
// softmax and dropout are f32 there, and what goes back into a product is rounded to a factor.
// All control flow around a barrier or a cooperative matrix is the same for the whole work-group, and every loop over a
// sub-group's lanes holds for any number of them.
#include "coop_pieces.glsl"
#include "philox.h"

layout(constant_id = 4) const uint SIDE = 16; // a multiple of CM and of CN
layout(constant_id = 5) const uint SUBS = 4;
layout(constant_id = 6) const uint WALK = 32; // likewise, and of CK

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

// Score of a key that is not seen, lse of a query that sees no key (attention.cl.h).
#define ATT_MASKED (-2e30)
#define ATT_NONE (-1e30)

// Eight numbers as a piece of factors; where these are f16, they are rounded to bf16 first, as a device would.
uvec4 to_factors(vec4 a, vec4 b) { return factors(uvec4(vec4_to_bf16(a), vec4_to_bf16(b))); }

float highest(vec4 v) { return max(max(v.x, v.y), max(v.z, v.w)); }
float total(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
