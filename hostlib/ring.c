// SPDX-License-Identifier: Apache-2.0
// ring.c: places in a ring of bytes.
#include "hostlib/ring.h"

bool sy_ring_take(struct sy_ring *ring, uint64_t bytes, uint32_t *out_slot)
{
    // A piece has at least one unit, so that head == tail means full when pieces are out.
    const uint64_t need = bytes == 0 ? SY_RING_ALIGN : (bytes + SY_RING_ALIGN - 1) / SY_RING_ALIGN * SY_RING_ALIGN;
    const uint64_t tail = ring->start[ring->oldest];
    uint64_t at = ring->head, end = tail;
    if (ring->count == SY_RING_PIECES)
        return false;
    if (ring->count == 0) {
        at = 0;
        end = SY_RING_BYTES;
    } else if (at > tail && need <= SY_RING_BYTES - at) {
        end = SY_RING_BYTES;
    } else if (at > tail) { // what is left behind the head is too short, and is skipped
        at = 0;
    }
    if (need > end - at)
        return false;
    const uint32_t slot = (ring->oldest + ring->count) % SY_RING_PIECES;
    ring->start[slot] = at;
    ring->head = at + need;
    ++ring->count;
    *out_slot = slot;
    return true;
}

void sy_ring_give(struct sy_ring *ring)
{
    ring->oldest = (ring->oldest + 1) % SY_RING_PIECES;
    --ring->count;
}
