// SPDX-License-Identifier: Apache-2.0
// group.h: the processes ("ranks") of one run, as mpirun started them, and what they send to each other.
//
// A program that was not started by mpirun is rank 0 of 1, and MPI is not touched. mpi/group.c talks to MPI; mpi/stub.c
// takes its place in a build without it (-Dmpi=disabled).
//
// All ranks make the same calls in the same order, and list each other or do not; an exchange matches its namesakes of
// the other ranks by that order.
// Nothing waits for ever: a rank that has ended, or was not heard of for `patience_s`, is an error that names it. A
// rank that is busy answers (pulse.h), and is waited for. Layer: hostlib.   Threads: the thread that opened it.
#pragma once

#include "hostlib/status.h"

#define SY_GROUP_DEAF_S 600.0  // a rank whose answers do not get here is waited for so long,
#define SY_GROUP_SLOW_S 3600.0 // one that answers, but does not come, so long

struct sy_pulse;
struct sy_exchange;

struct sy_turn {
    uint64_t exchange; ///< The last one with that rank.
    uint32_t count;
};

/// An imagined wire, to see what would be hidden behind a slow one: each rank sends through its own, to other hosts
/// where there are several, else to all. `bytes_per_s` 0: none.
struct sy_wire {
    double latency_s, bytes_per_s;
    double message_s; ///< What each message takes beside its bytes, in which no other one travels.
    double free_at;   ///< Seconds: when it has carried all that was given to it.
};

struct sy_group {
    uint32_t rank;                 ///< 0 … size − 1
    uint32_t size;                 ///< At least 1.
    uint32_t node_rank, node_size; ///< Among the ranks of this host.
    uint32_t *hosts;        ///< [size] the lowest rank of each rank's host. SY_HOST_RANKS: as if so many were on one.
    bool several_hosts;     ///< They are not all the same.
    bool two_level;         ///< Rows go to other hosts in two steps (relay.h).
    double patience_s;      ///< For how long an awaited rank may not be heard of; 0: for ever.
    uint64_t step;          ///< Of training, for errors; 0: none.
    int ask, asked;         ///< What this rank asks of all, and the first thing that any has asked; 0: nothing.
    char (*names)[96];      ///< [size] "host node7, opencl:0" for errors; NULL: not known.
    struct sy_pulse *pulse; ///< NULL: nobody can be asked whether he is alive.
    bool over;              ///< A rank is missing: nothing can be exchanged any more.
    bool told;              ///< Another rank says why the run ends: this one need not.
    uint64_t sent;          ///< Bytes, so far …
    uint64_t far_sent, far_messages; ///< … those to other hosts, and in how many messages.
    uint64_t exchanges;              ///< How many were started …
    struct sy_turn *turns;           ///< … and [size] how many with each rank, so that both tell one from the next.
    bool started;                    ///< MPI was initialised here, and sy_group_close() ends it.
    struct sy_wire wire;             ///< From SY_SLOW_WIRE.
    struct sy_exchange *under_way;   ///< Started and not dropped.
};

/// One message: `bytes` from or to `data`, which must stay until the exchange has ended.
struct sy_transfer {
    uint32_t peer; ///< Another rank.
    bool send;     ///< Else it is received.
    void *data;
    uint64_t bytes; ///< Both ranks must say the same.
    uint32_t turn;  ///< One that was reserved; 0: the next one with that rank.
};

/// Joins the run. Blocks until every rank has started. Errors: UNSUPPORTED started as one of several by a build without
/// MPI (configure with -Dmpi=enabled) · COMM MPI could not start · INVALID SY_SLOW_WIRE, SY_HOST_RANKS.
SY_MUST_CHECK enum sy_status sy_group_open(struct sy_ctx *ctx, struct sy_group *out);
/// From here on ranks are asked whether they are alive when they are waited for, all ranks at once. Errors: COMM ·
/// NOMEM.
SY_MUST_CHECK enum sy_status sy_group_watch(struct sy_ctx *ctx, struct sy_group *group);
/// Tells all ranks what errors call this one beside its number. Errors: COMM · NOMEM.
SY_MUST_CHECK enum sy_status sy_group_name(struct sy_ctx *ctx, struct sy_group *group, const char *name);
/// Leaves it; nothing happens for a zeroed group or one that is closed. Blocks until every rank does the same.
void sy_group_close(struct sy_group *group);
/// Whether this rank is the one that says why the run ends: one of those that find out does.
bool sy_group_speak(struct sy_group *group);
/// Ends all ranks at once: after an error in the middle of a step, when the others wait. Does not return when size > 1.
void sy_group_abort(const struct sy_group *group);

/// How many processes mpirun (or srun --mpi=…) says that it started: 1 when there was neither.
uint32_t sy_group_launched(void);
/// Warns where srun started several processes without MPI. For sy_group_open().
void sy_group_warn_alone(struct sy_ctx *ctx);

/// Hands over all transfers, which then travel while the caller does other things; two ranks start the exchanges
/// between them in the same order. `what` is for errors, and must stay, as the data must, until the exchange is
/// dropped. Several can be under way. Errors: COMM · NOMEM.
SY_MUST_CHECK enum sy_status sy_group_start(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                            const struct sy_transfer *list, size_t count, struct sy_exchange **out);
/// Whether all of it has arrived; does not block. Messages travel only while somebody looks now and then. `wait`: the
/// caller has nothing else to do, and asks after the ranks that do not come. Errors: those of sy_group_exchange().
SY_MUST_CHECK enum sy_status sy_group_look(struct sy_ctx *ctx, struct sy_exchange *exchange, bool wait, bool *out_done);
void sy_group_drop(struct sy_exchange **exchange);
/// Reserves `count` turns with a rank, for exchanges that the two ranks may start in another order later on: both call
/// this where they would start them. Returns the first.
uint32_t sy_group_reserve(struct sy_group *group, uint32_t peer, uint32_t count);
/// Between the `looks`-th look in vain and the next: other ranks, or this rank's device, may need the processor.
void sy_group_rest(uint64_t looks);
/// Reads SY_SLOW_WIRE. Errors: INVALID.
SY_MUST_CHECK enum sy_status sy_group_slow_down(struct sy_ctx *ctx, struct sy_group *group);
/// Fills `hosts` from the lowest rank of this one's host, or from SY_HOST_RANKS. Errors: INVALID · COMM · NOMEM.
SY_MUST_CHECK enum sy_status sy_group_find_hosts(struct sy_ctx *ctx, struct sy_group *group, uint32_t lowest);

/// Hands over all transfers and blocks until they have arrived. `what` is for errors. Errors: COMM naming the rank that
/// did not come, or sent another number of bytes than expected; where `told` is set it says so, and no message comes
/// from here.
SY_MUST_CHECK enum sy_status sy_group_exchange(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                               const struct sy_transfer *list, size_t count);
/// What rank `from` has in `data` everywhere. Errors: COMM.
SY_MUST_CHECK enum sy_status sy_group_spread(struct sy_ctx *ctx, struct sy_group *group, uint32_t from, void *data,
                                             uint64_t bytes);
/// `out` [size][bytes]: `data` of every rank, in their order. Errors: COMM.
SY_MUST_CHECK enum sy_status sy_group_collect(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                              const void *data, uint64_t bytes, void *out);
/// Whether all ranks are well: `status` where this one is not, COMM where another is not (it has said why).
SY_MUST_CHECK enum sy_status sy_group_agree(struct sy_ctx *ctx, struct sy_group *group, enum sy_status status);
