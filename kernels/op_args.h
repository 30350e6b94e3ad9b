// SPDX-License-Identifier: Apache-2.0
// op_args.h: the argument struct of every op and the step constants, shared by C11, OpenCL C and GLSL.
//
// Only 4-byte scalar fields; at most 128 bytes (Vulkan's minimum of push constants).
// Shape letters: spec §1 and docs/glossary.md. "rows" counts token rows (B·S or B·T) unless said otherwise.
#ifndef SY_OP_ARGS_H
#define SY_OP_ARGS_H

#if defined(VULKAN)
#define u32 uint
#define f32 float
#define sample sample_ // a reserved word of GLSL, a field below
#define SY_STRUCT(name) struct name
#elif defined(__OPENCL_C_VERSION__)
#define u32 uint
#define f32 float
#define SY_STRUCT(name) struct name
#else
#include <stdint.h>
typedef uint32_t u32;
typedef float f32;
#define SY_STRUCT(name) struct name
#endif

// What changes from step to step. One small buffer (binding type `c`), written by the host before each replay.
SY_STRUCT(sy_step)
{
    u32 step; // t = 1, 2, …
    u32 seed_lo, seed_hi;
    f32 lr;                             // learning rate
    f32 beta2;                          // Adafactor: 1 − t^−0.8
    f32 adam_c1, adam_c2;               // AdamW: 1/(1−β1^t), 1/(1−β2^t)
    f32 inv_labels;                     // 1 / non-ignored target tokens of the whole step
    f32 inv_tokens_enc, inv_tokens_dec; // 1 / non-padding tokens of the whole step
    f32 inv_groups_enc, inv_groups_dec; // 1 / routing groups with at least one such token
    u32 row_enc, row_dec;               // index within the step of this micro-batch's first token row
    u32 sequence;                       // index within the step of this micro-batch's first sequence
    u32 position;                       // decoding: position of query row 0
};

// clang-format off
SY_STRUCT(sy_fill_args) { u32 n; f32 value; };
SY_STRUCT(sy_cast_args) { u32 n; };
// `rows` stretches of `cols` elements, stride and first element given on both sides; the rest is left alone.
SY_STRUCT(sy_copy_args) { u32 rows, cols, from_stride, from_at, to_stride, to_at; };
SY_STRUCT(sy_add_args) { u32 n; };

// dropout, residual. Element (row, col) is dropped when philox(row0 + row, col) < threshold; kept ones × scale.
// threshold = round(rate · 2^32); 0 = nothing is dropped. stack: 0 encoder, 1 decoder (chooses row0 from sy_step).
SY_STRUCT(sy_dropout_args) { u32 rows, cols, threshold; f32 scale; u32 stream, stack; };

// Slices (spec §11): sums over tokens are made for each slice of a micro-batch's sequences by itself; outputs then have
// a leading dimension [slices], and tree_sum adds the slices up. What is cut evenly has rows / slices rows in a slice.

// y[s][j] (+)= scale · Σ_p part[s][p][j], parts of each slice
SY_STRUCT(sy_sum_rows_args) { u32 parts, n, accumulate; f32 scale; u32 slices; };

// y[o][i] (+)= tree over s of x[o][s][i]: ((0+1)+(2+3))+…; slices is 1, 2, 4 or 8.
SY_STRUCT(sy_tree_sum_args) { u32 n, slices, outer, accumulate; };

// part 1, in embed and embed_bwd: the table holds the vocabulary's rows first … first + vocab − 1 only; what belongs to
// other ids is left alone.
SY_STRUCT(sy_embed_args) { u32 rows, dim, vocab, part, first; };
// index (I32): [0] U = distinct ids; [1 .. 1+rows) the ids, ascending; [1+rows .. 2+2·rows) start of each id's
// run (U+1 entries used); [2+2·rows .. 2+3·rows) row numbers sorted by id, ascending within an id. Made on the host,
// one such block of its own rows (counted from its first) for each slice; table [slices, vocab, dim].
SY_STRUCT(sy_embed_bwd_args) { u32 rows, dim, vocab, slices, part, first; };

SY_STRUCT(sy_rmsnorm_args) { u32 rows, dim; f32 eps; };
SY_STRUCT(sy_rmsnorm_dx_args) { u32 rows, dim; f32 eps; u32 has_res; };
// `parts` equal row blocks in each slice: block b of a slice of R rows starts at its row b · ceil(R / parts).
SY_STRUCT(sy_rmsnorm_dw_args) { u32 rows, dim, parts, slices; };

