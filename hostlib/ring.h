// SPDX-License-Identifier: Apache-2.0
// ring.h: who owns which bytes of a device's staging memory. Private to hostlib.
//
// Pieces are taken at the head and given back in the order in which they were taken, which is the order in which a
// device's one queue is done with them. What a piece carries beside its bytes (an event, a command buffer) its owner
// keeps in an array of SY_RING_PIECES, by the slot.
// Layer: hostlib.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SY_RING_PIECES 64u
#define SY_RING_ALIGN 256u // no less than any driver's atom of flushing, so that pieces never share one
#define SY_RING_BYTES ((uint64_t)16 << 20)
#define SY_RING_PIECE_BYTES (SY_RING_BYTES / 4) // longer copies are cut: the device takes one while the next is filled

struct sy_ring {
    uint64_t head;                  ///< Where the next piece starts, if it fits there.
    uint64_t start[SY_RING_PIECES]; ///< Of the pieces that are out, by slot.
    uint32_t oldest, count;         ///< Slots oldest, oldest + 1, … (modulo SY_RING_PIECES) are out.
};

/// Takes `bytes` (at most SY_RING_PIECE_BYTES; 0 takes a slot for its own sake). False when the oldest piece has to be
/// given back first, which can only be with `count` above 0.
bool sy_ring_take(struct sy_ring *ring, uint64_t bytes, uint32_t *out_slot);
/// Gives the oldest piece back.
void sy_ring_give(struct sy_ring *ring);
