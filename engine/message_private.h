// SPDX-License-Identifier: Apache-2.0
// message_private.h: what messages are made of, for message*.c. Layer: engine, private to them.
#pragma once

#include "engine/message.h"
#include "engine/session_private.h"
#include "hostlib/relay.h"

/// A message under way. Two blocks of host memory: what goes out and what comes in.
struct sy_parcel {
    const struct sy_node *node; ///< NULL: nothing is under way.
    char *out, *in;
    uint64_t out_room, in_room;
    struct sy_event **reads; ///< What is sent is still on its way from the device.
    size_t read_count, read_room;
    struct sy_transfer *list; ///< What goes to and comes from each rank.
    size_t count, room;
    struct sy_relay *travel; ///< Under way between ranks.
    bool arrived;
    uint32_t leg;
};

enum { SY_DRAINS = 16 };

/// A word read behind all that the device has been given: when it has come, the device has nothing to do.
struct sy_drain {
    struct sy_event *event;
    uint32_t word;
};

/// Where rows go and come from in one sparse layer: what exchange_routes found.
struct sy_route {
    uint32_t *sends;    ///< [sources] rows for the experts of each place; they lie one place after the other.
    uint32_t *first;    ///< [sources] of these, for the first half of its experts (sy_rows_half()).
    uint32_t *receives; ///< [sources][own experts] rows from each place.
};

struct sy_messages {
    struct sy_route routes[SY_MAX_SPARSE];
    struct sy_parcel *parcels,
        scratch; ///< [count] one for each slot (legs.h); scratch: of messages that are waited for.
    uint32_t count, sources;
    struct sy_team *team; ///< Those that exchange rows, where they do so in two steps; else NULL.
    uint32_t *queue;      ///< [queued] parcels that were started and have not been sent yet, in order.
    uint32_t queued;
    enum sy_message_watch watch;
    struct sy_message_time *times; ///< [legs]
    double began;                  ///< A message that is waited for, in seconds …
    uint64_t sent;                 ///< … and what the group had sent before.
    struct sy_drain drains[SY_DRAINS];
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
/// This rank's own rows, from one side to the other.
SY_MUST_CHECK enum sy_status sy_rows_copy(struct sy_session *s, const struct sy_node *n);
SY_MUST_CHECK enum sy_status sy_pair_pack(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_pair_address(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_pair_unpack(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_shards_pack(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_shards_address(struct sy_session *s, struct sy_parcel *p);
SY_MUST_CHECK enum sy_status sy_shards_unpack(struct sy_session *s, struct sy_parcel *p);
// Those that the host waits for.
SY_MUST_CHECK enum sy_status sy_parts_sum(struct sy_session *s, const struct sy_node *n);
SY_MUST_CHECK enum sy_status sy_parts_mean(struct sy_session *s, const struct sy_node *n);
SY_MUST_CHECK enum sy_status sy_routes_exchange(struct sy_session *s, const struct sy_node *n);
/// The sums of few values, on all ranks. `own`: only where it is 1 does this rank's value count, else it is 0.
SY_MUST_CHECK enum sy_status sy_sums_exchange(struct sy_session *s, const struct sy_node *n, sy_tid x,
                                              const int32_t *own);

// message_watch.c: nothing happens where nothing is watched.
/// The device has done what it was given, and all ranks are here where a message is to be alone.
SY_MUST_CHECK enum sy_status sy_watch_begin(struct sy_session *s);
SY_MUST_CHECK enum sy_status sy_watch_sent(struct sy_session *s, struct sy_parcel *p);
void sy_watch_arrived(struct sy_session *s, const struct sy_parcel *p);
/// A message that was waited for since sy_watch_begin().
void sy_watch_done(struct sy_session *s, uint32_t leg);
/// Follows what the device has been given so far; NULL: nothing is watched, or it is behind.
struct sy_drain *sy_watch_drain(struct sy_session *s);
/// Notes when the device had done it, once.
SY_MUST_CHECK enum sy_status sy_watch_idle(struct sy_drain *drain, double *at);
/// A parcel has arrived, after the device was idle since `idle` (0: it was not).
void sy_watch_waited(struct sy_session *s, const struct sy_parcel *p, double idle);