// c[m,n] = alpha · Σ_k a[m,k] · B_e[k,n] (+ c if accumulate).  a [M,K], c [M,N] row-major.
// bt 1: b is [E][N][K] (a linear layer's weight, forward); bt 0: b is [E][K][N] (the same weight, for dX).
// experts 1: dense, rows 0…m−1, `tiles` unused. experts > 1: tile t covers rows tiles[4t+1] … tiles[4t+2]−1 of expert
// tiles[4t] (−1: nothing), written by route_tiles with the same tile_rows; rows no tile covers are left alone.
// of > 0: a table of that many experts is read, of which b holds only `experts` from `first` on; rows of others are left
// alone.
SY_STRUCT(sy_matmul_args)
{
    u32 m, n, k, experts, bt, accumulate;
    f32 alpha;
    u32 tile_rows, tiles, first, of;
};

// Panels of SY_PANEL columns: p[batch][ceil(N/P)][K][P], zero-padded; b [batch][N][K]. pairs 1: two values of k side by
// side, p[batch][ceil(N/P)][ceil(K/2)][P][2].
SY_STRUCT(sy_pack_b_args) { u32 batch, n, k, pairs; };

// w[s][e][m][n] (+)= alpha · Σ_r y[r,m] · x[r,n] over the rows of expert e in slice s. ragged 1: those are
// off[i] … off[i+1]−1 with i = e·slices + s; ragged 0 (one expert): rows / slices rows each, `off` unused.
// An expert without rows gets zeros (or is left alone when accumulating). of > 0: w holds only `experts` experts from
// `first` on, of so many.
SY_STRUCT(sy_matmul_dw_args) { u32 rows, m, n, experts, accumulate; f32 alpha; u32 slices, ragged, first, of; };

// relu, act: x, y [rows, cols]. geglu: x [rows, 2·cols] = wi_0 x | wi_1 x, y [rows, cols] = f(x0) · x1.
// act: f, SY_ACT_…; relu does not look at it.
// Then dropout as in sy_dropout_args. indexed 1: row i belongs to src[i] = token·k + choice (−1: unused slot, write zeros;
// indexed 2, forward alone: leave the row as it is),
// and the dropout element is (row0 + token, col) in plane `choice`. indexed 0: `row` unused, token = i, plane 0.
// stack SY_STACK_STEP: tokens are counted from the step's first, because rows come from several ranks: row0 = 0.
// first: the columns are those of a wider matrix from this one on, a multiple of 4 (model parallelism): dropout goes by its.
SY_STRUCT(sy_ffn_act_args) { u32 rows, cols, threshold; f32 scale; u32 stream, stack, indexed, k, act, first; };

// rel[h][d] = bias[bucket[d]][h]; d = j − i − position + rel_origin as in sy_attention_args, span = rel_origin + tk.
// Backward: drel [slices, heads, span], dbias [slices, buckets, heads].
SY_STRUCT(sy_bias_args) { u32 heads, span, buckets, accumulate, slices; };

// One attention. Row (b,i) of q starts at ((b·tq + i)·q_stride + q_offset); head h at + h·dim. Likewise k and v with
// kv_stride, k_offset, v_offset and tk rows a sequence; o, do: [B·tq, H·dim] dense; lse [B,H,tq]; ld [B,H,tq,2] = (lse, delta).
// Key j is seen by query i when (not has_mask or mask[b,j] ≠ 0) and (not causal or j ≤ i + position).
// score = q·k + rel[h][j − i − position + rel_origin] (when has_bias). rel_origin = tq − 1; decoding, where
// tq = 1: tk − 1. A row without keys gives zeros.
// Dropout on the probabilities: element (plane = SY_ATTENTION_PLANE, row = i, col = j). first_head, other_heads: these are
// the heads from first_head on of an attention that has other_heads more (model parallelism).
// drel [B][ceil(tq/SY_REL_BLOCK)][H][span]: sums of dscore along diagonals for a block of query rows (has_bias only).
SY_STRUCT(sy_attention_args)
{
    u32 batch, heads, tq, tk, dim;
    u32 q_stride, q_offset, kv_stride, k_offset, v_offset;
    u32 causal, has_bias, has_mask, span, rel_origin;
    u32 threshold;
    f32 scale;
    u32 stream;
    u32 decode; // 1: add sy_step.position to the query index
    u32 first_head, other_heads;
};
#define SY_ATTENTION_PLANE(p, sequence, head) ((sequence) * ((p).heads + (p).other_heads) + (p).first_head + (head))
#define SY_REL_BLOCK 16
#define SY_ATTENTION_MAX_DIM 128 // d_kv the attention kernels have room for

