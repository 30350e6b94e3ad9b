#version 450
// SPDX-License-Identifier: Apache-2.0
// attention_dq: dq = ds·k with ds = p∘(dp − delta), p = exp(score − lse), dp = dropout(do·vᵀ); and the bias gradient
// drel[b][block][h][x] = Σ ds[i][j] over the block's 16 query rows and the keys with j − i − position + rel_origin = x.
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   ld f [B, H, tq, 2] (lse, delta)
//   do t [B·tq, H·dim]     c step constants         dq t: the H·dim columns of q only, with q's stride and offset
//   drel f [B, ceil(tq/16), H, span]: every element is written; has_bias only
//
// Launch:      a work-group does 32 query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys in order, tiles of 32; a diagonal is summed by ascending query row.
#include "common.glsl"
IN(0, T, q);
IN(1, T, kv);
IN(2, float, rel);
IN(3, int, mask);
IN(4, float, ld);
IN(5, T, dout);
STEP(6);
OUT(7, T, dq);
OUT(8, float, drel);
ARGS(sy_attention_args);
#include "attention.glsl"

// Diagonals of one tile. A 16-row block's diagonal x = j − i (−15 … 31) ends in this tile when x ≤ 16; the other 15
// reach into the next tile and wait in `carry`. Two carries, used in turn, keep readers and writers apart.
#define REL_ROWS uint(SY_REL_BLOCK)
#define DIAGONALS (ATT_TILE + REL_ROWS - 1u)
#define BLOCKS (ATT_TILE / REL_ROWS)
#define OPEN (REL_ROWS - 1u) // diagonals that cross into the next tile
shared float carry[2u * BLOCKS * OPEN];

// Where the row of drel of the block that starts with query row i begins.
uint drel_row(uint b, uint head, uint i)
{
    return ((b * ((p.tq + REL_ROWS - 1u) / REL_ROWS) + i / REL_ROWS) * p.heads + head) * p.span;
}

// Diagonal n = x + 15 of one 16-row block of tile `step_index`.
void add_diagonal(uint part, uint n, uint step_index, bool last, uint b, uint head, uint i0, uint position)
{
    const uint low = n < OPEN ? OPEN - n : 0u, high = min(REL_ROWS, DIAGONALS - n); // its rows in this tile
    float total = 0.0;
    if (n < OPEN)
        total = carry[(step_index % 2u * BLOCKS + part) * OPEN + n];
    for (uint r = low; r < high; ++r)
        total += tile[WEIGHTS + (part * REL_ROWS + r) * ATT_PITCH + (r + n - OPEN)];
    if (n >= ATT_TILE)
        carry[((step_index + 1u) % 2u * BLOCKS + part) * OPEN + n - ATT_TILE] = total;
    const uint i = i0 + part * REL_ROWS;
    const uint x = step_index * ATT_TILE + n + p.rel_origin - (OPEN + i + position); // wraps when below 0: then ≥ span
    if ((n < ATT_TILE || last) && i < p.tq && x < p.span)
        drel[drel_row(b, head, i) + x] = total;
}

// sum of columns d0 … d0 + 31 of dq: plus this tile's ds · k
#define ADD_KEYS(sum, d0)                                                                                       \
    if ((d0) < p.dim)                                                                                           \
        ATT_LOAD(SIDE_B, kv, kv_at + p.k_offset + j0 * p.kv_stride + (d0), p.kv_stride, rows, p.dim - (d0))     \
    barrier();                                                                                                  \
    if ((d0) < p.dim)                                                                                           \
        ATT_MUL(sum, WEIGHTS, SIDE_B);                                                                          \
    barrier();

#define STORE_SUMS(sum, d0)                                                                                     \
    [[unroll]] for (int x = 0; x < 16; ++x) {                                                                   \
        const uint r = ATT_ROW(t, x), d = (d0) + ATT_COL(t, x);                                                 \
        if (r < lanes && d < p.dim)                                                                             \
            T_ST(dq, q_at + r * p.q_stride + d, sum[t][x]);                                                     \
    }

