// SPDX-License-Identifier: Apache-2.0
// tiles.h: block sizes of the matmul ops, shared by C11, OpenCL C and GLSL: what one work-group covers.
//
// Every output element is one chain of fma over ascending k, whatever these are: they change speed, never bits.
#ifndef SY_TILES_H
#define SY_TILES_H
#include "op_args.h"

// Rows of one expert tile (sy_matmul_args.tile_rows, sy_route_tiles_args.tile_rows) that suit each device class.
// Any other count is correct too.
#define SY_TILE_ROWS_SIMT 64u
#define SY_TILE_ROWS_CPU 96u

// matmul, matmul_dw: the wg items of a group stand in SY_ITEMS_Y rows of SY_ITEMS_X; each owns SY_ITEM × SY_ITEM
// outputs.
#define SY_ITEM 8u
#define SY_ITEMS_X(wg) ((wg) >= 128u ? 16u : (wg) >= 32u ? 8u : (wg) >= 8u ? 4u : (wg) >= 2u ? 2u : 1u)
#define SY_ITEMS_Y(wg) ((wg) / SY_ITEMS_X(wg))

// matmul_packed, matmul_dw_blocks: panels (columns of B, 32 at a time) that one group multiplies with its rows of A. A
// group may copy those rows first, so it wants many panels, but not so many that fewer than 12 groups are left.
#define SY_MAX_GROUP_PANELS 16u
#define SY_GROUP_PANELS(tiles, panels)       \
    ((tiles) * ((panels) / 16u) >= 12u  ? 16u \
     : (tiles) * ((panels) / 8u) >= 12u ? 8u  \
     : (tiles) * ((panels) / 4u) >= 12u ? 4u  \
     : (tiles) * ((panels) / 2u) >= 12u ? 2u  \
                                        : 1u)

// matmul_mma, matmul_dw_mma: outputs of one group, 64 × 64 for each of its warps, and what its slabs may take of local
// memory: NVIDIA counts a little more than a kernel declares, and has 48 KiB. Groups are numbered down bands of
// SY_MMA_BAND blocks of rows, so that those that run at once share factors.
#define SY_MMA_WG 128u // also right with 64
#define SY_MMA_ROWS(wg) ((wg) >= 128u ? 128u : 64u)
#define SY_MMA_COLS(wg) 128u
#define SY_MMA_LOCAL_BYTES 40960u
#ifndef SY_MMA_BAND
#define SY_MMA_BAND 8u
#endif

// matmul_cores, matmul_dw_cores: outputs of one group, the same for every kind of matrix core (cores.cl.h), and the bands
// in which groups are numbered, as above.
#define SY_CORES_WG 128u
#define SY_CORES_ROWS 128u
#define SY_CORES_COLS 64u
#define SY_CORES_BAND 8u

// pack_b: values of k of one panel that one group writes, a multiple of 32. A group of one item reads B along its rows
// as far as it can.
#define SY_PACK_ROWS(wg) ((wg) == 1u ? 512u : 64u)

#endif