// mode 0: u = x · 1. 1: u = x · U(1−eps, 1+eps) by Philox (row, col). 2: u = x · jit. 3: input dropout (threshold, scale).
// round_bf16: the whole router in bf16 (Table 2's unstable variant): round u (and z, p in router_softmax) to bf16.
SY_STRUCT(sy_router_input_args) { u32 rows, dim, mode; f32 eps; u32 threshold; f32 scale; u32 stream, stack, round_bf16; };
SY_STRUCT(sy_router_softmax_args) { u32 rows, experts, round_bf16; };

// cand[row][r] = r-th most probable expert (lowest index on ties), −1 where mask[row] = 0. sample 1: cand[row][0] is drawn
// from p instead (inverse CDF of one Philox uniform, element (row, 0)), and rounds is 1.
SY_STRUCT(sy_route_choose_args) { u32 rows, experts, rounds, sample, stream, stack; };

// Gives each choice its place (spec §4). Groups of `group` consecutive rows; the last may be short.
// kind 0 (switch, top2): k = rounds; round r's candidates are placed after the kept ones of earlier rounds.
// kind 1 (ntlb): k = 1; in round r every row not yet placed asks for cand[row][r].
// expert [rows,k] (−1 none), pos [rows,k] (≥ capacity: dropped; −1 none), load [G,E] first choices per expert before drops,
// kept [G,E] rows that got a slot.
SY_STRUCT(sy_route_place_args) { u32 rows, group, groups, experts, rounds, k, kind, capacity; };

// expert_choice: each expert takes the `capacity` largest p of its column among the group's unmasked rows (lowest row on
// ties). k = experts; expert[row][e] = e if taken else −1, pos[row][e] = its rank (0 best) or −1; load = kept = taken.
SY_STRUCT(sy_route_take_args) { u32 rows, group, groups, experts, capacity; };

// The expert side's rows lie by expert, then by group: base[g][e] is where group g's rows of expert e begin.
// off[e·slices + s] = base of the first group of slice s (groups / slices groups each); off[experts·slices] = all rows.
SY_STRUCT(sy_route_offsets_args) { u32 groups, experts, slices; };

// slot[row][r] = base[g][expert] + pos if kept (expert ≥ 0 and 0 ≤ pos < capacity) else −1;
// src[slot] = row·k + r for used slots, −1 for slots ≥ off[experts·slices].
SY_STRUCT(sy_route_slots_args) { u32 rows, k, group, experts, capacity, slots, slices; };

// tiles[4t…] = expert, first row, end row, 0: ceil(n_e / tile_rows) tiles per expert in order; −1,0,0,0 beyond the last.
SY_STRUCT(sy_route_tiles_args) { u32 experts, tile_rows, tiles, slices; };

// What a log line says of one layer, for each slice: stats[s] = load of each expert, then unmasked rows, those of them
// without any slot, Σ gate and how many gates are not 0, of every gate_step-th gate (top2: k, since its two add up to 1).
SY_STRUCT(sy_route_stats_args) { u32 rows, k, groups, experts, gate_step, slices; };

// kind 0: gate = p[expert]. kind 1 (top2): p1/(p1+p2), p2/(p1+p2). 0 where expert < 0.
SY_STRUCT(sy_route_gate_args) { u32 rows, experts, k, kind; };

// dispatch, dispatch_bwd, combine, combine_dh, combine_dgate. rows: tokens, slots: rows of the expert side.
SY_STRUCT(sy_dispatch_args) { u32 rows, slots, dim, k; };

// aux of group g: aux_coef · E · Σ_e f_e P_e, f_e = load/n, P_e = Σ p / n, n = unmasked rows of the group.
// z of group g: z_coef · inv_tokens · Σ lse². aux_coef 0 or z_coef 0 switch a term off.
// kind as in sy_route_gate_args; k and kind are read by router_dz, which takes the same struct.
SY_STRUCT(sy_router_loss_args) { u32 rows, group, groups, experts, k, kind, stack; f32 aux_coef, z_coef; };