void main()
{
    const uint lid = LOCAL_ID;
    const uint blocks = (p.tq + ATT_TILE - 1u) / ATT_TILE;
    GROUP_GUARD(p.batch * p.heads * blocks);
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ATT_TILE, lanes = min(ATT_TILE, p.tq - i0);
    const uint position = p.decode != 0u ? c.position : 0u;
    const uint keys = p.causal != 0u ? min(p.tk, i0 + position + lanes) : p.tk;
    const uint tiles = (keys + ATT_TILE - 1u) / ATT_TILE;
    const uint q_at = (b * p.tq + i0) * p.q_stride + p.q_offset + head * p.dim;
    const uint kv_at = b * p.tk * p.kv_stride + head * p.dim;
    const uint do_at = ((b * p.tq + i0) * p.heads + head) * p.dim;
    const uint stats_at = ((b * p.heads + head) * p.tq + i0) * 2u;

    for (uint e = lid; e < 2u * BLOCKS * OPEN; e += WG)
        carry[e] = 0.0;

    for (uint d_first = 0u; d_first < p.dim; d_first += ATT_PASS) {
        float low[ATT_TURNS][16], high[ATT_TURNS][16]; // sums of columns d_first + 0…31 and + 32…63
        ATT_CLEAR(low)
        ATT_CLEAR(high)
        for (uint step_index = 0u; step_index < tiles; ++step_index) {
            const uint j0 = step_index * ATT_TILE, rows = min(ATT_TILE, p.tk - j0);
            float s[ATT_TURNS][16], dp[ATT_TURNS][16];
            ATT_CLEAR(s)
            ATT_CLEAR(dp)
            for (uint d0 = 0u; d0 < p.dim; d0 += ATT_TILE) {
                const uint cols = p.dim - d0;
                ATT_LOAD(SIDE_A, dout, do_at + d0, p.heads * p.dim, lanes, cols)
                ATT_LOAD(SIDE_B, kv, kv_at + p.v_offset + j0 * p.kv_stride + d0, p.kv_stride, rows, cols)
                barrier();
                ATT_DOT(dp, SIDE_A, SIDE_B);
                barrier();
                ATT_LOAD(SIDE_A, q, q_at + d0, p.q_stride, lanes, cols)
                ATT_LOAD(SIDE_B, kv, kv_at + p.k_offset + j0 * p.kv_stride + d0, p.kv_stride, rows, cols)
                barrier();
                ATT_DOT(s, SIDE_A, SIDE_B);
                barrier();
            }
            if (p.threshold != 0u)
                att_keep_tile(lid, SY_ATTENTION_PLANE(p, c.sequence + b, head), i0, j0);
            barrier();
            ATT_EACH_TURN(t)
                [[unroll]] for (int x = 0; x < 16; ++x) {
                    const uint r = ATT_ROW(t, x), j = ATT_COL(t, x), cell = r * ATT_PITCH + j;
                    float row_lse = ATT_ABSENT, delta = 0.0, factor = 1.0;
                    if (r < lanes) {
                        row_lse = ld[stats_at + 2u * r];
                        delta = ld[stats_at + 2u * r + 1u];
                    }
                    if (p.threshold != 0u)
                        factor = tile[SIDE_B + cell];
                    const float above = att_score(s[t][x], b, head, i0 + r, j0 + j, position) - row_lse;
                    tile[WEIGHTS + cell] = ATT_DS(above, exp(above), dp[t][x] * factor, delta);
                }
            barrier();
            if (p.has_bias != 0u && d_first == 0u)
                for (uint e = lid; e < BLOCKS * DIAGONALS; e += WG)
                    add_diagonal(e / DIAGONALS, e % DIAGONALS, step_index, step_index + 1u == tiles, b, head, i0,
                                 position);
            ADD_KEYS(low, d_first)
            ADD_KEYS(high, d_first + ATT_TILE)
        }
        ATT_EACH_TURN(t) {
            STORE_SUMS(low, d_first)
            STORE_SUMS(high, d_first + ATT_TILE)
        }
    }
    if (p.has_bias == 0u)
        return;
    // The rest of drel: indices that no tile of this work-group reached.
    for (uint i = i0; i < min(p.tq, i0 + ATT_TILE); i += REL_ROWS)
        for (uint x = lid; x < p.span; x += WG)
            if (x + OPEN + i + position - p.rel_origin >= tiles * ATT_TILE + OPEN) // wraps when below the first
                drel[drel_row(b, head, i) + x] = 0.0;
}
