// SPDX-License-Identifier: Apache-2.0
// message.h: what ranks do together in the middle of a step. A message is a node of the graph like an op, with
// bindings, sizes and a gradient rule, but the host carries it out (legs.h).
//
//   exchange_routes  every rank tells the owner of each expert how many rows it has for it, slice by slice, and which
//   exchange_rows    rows go to the experts' owners, or come back
//   sum_ranks        x = the pairwise tree of all ranks' x: what slices begin (slices.h), ranks end
//   gather_norms     x = each rank's own part of x, put together
//   share_ranks      x = what each rank updated of it (shard.h)
//   sum_parts, mean_parts  sums over ranks that split heads and d_ff (split.h)
//
// Rows, gradients and new values travel while the device goes on: what is sent is read behind the program that makes
// it, goes to the other ranks as soon as it has been read, and is written to the device as soon as it has come. The
// host waits only where a node needs it. Routes, sums over more than two parts and the few values of the others are
// waited for at once.
//
// Every rank of a layout must run the same messages in the same order. Ownership: the session's.   Layer: engine.
#pragma once

#include "engine/layout.h"
#include "engine/legs.h"
#include "engine/op.h"

/// exchange_routes, exchange_rows. The rank's own side: `slots` rows by expert, slice, group; off [experts·slices + 1]
/// says where. The experts' side: `xslots` rows by own expert, source rank, slice, group; xoff [own·sources·slices +
/// 1]; xsrc [xslots] = row of the whole step · k + choice, −1 for an unused slot. `back`: from there to here.
struct sy_exchange_args {
    u32 route; ///< Which sparse layer's: rows go by the counts that exchange_routes of that layer found last.
    u32 experts, slices, slots, xslots, dim, k, decoder, back;
    u32 part;             ///< exchange_rows: 0, all rows, or one of enum sy_rows_part.
    u32 tiles, tile_rows; ///< exchange_routes: room of each part's table of tiles; 0: there are no parts.
};

/// The forward pass takes an expert layer in four parts, so that one travels while others are in the experts: first
/// rows of this rank for the first half of its experts, then those of other ranks, half by half, and at last its own
/// for the other half. `tiles` [parts, tiles, 4] and `rows` [parts, xslots] say which they are, as route_tiles does,
/// and xsrc; −1 for rows of other parts. SY_ROWS_OWN, this rank's own rows (there: the first half's), never leave the
/// device.
enum sy_rows_part { SY_ROWS_OWN = 1, SY_ROWS_FIRST, SY_ROWS_SECOND };
enum { SY_ROWS_PARTS = 4 };

/// Elements from one part's rows to the next: views begin at multiples of SY_PACK_ALIGN.
static inline uint64_t sy_parts_stride(uint64_t elements)
{
    return (elements + SY_PACK_ALIGN - 1) / SY_PACK_ALIGN * SY_PACK_ALIGN;
}
/// How many of `own` experts are in the first half.
static inline uint32_t sy_rows_half(uint32_t own) { return (own + 1) / 2; }

/// sum_ranks, share_ranks: n elements of a pack from `at` on, over the ranks that hold it; each needs, or has, its
/// shard of it alone (all of it where the pack holds no parameters). gather_norms: over all ranks; own [n] is 1 where
/// this rank's value counts.
struct sy_ranks_args {
    u32 n, pack, at;
};

const struct sy_op_info *sy_message_info(enum sy_op_id op);
/// Whether the message of this node travels while the device goes on; else it is done once it was started.
bool sy_message_travels(const struct sy_graph *g, uint32_t node);
/// Whether `node` touches what a message brings.
bool sy_message_needed(const struct sy_graph *g, uint32_t message, uint32_t node);

struct sy_session;
struct sy_messages;
struct sy_segment;

/// Room for the messages of a session, which knows its layout and its segments. Malloc'ed. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_messages_create(const struct sy_session *s, struct sy_messages **out);
void sy_messages_destroy(struct sy_messages **messages);
/// Starts a segment's message. Errors: DEVICE · COMM naming the rank.
SY_MUST_CHECK enum sy_status sy_message_start(struct sy_session *s, const struct sy_segment *segment);
/// Moves on what is under way; does not block. NULL messages: nothing is.
SY_MUST_CHECK enum sy_status sy_messages_look(struct sy_session *s);
/// Waits until a message has come; meanwhile the others move on, too.
SY_MUST_CHECK enum sy_status sy_message_await(struct sy_session *s, const struct sy_segment *segment);

/// What is measured of messages. ALONE: each is waited for as soon as it has started, by all ranks at once, and nothing
/// else runs. TOGETHER: as in a run.
enum sy_message_watch { SY_WATCH_NOTHING, SY_WATCH_ALONE, SY_WATCH_TOGETHER };

struct sy_message_time {
    uint64_t bytes;    ///< Sent by this rank.
    double travel_s;   ///< From its start between the ranks to its arrival.
    double sent_at;    ///< When this rank's part went on its way, by its monotonic clock in seconds, …
    double idle_at;    ///< … since when the device had nothing to do but wait for it, 0: it never was, …
    double arrived_at; ///< … until it had come.
};

void sy_messages_watch(struct sy_session *s, enum sy_message_watch watch);
/// Of the last step: of the message of a leg (index into the session's).
struct sy_message_time sy_messages_time(const struct sy_session *s, size_t leg);
const struct sy_legs *sy_session_legs(const struct sy_session *s);
/// From here on steps measure their dispatches one by one: of each leg that is a program, and not NULL in `ns` [legs],
/// the nanoseconds (sy_program_profile()). NULL: they do not.
void sy_session_profile(struct sy_session *s, uint64_t **ns);

/// The sums of `n` whole numbers over all places (layout.h), in place; what any rank asks (`group->ask`) is known with
/// it. Errors: COMM · NOMEM.
SY_MUST_CHECK enum sy_status sy_layout_add(struct sy_ctx *ctx, const struct sy_layout *layout, uint64_t *values,
                                           size_t n);
