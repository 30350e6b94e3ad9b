// SPDX-License-Identifier: Apache-2.0
// relay.h: exchanges among ranks of several hosts in two steps: first inside each host, then between the hosts.
//
// Of L ranks on each of N hosts every rank would send a message to each of the (N − 1) L ranks of other hosts. Here the
// i-th rank of a host first gets from all ranks of its host what they have for the i-th ranks of other hosts, and sends
// each of those one message: N − 1 in all, as many bytes as before. Inside the host each rank's bytes travel once more.
// Ownership: as in group.h.   Layer: hostlib.   Threads: the group's.
#pragma once

#include "hostlib/group.h"

/// Ranks that all exchange with each other, at the same time.
struct sy_team;
struct sy_relay;

/// `ranks` [count], this one among them, in the same order on all of them. `*out` is NULL where two steps make no
/// sense: one host, one rank of a host, or not the same number on each. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_team_create(struct sy_ctx *ctx, const struct sy_group *group, const uint32_t *ranks,
                                            uint32_t count, struct sy_team **out);
void sy_team_destroy(struct sy_team **team);

/// Like sy_group_start(), in two steps; all ranks of the team do so, and list each other at most once for each way.
/// NULL `team`: in one. Errors: COMM · NOMEM.
SY_MUST_CHECK enum sy_status sy_relay_start(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                            const struct sy_transfer *list, size_t count, const struct sy_team *team,
                                            struct sy_relay **out);
/// Like sy_group_look(): what is passed on travels only while somebody looks. Errors: COMM · NOMEM.
SY_MUST_CHECK enum sy_status sy_relay_look(struct sy_ctx *ctx, struct sy_relay *relay, bool wait, bool *out_done);
void sy_relay_drop(struct sy_relay **relay);
/// Blocks until all has arrived.
SY_MUST_CHECK enum sy_status sy_relay_exchange(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                               const struct sy_transfer *list, size_t count,
                                               const struct sy_team *team);