// rows[r] = (lse, ce, correct, z) with ce = lse − logit[label], z = z_coef·lse²; all but lse 0 where label < 0.
// Label smoothing s: ce = lse − (1−s)·logit[label] − s·mean(logits).
// Logits (and dlogits) hold `rows` rows from `first` on of those of labels and rows; or, where each > 0, of the rows
// at … at + each − 1 of every `apart` of these.
SY_STRUCT(sy_xent_args) { u32 rows, vocab; f32 z_coef, smoothing; u32 first, each, apart, at; };
// Where a row's label is.
#define SY_XENT_PLACE(p, row) \
    ((p).each == 0u ? (p).first + (row) \
                    : ((p).first + (row)) / (p).each * (p).apart + (p).at + ((p).first + (row)) % (p).each)

// The optimizer's ops over all matrices of a pack, by its table (matrices.h): sumsq, sum_blocks and af_*. A dispatch does
// work-groups `first` … first + count − 1 of what the op goes by: blocks, strips or matrices; `work`: elements of the
// matrices in question. The rest are the sizes of what is bound: blocks and matrices of the table, elements of the pack,
// of r, col and v and of the blocks' column sums, and the matrices of all packs. Of a pack in pieces, one piece is bound
// at a time: its elements (and v's) begin at element `base`, modulo 2^32, and where it is of whole matrices, its column
// sums at `part_base`.
SY_STRUCT(sy_matrices_args)
{
    u32 entries, first, count, work;
    u32 blocks, matrices, elements, rows, cols, full, parts, everything, base, part_base;
};

// gs = (min(1, max_norm/norm), norm), norm = sqrt(tree over sums). max_norm 0: gs[0] = 1.
SY_STRUCT(sy_clip_args) { u32 n; f32 max_norm; };

SY_STRUCT(sy_adamw_args) { u32 n; f32 beta1, beta2, eps, decay; };

// best[first + row] = the place of the row's largest element, the lowest on ties.
SY_STRUCT(sy_best_args) { u32 rows, cols, first; };

// value[first + row][r] = the row's r-th largest log-probability, place[…] where it is: the lowest of equal elements
// first; −infinity and −1 where the row has no more numbers. k ≤ SY_TOP_MOST.
#define SY_TOP_MOST 64u
SY_STRUCT(sy_top_args) { u32 rows, cols, k, first; };

// token[first + row], on entry the row's most probable token, is drawn from the row (kernels/weigh.h) as the words of
// `how` say; where the scale is 0 it stays.
#define SY_DRAW_SCALE 0u // bits of a float: log2(e) / temperature
#define SY_DRAW_K 1u     // the most probable so many; 0: all
#define SY_DRAW_OUT 2u   // of these the least probable are left out as long as they make up to this / 2^32 of the weight
#define SY_DRAW_SEED_LO 3u
#define SY_DRAW_SEED_HI 4u
#define SY_DRAW_INDEX 5u // of the first row's sequence
#define SY_DRAW_WORDS 6u
SY_STRUCT(sy_draw_args) { u32 rows, cols, first; };

// cache[b][position][:width] = kv[b·src_stride + src_offset …]; cache [B, t_max, width].
SY_STRUCT(sy_kv_append_args) { u32 batch, width, t_max, src_stride, src_offset; };

// Beams: cache[b] = cache[parent[b]] up to the position, for every b whose parent is another row; such a b is nobody's
// parent.
SY_STRUCT(sy_kv_fork_args) { u32 batch, width, t_max; };

// f(a) = a · s(a)
#define SY_ACT_GELU_TANH 0u  // s = (1 + tanh(sqrt(2/π) (a + 0.044715 a³))) / 2
#define SY_ACT_GELU 1u       // s = (1 + erf(a/√2)) / 2
#define SY_ACT_SILU 2u       // s = 1 / (1 + exp(−a))
#define SY_ACT_QUICK_GELU 3u // s = 1 / (1 + exp(−1.702 a))
#define SY_ACT_RELU 4u       // s = a < 0 ? 0 : 1
#define SY_STACK_STEP 2u // ffn_act_args.stack, beside 0 encoder and 1 decoder
#define SY_PANEL 32 // columns of one packed panel (pack_b)

#endif
