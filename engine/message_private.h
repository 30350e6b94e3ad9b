// SPDX-License-Identifier: Apache-2.0
// message_private.h: what messages are made of, for message*.c. Layer: engine, private to them.
#pragma once

#include "engine/message.h"
#include "engine/session_private.h"

/// A message under way. Two blocks of host memory: what goes out and what comes in.
struct sy_parcel {
    const struct sy_node *node; ///< NULL: nothing is under way.
    char *out, *in;
    uint64_t out_room, in_room;
    struct sy_event *read;    ///< What is sent is still on its way from the device.
    struct sy_transfer *list; ///< What goes to and comes from each rank.
    size_t count, room;
    struct sy_exchange *travel; ///< Under way between ranks.
    bool arrived;
};

/// Where rows go and come from in one sparse layer: what exchange_routes found.
struct sy_route {
    uint32_t *sends;    ///< [sources] rows for the experts of each place; they lie one place after the other.
    uint32_t *receives; ///< [sources][own experts] rows from each place.
};

struct sy_messages {
    struct sy_route routes[SY_MAX_SPARSE];
    struct sy_parcel *parcels,
        scratch; ///< [count] one for each slot (legs.h); scratch: of messages that are waited for.
    uint32_t count, sources;
    uint32_t *queue; ///< [queued] parcels that were started and have not been sent yet, in order.
    uint32_t queued;
};

/// Room for `out` and `in` bytes; no less than 1. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_parcel_reserve(struct sy_ctx *ctx, struct sy_parcel *p, uint64_t out, uint64_t in);
/// Adds a transfer of `bytes`. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_parcel_add(struct sy_ctx *ctx, struct sy_parcel *p, uint32_t peer, bool send,
                                           void *data, uint64_t bytes);
/// Starts to read elements of a tensor for a parcel; all at once where it is in pieces.
SY_MUST_CHECK enum sy_status sy_parcel_read(struct sy_session *s, struct sy_parcel *p, sy_tid t, uint64_t first,
                                            uint64_t count, char *to);

// Of a message that travels: pack() starts to read what is sent; address() says what goes where, once it has been read;
// unpack() writes what came.
SY_MUST_CHECK enum sy_status sy_rows_pack(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_rows_address(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_rows_unpack(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_shards_pack(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_shards_address(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_shards_unpack(struct sy_session *s, struct sy_parcel *p);
// Those that the host waits for.
SY_MUST_CHECK enum sy_status sy_routes_exchange(struct sy_session *s, const struct sy_node *n);
/// The sums of few values, on all ranks. `own`: only where it is 1 does this rank's value count, else it is 0.
SY_MUST_CHECK enum sy_status sy_sums_exchange(struct sy_session *s, const struct sy_node *n, sy_tid x,
                                              const int32_t *own);
